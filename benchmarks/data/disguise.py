"""The questionnaires of the paper's tables in disguise, and what came back.

A language model may know a public table. Then its scores are no domain knowledge, and
would be worse on a table that nobody has published. So the same questions are asked
again with the names hidden, with nothing but the task left, without the descriptions,
and with two names swapped. An answer is kept as it was given, under the disguised
names; `read_disguised` brings it back to the names of the card.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.data.catalogue import HERE, encoded_keys, read_card, read_prior
from llmreg.prior import FeaturePrior

FOLDER = HERE / "priors-disguised"
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
    """Give the questionnaire of a table in one of its disguises."""
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
    """Say nothing about the features but their names."""
    return tuple(replace(item, about="") for item in items)


def _swapped(name: str, items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Let two features change names, each with its description where it was."""
    high, low = swapped_pair(name)
    other = {high: low, low: high}
    return tuple(replace(item, key=other.get(item.key, item.key)) for item in items)


def _places(
    name: str, items: tuple[Item, ...]
) -> list[tuple[int, int | None, int, str]]:
    """Tell of each line the number of its column, of its level, of levels; the kind."""
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
