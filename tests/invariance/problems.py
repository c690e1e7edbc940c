"""Small tables drawn by hypothesis, models of them, and when two models are one."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor

# Two fits of the same problem, told in two ways, may differ by rounding and by where
# a solver stops; as a share of the size of a result: 1 for probabilities, the spread
# of the target for a regression.
TOLERANCE = 1e-5
# Where one of the two tables is in single precision.
SINGLE = 1e-4

# The same examples in every run. Without shrinking, which takes hundreds of fits;
# delete `phases` to have an example made small.
few = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    report_multiple_bugs=False,
    suppress_health_check=(HealthCheck.too_slow,),
)
fewer = settings(few, max_examples=3)

ESTIMATORS = {
    "classifier": LLMAttributionClassifier,
    "regressor": LLMAttributionRegressor,
}
# Steps enough for the solver to end by itself.
LINEAR = {
    "auto": {"gamma": "auto"},
    "fixed": {"gamma": 10.0, "max_iter": 1_000},
}
HIDDEN = {
    f"hidden-{name}": params | {"hidden_layer_sizes": (3,), "max_iter": 5}
    for name, params in LINEAR.items()
}

NUMBERS = ["a", "b", "c"]
SCORES = {"a": 6.0, "b": -3.0, "c": 0.0, "s=u": 2.0, "s=v": -1.0}


def by_name(cases, marks=None):
    """Give the cases of a dict to `parametrize`, marked where `marks` says so."""
    marks = marks or {}
    return [
        pytest.param(case, id=name, marks=marks.get(name, ()))
        for name, case in cases.items()
    ]


# An estimator and its parameters, as a test draws them.
kinds = st.sampled_from([*ESTIMATORS])
linear_params = st.sampled_from([*LINEAR.values()])
hidden_params = st.sampled_from([*HIDDEN.values()])
linear, hidden = st.tuples(kinds, linear_params), st.tuples(kinds, hidden_params)
any_model = pytest.mark.parametrize(
    "models", [pytest.param(linear, id="linear"), pytest.param(hidden, id="hidden")]
)


@dataclass(frozen=True)
class Problem:
    """A table, what is to be predicted of its rows, and new rows."""

    X: pd.DataFrame
    new: pd.DataFrame
    labels: np.ndarray
    target: np.ndarray

    def y(self, kind):
        return self.labels if kind == "classifier" else self.target

    def size(self, kind):
        return 1.0 if kind == "classifier" else float(np.ptp(self.target))

    def prior(self, kind, scores=SCORES):
        if "s" not in self.X:
            scores = {k: v for k, v in scores.items() if "=" not in k}
        if kind == "regressor":
            return scores
        classes = np.unique(self.labels)
        if len(classes) == 2:
            return {"p": scores}
        turned = {name: -score / 2 for name, score in scores.items()}
        return {"p": scores, "q": turned, "r": dict.fromkeys(scores, 1.0) | {"a": 0.5}}

    def with_tables(self, change):
        """Return the problem with both tables changed."""
        return replace(self, X=change(self.X), new=change(self.new))

    def take(self, rows):
        """Return the problem with some rows of training, in some order."""
        X = self.X.iloc[rows].reset_index(drop=True)
        return replace(self, X=X, labels=self.labels[rows], target=self.target[rows])


# Exact in single precision, and after a shift.
eighths = st.integers(-40, 40).map(lambda n: n / 8)


@st.composite
def problems(
    draw: st.DrawFn, gaps: bool = False, levels: bool = True, classes: str = ""
) -> Problem:
    """Draw a problem; with `gaps` the columns a and s have some, a third at most."""
    n = draw(st.integers(6, 18))

    def column(values, first):
        # Not constant, whatever is drawn.
        rest = draw(st.lists(values, min_size=n - len(first), max_size=n - len(first)))
        return [*first, *rest]

    X = pd.DataFrame({name: column(eighths, [-0.5, 1.25]) for name in NUMBERS})
    X["c"] = X["c"].round()
    if levels:
        X["s"] = pd.Series(column(st.sampled_from("uvw"), [*"uvw"]), dtype=object)
    classes = classes or draw(st.sampled_from(["pq", "pqr"]))
    labels = np.array(column(st.sampled_from(classes), [*classes]))
    target = np.array(column(eighths, [0.5, 3.0]))
    new = X.iloc[:6].copy()
    # Within the range of training, and beyond it.
    new[NUMBERS] = 2 * new[NUMBERS] - 1
    if levels:
        new.loc[0, "s"] = "unseen"
    if gaps:
        holes = [3, *draw(st.lists(st.integers(3, n - 1), max_size=n // 3))]
        X.loc[holes, "a"] = np.nan
        new.loc[1, "a"] = np.nan
        if levels:
            X.loc[holes[::2], "s"] = None
            new.loc[2, "s"] = None
    return Problem(X, new, labels, target)


def fit(problem: Problem, kind: str, sample_weight: Any = None, **params: Any) -> Any:
    """Fit an estimator to a problem, by default with a prior that names its class."""
    params = {"prior": problem.prior(kind), "random_state": 0} | params
    model = ESTIMATORS[kind](**params)
    return model.fit(problem.X, problem.y(kind), sample_weight=sample_weight)


def predictions(model, X, classes=None):
    """Return probabilities by class, or predicted targets."""
    if not hasattr(model, "classes_"):
        return model.predict(X)
    found = model.classes_.tolist()
    order = [found.index(c) for c in (found if classes is None else classes)]
    return model.predict_proba(X)[:, order]


def assert_same(one, two, size=1.0, tolerance=TOLERANCE):
    """Check that two predictions are the same, as a share of their size."""
    np.testing.assert_allclose(one / size, two / size, rtol=0, atol=tolerance)


def assert_same_models(problem, kind, one, two, other=None, tolerance=TOLERANCE):
    """Check that two models predict the same for training rows and new ones.

    The second is asked about the tables of `other`, where it is given.
    """
    other = other or problem
    for mine, its in ((problem.X, other.X), (problem.new, other.new)):
        found, expected = predictions(two, its), predictions(one, mine)
        assert_same(found, expected, problem.size(kind), tolerance)
