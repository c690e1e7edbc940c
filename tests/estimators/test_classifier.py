from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import MinMaxScaler
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import DataLoader

from llmreg import FeaturePrior, LLMAttributionClassifier
from llmreg.exceptions import DataError
from llmreg.nn._net import MLP
from tests.fakes import DropoutNet, FakeProvider, lazy_module, sign_of


def make(prior=None, **parameters):
    return LLMAttributionClassifier(
        prior, random_state=0, **{"device": "cpu"} | parameters
    )


@pytest.mark.parametrize("load", [load_breast_cancer, load_iris])
def test_without_a_prior_it_is_logistic_regression(load):
    X, y = load(return_X_y=True)
    weight = np.arange(len(y)) % 3
    scaler = MinMaxScaler().fit(X[weight > 0])
    scaled = scaler.transform(X)
    theirs = LogisticRegression(C=0.5, tol=1e-10, max_iter=10_000)
    theirs.fit(scaled, y, sample_weight=weight)
    mine = make(alpha=2.0, scaler="minmax").fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(
        mine.predict_proba(X), theirs.predict_proba(scaled), atol=1e-5
    )
    if len(mine.classes_) == 2:
        bias = mine.intercept_ - mine.coef_ @ (scaler.min_ / scaler.scale_)
        weights = mine.coef_ / scaler.scale_
        np.testing.assert_allclose(weights, theirs.coef_, atol=1e-4)
        np.testing.assert_allclose(bias, theirs.intercept_, atol=1e-4)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_huge_gamma_makes_the_weights_parallel_to_the_prior(n_classes, solver, rng):
    X, y = rng.random((50, 6)), rng.integers(0, n_classes, 50)
    scores = rng.integers(-10, 11, (1 if n_classes == 2 else 3, 6)).astype(float)
    model = make(
        scores, gamma=1e5, solver=solver, max_iter=300, score_transform="identity"
    ).fit(X, y)
    for w, s in zip(model.attributions_, scores, strict=True):
        assert w @ s / np.linalg.norm(w) / np.linalg.norm(s) > 0.999
    assert (model.alignment_ > 0.999).all()


def test_gamma_zero_ignores_the_prior(table, illness, prior):
    with_prior = make(prior, gamma=0.0).fit(table, illness)
    np.testing.assert_array_equal(
        with_prior.predict_proba(table), make().fit(table, illness).predict_proba(table)
    )
    assert np.isfinite(with_prior.alignment_).all()


def test_gamma_zero_asks_no_provider(table, illness):
    before = FakeProvider.n_calls
    model = make(FakeProvider(), gamma=0.0).fit(table, illness)
    assert FakeProvider.n_calls == before
    assert model.prior_ is None


def test_the_prior_helps_where_rows_are_few(rng):
    X, w = rng.random((500, 10)), np.array([5, -4, 3, 0, 0, 0, 0, 0, 0, 0])
    y = X @ w + rng.normal(0, 0.5, 500) > 2
    few = np.r_[np.flatnonzero(y)[:3], np.flatnonzero(~y)[:3]]
    score = {p: make(p and w).fit(X[few], y[few]).score(X, y) for p in (None, 1)}
    assert score[1] > score[None] + 0.1


def test_many_classes_each_have_their_scores(table, stage, prior):
    by_class = {
        "late": prior,
        "early": {name: -value for name, value in prior.items()},
        "middle": {"age": 1, "bmi": -1},
    }
    model = make(by_class).fit(table, stage)
    assert model.prior_.outputs == tuple(model.classes_) == ("early", "late", "middle")
    assert model.prior_.scores[1, 0] == 6
    assert model.attributions_.shape == (3, len(model.encoder_.columns_))
    np.testing.assert_allclose(model.predict_proba(table).sum(axis=1), 1.0)
    np.testing.assert_allclose(
        np.exp(model.predict_log_proba(table)), model.predict_proba(table)
    )


def test_scores_for_the_other_class_are_turned_round(table, illness):
    for_ill = make({"ill": {"age": 6, "bmi": 5}}, gamma=1e4).fit(table, illness)
    for_healthy = make({"healthy": {"age": 6, "bmi": 5}}, gamma=1e4)
    for_healthy.fit(table, illness)
    assert for_ill.classes_[1] == "ill"
    assert for_ill.attributions_[0, 0] > 0 > for_healthy.attributions_[0, 0]


def test_attributions_are_the_weights_of_a_linear_model(table, illness, prior):
    model = make(prior, score_transform="identity").fit(table, illness)
    weights = model.net_.module_.weight.detach().numpy()
    np.testing.assert_allclose(model.attributions_, weights)
    known = ~np.isnan(model.prior_.scores[0])
    a, s = weights[0, known], model.prior_.scores[0, known]
    cosine = a @ s / np.linalg.norm(a) / np.linalg.norm(s)
    assert model.alignment_[0] == pytest.approx(cosine)


