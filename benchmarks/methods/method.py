"""What every benchmark takes for a method: a row of its tables."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.methods.baselines import Fit


@dataclass(frozen=True)
class Method:
    """A row of the tables.

    Parameters
    ----------
    fit : callable
        ``fit(dataset, X_train, y_train, seed)`` gives the predictor.
    probabilities : bool, default=True
        Whether its scores are probabilities, so that log loss, Brier score and
        accuracy can be told.
    imports : tuple of str, default=()
        Modules to import before the clock starts.
    """

    fit: Fit
    probabilities: bool = True
    imports: tuple[str, ...] = ()
