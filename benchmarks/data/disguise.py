"""The questionnaires of the paper's tables in disguise, and what came back.

A language model may know a public table. Then its scores are no domain knowledge, and
would be worse on a table that nobody has published. So the same questions are asked
again with the names hidden, with nothing but the task left, without the descriptions,
and with two names swapped. An answer is kept as it was given, under the disguised
names; `read_disguised` brings it back to the names of the card.

    python -m benchmarks disguised-priors ask FOLDER
    python -m benchmarks disguised-priors record FOLDER --provenance "Who, when, how."

The first writes ``VARIANT.txt`` for each disguise: the questionnaires of the paper's
ten tables one after the other, by number, for a language model that is to see nothing
else. The second takes ``VARIANT.json``, its answers, checks that every feature has a
whole score from -10 to 10, and keeps them in the form of the recorded priors.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.data.catalogue import HERE, PAPER, encoded_keys, read_card, read_prior
from benchmarks.programs import RequestError, echo, make_parser, run_program, say
from llmreg.prior._feature_prior import SCORE_LIMIT, FeaturePrior

FOLDER = HERE / "priors-disguised"
#: The name of the recorded estimates among the disguises.
RECORDED = "recorded"
SHUFFLES = 20
#: What the model named when it was asked what it may have remembered of the outcome.
NAMED: Mapping[str, tuple[str, ...]] = {
    "bank": ("month",),
    "breast-ljubljana": tuple(
        f"{place}BreastQuadrant"
        for place in ("Central", "LowerLeft", "UpperLeft", "LowerRight", "UpperRight")
    ),
}
WITHOUT = f"{RECORDED}, without what the model named"
_FORM = (
    'Answer with one JSON object: {"1": {"<feature key>": <integer>, ...}, "2": {...}, '
    f'..., "{len(PAPER)}": {{...}}}}. The outer keys are the numbers of the '
    "questionnaires. The inner keys are exactly the feature keys as listed, copied "
    "letter by letter: what stands between the number of the line and the colon (or "
    "the end of the line, where there is no colon). Leave no feature out and add none."
)
_BEFORE_COUNT = "\nFeatures ("


@dataclass(frozen=True)
class Item:
    """A numbered line of a questionnaire.

    `key` is the feature as it is asked about, `stands_for` that of the card.
    """

    key: str
    about: str
    stands_for: str


@dataclass(frozen=True)
class Questionnaire:
    """What a language model is asked about a table.

    The head has the instruction, the task and the class.
    """

    head: str
    items: tuple[Item, ...]

    @property
    def text(self) -> str:
        """The questionnaire in the form of the recorded ones."""
        lines = [
            f"{number}. {item.key}" + (f": {item.about}" if item.about else "")
            for number, item in enumerate(self.items, 1)
        ]
        count = f"{_BEFORE_COUNT}{len(lines)}):"
        return "\n".join([self.head + count, *lines]) + "\n"


def recorded(name: str) -> Questionnaire:
    """Read the questionnaire that the recorded prior of a table answers."""
    text = json.loads((HERE / "priors" / f"{name}.json").read_text())["questionnaire"]
    head, _, body = text.partition(_BEFORE_COUNT)
    items = []
    for number, line in enumerate(body.splitlines()[1:], 1):
        key, _, about = line.removeprefix(f"{number}. ").partition(": ")
        items.append(Item(key, about, key))
    if sorted(item.key for item in items) != sorted(encoded_keys(read_card(name))):
        raise ValueError(f"The questionnaire of {name!r} does not fit its card.")
    return Questionnaire(head, tuple(items))


def swapped_pair(name: str) -> tuple[str, str]:
    """Choose the two features of a table that change names.

    They are numeric, so that each name can stand where the other stood, and they are
    those whose recorded scores differ most, so that it shows whom an answer follows.
    """
    prior, about = read_prior(name), read_card(name)["features"]
    scores = dict(zip(prior.features, prior.scores[0], strict=True))
    numeric = [key for key in about if about[key]["kind"] == "numeric"]
    # In the order of the card where scores are equal: max and min keep the first.
    return max(numeric, key=scores.__getitem__), min(numeric, key=scores.__getitem__)


def disguised(name: str, variant: str) -> Questionnaire:
    """Return the questionnaire of a table in one of its disguises."""
    asked = recorded(name)
    return replace(asked, items=VARIANTS[variant](name, asked.items))


def read_disguised(name: str, variant: str, folder: Path = FOLDER) -> FeaturePrior:
    """Read the answer to a disguised questionnaire.

    A score goes to the feature whose line it answers: where names are swapped, to the
    feature that was described.
    """
    record = json.loads((folder / variant / f"{name}.json").read_text())
    true_names = {i.key: i.stands_for for i in disguised(name, variant).items}
    positive = read_card(name)["positive"]
    return FeaturePrior.from_estimates(
        [
            {positive: {true_names[key]: score for key, score in scores.items()}}
            for estimate in record["estimates"]
            for scores in estimate.values()
        ],
        provenance={"recorded": record["provenance"]},
    )


def _again(name: str, items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Change nothing."""
    return items


