"""skorch's callbacks, handed on by `net__callbacks`, and what llmreg adds to them."""

import pickle

import numpy as np
import pytest
from skorch.callbacks import Callback, EpochScoring
from torch import nn

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.nn._factory import CorrectedModel
from llmreg.nn._net import MLP, LinearModel
from tests.fakes import small_module


class Counter(Callback):
    """Counts passes, and remembers whether the module was there."""

    def __init__(self):
        self.n_passes = 0

    def on_epoch_end(self, net, **kwargs):
        self.n_passes += 1


def accuracy(net, dataset, y=None):
    """Score the net on its training rows."""
    outputs = net.module_(dataset.X).detach().numpy()[:, 0]
    return float(((outputs > 0) == dataset.y.numpy()).mean())


def fit(prior, X, y, **settings):
    model = LLMAttributionClassifier(prior, random_state=0, device="cpu", **settings)
    return model.fit(X, y)


MODELS = {
    "mlp": ({"hidden_layer_sizes": (4,)}, MLP),
    "module": ({"module": small_module}, None),
    "adam": ({"solver": "adam"}, LinearModel),
}


@pytest.mark.parametrize("gamma", [1.0, "auto"])
@pytest.mark.parametrize("name", MODELS)
def test_callbacks_see_every_pass(table, illness, prior, name, gamma):
    """They ask for skorch's loop, for which "auto" chooses the gamma."""
    settings, kind = MODELS[name]
    counter = Counter()
    scoring = EpochScoring(accuracy, name="hits", on_train=True, lower_is_better=False)
    model = fit(
        prior,
        table,
        illness,
        gamma=gamma,
        max_iter=4,
        net__callbacks=[("counter", counter), ("hits", scoring)],
        **settings,
    )
    assert counter.n_passes == 4 == model.n_iter_
    hits = model.net_.history[:, "hits"]
    assert all(0 <= share <= 1 for share in hits)
    np.testing.assert_allclose(hits[-1], model.score(table, illness))
    assert not isinstance(model.net_.module_, CorrectedModel)
    if kind is not None:
        assert type(model.net_.module_) is kind
    if gamma == "auto":
        assert model.net_.criterion_.gamma == model.gamma_ == model.trust_.gamma


def test_with_lbfgs_the_loop_has_one_pass(table, illness, prior):
    counter = Counter()
    fit(prior, table, illness, gamma=1.0, net__callbacks=[counter])
    assert counter.n_passes == 1


def test_beside_early_stopping(table, illness, prior):
    counter = Counter()
    model = fit(
        prior,
        table,
        illness,
        gamma=1.0,
        solver="adam",
        early_stopping=True,
        net__callbacks=[counter],
    )
    assert [name for name, _ in model.net_.callbacks_][-2:] == ["Counter", "passes"]
    assert counter.n_passes > 0


def test_no_callbacks_at_all(table, illness, prior):
    model = fit(
        prior,
        table,
        illness,
        gamma=1.0,
        max_iter=2,
        net__callbacks="disable",
        hidden_layer_sizes=(4,),
    )
    assert model.net_.callbacks_ == []


def test_the_table_of_skorch_stays_out_unless_it_is_asked_for(
    capsys, table, illness, prior
):
    settings = {"gamma": 1.0, "solver": "adam", "max_iter": 2, "net__lr": 0.1}
    fit(prior, table, illness, **settings)
    assert not capsys.readouterr().out
    fit(prior, table, illness, net__verbose=1, **settings)
    assert "train_loss" in capsys.readouterr().out


def test_nothing_of_a_training_is_saved(table, illness, prior):
    model = fit(prior, table, illness, module=small_module, gamma=1.0, max_iter=2)
    (report,) = [cb for name, cb in model.net_.callbacks_ if name == "passes"]
    assert vars(report) == {}
    report.loop = object()
    assert vars(pickle.loads(pickle.dumps(report))) == {}


class Slow(nn.Linear):
    """A person loses patience in its third step."""

    n_steps = 0

    def forward(self, X):
        type(self).n_steps += self.training
        if self.training and self.n_steps == 3:
            raise KeyboardInterrupt
        return super().forward(X)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_an_interrupt_is_not_kept_quiet(monkeypatch, table, illness, prior, method):
    """skorch takes it for the end of the training, and a search would go on."""
    monkeypatch.setattr(Slow, "n_steps", 0)
    model = LLMAttributionClassifier(
        prior,
        gamma=1.0,
        module=Slow,
        batch_size=10,
        net__callbacks=[Counter()],
        random_state=0,
    )
    with pytest.raises(KeyboardInterrupt):
        getattr(model, method)(table, illness)
    # The next one is not taken for interrupted, too.
    assert getattr(model, method)(table, illness).n_iter_ > 0


SCORERS = {
    "illness": ("neg_log_loss", "roc_auc", "accuracy", "f1"),
    "stage": ("neg_log_loss", "roc_auc_ovr", "accuracy", "f1_macro"),
}


@pytest.mark.parametrize("target", SCORERS)
def test_scores_of_every_pass(request, table, prior, target):
    """By the names of scikit-learn's scorers, on rows to train on and on others."""
    y = request.getfixturevalue(target)
    callbacks = [
        (f"{name}_{on_train}", EpochScoring(name, on_train=on_train, name=key))
        for name in SCORERS[target]
        for on_train, key in ((True, f"{name} seen"), (False, f"{name} held out"))
    ]
    model = fit(
        None,
        table,
        y,
        solver="adam",
        max_iter=3,
        early_stopping=True,
        net__callbacks=callbacks,
    )
    last = model.net_.history[-1]
    for name in SCORERS[target]:
        assert np.isfinite([last[f"{name} seen"], last[f"{name} held out"]]).all()
    np.testing.assert_allclose(last["neg_log_loss held out"], -last["valid_loss"])


def test_scores_of_every_pass_in_a_regression(table, risk):
    model = LLMAttributionRegressor(
        solver="adam",
        max_iter=3,
        early_stopping=True,
        net__callbacks=[EpochScoring("r2"), EpochScoring("neg_mean_squared_error")],
        random_state=0,
    ).fit(table, risk)
    last = model.net_.history[-1]
    assert last["r2"] < 1
    # Squared errors of standardised targets, as the loss has them.
    np.testing.assert_allclose(last["neg_mean_squared_error"], -last["valid_loss"])


@pytest.mark.parametrize("target", SCORERS)
def test_the_net_predicts_classes_by_itself(request, table, target):
    y = request.getfixturevalue(target)
    model = fit(None, table, y, hidden_layer_sizes=(4,), max_iter=3)
    rows = model.encoder_.encode(table)
    np.testing.assert_allclose(
        model.net_.predict_proba(rows), model.predict_proba(table)
    )
    places = model.net_.predict(rows)
    np.testing.assert_array_equal(model.classes_[places], model.predict(table))
    assert model.net_.score(rows, places) == 1
