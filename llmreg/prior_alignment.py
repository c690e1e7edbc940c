"""Bring a prior into the order of a table: rows by output, columns by feature."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from llmreg.exceptions import PriorMismatchError, PriorMismatchWarning
from llmreg.matching import match
from llmreg.scores import DEFAULT_OUTPUT, FloatArray, check_names
from llmreg.task import Feature, Task

if TYPE_CHECKING:
    from llmreg.prior import FeaturePrior


_SAID = {"true": "1", "yes": "1", "false": "0", "no": "0"}


def align(
    prior: FeaturePrior,
    features: Sequence[Feature],
    outputs: Sequence[str],
    negative: str | None,
    aliases: bool,
) -> dict[str, Any]:
    """Work out what `FeaturePrior.align` changes; see there for the rules.

    Parameters
    ----------
    prior : FeaturePrior
        The prior.
    features : sequence of Feature
        The columns of the table.
    outputs : sequence of str
        The outputs of the model.
    negative : str or None
        The other class of two.
    aliases : bool
        Whether prefixed and one-hot spelled names find their scores.

    Returns
    -------
    dict
        The fields of the prior that get a new value.
    """
    rows, sign = _rows(prior.outputs, tuple(outputs), negative)
    keys = check_names([feature.key for feature in features], "feature")
    found = match(prior.features, features, aliases)
    place = {key: column for column, key in enumerate(prior.features)}
    columns = [-1 if source is None else place[source] for source in found.sources]
    scores = _take(prior.scores, rows, columns) * sign
    sources = dict(zip(keys, found.sources, strict=True))
    changes: dict[str, Any] = {
        "features": keys,
        "outputs": tuple(outputs),
        "scores": scores,
        "rationale": _rename(prior.rationale, sources),
        "descriptions": _rename(prior.descriptions, sources),
        # Not those that are there without a score: somebody chose to have no opinion.
        "missing": tuple(key for key, source in sources.items() if source is None),
        "unknown": found.unknown,
    }
    if prior.estimates is not None:
        changes["estimates"] = _take(prior.estimates, rows, columns) * sign
    if sign < 0:
        note = f"the scores were given for the class {negative!r}"
        changes["provenance"] = {**prior.provenance, "negated": note}
    return changes


def warn_of_outputs(prior: FeaturePrior, task: Task) -> None:
    """Warn where a prior says of two classes something that is not heard, or unclear.

    Parameters
    ----------
    prior : FeaturePrior
        The prior, as it was given.
    task : Task
        What it is for; nothing is said but of two classes.
    """
    if len(task.classes) != 2 or len(task.outputs) != 1:
        return
    (positive,) = task.outputs
    rows = [_find(name, prior.outputs) for name in task.classes]
    named = [row for row in rows if row is not None]
    if len(named) == 2:
        one, other = prior.scores[named]
        if not np.array_equal(one, -other, equal_nan=True):
            warnings.warn(
                f"The prior scores both classes, and not alike. Those for {positive!r} "
                "are taken, the others are not heard: of two classes the scores of one "
                "say it all.",
                PriorMismatchWarning,
                stacklevel=4,
            )
    unnamed = {DEFAULT_OUTPUT, prior.target, task.target}
    if len(prior.outputs) == 1 and not named and not unnamed & set(prior.outputs):
        warnings.warn(
            f"The prior speaks for {prior.outputs[0]!r}, which is neither of the "
            f"classes {list(task.classes)!r}: it is taken to speak for {positive!r}. "
            "If it speaks for the other one, every score has the wrong sign. Name the "
            "class as the labels do; where something in between has numbered them, as "
            "VotingClassifier does, name the number.",
            PriorMismatchWarning,
            stacklevel=4,
        )


def _rows(
    given: tuple[str, ...], wanted: tuple[str, ...], negative: str | None
) -> tuple[list[int], float]:
    """Find the row of each output, and the sign to take it with."""
    rows = [_find(output, given) for output in wanted]
    found = [row for row in rows if row is not None]
    if len(found) == len(wanted):
        return found, 1.0
    if len(wanted) == len(given) == 1:
        is_other = negative is not None and _find(negative, given) is not None
        return [0], -1.0 if is_other else 1.0
    raise PriorMismatchError(
        f"The model has the outputs {list(wanted)!r} and the prior scores "
        f"{list(given)!r}. Rename the outputs of the prior, or give one that scores "
        "each of them."
    )


def _find(name: str, names: tuple[str, ...]) -> int | None:
    """Find a name, or one that says the same: "0", "0.0", "False" and "no" do."""
    if name in names:
        return names.index(name)
    number = _number(name)
    if number is None:
        return None
    return next((i for i, other in enumerate(names) if _number(other) == number), None)


def _number(name: str) -> float | None:
    """Read a name as a number, if it is one; yes and no are 1 and 0."""
    try:
        number = float(_SAID.get(name.lower(), name))
    except ValueError:
        return None
    return None if np.isnan(number) else number


def _take(table: FloatArray, rows: list[int], columns: list[int]) -> FloatArray:
    """Pick rows and columns of the two last axes; NaN for the column -1."""
    nothing = np.full((*table.shape[:-1], 1), np.nan)
    return np.concatenate([table, nothing], axis=-1)[..., rows, :][..., columns]


def _rename(
    remarks: Mapping[str, str], sources: Mapping[str, str | None]
) -> dict[str, str]:
    """Carry remarks by feature over to the names of the table."""
    return {
        key: remarks[source]
        for key, source in sources.items()
        if source is not None and source in remarks
    }