def _hidden(name: str, items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Put numbers in the place of features and levels."""
    return tuple(
        replace(item, key=f"feature {column}" + (f"=level {level}" if level else ""))
        for item, (column, level, _, _) in zip(items, _places(name, items), strict=True)
    )


def _neutral(name: str, items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Put numbers for the names, and say only of which kind each feature is."""
    kinds = {"numeric": "a numeric feature", "binary": "a yes-or-no feature"}
    return tuple(
        replace(item, about=kinds.get(kind, f"a category, level {level} of {n_levels}"))
        for item, (_, level, n_levels, kind) in zip(
            _hidden(name, items), _places(name, items), strict=True
        )
    )


def _names(name: str, items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Leave nothing of the features but their names."""
    return tuple(replace(item, about="") for item in items)


def _swapped(name: str, items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Let two features change names, each with its description where it was."""
    high, low = swapped_pair(name)
    other = {high: low, low: high}
    return tuple(replace(item, key=other.get(item.key, item.key)) for item in items)


def _places(
    name: str, items: tuple[Item, ...]
) -> list[tuple[int, int | None, int, str]]:
    """Return of each line the numbers of column, level and levels, and the kind."""
    about: Mapping[str, Any] = read_card(name)["features"]
    columns = {
        key: (column, feature)
        for column, feature in about.items()
        for key in encoded_keys({"features": {column: feature}})
    }
    numbers: dict[str, int] = {}
    seen: dict[str, int] = {}
    places: list[tuple[int, int | None, int, str]] = []
    for item in items:
        column, feature = columns[item.key]
        number = numbers.setdefault(column, len(numbers) + 1)
        seen[column] = seen.get(column, 0) + 1
        n_levels = len(feature.get("levels", ()))
        level = seen[column] if n_levels else None
        places.append((number, level, n_levels, feature["kind"]))
    return places


#: What is asked again, and what of it is changed.
VARIANTS: Mapping[str, Callable[[str, tuple[Item, ...]], tuple[Item, ...]]] = {
    "again": _again,
    "hidden": _hidden,
    "neutral": _neutral,
    "names": _names,
    "swapped": _swapped,
}


class AnswerError(ValueError):
    """An answer that does not fit its questionnaire."""


def question_text(variant: str, cards: Sequence[str] = PAPER) -> str:
    """Put the questionnaires of several tables into one text.

    The text has only the numbers of the cards, for a name would tell.
    """
    asked = [
        f"Questionnaire {number}\n\n{disguised(card, variant).text}"
        for number, card in enumerate(cards, 1)
    ]
    intro = f"{len(cards)} questionnaires follow, each to be answered by itself."
    parts = [f"{intro}\n{_FORM}\n", *asked, f"The form of the answer\n{_FORM}\n"]
    return "\n".join(parts)


def checked(answer: Mapping[str, Any], asked: Questionnaire) -> dict[str, int]:
    """Hold an answer against its questionnaire.

    Returns the scores in the order of the questionnaire. Raises AnswerError where
    features are missing or unknown, or scores are not whole or out of range.
    """
    keys = [item.key for item in asked.items]
    faults = {
        "missing": [key for key in keys if key not in answer],
        "not asked about": [key for key in answer if key not in keys],
        f"no whole number from -{SCORE_LIMIT} to {SCORE_LIMIT}": [
            f"{key}: {score!r}"
            for key, score in answer.items()
            if type(score) is not int or abs(score) > SCORE_LIMIT
        ],
    }
    found = [f"{fault}: {', '.join(keys)}" for fault, keys in faults.items() if keys]
    if found:
        raise AnswerError("; ".join(found))
    return {key: answer[key] for key in keys}


def record(
    variant: str,
    answers: Mapping[str, Mapping[str, Any]],
    provenance: str,
    folder: Path = FOLDER,
) -> None:
    """Keep the answers to a disguise, one file per table.

    The answers are scores by feature, by the number of the questionnaire. Where one
    does not fit, AnswerError is raised and nothing is written.
    """
    records, faults = {}, []
    for number, card in enumerate(PAPER, 1):
        asked = disguised(card, variant)
        try:
            scores = checked(answers.get(str(number), {}), asked)
        except AnswerError as error:
            faults.append(f"{variant}, questionnaire {number}: {error}")
            continue
        records[card] = {
            "name": card,
            "scale": [-SCORE_LIMIT, SCORE_LIMIT],
            "provenance": provenance,
            "questionnaire": asked.text,
            "estimates": [{"yes": scores}],
        }
    if faults:
        raise AnswerError("\n".join(faults))
    for card, kept in records.items():
        path = folder / variant / f"{card}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(kept, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does; 1 where an answer does not fit."""
    return run_program(_run, _parser(), arguments, stopped="Stopped.")


def _run(options: argparse.Namespace) -> int:
    """Write the questions, or keep the answers."""
    if options.action == "ask":
        options.folder.mkdir(parents=True, exist_ok=True)
        for variant in options.variants:
            path = options.folder / f"{variant}.txt"
            path.write_text(question_text(variant), encoding="utf-8")
            n_asked = sum(len(disguised(card, variant).items) for card in PAPER)
            echo(f"{path}: {n_asked} features")
        return 0
    if not options.provenance.strip():
        raise RequestError(
            '--provenance "Who, when, how." says where the answers are from.'
        )
    failed = 0
    for variant in options.variants:
        path = options.folder / f"{variant}.json"
        if not path.exists():
            say(f"{variant}: no answer in {path}")
            continue
        try:
            answers = json.loads(path.read_text(encoding="utf-8"))
            record(variant, answers, options.provenance)
        except AnswerError as error:
            say(str(error))
            failed = 1
    return failed


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("disguised-priors", __doc__)
    parser.add_argument("action", choices=["ask", "record"])
    parser.add_argument("folder", type=Path, help="of the questions or the answers")
    parser.add_argument("--provenance", default="", help="where the answers are from")
    parser.add_argument(
        "--variants",
        nargs="+",
        choices=list(VARIANTS),
        default=list(VARIANTS),
        metavar="NAME",
        help=f"disguises, of {', '.join(VARIANTS)} (all)",
    )
    return parser
