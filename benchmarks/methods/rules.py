"""Rules from the curves, weighed on the rows: FeatLLM's use of the same answers.

FeatLLM (Han et al. 2024, arXiv 2404.09491) has a language model write rules for each
class; whether they hold are the only features of a linear model, whose weights are not
negative and begin as equals. Here the recorded curves are the rules: "the effect of
this column's value speaks for the class", and with two classes, or a number, another
one where it speaks against. Nothing of the size of an effect is left.

What differs. The authors show the model training rows and average 30 answers; their
weights stay near the equal ones because training ends early. Here all rules share one
weight, which is penalised least, and a ridge penalty, chosen by cross-validation, on
what each has more; where a class has one row, they stay equal. How much less it is
penalised was chosen on ``--cards development``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.data.datasets import Dataset
from benchmarks.methods.baselines import FloatArray, Predictor
from benchmarks.methods.curves import effects
from benchmarks.methods.solver import Penalty, predict, solve
from benchmarks.methods.tuning import chosen, prepare, ridge_strengths

#: Log odds of a row of which all rules speak for the class, before any is weighed.
_EQUAL = 4.0


def fit_rules(
    dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
) -> Predictor:
    """Weigh the rules."""
    blocks = rules(dataset, X)
    outputs = len(blocks)
    width = blocks[0].shape[1]
    problem = replace(prepare(dataset, X, y), X=np.hstack(blocks))
    # A rule for one class says nothing of another.
    own = np.kron(np.eye(outputs), np.ones((width, 1)))[:, None, :]
    # The last column of a block is the mean of the others: what they share.
    share = np.tile(np.append(np.ones(width - 1), 1 / width), outputs)[:, None, None]

    def grid(rows: int) -> Penalty:
        return Penalty(
            l2=share * ridge_strengths(rows),
            lower=0.0,
            upper=np.where(own > 0, np.inf, 0.0),
        )

    penalty = chosen(problem, grid, seed)
    if penalty is None:
        weights = np.zeros((outputs * width + 1, 1, outputs))
        weights[width - 1 : -1 : width, 0] = _EQUAL * np.eye(outputs)
    else:
        weights = solve(problem.X, problem.y, problem.task, penalty)
    return lambda rows: problem.finish(
        predict(np.hstack(rules(dataset, rows)), weights, problem.task)[:, 0]
    )


def rules(dataset: Dataset, X: pd.DataFrame) -> list[FloatArray]:
    """Say which rules hold for each row; for every output a table of its own."""
    found = effects(dataset.prior, X)
    names = dataset.classes if dataset.task == "multiclass" else dataset.prior.outputs
    blocks = []
    for name in names:
        each = found[:, :, dataset.prior.outputs.index(name)]
        table = (each > 0).astype(np.float64)
        if len(names) == 1:
            table = np.hstack([table, -(each < 0).astype(np.float64)])
        blocks.append(np.column_stack([table, table.mean(axis=1)]))
    return blocks
