"""What a report says of a model, as names and tables for its template."""

import platform
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import sklearn
import torch
from sklearn.pipeline import Pipeline

from llmreg import __version__
from llmreg._base import BaseAttributionEstimator
from llmreg._utils._text import number
from llmreg.elicitation._questions import (
    MAX_FEATURES,
    WAYS,
    Questionnaire,
    hash_prompt,
    plan,
)
from llmreg.exceptions import DataError, FeatureNamesError
from llmreg.inspection._comparison import NOTHING, WITH, WITHOUT, Performance
from llmreg.inspection._plotting import strongest
from llmreg.linear_model._trust import each_trust, has_opinion
from llmreg.nn._additive import AdditiveModel
from llmreg.nn._factory import linear_part
from llmreg.nn._net import LinearModel
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._formatting import (
    curve_limit,
    format_svg,
    show_unit,
    show_value,
    tell_curve,
)
from llmreg.prior._task import Task
from llmreg.providers._resolve import Provider

# Parameters that are shown elsewhere, or are long.
ELSEWHERE = {"prior", "task", "target_name", "feature_descriptions", "feature_names"}
FORMS = {LinearModel: "linear", AdditiveModel: "additive, with a shape for each curve"}

Pairs = list[tuple[str, str]]
#: Header, rows and the places of the columns that hold numbers.
Table = tuple[list[str], list[list[str]], Sequence[int]]


class Drawing(str):
    """Markup that is made of numbers, which the template takes as it is."""

    def __html__(self) -> str:
        return self


def content(
    estimator: Any, model: BaseAttributionEstimator, performance: Performance | None
) -> dict[str, Any]:
    """Collect what the template shows, but for the pictures."""
    task, prior = model._describe_task(), model.prior_
    trusts = each_trust(model.trust_)
    names = model._task_names()[1] if len(trusts) > 1 else ("",)
    found: dict[str, Any] = {
        "summary": _summary(model, task, performance),
        "model": model,
        "prior": prior,
        "task": task,
        "cosines": None,
        "trusts": list(zip(names, trusts, strict=False)),
        "contradictions": [c._told() for t in trusts for c in t.contradictions],
        "performance": performance,
        "measured": performance and _performance_table(performance),
        "model_facts": _model_facts(estimator, model),
        "parameters": list(_parameters(model)),
    }
    if prior is not None:
        found["scores"] = _score_table(prior, task)
        found["origin"] = _origin(prior)
        found["sent"] = _sent(prior, model.prior, task)
        if has_opinion(prior):
            cosines = (number(cosine, ".2f") for cosine in model.alignment_)
            found["cosines"] = list(zip(prior.outputs, cosines, strict=True))
    return found


def _summary(
    model: BaseAttributionEstimator, task: Task, performance: Performance | None
) -> Pairs:
    """Give the page in a few facts."""
    prior = model.prior_
    pairs = [("Predicts", task.target)]
    if prior is not None and has_opinion(prior):
        told = f"not weighed (gamma={model.gamma!r})"
        if trusts := each_trust(model.trust_):
            n = sum(len(trust.contradictions) for trust in trusts)
            cosine = np.mean([trust.cosine for trust in trusts])
            told = f"cosine {cosine:.2f}; {n} score{'s' * (n != 1)} contradicted"
        known = prior.provenance
        at_hand = "recorded scores" if known.get("source") else "scores at hand"
        source = known.get("model") or known.get("provider") or at_hand
        pairs += [
            ("Prior", source),
            ("Alignment, mean cosine", number(np.nanmean(model.alignment_), ".2f")),
            ("The rows and the prior", told),
        ]
    else:
        pairs.append(("Prior", "none"))
    if performance is None:
        return [*pairs, ("Performance", "not measured")]
    metric = next(iter(performance.metrics))
    means = "; ".join(
        f"{scores[metric].mean():.3f} {way}"
        for way, scores in performance.scores.items()
        if way != NOTHING
    )
    return [*pairs, (f"{metric.partition(',')[0]}, held out", means)]


def _score_table(prior: FeaturePrior, task: Task) -> Table:
    """Give every score with its meaning and its reason, the strongest first."""
    several = len(prior.outputs) > 1
    told = {}
    for f in task.features:
        parts = (f.description, f.unit and f"in {f.unit}", f.level_description)
        told[f.key] = "; ".join(filter(None, parts))
    meanings = [told.get(k) or prior.descriptions.get(k, "") for k in prior.features]
    header = ["Feature", *(["Meaning"] if any(meanings) else [])]
    n_texts = len(header)
    header += prior.outputs if several else ["Score"]
    if prior.spread is not None:
        header.append("Largest spread" if several else "Spread")
    numeric = range(n_texts, len(header))
    if prior.curves:
        header += ["Curve", "In words"]
    if prior.rationale:
        header.append("Reason")
    rows, limit = [], curve_limit(vars(prior))
    for j in strongest(np.abs(prior.scores), len(prior.features)):
        key = prior.features[j]
        row = [key, meanings[j]][:n_texts]
        row += [number(score, "+.1f") for score in prior.scores[:, j]]
        if prior.spread is not None:
            row.append(number(np.nan_to_num(prior.spread[:, j]).max(), ".1f"))
        if prior.curves:
            row += _draw_and_tell(prior, key, limit, task.kind == "classification")
        if prior.rationale:
            row.append(prior.rationale.get(key, ""))
        rows.append(row)
    return header, rows, numeric


