"""Training by gamma="auto", in skorch's loop and in pieces; predicting in blocks."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import ModuleOutputError, PriorMismatchWarning
from llmreg.nn import _training
from llmreg.nn._factory import CorrectedModel
from llmreg.nn._net import MLP, LinearModel
from tests.fakes import flat_module, lazy_module, small_module, wide_module


def fit(table, y, prior, **parameters):
    settings = {"random_state": 0, "device": "cpu", "max_iter": 20} | parameters
    return LLMAttributionClassifier(prior, **settings).fit(table, y)


@pytest.mark.parametrize(
    ("parameters", "kind"),
    [
        ({}, LinearModel),
        ({"solver": "lbfgs"}, LinearModel),
        ({"net__criterion__n_steps": 4}, LinearModel),
        ({"hidden_layer_sizes": 4}, CorrectedModel),
        ({"hidden_layer_sizes": 4, "solver": "adam"}, CorrectedModel),
        ({"module": small_module}, CorrectedModel),
        ({"module": lazy_module}, CorrectedModel),
    ],
)
def test_the_search_makes_the_model(table, illness, prior, parameters, kind):
    model = fit(table, illness, prior, **parameters)
    assert type(model.net_.module_) is kind
    assert model.trust_ is not None
    assert "train_loss" not in model.net_.history[-1]
    assert model.n_iter_ > 0


@pytest.mark.parametrize(
    ("parameters", "kind"),
    [
        ({"solver": "adam"}, LinearModel),
        ({"attribution": "input_x_gradient"}, LinearModel),
        ({"net__callbacks": [], "max_iter": 1000}, LinearModel),
        ({"hidden_layer_sizes": 4, "early_stopping": True}, MLP),
        ({"hidden_layer_sizes": 4, "solver": "sgd"}, MLP),
        ({"hidden_layer_sizes": 4, "attribution": "integrated_gradients"}, MLP),
        ({"hidden_layer_sizes": 4, "net__lr": 0.1}, MLP),
    ],
)
def test_elsewhere_it_chooses_gamma(table, illness, prior, parameters, kind):
    model = fit(table, illness, prior, **parameters)
    assert type(model.net_.module_) is kind
    assert model.net_.criterion_.gamma == model.gamma_ == model.trust_.gamma > 0
    assert "train_loss" in model.net_.history[-1]


def test_verbose_does_not_take_the_loop(table, illness, prior, capsys):
    model = fit(table, illness, prior, hidden_layer_sizes=4, verbose=1, max_iter=2)
    assert isinstance(model.net_.module_, CorrectedModel)
    assert "held out rows give" in capsys.readouterr().err


def test_the_linear_part_is_the_linear_model(table, illness, prior):
    linear = fit(table, illness, prior)
    deep = fit(table, illness, prior, hidden_layer_sizes=(4,))
    assert deep.gamma_ == linear.gamma_
    assert str(deep.trust_) == str(linear.trust_)
    weights = linear.net_.module_.weight.detach().numpy()
    np.testing.assert_array_equal(
        deep.net_.module_.linear.weight.detach().numpy(), weights
    )


def test_two_rows_leave_the_linear_model(table, illness, prior):
    rows = [int(np.flatnonzero(illness == name)[0]) for name in ("ill", "healthy")]
    few = table.iloc[rows], illness.iloc[rows]
    with pytest.warns(PriorMismatchWarning, match="sex=male: the levels are female"):
        linear = fit(*few, prior)
    with pytest.warns(PriorMismatchWarning, match="sex=male: the levels are female"):
        deep = fit(*few, prior, hidden_layer_sizes=(4,))
    assert not len(deep.net_.module_.corrections)
    np.testing.assert_allclose(deep.predict_proba(table), linear.predict_proba(table))


@pytest.mark.parametrize("module", [flat_module, wide_module])
def test_modules_that_do_not_fit_are_named(table, illness, prior, module):
    with pytest.raises(ModuleOutputError, match="for a trial input of shape"):
        fit(table, illness, prior, module=module)


def test_a_template_of_another_precision(table, illness, prior):
    n_columns = len(fit(table, illness, prior).encoder_.columns_)
    template = torch.nn.Linear(n_columns, 1).double()
    model = fit(table, illness, prior, module=template)
    assert model.score(table, illness) > 0.65
    assert template.weight.dtype == torch.float64


@pytest.mark.parametrize("hidden_layer_sizes", [(), (5,)])
@pytest.mark.parametrize("batch_size", ["auto", 16])
def test_rows_in_single_precision(hidden_layer_sizes, batch_size):
    rng = np.random.default_rng(0)
    X = rng.random((50, 3)).astype(np.float32)
    y = (X[:, 0] > 0.5).astype(int)
    model = LLMAttributionClassifier(
        [3, 1, 1],
        gamma=1,
        solver="adam",
        hidden_layer_sizes=hidden_layer_sizes,
        batch_size=batch_size,
        max_iter=5,
        scaler=None,
        random_state=0,
    )
    single = model.fit(X, y).predict_proba(X)
    double = model.fit(X.astype(np.float64), y).predict_proba(X.astype(np.float64))
    np.testing.assert_allclose(single, double, atol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"hidden_layer_sizes": (4,), "gamma": 1}])
def test_predictions_in_blocks(monkeypatch, table, illness, prior, settings):
    model = fit(table, illness, prior, **settings)
    expected = model.predict_proba(table)
    monkeypatch.setattr(_training, "_PREDICT_ROWS", 7)
    np.testing.assert_allclose(model.predict_proba(table), expected)


WEIGHTS = np.array([4.0, -3.0, 2.0, 1.0])


def rows(n_samples, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(size=(n_samples, 4))
    p = 1 / (1 + np.exp(-2 * (X - 0.5) @ WEIGHTS))
    return X, (rng.uniform(size=n_samples) < p).astype(int)


@pytest.mark.parametrize("gamma", ["auto", 0.0, 1.0])
def test_every_piece_has_a_say(gamma):
    model = LLMAttributionClassifier(
        [4, -3, 2, 1],
        gamma=gamma,
        score_transform="identity",
        learning_rate_init=0.05,
        random_state=0,
    )
    for seed in range(20):
        model.partial_fit(*rows(400, seed), classes=[0, 1])
    X, y = rows(2000, seed=99)
    whole = LLMAttributionClassifier(gamma=0, random_state=0).fit(*rows(8000, seed=7))
    streamed = roc_auc_score(y, model.decision_function(X))
    assert streamed > roc_auc_score(y, whole.decision_function(X)) - 0.01


def test_the_last_piece_does_not_wipe_out_the_others():
    model = LLMAttributionClassifier(gamma=0, learning_rate_init=0.05, random_state=0)
    for seed in range(10):
        model.partial_fit(*rows(400, seed), classes=[0, 1])
    before = model.coef_.copy()
    X, y = rows(20, seed=50)
    model.partial_fit(X, 1 - y)
    assert np.abs(model.coef_ - before).max() < 0.1


def test_what_rows_do_not_say_is_shared_out():
    model = LLMAttributionClassifier([4, -3, 2, 1], random_state=0)
    model.partial_fit(*rows(100, 0))
    first, l2 = model.gamma_, model.net_.l2
    model.partial_fit(*rows(300, 1))
    assert model.gamma_ == pytest.approx(first / 4)
    assert model.net_.l2 == pytest.approx(l2 / 4)


def test_a_fixed_gamma_stays():
    model = LLMAttributionClassifier([4, -3, 2, 1], gamma=10, random_state=0)
    model.partial_fit(*rows(100, 0)).partial_fit(*rows(300, 1))
    assert model.gamma_ == 10


def test_goes_on_after_fit():
    model = LLMAttributionClassifier([4, -3, 2, 1], random_state=0).fit(*rows(50, 0))
    before = model.coef_.copy()
    model.partial_fit(*rows(400, 1))
    assert isinstance(model.net_.optimizer_, torch.optim.Adam)
    assert 0 < np.abs(model.coef_ - before).max() < 1


def test_regression_streams():
    model = LLMAttributionRegressor(
        [4, -3, 2, 1], learning_rate_init=0.05, random_state=0
    )
    for seed in range(20):
        X, _ = rows(200, seed)
        model.partial_fit(X, X @ WEIGHTS)
    X, _ = rows(500, 99)
    assert model.score(X, X @ WEIGHTS) > 0.99
