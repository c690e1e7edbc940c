"""The default of the classifier: as much trust in the prior as the rows warrant."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from llmreg import LLMAttributionClassifier
from tests.fakes import small_module

TRUE = np.array([6.0, -4.0, 2.0, 0.0, -1.0])
RIGHT = dict(zip("abcde", TRUE, strict=True))


def make(prior=None, **parameters):
    return LLMAttributionClassifier(
        prior, random_state=0, **{"device": "cpu"} | parameters
    )


def few_and_many(n_samples, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.random((n_samples, 5)), columns=list("abcde"))
    y = rng.random(n_samples) < expit((X.to_numpy() - 0.5) @ TRUE)
    y[:2] = False, True
    return X, y


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_by_default_few_rows_leave_the_prior_as_it_is():
    model = make(RIGHT).fit(*few_and_many(4))
    assert cosine(model.coef_[0], TRUE) > 0.95
    assert model.gamma_ > 10
    assert model.trust_.p_aligned > 0.9
    assert "4 training rows are too few to tell" in model.trust_.verdict
    assert "the model follows it" in model.trust_.verdict


@pytest.mark.parametrize(("scores", "gamma"), [(5.0, 0.01), (RIGHT, 10)])
def test_by_default_many_rows_decide(scores, gamma):
    X, y = few_and_many(3000)
    model = make(scores).fit(X, y)
    rows = model.encoder_.transform(X)
    plain = LogisticRegression().fit(rows, y)
    np.testing.assert_allclose(
        model.predict_proba(X), plain.predict_proba(rows), atol=0.03
    )
    assert 0 < model.gamma_ < gamma


def test_a_prior_of_the_wrong_sign_is_turned():
    X, y = few_and_many(100)
    model = make({name: -score for name, score in RIGHT.items()}).fit(X, y)
    assert cosine(model.coef_[0], TRUE) > 0.9
    assert model.trust_.p_reversed > 0.5
    assert "wrong sign" in model.trust_.verdict


def test_a_shuffled_prior_is_not_followed():
    X, y = few_and_many(400)
    shuffled = dict(zip("abcde", [1, 2, -1, 8, -3], strict=True))
    model = make(shuffled, trees=None).fit(X, y)
    assert cosine(model.coef_[0], TRUE) > 0.95
    assert model.trust_.cosine < 0.2
    assert "do not support the prior" in model.trust_.verdict
    assert model.gamma_ < 0.1


def test_contradicted_features_are_named():
    X, y = few_and_many(1000)
    model = make(RIGHT | {"b": 4}).fit(X, y)
    assert [c.feature for c in model.trust_.contradictions] == ["b"]
    assert model.trust_.contradictions[0].weight < 0
    assert "Contradicted: b" in str(model.trust_)


def test_an_absent_score_is_no_opinion_by_default():
    X, y = few_and_many(400)
    model = make({"a": 6, "c": 2, "e": -1}, trees=None).fit(X, y)
    assert model.coef_[0, 1] < -2
    assert not [c for c in model.trust_.contradictions if c.feature in "bd"]


def test_many_classes_by_default():
    X, y = few_and_many(600)
    stage = np.where(X["c"] > 0.7, "late", np.where(y, "mid", "early"))
    prior = {"early": {"a": -6}, "mid": {"a": 6}, "late": {"c": 9}}
    model = make(prior, trees=None).fit(X, stage)
    assert model.coef_.shape == (3, 5)
    assert model.score(X, stage) > 0.75
    assert model.trust_.p_aligned > 0.5
    scaled = model.encoder_.transform(X)
    theirs = LogisticRegression(C=10).fit(scaled, stage)
    assert model.score(X, stage) > theirs.score(scaled, stage) - 0.03


@pytest.mark.parametrize("hidden_layer_sizes", [(), (4,)])
def test_weights_are_repetitions_by_default(hidden_layer_sizes):
    X, y = few_and_many(25)
    weight = np.arange(25) % 3
    repeated = np.repeat(np.arange(25), weight)
    settings = {"hidden_layer_sizes": hidden_layer_sizes, "max_iter": 20}
    weighted = make(RIGHT, **settings).fit(X, y, sample_weight=weight)
    twice = make(RIGHT, **settings).fit(X.iloc[repeated], y[repeated])
    np.testing.assert_allclose(
        weighted.predict_proba(X), twice.predict_proba(X), rtol=1e-7
    )
    assert weighted.gamma_ == pytest.approx(twice.gamma_)


def test_class_weight_by_default():
    X, y = few_and_many(100)
    plain, heavy = (make(RIGHT, class_weight=w) for w in (None, {True: 5, False: 1}))
    rise = heavy.fit(X, y).predict_proba(X) - plain.fit(X, y).predict_proba(X)
    assert (rise[:, 1] > 0).all()


@pytest.mark.parametrize("hidden_layer_sizes", [(), (4,)])
def test_partial_fit_goes_on_from_what_was_found(hidden_layer_sizes):
    X, y = few_and_many(60)
    model = make(RIGHT, hidden_layer_sizes=hidden_layer_sizes, max_iter=20)
    gamma = model.partial_fit(X, y).gamma_
    before = model.predict_proba(X)
    trust = model.trust_
    model.partial_fit(*few_and_many(60, seed=1))
    assert model.trust_ is trust
    # What the rows do not say is shared out among twice as many of them.
    assert model.gamma_ == model.net_.criterion_.gamma == pytest.approx(gamma / 2)
    assert not np.array_equal(model.predict_proba(X), before)
    assert model.score(X, y) > 0.7


@pytest.mark.parametrize("hidden_layer_sizes", [(), (4,)])
def test_warm_start_by_default(hidden_layer_sizes):
    X, y = few_and_many(40)
    settings = {"hidden_layer_sizes": hidden_layer_sizes, "max_iter": 20}
    once = make(RIGHT, **settings).fit(X, y)
    warm = make(RIGHT, warm_start=True, **settings).fit(X, y).fit(X, y)
    np.testing.assert_allclose(warm.predict_proba(X), once.predict_proba(X))


def test_trust_survives_copies():
    model = make(RIGHT).fit(*few_and_many(40))
    for copied in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert copied.trust_.verdict == model.trust_.verdict
        np.testing.assert_array_equal(copied.trust_.weights, model.trust_.weights)
    assert not hasattr(clone(model), "trust_")


@pytest.mark.parametrize(
    ("prior", "gamma"), [(None, "auto"), (RIGHT, 1.0), ({"a": 0, "b": 0}, "auto")]
)
@pytest.mark.filterwarnings("ignore::llmreg.exceptions.PriorDisabledWarning")
def test_without_anything_to_trust_there_is_no_trust(prior, gamma):
    model = make(prior, gamma=gamma).fit(*few_and_many(20))
    assert model.trust_ is None
    assert model.gamma_ == (1.0 if gamma == 1.0 else 0.0)
    if gamma == "auto":
        plain = make(gamma=0).fit(*few_and_many(20))
        np.testing.assert_array_equal(model.coef_, plain.coef_)


def crossed(n_samples, seed):
    """Rows on which the sign of one column depends on another."""
    X = np.random.default_rng(seed).random((n_samples, 4))
    return X, (X[:, 0] > 0.5) ^ (X[:, 1] > 0.5)


@pytest.mark.parametrize(
    "parameters",
    [
        {"hidden_layer_sizes": (32,), "max_iter": 300, "trees": None},
        {"module": small_module, "learning_rate_init": 0.05},
    ],
)
def test_other_models_learn_what_the_linear_one_cannot(parameters, tmp_path):
    X, y = crossed(300, seed=0)
    held = crossed(500, seed=1)
    assert make([1, 1, 0, 0], trees=None).fit(X, y).score(*held) < 0.6
    model = make([1, 1, 0, 0], **parameters).fit(X, y)
    assert model.score(*held) > 0.85
    expected = model.predict_proba(X)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    model.net_.save_params(f_params=tmp_path / "module.pt")
    with torch.no_grad():
        loaded.net_.module_.linear.weight.zero_()
    assert not np.array_equal(loaded.predict_proba(X), expected)
    loaded.net_.load_params(f_params=tmp_path / "module.pt")
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)


def test_the_papers_method_is_at_hand(table, illness, prior):
    paper = {"gamma": 100, "score_transform": "exp", "scaler": "minmax"}
    model = make(prior, **paper).fit(table, illness)
    assert model.alignment_[0] > 0.999
    assert (model.gamma_, model.trust_) == (100.0, None)