def test_decision_function_has_the_signs_of_the_classes(table, illness, stage):
    two = make().fit(table, illness)
    assert two.decision_function(table).shape == (len(table),)
    np.testing.assert_array_equal(
        two.predict(table), two.classes_[(two.decision_function(table) > 0).astype(int)]
    )
    assert make().fit(table, stage).decision_function(table).shape == (len(table), 3)


def test_class_weight(table, illness):
    rare = illness.where(illness.index < 30, "healthy")
    plain = make().fit(table, rare)
    balanced = make(class_weight="balanced").fit(table, rare)
    by_hand = make(class_weight={"ill": 20.0}).fit(table, rare)
    n_ill = [(m.predict(table) == "ill").sum() for m in (plain, balanced, by_hand)]
    assert n_ill[0] < n_ill[1] < n_ill[2]


@pytest.mark.parametrize(
    "parameters",
    [
        {"attribution": "input_x_gradient"},
        {"attribution": "integrated_gradients", "net__criterion__n_steps": 4},
        {"score_transform": "identity"},
        {"score_transform": sign_of},
        {"penalty_on": "row", "hidden_layer_sizes": 8},
        {"activation": "silu", "hidden_layer_sizes": [8, 4]},
        {"solver": "sgd", "learning_rate_init": 0.5},
        {"solver": "lbfgs", "hidden_layer_sizes": (8,)},
        {"batch_size": 16, "solver": "adam", "max_iter": 100},
    ],
)
def test_every_parameter_trains(table, illness, prior, parameters):
    model = make(prior, gamma=1.0, **parameters).fit(table, illness)
    assert model.score(table, illness) > 0.65
    assert model.alignment_[0] > 0.5


@pytest.mark.parametrize("module", [DropoutNet, MLP, lazy_module, nn.LazyLinear(1)])
def test_modules_of_ones_own(table, illness, prior, module):
    model = make(prior, module=module, max_iter=100).fit(table, illness)
    assert model.score(table, illness) > 0.65
    assert not hasattr(model, "coef_")
    if isinstance(module, nn.Module):
        assert model.net_.module_ is not module


def test_parameters_of_the_module_pass_through(table, illness):
    model = make(module=DropoutNet, net__module__width=3, max_iter=2)
    assert model.fit(table, illness).net_.module_.head.in_features == 3
    model.set_params(net__module__width=5).fit(table, illness)
    assert model.net_.module_.head.in_features == 5


class EpochCounter(Callback):
    n_epochs = 0

    def on_epoch_end(self, net, **kwargs):
        type(self).n_epochs += 1


def test_callbacks_and_optimizers_pass_through(table, illness):
    from torch.optim import RMSprop

    make(
        max_iter=7,
        net__callbacks=[EpochCounter()],
        net__optimizer=RMSprop,
        net__optimizer__momentum=0.5,
    ).fit(table, illness)
    assert EpochCounter.n_epochs == 7
    quiet = make(max_iter=3, solver="adam", net__callbacks="disable")
    assert quiet.fit(table, illness).n_iter_ == 3


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"net__criterion": nn.MSELoss}, "net__criterion cannot be set"),
        ({"net__max_epochs": 3}, "max_iter"),
        ({"net__compile": True}, "double backward"),
    ],
)
def test_what_cannot_pass_through(table, illness, parameters, message):
    with pytest.raises(ValueError, match=message):
        make(**parameters).fit(table, illness)


def test_early_stopping(table, illness):
    model = make(
        solver="adam",
        learning_rate_init=0.1,
        max_iter=2000,
        early_stopping=True,
        validation_fraction=0.3,
    ).fit(table, illness)
    losses = model.net_.history[:, "valid_loss"]
    assert model.n_iter_ == len(losses) < 2000
    assert model.net_.train_split is None
    assert model.score(table, illness) > 0.65


@pytest.mark.parametrize("hidden", [(), (3,)])
@pytest.mark.parametrize("warm_start", [True, False])
def test_pieces_after_early_stopping(hidden, warm_start, table, illness):
    model = LLMAttributionClassifier(
        {"age": 3},
        hidden_layer_sizes=hidden,
        solver="adam",
        max_iter=3,
        early_stopping=True,
        warm_start=warm_start,
    )
    model.fit(table, illness).fit(table, illness).set_params(early_stopping=False)
    before = model.predict_proba(table)
    assert not np.array_equal(
        model.partial_fit(table, illness).predict_proba(table), before
    )


