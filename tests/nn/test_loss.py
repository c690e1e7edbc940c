import itertools
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from llmreg import LLMAttributionClassifier
from llmreg.exceptions import PriorScoreError
from llmreg.linear_model._prior_grid import SCORE_TRANSFORMS, Sharpen, signed_exp
from llmreg.nn._attribution import ATTRIBUTIONS
from llmreg.nn._loss import AttributionAlignedLoss

N_FEATURES = 4
TASKS = {"binary": 1, "multiclass": 3, "regression": 2, "poisson": 1}


def make_case(task, seed=0):
    rng = np.random.default_rng(seed)
    n_outputs = TASKS[task]
    torch.manual_seed(seed)
    module = nn.Sequential(
        nn.Linear(N_FEATURES, 5), nn.Tanh(), nn.Linear(5, n_outputs)
    ).double()
    X = torch.as_tensor(rng.random((7, N_FEATURES)))
    y = {
        "binary": torch.as_tensor(rng.integers(0, 2, 7)),
        "multiclass": torch.as_tensor(rng.integers(0, 3, 7)),
        "regression": torch.as_tensor(rng.normal(size=(7, n_outputs))),
        "poisson": torch.as_tensor(rng.poisson(2.0, (7, 1)).astype(float)),
    }[task]
    scores = rng.integers(-10, 11, (n_outputs, N_FEATURES)).astype(float)
    return module, X, y, scores


def aligned_loss(criterion, module, X, y, weight=None):
    X = X.detach().requires_grad_(True)
    return criterion(module(X), y, X=X, module=module, sample_weight=weight)


@pytest.mark.parametrize(
    ("task", "attribution", "score_transform", "penalty_on"),
    list(itertools.product(TASKS, ATTRIBUTIONS, ["identity", "exp"], ["mean", "row"])),
)
def test_gradient_agrees_with_finite_differences(
    task, attribution, score_transform, penalty_on
):
    module, X, y, scores = make_case(task)
    criterion = AttributionAlignedLoss(
        scores,
        task=task,
        gamma=3.0,
        attribution=attribution,
        score_transform=score_transform,
        penalty_on=penalty_on,
        n_steps=4,
    ).double()
    weight = torch.linspace(0.5, 2.0, 7).double()
    aligned_loss(criterion, module, X, y, weight).backward()
    parameters = list(module.parameters())
    gradient = torch.cat([p.grad.flatten() for p in parameters])
    start = parameters_to_vector(parameters).detach()

    def loss_at(point):
        vector_to_parameters(point, parameters)
        return aligned_loss(criterion, module, X, y, weight).item()

    step = 1e-6
    numeric = torch.empty_like(start)
    for i in range(len(start)):
        shift = torch.zeros_like(start)
        shift[i] = step
        numeric[i] = (loss_at(start + shift) - loss_at(start - shift)) / (2 * step)
    torch.testing.assert_close(gradient, numeric, atol=2e-7, rtol=1e-5)


@pytest.mark.parametrize("penalty_on", ["mean", "row"])
@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
def test_every_attribution_moves_the_weights(attribution, penalty_on):
    module, X, _, scores = make_case("binary")
    criterion = AttributionAlignedLoss(
        scores, attribution=attribution, penalty_on=penalty_on
    ).double()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    X.requires_grad_(True)
    before = criterion.penalty(X, module).item()
    for _ in range(50):
        optimizer.zero_grad()
        criterion.penalty(X, module).backward()
        optimizer.step()
    assert criterion.penalty(X, module).item() < 0.5 * before


def test_penalty_is_the_formula_of_the_paper():
    module, X, _, scores = make_case("binary")
    a = torch.func.vmap(torch.func.grad(lambda x: module(x)[0]))(X).mean(0).detach()
    a, s = a.numpy(), scores[0]
    cosine = a @ s / np.linalg.norm(a) / np.linalg.norm(s)
    gap = a / np.linalg.norm(a) - s / np.linalg.norm(s)
    criterion = AttributionAlignedLoss(scores).double()
    penalty = criterion.penalty(X.requires_grad_(True), module).item()
    assert penalty == pytest.approx(np.mean(gap**2))
    assert penalty == pytest.approx(2 * (1 - cosine) / N_FEATURES)
    assert criterion.cosine(torch.as_tensor(a)[None]).item() == pytest.approx(cosine)


def test_exp_transform_keeps_direction_of_any_size():
    expected = np.sign([3.0, -1.0, 0.0]) * np.exp([3.0, 1.0, 0.0])
    found = AttributionAlignedLoss([[3.0, -1.0, 0.0]], score_transform="exp").direction
    np.testing.assert_allclose(found[0], expected / np.linalg.norm(expected))
    huge = AttributionAlignedLoss([[3000.0, 1.0]], score_transform="exp").direction
    assert torch.isfinite(huge).all()


