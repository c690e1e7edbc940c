"""What a report says of the task, the prior, and what the model made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from llmreg._base import BaseAttributionEstimator
from llmreg._utils._text import list_names
from llmreg.elicitation._questions import (
    MAX_FEATURES,
    WAYS,
    Questionnaire,
    hash_prompt,
    plan,
)
from llmreg.exceptions import FeatureNamesError
from llmreg.inspection._prior_display import (
    AlignmentDisplay,
    PriorDisplay,
    TrustDisplay,
)
from llmreg.inspection._report_html import (
    Markup,
    element,
    facts,
    join,
    paragraphs,
    picture,
    table,
)
from llmreg.linear_model._train import has_opinion
from llmreg.linear_model._trust import Trust, each_trust
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._task import Task
from llmreg.providers._resolve import Provider

DASH = "-"
# Features in a picture of one or two outputs, and of more; the tables name all.
N_FEATURES, N_FEATURES_EACH = 30, 15


def section(title: str, *children: object) -> Markup:
    """Put a title above what belongs to it."""
    return element("section", element("h2", title), *children)


def number(value: float, spec: str = ".2f") -> str:
    """Write a number, or a dash where there is none."""
    return DASH if np.isnan(value) else format(value + 0.0, spec)


def task_section(task: Task, prior: FeaturePrior | None) -> Markup:
    """Say what is predicted from what."""
    columns = list(dict.fromkeys(feature.name for feature in task.features))
    n_levels = sum(feature.level is not None for feature in task.features)
    inputs = f"{len(columns)} columns"
    if n_levels:
        inputs += f", encoded as {len(task.features)} ({n_levels} of them levels)"
    pairs = [
        ("Predicts", task.target),
        ("Kind", task.kind),
        ("From", inputs),
    ]
    if task.classes:
        pairs.append(("Classes", list_names(task.classes, write=str)))
    if len(task.classes) != len(task.outputs) or len(task.outputs) > 1:
        pairs.append(("Scores speak for", list_names(task.outputs, write=str)))
    said = task.description or (prior.task if prior else "")
    said = said or "The model holds no sentence about its task."
    return section("Task", paragraphs(said), facts(pairs))


def prior_section(prior: FeaturePrior | None, task: Task) -> Markup:
    """Show the scores, with the reasons that were given for them."""
    if prior is None:
        return section(
            "Prior",
            paragraphs(
                "The model was trained without a prior: it has learnt from rows alone."
            ),
        )
    if error := prior.provenance.get("error"):
        return section(
            "Prior",
            element(
                "p",
                "The provider gave no prior, and the model was trained without one. ",
                error,
                class_="verdict warn",
            ),
        )
    texts = paragraphs(
        "A score from -10 to 10 for each feature, given before any row was seen. "
        "Positive: a larger value of the feature, or having the level, goes with "
        f"{_more(task)}. 0: the feature tells nothing. A dash: no opinion.",
        prior.missing
        and f"Features without a score: {list_names(prior.missing, write=str)}.",
        prior.unknown
        and "Scored, but not in the table and so not used: "
        f"{list_names(prior.unknown, write=str)}.",
    )
    image = picture(
        lambda: PriorDisplay.from_prior(prior, n_features=_n_shown(prior)),
        says="The scores of the strongest features as bars; the table has them all.",
        caption="The strongest features. "
        + ("Lines: standard deviation of the estimates." * (prior.spread is not None)),
    )
    return section("Prior", texts, image, _score_table(prior, task), _origin(prior))


def _n_shown(prior: FeaturePrior | None) -> int:
    """Return how many features a picture of every output has room for."""
    few = prior is None or len(prior.outputs) <= 2
    return N_FEATURES if few else N_FEATURES_EACH


def _more(task: Task) -> str:
    """Say what a positive score means here."""
    if task.kind == "regression":
        return "a larger target"
    if len(task.outputs) > 1:
        return "a class that is more likely"
    return f"the class {task.outputs[0]!r} being more likely"


def _score_table(prior: FeaturePrior, task: Task) -> Markup:
    told = {f.key: "; ".join(_told(f)) for f in task.features}
    several = len(prior.outputs) > 1
    meanings = [told.get(k) or prior.descriptions.get(k, "") for k in prior.features]
    header = ["Feature", *(["Meaning"] if any(meanings) else [])]
    n_texts = len(header)
    header += prior.outputs if several else ["Score"]
    if prior.spread is not None:
        header.append("Largest spread" if several else "Spread")
    numeric = range(n_texts, len(header))
    if prior.rationale:
        header.append("Reason")
    rows = []
    strength = np.nan_to_num(np.abs(prior.scores), nan=-1.0).max(axis=0)
    for j in np.argsort(-strength, kind="stable"):
        key = prior.features[j]
        row = [key, meanings[j]][:n_texts]
        row += [number(score, "+.1f") for score in prior.scores[:, j]]
        if prior.spread is not None:
            row.append(number(np.nan_to_num(prior.spread[:, j]).max(), ".1f"))
        if prior.rationale:
            row.append(prior.rationale.get(key, ""))
        rows.append(row)
    return table(header, rows, caption="All features and scores", numeric=numeric)


def _told(feature: Any) -> list[str]:
    """Return what is said of a feature, as far as anything is."""
    unit = f"in {feature.unit}" if feature.unit else ""
    return list(filter(None, (feature.description, unit, feature.level_description)))


def _origin(prior: FeaturePrior) -> Markup:
    """Say where the scores come from."""
    known = [(key, text) for key, text in prior.provenance.items() if text]
    known = [(key, text) for key, text in known if key != "questionnaire"]
    known += [(f"usage: {key}", f"{count:,}") for key, count in prior.usage.items()]
    if prior.estimates is not None:
        known.append(("estimates", str(len(prior.estimates))))
    title = element("h3", "Where the scores come from")
    if not known:
        text = (
            "The prior records no source: somebody wrote the scores down, in the "
            "program that trained the model or on a card."
        )
        return join([title, paragraphs(text)])
    caption = "As recorded in the prior; not checked by this report"
    return join([title, table(["Entry", "Recorded"], known, caption=caption)])


def alignment_section(model: BaseAttributionEstimator) -> Markup:
    """Show what the model has learnt beside what the prior says."""
    prior = model.prior_
    if prior is None or not has_opinion(prior):
        return section("Alignment", paragraphs("Without a prior there is none."))
    rows = [
        (output, number(cosine))
        for output, cosine in zip(prior.outputs, model.alignment_, strict=True)
    ]
    image = picture(
        lambda: AlignmentDisplay.from_estimator(model, n_features=_n_shown(prior)),
        says="Prior and model side by side, for the strongest features.",
        caption="Bars: the prior. Points: the model; a cross where its sign is "
        "against the prior. Each scaled to unit length over all features.",
    )
    return section(
        "Alignment",
        paragraphs(
            "How far what the model has learnt points where the prior points: 1 is the "
            "same direction, 0 has nothing to do with it, -1 is the opposite. Only "
            "features with a score count. A high value says that the model follows "
            "the prior, not that either is right."
        ),
        table(["Output", "Cosine"], rows, caption="Alignment", numeric=[1])
        if len(rows) > 1
        else paragraphs(f"Cosine: {rows[0][1]}."),
        image,
    )


def trust_section(model: BaseAttributionEstimator) -> Markup:
    """Show how far the training rows bear the prior out."""
    trusts = each_trust(model.trust_)
    if not trusts:
        return section("Trust", paragraphs(_why_no_trust(model)))
    names = model._task_names()[1] if len(trusts) > 1 else ("",)
    verdicts = [
        element(
            "p",
            element("strong", f"{name}: ") if name else "",
            one.verdict,
            class_="verdict warn" if _is_doubted(one) else "verdict",
        )
        for name, one in zip(names, trusts, strict=True)
    ]
    image = picture(
        lambda: TrustDisplay.from_estimator(model, n_features=_n_shown(model.prior_)),
        says="How likely each way to take the scores is, and each sign of a weight.",
        caption="Above: how to take the scores, after the rows were seen. Below: is "
        "the sign of each weight that of its score? Prior and rows count together.",
    )
    rows = [
        (
            *(c.feature, c.output, number(c.score, "+.1f")),
            *(number(c.weight, "+.2f"), number(c.probability)),
        )
        for one in trusts
        for c in one.contradictions
    ]
    header = ("Feature", "Output", "Score", "Weight learnt", "Probability")
    against = (
        table(header, rows, caption="Contradicted by the rows", numeric=[2, 3, 4])
        if rows
        else paragraphs("The rows contradict the sign of no score.")
    )
    return section(
        "Trust",
        paragraphs(
            "How far the training rows bear the prior out. With few rows they can "
            "say little, and the model is close to its prior whatever it is. The "
            "cosine is the mean over several transforms of the scores, where that of "
            "the alignment takes the likeliest one."
        ),
        *verdicts,
        against,
        image,
    )


def _is_doubted(trust: Trust) -> bool:
    """Tell whether there is something to look into."""
    return bool(trust.contradictions) or trust.believed < 0.5


def _why_no_trust(model: BaseAttributionEstimator) -> str:
    """Say why nothing is known of how far the rows bear the prior out."""
    if model.prior_ is None or not has_opinion(model.prior_):
        return "Without a prior there is nothing to trust or to doubt."
    return (
        f"The weight of the prior was fixed beforehand (gamma={model.gamma!r}), and "
        "the rows had no say in it: this report cannot tell whether they bear the "
        'prior out. Fitted with gamma="auto", a model weighs its prior.'
    )


NEVER = (
    "Rows, statistics of the columns and labels of rows are never sent: "
    "llmreg.Task, all that a provider is given, has no place for them."
)


def sent_section(prior: FeaturePrior | None, given: Any, task: Task) -> Markup:
    """Say what a provider was told, and who it is."""
    return section("What was sent, and to whom", _told_sent(prior, given, task))


def _told_sent(prior: FeaturePrior | None, given: Any, task: Task) -> Markup:
    asked = isinstance(given, str) or isinstance(given, Provider)
    if prior is None:
        return paragraphs("Nothing, to nobody: no provider was asked.")
    source = prior.provenance
    if not asked and "provider" not in source:
        return _at_hand(source.get("questionnaire"))
    whom = [
        ("Provider", source.get("provider", "not recorded")),
        ("Model", source.get("model") or "not recorded"),
        ("When", source.get("created", "not recorded")),
    ]
    if source.get("members"):
        whom.append(("Members", source["members"]))
    head = paragraphs(
        ""
        if asked
        else "Nothing, when this model was trained: its prior was elicited before."
    )
    return join([head, facts(whom), _texts(prior, task), paragraphs(NEVER)])


def _at_hand(questionnaire: str | None) -> Markup:
    """Say that nobody was asked, and what the scores answer, if that is known."""
    told = paragraphs("Nothing, when this model was trained: the scores were at hand.")
    if not questionnaire:
        return told
    say = paragraphs("The prior records the questionnaire that it answers:")
    return join([told, say, element("pre", questionnaire)])


def _texts(prior: FeaturePrior, task: Task) -> Markup:
    """Give what was sent word for word, or else what it was made from."""
    questions = find_questions(prior, task)
    if questions:
        shown = questions[0]
        count = len(questions)
        return join(
            [
                paragraphs(
                    "The text below is what was sent, after instructions that are the "
                    "same for every task: it has the hash that the prior records"
                    + (f" (the first of {count} questions)." if count > 1 else ".")
                ),
                element("pre", shown.user),
            ]
        )
    columns = list(dict.fromkeys(feature.name for feature in task.features))
    levels = [feature.key for feature in task.features if feature.level is not None]
    described = [feature.key for feature in task.features if feature.description]
    return join(
        [
            paragraphs(
                "The wording is not recorded, or the model was trained with other "
                "words than its prior. What a provider can be told of the model as "
                "it is:"
            ),
            facts(
                [
                    ("The task", task.description or "no sentence"),
                    ("The target", task.target),
                    ("Names of classes", list_names(task.classes, write=str) or "none"),
                    ("Names of columns", list_names(columns, write=str)),
                    ("Descriptions", f"of {len(described)} features"),
                    (
                        "Levels, unless kept back",
                        list_names(levels, write=str) or "none",
                    ),
                ]
            ),
        ]
    )


def find_questions(prior: FeaturePrior, task: Task) -> Sequence[Questionnaire]:
    """Find the questions that a prior answers, by the hash that it records."""
    recorded = prior.provenance.get("prompt_hash")
    ask = prior.provenance.get("ask", "all")
    if not recorded or ask not in WAYS:
        return []
    for send_levels in (True, False):
        try:
            questions = plan(task, ask, send_levels, MAX_FEATURES)
        except FeatureNamesError:
            return []
        if hash_prompt(questions) == recorded:
            return questions
    return []
