"""What a language model is asked about a data set: its card, as the package asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmreg.task import Feature, Task


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
    """Give the inputs that a column of a table turns into."""
    text = about["description"]
    if about["kind"] != "categorical":
        return [Feature(name, text)]
    return [
        Feature(name, text, level, "" if meaning == level else meaning)
        for level, meaning in about["levels"].items()
    ]