def test_sharpening_goes_from_the_scores_to_their_exponential():
    scores = torch.tensor([3.0, -1.0, 0.0])
    assert torch.equal(Sharpen(float("inf"))(scores), scores)
    torch.testing.assert_close(Sharpen(1.0)(scores), signed_exp(scores))
    two = Sharpen(2.0)(scores)
    assert (two[1] / two[0]).item() == pytest.approx(-np.exp(-1.0))
    assert two[2] == 0
    assert torch.isfinite(Sharpen(0.01)(torch.tensor([1e4, -1.0]))).all()
    assert repr(Sharpen(2.0)) == "Sharpen(2)"


def test_transforms_are_pickled_with_the_loss():
    for transform in (*SCORE_TRANSFORMS, Sharpen(3.0)):
        loss = AttributionAlignedLoss([[3.0, -4.0]], score_transform=transform)
        loaded = pickle.loads(pickle.dumps(loss))
        assert torch.equal(loaded.direction, loss.direction)
    for transform in SCORE_TRANSFORMS.values():
        pickle.loads(pickle.dumps(transform))


@pytest.mark.parametrize("gamma", [1.0, "auto"])
@pytest.mark.parametrize("transform", [torch.log, torch.sum])
def test_a_transform_that_gives_no_scores(gamma, transform):
    """Not a number in a direction would be one in every weight."""
    model = LLMAttributionClassifier(
        [3, -4], gamma=gamma, score_transform=transform, random_state=0
    )
    with pytest.raises(PriorScoreError, match="as many finite numbers"):
        model.fit([[1, 2], [3, 2], [2, 1]], [0, 1, 1])


def test_score_transform_may_be_a_callable():
    criterion = AttributionAlignedLoss([[3.0, -4.0]], score_transform=torch.sign)
    np.testing.assert_allclose(criterion.direction, [[0.5**0.5, -(0.5**0.5)]])


def test_absent_scores_are_left_out():
    criterion = AttributionAlignedLoss([[3.0, np.nan, 4.0]])
    aligned = torch.tensor([[0.6, 123.0, 0.8]]).double()
    assert criterion.misalignment(aligned).item() == pytest.approx(0.0)
    opposed = torch.tensor([[-0.6, 5.0, -0.8]]).double()
    assert criterion.misalignment(opposed).item() == pytest.approx(4 / 2)


def test_outputs_without_direction_carry_no_penalty():
    both = AttributionAlignedLoss([[1.0, 2.0], [0.0, 0.0]])
    one = AttributionAlignedLoss([[1.0, 2.0]])
    a = torch.tensor([[3.0, 1.0], [5.0, -1.0]]).double()
    assert both.misalignment(a).item() == pytest.approx(one.misalignment(a[:1]).item())
    assert torch.isnan(both.cosine(a)).tolist() == [False, True]


@pytest.mark.parametrize("scores", [None, [[0.0, 0.0]], [[np.nan, np.nan]]])
def test_no_direction_no_penalty(scores):
    assert not AttributionAlignedLoss(scores).penalizes


def test_validation_loss_is_the_task_loss():
    module, X, y, scores = make_case("binary")
    criterion = AttributionAlignedLoss(scores).double()
    plain = nn.functional.binary_cross_entropy_with_logits(
        module(X)[:, 0], y.double()
    ).item()
    assert aligned_loss(criterion, module, X, y).item() > plain
    criterion.eval()
    assert aligned_loss(criterion, module, X, y).item() == pytest.approx(plain)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("penalty_on", ["mean", "row"])
def test_weights_are_repetitions(task, penalty_on):
    module, X, y, scores = make_case(task)
    criterion = AttributionAlignedLoss(
        scores, task=task, penalty_on=penalty_on
    ).double()
    counts = torch.tensor([1, 2, 1, 3, 1, 1, 2])
    weighted = aligned_loss(criterion, module, X, y, counts.double())
    repeated = aligned_loss(
        criterion,
        module,
        X.repeat_interleave(counts, 0),
        y.repeat_interleave(counts, 0),
    )
    torch.testing.assert_close(weighted, repeated)


def test_vanishing_attribution_has_a_finite_gradient():
    module = nn.Linear(2, 1).double()
    nn.init.zeros_(module.weight)
    criterion = AttributionAlignedLoss([[1.0, 2.0]]).double()
    X = torch.ones(3, 2).double().requires_grad_(True)
    criterion.penalty(X, module).backward()
    assert torch.isfinite(module.weight.grad).all()
