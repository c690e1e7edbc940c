"""After a fit that failed there is no half of a model."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import DivergenceError, PriorMismatchError


class Breaks(Callback):
    """Fails after the first pass."""

    def on_epoch_end(self, net, **kwargs):
        raise OSError("no space left")


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.random((40, 3)), columns=[*"abc"])
    return X, (X["a"] > X["b"]).astype(int)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("gamma", [1.0, "auto"])
def test_a_training_that_fails_leaves_no_model(rows, method, gamma):
    model = LLMAttributionClassifier(
        {"a": 5},
        gamma=gamma,
        solver="adam",
        net__callbacks=[Breaks()],
        random_state=0,
    )
    with pytest.raises(OSError, match="no space left"):
        getattr(model, method)(*rows)
    with pytest.raises(NotFittedError):
        model.predict(rows[0])
    # It was paid for, perhaps.
    assert model.prior_.scores[0, 0] == 5


def test_nor_does_it_leave_parts_of_the_last_one(rows):
    model = LLMAttributionClassifier({"a": 5}, random_state=0).fit(*rows)
    model.set_params(solver="adam", net__callbacks=[Breaks()])
    with pytest.raises(OSError, match="no space left"):
        model.fit(*rows)
    for name in ("net_", "coef_", "gamma_", "trust_", "alignment_"):
        assert not hasattr(model, name)


def test_what_fails_before_the_rows_are_touched_leaves_the_last_one(rows):
    X, y = rows
    model = LLMAttributionClassifier({"a": 5}, random_state=0).fit(X, y)
    expected = model.predict_proba(X)
    with pytest.raises(ValueError, match="same number of rows"):
        model.fit(X, y[:-1])
    np.testing.assert_array_equal(model.predict_proba(X), expected)


@pytest.mark.parametrize("kind", [LLMAttributionClassifier, LLMAttributionRegressor])
def test_with_warm_start_the_last_one_comes_back(rows, kind):
    """The old net behind a new encoding would predict anything."""
    X, y = rows
    model = kind({"a": 5}, gamma=1.0, warm_start=True, random_state=0).fit(X, y)
    expected = model.predict(X)
    model.set_params(prior={"nothing": 1})
    with pytest.raises(PriorMismatchError):
        model.fit(100 * X, 1 - y)
    check_is_fitted(model)
    np.testing.assert_array_equal(model.predict(X), expected)


def test_a_training_that_diverges_is_told(rows):
    X, y = rows
    model = LLMAttributionRegressor(
        {"a": 5}, gamma=1.0, solver="sgd", scaler=None, random_state=0
    )
    with (
        np.errstate(all="ignore"),
        pytest.raises(DivergenceError, match=r"diverged: 'weight'.* smaller learning"),
    ):
        model.fit(1e3 * X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
@pytest.mark.parametrize("prior", [{"a": 5}, {"a": [(0, -5), (0.5, 0), (1, 5)]}])
@pytest.mark.parametrize("loss", ["squared_error", "poisson", None])
def test_numbers_whose_squares_are_none_are_told(rows, prior, loss):
    X, y = rows
    kind = LLMAttributionRegressor if loss else LLMAttributionClassifier
    settings = {"loss": loss} if loss else {}
    model = kind(prior, scaler=None, on_unit_mismatch="keep", **settings)
    with pytest.raises(DivergenceError, match="Scale the columns"):
        model.fit(X.assign(b=1e200 * X["b"]), y)
