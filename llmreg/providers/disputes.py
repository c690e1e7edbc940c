"""Features whose sign several answers do not agree on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from llmreg.exceptions import PriorDisagreementWarning
from llmreg.prior import FeaturePrior

# A sign is in dispute if more than this share of the estimates is on the smaller
# side, and the scores are large enough for the sign to matter.
DISPUTED_SHARE = 0.25
DISPUTED_SIZE = 2.0


def warn_of_dispute(who: str, names: Sequence[str]) -> None:
    """Warn that answers contradict each other.

    Parameters
    ----------
    who : str
        Whose answers, and how many.
    names : sequence of str
        The features that are in dispute.
    """
    warnings.warn(
        f"The {who} disagree on the sign of {tuple(names)!r}. Look at the prior; a "
        "better description of these features may settle it.",
        PriorDisagreementWarning,
        stacklevel=3,
    )


def disputed(prior: FeaturePrior) -> tuple[str, ...]:
    """Name the features whose sign the estimates do not agree on.

    Parameters
    ----------
    prior : FeaturePrior
        A prior with its estimates.

    Returns
    -------
    tuple of str
        Their keys.

    Examples
    --------
    >>> from llmreg.prior import FeaturePrior
    >>> from llmreg.providers.disputes import disputed
    >>> disputed(FeaturePrior.from_estimates([{"a": 6, "b": 1}, {"a": -5, "b": 2}]))
    ('a',)
    """
    if prior.estimates is None:
        return ()
    answers = np.nan_to_num(prior.estimates)
    fewer = np.minimum((answers > 0).sum(axis=0), (answers < 0).sum(axis=0))
    large = np.abs(answers).mean(axis=0) >= DISPUTED_SIZE
    both = (fewer > DISPUTED_SHARE * len(answers)) & large
    return tuple(prior.features[j] for j in np.flatnonzero(both.any(axis=0)))
