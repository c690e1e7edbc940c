import numpy as np
import pytest
import torch
from skorch import NeuralNet
from torch import nn
from torch.utils.data import DataLoader

from llmreg._utils._reproducibility import torch_seed
from llmreg.nn._loss import AttributionAlignedLoss
from llmreg.nn._net import (
    MLP,
    AlignedNet,
    BatchIterator,
    TableDataset,
)


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
