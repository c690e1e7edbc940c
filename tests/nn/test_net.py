"""The default modules, the net that trains a module, and its callbacks."""

import pickle

import numpy as np
import pytest
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochScoring
from torch import nn
from torch.utils.data import DataLoader

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg._utils._reproducibility import torch_seed
from llmreg.exceptions import ModuleOutputError
from llmreg.nn._factory import CorrectedModel
from llmreg.nn._loss import AttributionAlignedLoss
from llmreg.nn._net import (
    MLP,
    AlignedNet,
    BatchIterator,
    LinearModel,
    TableDataset,
    check_module,
)
from tests.fakes import flat_module, small_module


@pytest.fixture
def dataset():
    generator = torch.Generator().manual_seed(0)
    X = torch.rand(20, 3, generator=generator).double()
    y = (X[:, 0] > 0.5).double()
    return TableDataset(X, y, torch.ones(20).double())


def make_net(seed=0, **settings):
    settings = {"iterator_train": BatchIterator} | settings
    with torch_seed(seed):
        return AlignedNet(
            MLP,
            AttributionAlignedLoss,
            module__n_features=3,
            module__n_outputs=1,
            module__hidden_layer_sizes=(5,),
            module__activation="tanh",
            n_features=3,
            n_outputs=1,
            max_epochs=30,
            lr=0.1,
            train_split=None,
            batch_size=20,
            verbose=0,
            **settings,
        ).initialize()


def test_without_gamma_it_is_the_same_net_without_llmreg(dataset):
    aligned = make_net(criterion__scores=[[1.0, 2.0, 3.0]], criterion__gamma=0.0)
    with torch_seed(0):
        plain = NeuralNet(
            MLP(3, 1, (5,), "tanh").double(),
            nn.BCEWithLogitsLoss,
            max_epochs=30,
            lr=0.1,
            train_split=None,
            batch_size=20,
            verbose=0,
        )
    plain.initialize().partial_fit(dataset.X.numpy(), dataset.y[:, None].numpy())
    aligned.partial_fit(dataset)
    for mine, theirs in zip(
        aligned.module_.parameters(), plain.module_.parameters(), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


def test_gamma_aligns(dataset):
    net = make_net(criterion__scores=[[1.0, -2.0, 3.0]], criterion__gamma=100.0)
    X = dataset.X.clone().requires_grad_(True)
    before = net.criterion_.penalty(X, net.module_).item()
    net.partial_fit(dataset)
    assert net.criterion_.penalty(X, net.module_).item() < 0.1 * before


def test_a_data_loader_works_too(dataset):
    scores = [[1.0, 2.0, 3.0]]
    slices = make_net(criterion__scores=scores).partial_fit(dataset)
    loader = make_net(criterion__scores=scores, iterator_train=DataLoader)
    loader.partial_fit(dataset)
    np.testing.assert_allclose(
        loader.history[:, "train_loss"], slices.history[:, "train_loss"]
    )


def test_l2_leaves_biases_alone(dataset):
    net = make_net(l2=2.0)
    y_pred, y = net.module_(dataset.X), (dataset.y, dataset.sample_weight)
    weights = net.module_[0].weight, net.module_[2].weight
    expected = net.get_loss(y_pred, y).item() + sum(
        w.square().sum().item() for w in weights
    )
    assert net.get_loss(y_pred, y, training=True).item() == pytest.approx(expected)


def test_batches_cover_all_rows_in_a_seeded_order(dataset):
    def passes(seed):
        batches = BatchIterator(dataset, batch_size=8, shuffle=True, seed=seed)
        assert len(batches) == 3
        return [torch.cat([X for X, _ in batches]) for _ in range(2)]

    first, second = passes(1)
    assert not torch.equal(first, second)
    for order in (first, second):
        torch.testing.assert_close(order.sort(0).values, dataset.X.sort(0).values)
    assert torch.equal(first, passes(1)[0])
    assert not torch.equal(first, passes(2)[0])


def test_mlp_layers():
    sizes = [tuple(p.shape) for p in MLP(4, 2, (8, 3)).parameters() if p.ndim == 2]
    assert sizes == [(8, 4), (3, 8), (2, 3)]


class Listing(nn.Linear):
    def forward(self, X):
        return [X]


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Linear(3, 2), r"gave \(2, 2\) for a trial input of shape \(2, 3\)"),
        (nn.Linear(4, 1), "failed on a trial input"),
        (flat_module(3, 1), r"gave \(2,\)"),
        (Listing(3, 1), "gave <class 'list'>"),
    ],
)
def test_modules_that_do_not_fit(module, message):
    with pytest.raises(ModuleOutputError, match=message) as caught:
        check_module(module, 3, 1, torch.float64)
    assert "(n_samples, 3)" in str(caught.value)
    assert "two classes take one output" in str(caught.value)


def test_checking_leaves_the_training_mode():
    module = check_module(LinearModel(3, 1), 3, 1, torch.float64)
    assert module.training
    assert module.weight.dtype == torch.float64


@pytest.mark.parametrize("gamma", [1.0, "auto"])
def test_what_is_no_module(table, illness, gamma):
    model = LLMAttributionClassifier(
        {"age": 3}, gamma=gamma, module=lambda n_features, n_outputs: "no module"
    )
    with pytest.raises(ModuleOutputError, match=r"must make a torch.nn.Module.* str"):
        model.fit(table, illness)


class Counter(Callback):
    """Counts epochs, and remembers whether the module was there."""

    def __init__(self):
        self.n_epochs = 0

    def on_epoch_end(self, net, **kwargs):
        self.n_epochs += 1


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
def test_callbacks_see_every_epoch(table, illness, prior, name, gamma):
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
    assert counter.n_epochs == 4 == model.n_iter_
    hits = model.net_.history[:, "hits"]
    assert all(0 <= share <= 1 for share in hits)
    np.testing.assert_allclose(hits[-1], model.score(table, illness))
    assert not isinstance(model.net_.module_, CorrectedModel)
    if kind is not None:
        assert type(model.net_.module_) is kind
    if gamma == "auto":
        assert model.net_.criterion_.gamma == model.gamma_ == model.trust_.gamma


def test_with_lbfgs_the_loop_has_one_epoch(table, illness, prior):
    counter = Counter()
    fit(prior, table, illness, gamma=1.0, net__callbacks=[counter])
    assert counter.n_epochs == 1


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
    assert counter.n_epochs > 0


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
def test_scores_of_every_epoch(request, table, prior, target):
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


def test_scores_of_every_epoch_in_a_regression(table, risk):
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