def _draw_and_tell(
    prior: FeaturePrior, key: str, limit: float, is_class: bool
) -> list[str]:
    """Give the curve of a feature as a small drawing and in words."""
    curve, typical = prior.curves.get(key), prior.ranges.get(key)
    if curve is None:
        return ["", ""]
    told = []
    if typical is not None:
        ends = f"{show_value(typical.low)} to {show_value(typical.high)}"
        told.append(f"Typically {ends}{show_unit(prior.units.get(key, ''))}.")
    for k, output in enumerate(prior.outputs):
        name = f"{output}: " * (len(prior.outputs) > 1)
        told.append(f"{name}{tell_curve(curve, k, is_class=is_class)}.")
    return [Drawing(format_svg(curve, typical, limit)), "\n".join(told)]


def _origin(prior: FeaturePrior) -> Pairs:
    """Say where the scores come from."""
    known = [(k, v) for k, v in prior.provenance.items() if v and k != "questionnaire"]
    known += [(f"usage: {key}", f"{count:,}") for key, count in prior.usage.items()]
    if prior.estimates is not None:
        known.append(("estimates", str(len(prior.estimates))))
    return known


def _sent(prior: FeaturePrior, given: Any, task: Task) -> dict[str, Any] | None:
    """Say what a provider received; None where there was none."""
    by_this_model = isinstance(given, str | Provider)
    if not by_this_model and "provider" not in prior.provenance:
        return None
    questions = find_questions(prior, task)
    return {"by_this_model": by_this_model, "questions": questions}


def find_questions(prior: FeaturePrior, task: Task) -> Sequence[Questionnaire]:
    """Find the questions that a prior answers, by the hash that it records."""
    recorded = prior.provenance.get("prompt_hash")
    ask = prior.provenance.get("ask", "all")
    if not recorded or ask not in WAYS:
        return []
    for send_levels in (True, False):
        try:
            questions = plan(task, ask, send_levels, MAX_FEATURES)
        except (DataError, FeatureNamesError):
            return []
        if recorded == hash_prompt(questions):
            return questions
    return []


def _performance_table(performance: Performance) -> Table:
    """Give the mean and the deviation of every metric, and where the prior helped."""
    metrics, n_folds = performance.metrics, performance.n_splits * performance.n_repeats
    rows = []
    for way, scores in performance.scores.items():
        row = [way]
        for metric, scorer in metrics.items():
            mean, deviation = scores[metric].mean(), scores[metric].std()
            mean *= -1 if scorer.startswith("neg_") else 1
            row.append(f"{mean:.3f} ± {deviation:.3f}")
        rows.append(row)
    if WITH in performance.scores:
        one, other = (performance.scores[way] for way in (WITH, WITHOUT))
        better = (f"{(one[m] > other[m]).sum()} of {n_folds} folds" for m in metrics)
        rows.append(["the prior is better in", *better])
    header = ["Trained anew", *metrics]
    return header, rows, range(1, len(header))


def _model_facts(estimator: Any, model: BaseAttributionEstimator) -> Pairs:
    """Say what the model is made of."""
    pairs = [("Estimator", type(model).__name__)]
    if isinstance(estimator, Pipeline):
        steps = [f"{name} ({type(s).__name__})" for name, s in estimator.steps]
        pairs.append(("Pipeline", " → ".join(steps)))
    module, on_top = model.net_.module_, ""
    if model.trees_ is not None:
        # Hidden layers make room for them.
        module, on_top = linear_part(module), "; boosted trees on top"
    form = FORMS.get(type(module), "with hidden layers") + on_top
    return [
        *pairs,
        ("Form", form),
        ("Weight of the prior (gamma)", f"{model.gamma_:.3g}"),
        ("Iterations", str(model.n_iter_)),
        ("llmreg", __version__),
        ("scikit-learn, torch", f"{sklearn.__version__}, {torch.__version__}"),
        ("Python", platform.python_version()),
    ]


def _parameters(model: BaseAttributionEstimator) -> Iterator[tuple[str, str]]:
    """Go over what was set; of objects the type alone, which holds no secret."""
    default = type(model)().get_params(deep=False)
    for name, value in sorted(model.get_params(deep=False).items()):
        if name in ELSEWHERE or value is default.get(name):
            continue
        plain = isinstance(value, bool | int | float | str | tuple | list | None)
        if not plain or name.startswith("net__"):
            yield name, f"({type(value).__name__})"
        elif value != default.get(name):
            yield name, repr(value)
