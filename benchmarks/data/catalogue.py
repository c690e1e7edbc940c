"""The cards of the data sets, the groups they come in, and their recorded priors.

A card (``cards/NAME.json``) says in words what a table holds; a prior
(``priors/NAME.json``) is what a language model answered about that card, and so are
curves and more (``knowledge/NAME.json``). Those of ``worlds/`` lie apart. A regression
card followed by ``>median`` is the same table and prior with two classes: is the
target above its median or not. Followed by ``>thirds`` it has three of equal size, and
what speaks for the high one speaks against the low one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.programs import RequestError
from llmreg.prior import Feature, FeaturePrior, Task

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: The committed result files.
RESULTS = ROOT / "benchmarks" / "results"

#: The ten tables of the LAAT paper.
PAPER = (
    *("adult", "bank", "bodyfat", "breast-ljubljana", "cdc-diabetes", "contraceptive"),
    *("diabetes", "electricity", "indian_liver", "myocardial"),
)
MULTICLASS = ("contraceptive-multiclass", "obesity")
#: Shipped by packages, so the same everywhere and without a download.
PACKAGED = ("breast-cancer-wisconsin", "credit-default", "low-birth-weight", "titanic")
REGRESSION = (
    *("auto-mpg", "carseats", "college-outstate", "diabetes-progression", "salaries"),
)
#: Ways to cut the target of a regression into classes of equal size, from low to high:
#: what is asked then, and the classes.
CUTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "median": ("Is it above the median?", ("not above", "above")),
    "thirds": ("In which third is it?", ("low", "middle", "high")),
}
#: Hyper-parameters may be chosen on these, and on nothing else: they are neither the
#: tables of the paper nor those of the multi-class comparison.
DEVELOPMENT = PACKAGED + tuple(f"{name}>median" for name in REGRESSION)
THIRDS = tuple(f"{name}>thirds" for name in REGRESSION)
#: For choosing too, with 1,000 to 5,000 rows; apart, so that what was chosen on the
#: others stays as it was.
DEVELOPMENT_LARGE = (
    *("ames", "attrition", "churn", "concrete", "credit-bad", "doctor-visits"),
    *("hpc", "orange-juice", "wage"),
)


def _worlds() -> tuple[str, ...]:
    """List the worlds: two classes first, then numbers, then many classes."""
    found = []
    for path in (HERE / "worlds" / "cards").glob("*.json"):
        card = json.loads(path.read_text(encoding="utf-8"))
        n_classes = len(card.get("classes", ()))
        found.append((n_classes != 2, n_classes, path.stem))
    return tuple(name for *_, name in sorted(found))


#: Made by simulators and never published: no language model can have seen them.
WORLDS = _worlds()
GROUPS: Mapping[str, tuple[str, ...]] = {
    "paper": PAPER,
    "multiclass": MULTICLASS,
    "packaged": PACKAGED,
    "regression": REGRESSION,
    "development": DEVELOPMENT,
    "thirds": THIRDS,
    "development-large": DEVELOPMENT_LARGE,
    "worlds": WORLDS,
    "all": PAPER + MULTICLASS + PACKAGED + REGRESSION,
}
_KNOWN = frozenset(card for group in GROUPS.values() for card in group)


class UnknownCardError(RequestError, LookupError):
    """A name that is neither a card nor a group of cards."""


def names(selection: str) -> tuple[str, ...]:
    """Return the cards that a name stands for.

    A card, or "paper", "multiclass", "packaged", "regression", "development", "thirds",
    "development-large", "worlds" or "all", which is the first four.
    """
    if selection in GROUPS:
        return GROUPS[selection]
    if selection in _KNOWN:
        return (selection,)
    raise UnknownCardError(
        f"No card or group is called {selection!r}. Groups: {', '.join(GROUPS)}. "
        f"Cards: {', '.join(sorted(_KNOWN))}."
    )


def cards_of(selections: Iterable[str]) -> list[str]:
    """Return the cards that several names stand for, each once."""
    return list(dict.fromkeys(card for one in selections for card in names(one)))


def path_of(folder: str, table: str) -> Path:
    """Name the file of a table in "cards", "priors" or "knowledge".

    Worlds have one in "tables" too, the rows themselves.
    """
    end = "csv.gz" if folder == "tables" else "json"
    return (HERE / "worlds" if table in WORLDS else HERE) / folder / f"{table}.{end}"


def read_card(name: str) -> dict[str, Any]:
    """Read the card of a data set.

    It is as written, plus `table`, the name of its file and of its prior's. With
    `>median` or `>thirds` at the end of the name it has two or three classes.
    """
    names(name)
    table, _, cut = name.partition(">")
    card: dict[str, Any] = json.loads(path_of("cards", table).read_text())
    card["table"] = table
    if cut:
        question, classes = CUTS[cut]
        card |= {
            "name": name,
            "task": f"{card['task']} {question}",
            "kind": "classification",
            "classes": list(classes),
            "positive": classes[1] if len(classes) == 2 else None,
        }
    return card


def read_prior(name: str) -> FeaturePrior:
    """Read the recorded prior of a data set, its output named as in the card."""
    card = read_card(name)
    prior = FeaturePrior.read(path_of("priors", card["table"]))
    if name in WORLDS:
        # One level was put in the place of another after the questions were asked.
        prior = prior.align(task_of(card).features, prior.outputs)
    # The questionnaires call the positive class "yes", whatever the table calls it.
    if card["positive"] is not None:
        return replace(prior, outputs=(card["positive"],))
    if card["kind"] == "regression":
        return replace(prior, outputs=("target",))
    if name.endswith(">thirds"):
        return _for_and_against(prior, card["classes"])
    return prior


def _for_and_against(prior: FeaturePrior, classes: Sequence[str]) -> FeaturePrior:
    """Turn scores of a number into those of low, middle and high ones."""
    turn = np.array([[-1.0], [0.0], [1.0]])
    estimates = None if prior.estimates is None else turn * prior.estimates
    return replace(
        prior, outputs=tuple(classes), scores=turn * prior.scores, estimates=estimates
    )


def encoded_keys(card: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the inputs of a card once its categories are opened into levels.

    They are `name` for a numeric feature, and `name=level` for each level of another.
    """
    return tuple(
        key
        for name, feature in card["features"].items()
        for key in (
            [f"{name}={level}" for level in feature["levels"]]
            if feature["kind"] == "categorical"
            else [name]
        )
    )


def mismatches(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Compare the keys of a prior with the inputs of its card.

    Returns the inputs without a score, and the scores without an input.
    """
    keys = encoded_keys(read_card(name))
    scored = read_prior(name).features
    missing = tuple(key for key in keys if key not in scored)
    return missing, tuple(key for key in scored if key not in keys)


def task_of(card: Mapping[str, Any]) -> Task:
    """Put a card into the task that an estimator would tell a provider.

    The features are in the order of `encoded_keys`.
    """
    classes = tuple(card.get("classes", ()))
    positive = card["positive"]
    target = str(card["target"])
    return Task(
        features=tuple(
            feature
            for name, about in card["features"].items()
            for feature in _features(name, about)
        ),
        target=target,
        outputs=(positive,) if positive is not None else classes or (target,),
        kind=card["kind"],
        classes=classes,
        description=card["task"],
    )


def _features(name: str, about: Mapping[str, Any]) -> list[Feature]:
    """Return the inputs that a column of a table turns into."""
    text = about["description"]
    if about["kind"] != "categorical":
        return [Feature(name, text)]
    return [
        Feature(name, text, level, "" if meaning == level else meaning)
        for level, meaning in about["levels"].items()
    ]
