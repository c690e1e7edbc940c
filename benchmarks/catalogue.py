"""The cards of the data sets, the groups they come in, and their recorded priors.

A card (``cards/NAME.json``) says in words what a table holds; a prior
(``priors/NAME.json``) is what a language model answered about that card. A regression
card followed by ``>median`` is the same table and prior with two classes: is the
target above its median or not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.programs import RequestError
from llmreg.prior import FeaturePrior

HERE = Path(__file__).parent

#: The ten tables of the LAAT paper.
PAPER = (
    "adult",
    "bank",
    "bodyfat",
    "breast-ljubljana",
    "cdc-diabetes",
    "contraceptive",
    "diabetes",
    "electricity",
    "indian_liver",
    "myocardial",
)
MULTICLASS = ("contraceptive-multiclass", "obesity")
#: Shipped by packages, so the same everywhere and without a download.
PACKAGED = (
    "breast-cancer-wisconsin",
    "credit-default",
    "low-birth-weight",
    "titanic",
)
REGRESSION = (
    "auto-mpg",
    "carseats",
    "college-outstate",
    "diabetes-progression",
    "salaries",
)
CUT = ">median"
#: Hyper-parameters may be chosen on these, and on nothing else: they are neither the
#: tables of the paper nor those of the multi-class comparison.
DEVELOPMENT = PACKAGED + tuple(f"{name}{CUT}" for name in REGRESSION)
GROUPS: Mapping[str, tuple[str, ...]] = {
    "paper": PAPER,
    "multiclass": MULTICLASS,
    "packaged": PACKAGED,
    "regression": REGRESSION,
    "development": DEVELOPMENT,
    "all": PAPER + MULTICLASS + PACKAGED + REGRESSION,
}
_KNOWN = frozenset(GROUPS["all"] + DEVELOPMENT)


class UnknownCardError(RequestError, LookupError):
    """A name that is neither a card nor a group of cards."""


def names(selection: str) -> tuple[str, ...]:
    """Give the cards that a name stands for.

    Parameters
    ----------
    selection : str
        The name of a card, or a group: "paper", "multiclass", "packaged",
        "regression", "development", "all".

    Returns
    -------
    tuple of str
        Names of cards.

    Raises
    ------
    UnknownCardError
        If it is neither.

    Examples
    --------
    >>> from benchmarks.catalogue import names
    >>> names("multiclass")
    ('contraceptive-multiclass', 'obesity')
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
    """Give the cards that several names stand for, each once.

    Parameters
    ----------
    selections : iterable of str
        Names of cards, or of groups of them.

    Returns
    -------
    list of str
        Names of cards.
    """
    return list(dict.fromkeys(card for one in selections for card in names(one)))


def read_card(name: str) -> dict[str, Any]:
    """Read the card of a data set.

    Parameters
    ----------
    name : str
        Name of the card.

    Returns
    -------
    dict
        The card as it was written, plus ``table``, the name of its file and of its
        prior's; with ``>median`` at the end of the name, a card of two classes.

    Examples
    --------
    >>> from benchmarks.catalogue import read_card
    >>> card = read_card("salaries>median")
    >>> card["table"], card["kind"], card["classes"], card["positive"]
    ('salaries', 'classification', ['not above', 'above'], 'above')
    """
    names(name)
    table = name.removesuffix(CUT)
    card: dict[str, Any] = json.loads((HERE / "cards" / f"{table}.json").read_text())
    card["table"] = table
    if name != table:
        card |= {
            "name": name,
            "task": f"{card['task']} Is it above the median?",
            "kind": "classification",
            "classes": ["not above", "above"],
            "positive": "above",
        }
    return card


def read_prior(name: str) -> FeaturePrior:
    """Read the recorded prior of a data set, its output named as in the card.

    Parameters
    ----------
    name : str
        Name of the card.

    Returns
    -------
    FeaturePrior
        The mean over the recorded estimates.
    """
    card = read_card(name)
    prior = FeaturePrior.read(HERE / "priors" / f"{card['table']}.json")
    # The questionnaires call the positive class "yes", whatever the table calls it.
    if card["positive"] is not None:
        return replace(prior, outputs=(card["positive"],))
    return prior


def encoded_keys(card: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the inputs of a card once its categories are opened into levels.

    Parameters
    ----------
    card : mapping
        A card.

    Returns
    -------
    tuple of str
        ``name`` for a numeric feature, ``name=level`` for each level of another.
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

    Parameters
    ----------
    name : str
        Name of the card.

    Returns
    -------
    missing : tuple of str
        Inputs without a score.
    unknown : tuple of str
        Scores without an input.
    """
    keys = encoded_keys(read_card(name))
    scored = read_prior(name).features
    missing = tuple(key for key in keys if key not in scored)
    return missing, tuple(key for key in scored if key not in keys)
