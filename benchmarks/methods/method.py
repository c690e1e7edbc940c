"""What every benchmark takes for a method: a row of its tables."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.methods.baselines import Fit


@dataclass(frozen=True)
class Method:
    """A row of the tables.

    `fit(dataset, X_train, y_train, seed)` gives the predictor. `probabilities` says
    whether its scores are such, so that log loss, Brier score and accuracy can be told.
    `imports` are modules to import before the clock starts.
    """

    fit: Fit
    probabilities: bool = True
    imports: tuple[str, ...] = ()
