"""Counts: the likelihood of Poisson, with exposures as weights."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import mean_poisson_deviance

from llmreg import FeaturePrior, LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import DataError
from llmreg.prior import TypicalRange

SCORES = {"age": 8, "rooms": -4, "noise": 0}
CURVES = {"age": [(0, -5), (0.5, 0), (1, 5)], "rooms": -4, "noise": 0}


def make(prior=None, **parameters):
    own = {"loss": "poisson", "random_state": 0, "device": "cpu"}
    return LLMAttributionRegressor(prior, **own | parameters)


@pytest.fixture
def counts(rng):
    X = pd.DataFrame(rng.random((300, 3)), columns=["age", "rooms", "noise"])
    exposure = rng.uniform(0.2, 5, 300)
    visits = rng.poisson(exposure * np.exp(-1 + 2 * X["age"] - X["rooms"]))
    return X, visits / exposure, exposure


@pytest.mark.parametrize("alpha", [0.5, 20.0])
def test_without_a_prior_it_is_poisson_regression(counts, alpha):
    X, y, exposure = counts
    mine = make(alpha=alpha, scaler="minmax").fit(X, y, exposure)
    encoded = mine.encoder_.transform(X)
    theirs = PoissonRegressor(
        alpha=alpha / exposure.sum(), solver="newton-cholesky", tol=1e-10
    ).fit(encoded, y, exposure)
    np.testing.assert_allclose(mine.predict(X), theirs.predict(encoded), rtol=1e-5)
    assert mine.score(X, y, exposure) == pytest.approx(
        theirs.score(encoded, y, exposure)
    )
    logs = X.to_numpy() @ mine.coef_ + mine.intercept_
    np.testing.assert_allclose(np.exp(logs), mine.predict(X))


@pytest.mark.parametrize("prior", [SCORES, CURVES])
@pytest.mark.parametrize("gamma", ["auto", 1.0])
@pytest.mark.parametrize("hidden_layer_sizes", [(), (8,)])
def test_few_rows_follow_the_prior(counts, prior, gamma, hidden_layer_sizes):
    X, y, exposure = counts
    model = make(prior, gamma=gamma, hidden_layer_sizes=hidden_layer_sizes)
    model.fit(X[:15], y[:15], exposure[:15])
    predicted = model.predict(X)
    assert predicted.shape == (300,) and (predicted > 0).all()
    constant = np.full(300, np.average(y[:15], weights=exposure[:15]))
    deviances = [
        mean_poisson_deviance(y, mean, sample_weight=exposure)
        for mean in (predicted, constant)
    ]
    assert deviances[0] < deviances[1]


@pytest.mark.parametrize("gamma", ["auto", 1.0])
def test_the_unit_of_exposure_does_not_matter(counts, gamma):
    X, y, exposure = counts
    rows = slice(0, 40)
    years = make(SCORES, gamma=gamma).fit(X[rows], y[rows], exposure[rows])
    days = make(SCORES, gamma=gamma)
    days.fit(X[rows], y[rows] / 365, exposure[rows] * 365)
    np.testing.assert_allclose(365 * days.predict(X), years.predict(X), rtol=1e-6)


def test_counts_that_scatter_are_trusted_less(rng, counts):
    X = counts[0]
    mean = np.exp(2 + 2 * X["age"])
    even = make(SCORES).fit(X, rng.poisson(mean))
    wild = make(SCORES).fit(X, rng.negative_binomial(mean / 9, 0.1))
    found = [model.posterior_.noise[0].variance for model in (even, wild)]
    assert found[0] < 1.5 and 6 < found[1] < 14
    assert wild.predict(X, return_std=True)[1].mean() > 2 * (
        even.predict(X, return_std=True)[1].mean()
    )


@pytest.mark.parametrize("prior", [SCORES, CURVES])
def test_intervals_hold_what_they_say(rng, counts, prior):
    X = counts[0]
    mean = np.exp(1 + 2 * X["age"] - X["rooms"])
    y = rng.negative_binomial(mean / 2, 1 / 3)
    model = make(prior).fit(X[:60], y[:60])
    low, high = model.predict_interval(X[60:], level=0.8).T
    assert (low == low.round()).all() and (low >= 0).all()
    assert 0.75 < ((low <= y[60:]) & (y[60:] <= high)).mean() < 0.97
    rows = model.rank_unlabelled(X[60:], n_rows=5)
    assert len(set(rows)) == 5


def test_what_a_prior_says_of_the_mean_counts(counts):
    X = counts[0]
    known = FeaturePrior.from_dict(CURVES, ranges={"rooms": (0, 0.5, 1)})
    said = {known.outputs[0]: TypicalRange(0, 3, 8)}
    more = replace(known, target_ranges=said)
    rows = X[:3], np.array([0.0, 1.0, 0.0])
    plain, told = (make(prior).fit(*rows).predict(X).mean() for prior in (known, more))
    assert 0.1 < plain < told < 4


def test_before_the_first_row(counts):
    X, y, exposure = counts
    ranges = dict.fromkeys(X, (0, 0.5, 1))
    prior = FeaturePrior.from_dict(CURVES, ranges=ranges)
    prior = replace(
        prior, target_ranges={prior.outputs[0]: TypicalRange(0.1, 0.4, 1.5)}
    )
    model = LLMAttributionRegressor.from_prior(prior, loss="poisson")
    assert 0.4 < model.predict(X).mean() < 0.7
    assert model.score(X, y, exposure) > 0.05
    assert model.predict_interval(X).shape == (300, 2)
    model.partial_fit(X, y, exposure)
    assert model.score(X, y, exposure) > 0.05


def test_partial_fit(counts):
    X, y, exposure = counts
    model = make()
    for start in [0, 100, 200] * 20:
        rows = slice(start, start + 100)
        model.partial_fit(X[rows], y[rows], exposure[rows])
    assert model.score(X, y, exposure) > 0
    before = model.predict(X).mean()
    model.partial_fit(X[:100], np.zeros(100))  # A piece may have no counts.
    assert model.predict(X).mean() < before


@pytest.mark.parametrize("first", [5, [(0, -5), (1, 5)]])
def test_sparse_rows(rng, first):
    X = rng.random((200, 4)) * (rng.random((200, 4)) < 0.3)
    y = rng.poisson(np.exp(2 * X[:, 0]))
    prior, names = {"a": first, "b": 0, "c": 0, "d": 0}, list("abcd")
    models = [
        make(prior, feature_names=names, scaler="minmax").fit(rows, y)
        for rows in (X, csr_array(X))
    ]
    np.testing.assert_allclose(*(model.predict(X) for model in models), rtol=0.02)


@pytest.mark.parametrize("y", [[0, 0, 0], [1, -1, 2], [[1, 2], [0, 1], [1, 1]]])
def test_targets_that_are_no_counts(counts, y):
    with pytest.raises(DataError, match='loss="poisson" takes one target'):
        make(SCORES).fit(counts[0][:3], np.array(y))


def test_a_loss_is_one_of_two(counts):
    X, y, _ = counts
    with pytest.raises(ValueError, match="loss"):
        make(loss="gamma").fit(X, y)
    assert clone(make()).loss == "poisson"
    assert not hasattr(LLMAttributionClassifier(), "loss")


@pytest.mark.parametrize("n_hidden", [(), (8,)])
def test_many_rows_take_a_part_to_tell_the_trust(rng, monkeypatch, n_hidden):
    X = pd.DataFrame(rng.random((3_000, 2)), columns=["age", "rooms"])
    mean = np.exp(2 * X["age"] - X["rooms"])
    y = rng.poisson(mean)
    prior = {"age": CURVES["age"], "rooms": -4}
    monkeypatch.setattr("llmreg.linear_model._curve_space._PILOT_ROWS", 300)
    model = make(prior, hidden_layer_sizes=n_hidden, max_iter=5).fit(X, y)
    np.testing.assert_allclose(model.predict(X), mean, rtol=0.25)
