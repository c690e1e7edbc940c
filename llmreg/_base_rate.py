"""How frequent classes are, or counts, as declared or as a prior says."""

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from scipy.special import logit, logsumexp

from llmreg.exceptions import DataError
from llmreg.prior._feature_prior import FeaturePrior

# What the percentiles of a typical range count for in a mean.
_SHARES = (0.185, 0.63, 0.185)


def check_base_rate(given: Any, classes: np.ndarray) -> np.ndarray | None:
    """Return the rates of all classes, which sum to 1; None where none is given."""
    if given is None:
        return None
    labels = classes.tolist()
    rates = dict(given) if isinstance(given, Mapping) else {labels[-1]: given}
    wrong = f"; got {given!r} for the classes {labels}."
    if unknown := [label for label in rates if label not in labels]:
        raise DataError(f"base_rate has rates of no class, {unknown}{wrong}")
    if not all(isinstance(rate, Real) for rate in rates.values()):
        raise DataError(f"base_rate must be numbers{wrong}")
    if len(labels) == 2 and len(rates) == 1:
        ((known, rate),) = rates.items()
        rates[labels[1 - labels.index(known)]] = 1 - rate
    if len(rates) < len(labels):
        raise DataError(f"base_rate must have the rate of every class{wrong}")
    found = np.array([rates[label] for label in labels], dtype=np.float64)
    if not ((found > 0).all() and np.isclose(found.sum(), 1)):
        raise DataError(f"base_rate must be rates above 0 that sum to 1{wrong}")
    return found / found.sum()


def shift_to_rates(
    rates: np.ndarray,
    classes: np.ndarray,
    outputs: Callable[[], np.ndarray],
    y: np.ndarray,
    sample_weight: np.ndarray,
    is_biased: bool,
) -> np.ndarray:
    """Return what to add to the logits of rows that were drawn by class, or by more."""
    count = np.bincount(y, sample_weight, len(classes))
    if not count.all():
        raise DataError(
            "base_rate needs rows of every class, to tell how far their rates are "
            f"from it. There are none of {classes[count == 0].tolist()}."
        )
    # What a logistic model of rows drawn by class is off by, exactly.
    moved = np.log(rates) - np.log(count / count.sum())
    if len(moved) > 2:
        return np.asarray(moved - moved.mean())
    if not is_biased:
        return np.asarray(moved[1:] - moved[0])
    # Of rows that were thinned out by more than class their rates tell little. But
    # over the rows of a class the odds against it average to those of the classes.
    logits = outputs()[:, 0]
    against = [
        logsumexp(sign * logits[y == k], b=sample_weight[y == k] / count[k])
        for k, sign in enumerate((1, -1))
    ]
    return np.array([logit(rates[1]) + (against[1] - against[0]) / 2])


def said_log_odds(
    prior: FeaturePrior,
    classes: Sequence[str],
    y: np.ndarray,
    sample_weight: np.ndarray,
) -> float | None:
    """Return the log-odds of the second of two classes that a prior says, if it does.

    Classes of which rows have as many were drawn so: what is said is of other rows.
    """
    if np.isclose(*np.bincount(y, sample_weight, 2)):
        return None
    said = [prior.base_rates.get(name) for name in classes]
    rates = [None if one is None else one.rate for one in said]
    rate = rates[1] if rates[0] is None else 1 - rates[0]
    return float(logit(rate)) if rate and rate < 1 else None


def said_mean(prior: FeaturePrior | None) -> float | None:
    """Return the mean of a count that a prior says, if it does."""
    found = prior and prior.target_ranges.get(prior.outputs[0])
    # Of a distribution with these percentiles (Keefer and Bodily, 1983).
    return max(float(np.dot(_SHARES, found[:3])), 0.0) if found else None