@pytest.mark.parametrize("n_rows", [3, 5])
def test_too_few_rows_to_stop_early(n_rows, table, illness):
    rows = [*np.flatnonzero(illness == "ill")[:2], *np.flatnonzero(illness != "ill")]
    model = LLMAttributionClassifier(hidden_layer_sizes=(3,), early_stopping=True)
    with pytest.raises(DataError, match="early_stopping cannot set rows aside"):
        model.fit(table.iloc[rows[:n_rows]], illness[rows[:n_rows]])


def test_early_stopping_keeps_the_users_callbacks(table, illness):
    before = EpochCounter.n_epochs
    make(
        solver="adam", max_iter=4, early_stopping=True, net__callbacks=[EpochCounter()]
    ).fit(table, illness)
    assert EpochCounter.n_epochs == before + 4


def test_warm_start_goes_on(table, illness, prior):
    cold = make(prior, solver="adam", max_iter=5)
    start = cold.fit(table, illness).net_.history[-1, "train_loss"]
    warm = make(prior, solver="adam", max_iter=5, warm_start=True)
    for _ in range(4):
        warm.fit(table, illness)
    assert warm.net_.history[-1, "train_loss"] < start


def test_warm_start_needs_the_same_shape(table, illness, stage):
    model = make(warm_start=True).fit(table, illness)
    with pytest.raises(ValueError, match="not among the classes"):
        model.fit(table, stage)
    with pytest.raises(ValueError, match="warm_start=True goes on from the last fit"):
        model.fit(table.drop(columns="sex"), illness)


def test_partial_fit_takes_pieces(table, illness, prior):
    model = make(prior, gamma=1.0, solver="adam", learning_rate_init=0.1)
    with pytest.raises(ValueError, match="at least 2 classes"):
        model.partial_fit(table[:1], illness[:1])
    for _ in range(15):
        for piece in (slice(0, 30), slice(30, 60)):
            model.partial_fit(table[piece], illness[piece], classes=["healthy", "ill"])
    assert model.score(table, illness) > 0.7
    assert model.n_iter_ == 30
    with pytest.raises(ValueError, match="differs from the classes of the model"):
        model.partial_fit(table, illness, classes=["healthy", "dead"])
    with pytest.raises(ValueError, match=r"not among the classes.*'dead'"):
        model.partial_fit(table, illness.where(illness == "ill", "dead"))
    with pytest.raises(ValueError, match="compute_class_weight"):
        make(class_weight="balanced").partial_fit(table, illness)


def test_partial_fit_asks_once(table, illness):
    before = FakeProvider.n_calls
    model = make(FakeProvider())
    for _ in range(3):
        model.partial_fit(table, illness)
    assert FakeProvider.n_calls == before + 1


def test_the_parameters_are_not_touched(table, illness, prior):
    given = dict(prior)
    model = make(prior)
    before = {k: repr(v) for k, v in model.get_params().items()}
    model.fit(table, illness)
    assert prior == given
    assert before == {k: repr(v) for k, v in model.get_params().items()}


def test_the_learnt_prior_can_be_used_again(table, illness, prior):
    first = make(prior).fit(table, illness)
    again = make(first.prior_).fit(table, illness)
    np.testing.assert_array_equal(
        first.predict_proba(table), again.predict_proba(table)
    )
    assert isinstance(again.prior_, FeaturePrior)


def test_numbers_as_labels_and_as_names_of_classes(rng):
    X, y = pd.DataFrame(rng.random((20, 2)), columns=["a", "b"]), np.arange(20) % 3
    scores = {0: {"a": 1, "b": 2}, 1: {"a": -1, "b": 2}, 2: {"a": 0, "b": -5}}
    model = make(scores).fit(X, y)
    assert model.prior_.outputs == ("0", "1", "2")
    assert set(model.predict(X)) <= {0, 1, 2}


def test_weights_of_classes_that_are_no_weights(table, illness):
    for weight in (-1.0, np.nan):
        model = LLMAttributionClassifier({"age": 3}, class_weight={illness[0]: weight})
        with pytest.raises(DataError, match="class_weight must hold"):
            model.fit(table, illness)


def test_a_class_of_weight_zero_is_not_there(table, stage):
    """Nor have its rows a say in the ranges."""
    label = stage[0]
    weight = {label: 0}
    zero = LLMAttributionClassifier(None, class_weight=weight, random_state=0)
    zero.fit(table, stage)
    far = table.assign(age=table["age"].where(stage != label, 1e6))
    far = LLMAttributionClassifier(None, class_weight=weight, random_state=0).fit(
        far, stage
    )
    np.testing.assert_array_equal(far.predict_proba(table), zero.predict_proba(table))


def test_partial_fit_stops_nothing_early(table, illness):
    model = LLMAttributionClassifier({"age": 3}, early_stopping=True)
    with pytest.raises(ValueError, match="does not support early_stopping"):
        model.partial_fit(table, illness)


