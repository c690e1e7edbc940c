"""What of the table was told to whom, as far as the model knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmreg.asking import MAX_FEATURES, WAYS, Question, plan
from llmreg.exceptions import FeatureNamesError
from llmreg.prior import FeaturePrior
from llmreg.providers.cache import hash_key
from llmreg.report.markup import Markup, element, facts, join, paragraphs
from llmreg.report.sections import listed, section
from llmreg.resolve import Provider
from llmreg.task import Task

NEVER = (
    "Rows, statistics of the columns and labels of rows are never sent: "
    "llmreg.task.Task, all that a provider is given, has no place for them."
)


def sent_section(prior: FeaturePrior | None, given: Any, task: Task) -> Markup:
    """Say what a provider was told, and who it is.

    Parameters
    ----------
    prior : FeaturePrior or None
        The prior of the model.
    given : object
        The parameter `prior` of the estimator.
    task : Task
        The task, as the model holds it.

    Returns
    -------
    Markup
        The section.
    """
    return section("What was sent, and to whom", _told(prior, given, task))


def _told(prior: FeaturePrior | None, given: Any, task: Task) -> Markup:
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
        shown = questions[0].questionnaire
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
                    ("Names of classes", listed(task.classes) or "none"),
                    ("Names of columns", listed(columns)),
                    ("Descriptions", f"of {len(described)} features"),
                    ("Levels, unless kept back", listed(levels) or "none"),
                ]
            ),
        ]
    )


def find_questions(prior: FeaturePrior, task: Task) -> Sequence[Question]:
    """Find the questions that a prior answers, by the hash that it records.

    Parameters
    ----------
    prior : FeaturePrior
        The prior.
    task : Task
        The task that it may have been elicited for.

    Returns
    -------
    sequence of Question
        The questions; none if the task was put in other words, or nothing is
        recorded.
    """
    recorded = prior.provenance.get("prompt_hash")
    ask = prior.provenance.get("ask", "all")
    if not recorded or ask not in WAYS:
        return []
    for send_levels in (True, False):
        try:
            questions = plan(task, ask, send_levels, MAX_FEATURES)
        except FeatureNamesError:
            return []
        digests = [question.questionnaire.digest for question in questions]
        digest = digests[0] if len(digests) == 1 else hash_key(digests)
        if digest == recorded:
            return questions
    return []
