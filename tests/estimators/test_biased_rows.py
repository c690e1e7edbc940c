"""Rows that are no fair sample, and base rates of the population."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV

from llmreg import (
    BaseRate,
    FeaturePrior,
    LLMAttributionClassifier,
    LLMAttributionRegressor,
)
from llmreg.exceptions import DataError, FeatureNamesError, ModuleOutputError
from llmreg.export import to_sklearn

SCORES = {"age": 7, "marker": 7}
CURVES = {name: [(0, -7), (1, 7)] for name in SCORES}
PRIORS = pytest.mark.parametrize("prior", [SCORES, CURVES], ids=["scores", "curves"])


def draw(n_rows, seed=0):
    generator = np.random.default_rng(seed)
    X = pd.DataFrame(generator.random((n_rows, 3)), columns=["age", "marker", "noise"])
    risk = 3 * X["age"] + 3 * X["marker"] - 3 + generator.normal(size=n_rows)
    return X, risk.to_numpy()


def thinned():
    """Rows from which those of a high age and risk are gone."""
    X, risk = draw(400)
    stayed = ~((X["age"] > 0.3) & (risk > 0))
    return X[stayed], risk[stayed]


def make(prior=CURVES, **params):
    return LLMAttributionClassifier(prior, random_state=0, device="cpu", **params)


@PRIORS
@pytest.mark.parametrize("declared", [["age"], np.array(["age"]), "all"], ids=str)
def test_a_model_keeps_what_is_said_of_biased_features(prior, declared):
    (X, risk), (X_test, truth) = thinned(), draw(2000, 1)
    scores = [
        roc_auc_score(truth > 0, model.fit(X, risk > 0).decision_function(X_test))
        for model in (make(prior), make(prior, biased_features=declared))
    ]
    assert scores[0] < 0.7
    assert scores[1] > 0.85


def test_a_feature_that_is_kept_has_the_shape_of_its_curve():
    X, risk = thinned()
    bent = {"age": [(0, -7), (0.2, 5), (1, 7)], "marker": [(0, -7), (1, 7)]}
    model = make(bent, biased_features=["age"]).fit(X, risk > 0)
    module = model.net_.module_
    at, heights = module.shape(0)
    said = np.interp(at, [0, 0.2, 1], [-7, 5, 7])
    assert np.corrcoef(heights[0], said)[0, 1] == pytest.approx(1)
    # The rows judge the rest.
    assert module.weight[0, 2] != 0


def test_levels_of_a_biased_feature_keep_their_scores():
    generator = np.random.default_rng(0)
    X = pd.DataFrame({"sex": generator.choice(["f", "m"], 300), "x": 0.0})
    X["x"] = generator.random(300)
    y = generator.random(300) < np.where(X["sex"] == "f", 0.1, 0.5)
    prior = {"sex=f": 5, "sex=m": -5, "x": 1}
    pair = pd.DataFrame({"sex": ["f", "m"], "x": 0.5})
    women, men = make(prior, biased_features=["sex"]).fit(X, y).decision_function(pair)
    assert women > men
    women, men = make(prior).fit(X, y).decision_function(pair)
    assert women < men


@PRIORS
def test_all_features_are_kept_as_they_are(prior):
    X, risk = thinned()
    model = make(prior, biased_features="all", score_transform="identity")
    model.fit(X, risk > 0)
    assert model.trust_.cosine == pytest.approx(1, abs=1e-3)
    assert model.trust_.verdict.startswith("The model keeps what the prior says")


@PRIORS
def test_targets_of_a_regression_may_be_biased_too(prior):
    X, risk = draw(400)
    stays = (X["age"] < 0.5) | (risk < 0.5)
    truth = (3 * X["age"] + 3 * X["marker"]).to_numpy()
    scores = [
        LLMAttributionRegressor(prior, biased_features=one, random_state=0)
        .fit(X[stays], risk[stays])
        .predict(X)
        for one in (None, ["age"])
    ]
    found = [np.corrcoef(one, truth)[0, 1] for one in scores]
    assert found[1] > found[0]


def test_hidden_layers_learn_nothing_of_biased_rows():
    X, risk = thinned()
    linear = make(biased_features=["age"]).fit(X, risk > 0)
    deep = make(biased_features=["age"], hidden_layer_sizes=(5,)).fit(X, risk > 0)
    np.testing.assert_allclose(deep.predict_proba(X), linear.predict_proba(X))


def test_an_export_has_what_was_declared():
    X, risk = thinned()
    declared = {"biased_features": ["age"], "base_rate": 0.5}
    model = make(SCORES, **declared).fit(X, risk > 0)
    found = to_sklearn(model).predict_proba(X)
    np.testing.assert_allclose(found, model.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize(
    "params", [{"gamma": 10}, {"solver": "adam"}, {"prior": None}], ids=str
)
def test_biased_features_need_a_model_that_is_weighed(params):
    X, risk = draw(40)
    model = make(**{"biased_features": ["age"]} | params)
    with pytest.raises(ValueError, match="keeps what the prior says"):
        model.fit(X, risk > 0)


def test_pieces_cannot_be_declared():
    X, risk = draw(40)
    for declared in ({"biased_features": "all"}, {"base_rate": 0.3}):
        with pytest.raises(ValueError, match=next(iter(declared))):
            make(**declared).partial_fit(X, risk > 0)
    with pytest.raises(ValueError, match="warm_start=False"):
        make(base_rate=0.3, warm_start=True).fit(X, risk > 0)


def test_an_unknown_biased_feature_is_named():
    X, risk = draw(40)
    with pytest.raises(FeatureNamesError, match=r"\['agee'\]"):
        make(biased_features=["agee"]).fit(X, risk > 0)
    with pytest.raises(ValueError, match="'biased_features'"):
        make(biased_features="age").fit(X, risk > 0)


def test_searches_and_clones_pass_on_what_is_declared():
    X, risk = draw(60)
    grid = {"biased_features": [None, ["age"], "all"], "base_rate": [None, 0.3]}
    search = GridSearchCV(make(), grid, cv=2, scoring="neg_log_loss")
    best = search.fit(X, risk > 0).best_estimator_
    assert clone(best).get_params()["base_rate"] == best.base_rate


def test_a_base_rate_moves_the_log_odds_from_those_of_the_rows():
    X, risk = draw(60)
    y = risk > 0
    weight = np.where(X["noise"] > 0.5, 2.0, 1.0)
    plain = make(SCORES).fit(X, y, weight)
    known = make(SCORES, base_rate=0.1).fit(X, y, weight)
    gap = known.decision_function(X) - plain.decision_function(X)
    share = weight[y].sum() / weight.sum()
    np.testing.assert_allclose(gap, logit(0.1) - logit(share))


def test_probabilities_of_rows_drawn_by_class_are_right_for_the_population():
    X, risk = draw(4000)
    ill = risk > 2
    rows = np.concatenate([np.flatnonzero(ill == one)[:100] for one in (0, 1)])
    model = make(base_rate=float(ill.mean())).fit(X.iloc[rows], ill[rows])
    assert model.predict_proba(X)[:, 1].mean() == pytest.approx(ill.mean(), abs=0.03)


def test_rates_of_several_classes():
    X, risk = draw(90)
    y = np.digitize(risk, [-1, 1])
    prior = {str(k): {"age": s, "marker": s} for k, s in enumerate((-7, 0, 7))}
    rates = np.array([0.7, 0.2, 0.1])
    plain = make(prior).fit(X, y)
    known = make(prior, base_rate=dict(enumerate(rates))).fit(X, y)
    moved = known.predict_log_proba(X) - plain.predict_log_proba(X)
    moved -= np.log(rates) - np.log(np.bincount(y) / len(y))
    np.testing.assert_allclose(np.ptp(moved, axis=1), 0, atol=1e-9)


@pytest.mark.parametrize(
    "params",
    [{"prior": None}, {"gamma": 5}, {"hidden_layer_sizes": (4,)}, {"solver": "adam"}],
    ids=str,
)
def test_every_model_of_ours_takes_a_base_rate(params):
    X, risk = draw(60)
    means = [
        make(**{"base_rate": rate, "max_iter": 20, "learning_rate_init": 0.1} | params)
        .fit(X, risk > 0)
        .predict_proba(X)[:, 1]
        .mean()
        for rate in (0.1, 0.9)
    ]
    assert means[0] < 0.4
    assert means[1] > 0.6


def test_an_own_module_has_no_known_intercept():
    from torch import nn

    def module(n_features, n_outputs):
        return nn.Sequential(nn.Linear(n_features, n_outputs))

    X, risk = draw(40)
    with pytest.raises(ModuleOutputError, match="base_rate"):
        make(module=module, gamma=1, base_rate=0.3, max_iter=2).fit(X, risk > 0)


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        ({"ill": 0.3}, "rates of no class"),
        ({True: 0.3, False: 0.3}, "sum to 1"),
        ({True: 1.5}, "above 0"),
        ({}, "every class"),
        ({True: "0.3"}, "must be numbers"),
        ({True: None, False: 0.3}, "must be numbers"),
    ],
)
def test_a_wrong_base_rate_is_refused(rate, message):
    X, risk = draw(40)
    with pytest.raises(DataError, match=message):
        make(base_rate=rate).fit(X, risk > 0)


def test_one_number_is_no_rate_of_three_classes():
    X, risk = draw(60)
    with pytest.raises(DataError, match="every class"):
        make(SCORES, base_rate=0.3).fit(X, np.digitize(risk, [-1, 1]).astype(str))


def test_a_rate_that_is_said_is_where_the_intercept_begins():
    X, risk = draw(400)
    ill = np.flatnonzero(risk > 0)[:1], np.flatnonzero(risk < 0)[:4]

    def chance(rate, rows):
        curves = FeaturePrior.from_estimates(
            [{"True": CURVES | {"noise": 0}}], base_rates={"False": BaseRate(1 - rate)}
        )
        model = make(curves).fit(X.iloc[rows], risk[rows] > 0)
        return model.predict_proba(X)[:, 1].mean()

    few = np.concatenate(ill)
    assert chance(0.05, few) < chance(0.5, few) - 0.02
    # Rows that have as many of both were drawn by class.
    even = np.concatenate([ill[0], ill[1][:1]])
    assert chance(0.05, even) == chance(0.5, even)


def test_the_verdict_names_what_was_not_declared():
    X, risk = draw(1200)
    risk = risk + 3 * X["noise"].to_numpy() - 1.5
    stayed = ~((X["age"] < 0.5) & (risk > 0))
    prior = CURVES | {"noise": CURVES["age"]}
    trust = make(prior).fit(X[stayed], risk[stayed] > 0).trust_
    # Steeper than the curve, which contradicts no sign.
    assert trust.departures[0] == "age"
    assert "Far from what the prior says: age" in trust.verdict
    assert make(prior).fit(X, risk > 0).trust_.departures == ()
    kept = make(prior, biased_features=["age"]).fit(X[stayed], risk[stayed] > 0).trust_
    assert kept.kept == ("age",)
    assert "as declared: age." in kept.verdict
