"""Bring a prior into the order of a table: rows by output, columns by feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from llmreg.exceptions import PriorMismatchError
from llmreg.matching import match
from llmreg.scores import FloatArray, check_names
from llmreg.task import Feature

if TYPE_CHECKING:
    from llmreg.prior import FeaturePrior


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


def _rows(
    given: tuple[str, ...], wanted: tuple[str, ...], negative: str | None
) -> tuple[list[int], float]:
    """Find the row of each output, and the sign to take it with."""
    if all(output in given for output in wanted):
        return [given.index(output) for output in wanted], 1.0
    if len(wanted) == len(given) == 1:
        return [0], -1.0 if given[0] == negative else 1.0
    raise PriorMismatchError(
        f"The model has the outputs {list(wanted)!r} and the prior scores "
        f"{list(given)!r}. Rename the outputs of the prior, or give one that scores "
        "each of them."
    )


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