def test_a_loader_and_a_split_of_ones_own(table, illness, prior):
    def fit():
        return LLMAttributionClassifier(
            prior,
            gamma=1.0,
            solver="adam",
            max_iter=3,
            batch_size=8,
            net__iterator_train=DataLoader,
            net__iterator_train__shuffle=True,
            net__train_split=ValidSplit(4, stratified=True),
            random_state=0,
        ).fit(table, illness)

    model = fit()
    assert np.isfinite(model.net_.history[:, "valid_loss"]).all()
    np.testing.assert_array_equal(fit().attributions_, model.attributions_)


def test_alpha_zero_is_no_verdict_on_the_prior(rng):
    """A column without a score would count against the scores of all others."""
    X = pd.DataFrame(rng.random((30, 3)), columns=[*"abc"])
    y = 4 * X["a"] - 4 * X["b"] + rng.normal(size=30) > 0
    trusts = [
        LLMAttributionClassifier({"a": 5, "b": -5}, alpha=alpha).fit(X, y).trust_
        for alpha in (1.0, 1e-12, 0.0)
    ]
    assert all(trust.p_aligned > 0.9 for trust in trusts)


def test_inside_no_grad(table, illness, prior):
    with torch.no_grad():
        model = LLMAttributionClassifier(
            prior, gamma=1.0, hidden_layer_sizes=(4,), max_iter=3, random_state=0
        ).fit(table, illness)
    assert np.isfinite(model.attributions_).all()


def test_every_name_of_the_cpu_is_the_cpu(table, illness):
    model = LLMAttributionClassifier(None, device="cpu:0").fit(table, illness)
    assert model.net_.module_.weight.dtype == torch.float64


@pytest.mark.parametrize("weights", [{"class_weight": {0: 0, 1: 1}}, {}])
def test_a_class_of_weight_zero_is_absent(weights):
    X, y = np.arange(6.0)[:, None], np.array([0, 0, 0, 1, 1, 1])
    sample_weight = None if weights else [0, 0, 0, 1, 1, 1]
    model = LLMAttributionClassifier(**weights)
    with pytest.raises(DataError, match=r"only: 1\. Rows of weight zero"):
        model.fit(X, y, sample_weight=sample_weight)
    three = np.array([0, 0, 2, 2, 1, 1])
    model = LLMAttributionClassifier(class_weight={0: 0, 1: 1, 2: 3}).fit(X, three)
    assert model.classes_.tolist() == [1, 2]


def test_classes_of_no_weight_at_all_are_an_error():
    model = LLMAttributionClassifier(class_weight={0: 0, 1: 0})
    with pytest.raises(DataError, match="not all of them 0"):
        model.fit([[1], [2]], [0, 1])


@pytest.mark.parametrize("scale", [1e18, 1e-18, 1e300, 1e-300])
@pytest.mark.parametrize("prior", [None, [4, 1]])
def test_weights_have_no_unit_without_alpha(rng, prior, scale):
    X = rng.random((40, 2))
    y, weight = (X[:, 0] + rng.random(40) > 1).astype(int), rng.integers(1, 4, 40)
    make = partial(LLMAttributionClassifier, prior, alpha=0, gamma=5)
    one, two = make().fit(X, y, weight), make().fit(X, y, weight * scale)
    np.testing.assert_allclose(one.coef_, two.coef_, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e18, 1e-18, 1e300, 1e-300])
def test_weights_of_any_size_are_rows_of_any_number(rng, scale):
    X = np.column_stack([rng.random((40, 2)), np.ones(40)])
    y = (X[:, 0] + rng.random(40) > 1).astype(int)
    limit = 1e7 if scale > 1 else 1e-8
    one, two = (
        LLMAttributionClassifier([4, 1, 1]).fit(X, y, np.full(40, weight))
        for weight in (scale, limit)
    )
    np.testing.assert_allclose(one.coef_, two.coef_, rtol=1e-4)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(
    "params",
    [
        {"gamma": 5},
        {"gamma": 5, "solver": "adam"},
        {"gamma": 5, "solver": "sgd", "early_stopping": True},
        {"hidden_layer_sizes": (4,), "gamma": 5},
        {"hidden_layer_sizes": (4,)},
        {"penalty_on": "row", "gamma": 5},
    ],
)
def test_fits_inside_modes_of_torch(rng, mode, params):
    X, weight = rng.random((60, 3)), np.ones(60)
    weight.flags.writeable = False
    y = (X[:, 0] > 0.5).astype(int)
    make = partial(LLMAttributionClassifier, [4, 1, 1], random_state=0, max_iter=20)
    expected = make(**params).fit(X, y).predict_proba(X)
    with mode():
        inside = make(**params).fit(X, y, sample_weight=weight)
        np.testing.assert_array_equal(inside.predict_proba(X), expected)
    # It can be trained further outside.
    inside.set_params(warm_start=True).fit(X, y)
