"""What is said of a prior after the rows were seen."""

import copy
import pickle
import re

import numpy as np
import pytest

from llmreg import FeaturePrior
from llmreg.linear_model._prior_grid import PriorGrid
from llmreg.linear_model._subspace import Subspace
from llmreg.linear_model._trust import (
    AveragedWeights,
    Contradiction,
    Trust,
    each_trust,
    has_opinion,
    one_or_each,
    summarize,
)

GAMMAS = np.array([0.0, 1.0, 10.0, 100.0])
SIGNS = np.array([0, 1, 1, -1])


def make(weights, cosine=0.5, contradictions=(), **changes):
    fields = {
        "gammas": GAMMAS,
        "weights": np.array(weights, dtype=float),
        "signs": SIGNS,
        "transforms": np.array([-1, 0, 0, 0]),
        "agreement": np.full((1, 1), np.nan),
        "cosine": cosine,
        "contradictions": tuple(contradictions),
        "n_samples": 40,
    }
    return Trust(**fields | changes)


def contradiction(name, probability=0.97):
    return Contradiction(name, "ill", 3.0, -1.0, probability)


def test_probabilities_sum_to_one():
    trust = make([0.1, 0.2, 0.3, 0.4])
    assert trust.p_uninformative == pytest.approx(0.1)
    assert trust.p_aligned == pytest.approx(0.5)
    assert trust.p_reversed == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("weights", "gamma"),
    [
        ([1, 0, 0, 0], 0.0),
        ([0.4, 0.2, 0.2, 0.2], 1.0),
        ([0.1, 0.1, 0.6, 0.2], 10.0),
        ([0, 0, 0, 1], 100.0),
    ],
)
def test_gamma_is_the_weighted_median(weights, gamma):
    order = [2, 0, 3, 1]
    trust = make(weights)
    mixed = make(np.array(weights)[order], gammas=GAMMAS[order])
    assert trust.gamma == mixed.gamma == gamma


@pytest.mark.parametrize(
    ("weights", "cosine", "said"),
    [
        ([0, 0, 0.2, 0.8], 0.0, r"wrong sign \(probability 0.80\)"),
        ([0.7, 0.3, 0, 0], 0.3, r"do not support the prior \(probability 0.70 that"),
        ([0.2, 0.8, 0, 0], 0.05, r"do not support the prior \(the cosine.*is 0.05\)"),
        ([0.1, 0.9, 0, 0], 0.6, r"in part: the cosine.* is 0.60"),
        ([0, 0, 1, 0], 0.99, r"40 training rows leave the prior as it is"),
    ],
)
def test_the_verdict_says_what_became_of_the_prior(weights, cosine, said):
    trust = make(weights, cosine)
    assert re.search(said, trust.verdict)
    assert str(trust) == trust.verdict
    assert "Contradicted" not in trust.verdict


BEFORE = np.array([0.1, 0.45, 0.449, 0.001])


@pytest.mark.parametrize(
    ("weights", "cosine", "said"),
    [
        (BEFORE, 0.99, "are too few to tell whether the prior is right: the model fo"),
        ([0.2, 0.4, 0.4, 0], 0.6, "are too few to tell .* right: the cosine.* is 0.60"),
        ([0.001, 0.5, 0.499, 0], 0.99, "agree with the prior: the model follows it"),
        ([0.001, 0.5, 0.499, 0], 0.6, "support the prior in part"),
        ([0.7, 0.3, 0, 0], 0.99, "do not support the prior"),
        ([0, 0.1, 0, 0.9], 0.99, "wrong sign"),
    ],
)
def test_too_few_rows_rows_that_agree_and_rows_that_do_not(weights, cosine, said):
    assert re.search(said, make(weights, cosine, prior_weights=BEFORE).verdict)


def test_rows_that_move_the_prior_far_are_not_too_few():
    before = np.array([0.1, 0.05, 0.849, 0.001])
    verdict = make([0.2, 0.8, 0, 0], 0.6, prior_weights=before).verdict
    assert "support the prior in part" in verdict


def test_rows_that_contradict_a_feature_are_not_too_few():
    found = make(BEFORE, 0.99, [contradiction("age")], prior_weights=BEFORE).verdict
    assert "leave the prior as it is" in found
    assert "Contradicted: age" in found


def test_a_notebook_shows_probabilities_and_contradictions():
    hostile = contradiction("<b>\x1b[2J&")
    html = make([0.1, 0.2, 0.3, 0.4], contradictions=[hostile])._repr_html_()
    assert re.findall(r"<td>(0\.\d\d)</td><td><svg", html) == ["0.50", "0.10", "0.40"]
    assert re.findall(r'<rect height="10" width="([\d.]+)"', html) == [
        *("50.0", "10.0", "40.0"),
    ]
    assert "&lt;b&gt;\\x1b[2J&amp;</td>" in html
    assert "<b>" not in html
    assert "\x1b" not in html
    # The colours are those of the page.
    assert set(re.findall(r'fill="(\w+)"', html)) == {"currentColor"}
    assert "contradicted" not in make([0, 1, 0, 0])._repr_html_()


def test_contradicted_features_are_named_five_at_most():
    few = make([0, 1, 0, 0], contradictions=[contradiction("age")])
    assert few.verdict.endswith("Contradicted: age (0.97).")
    named = [contradiction(f"x{i}") for i in range(7)]
    many = make([0, 1, 0, 0], contradictions=named).verdict
    assert "x4 (0.97) and 2 more." in many
    assert "x5" not in many
    assert "Contradicted" not in make([0, 0, 0, 1], contradictions=named).verdict


def averaged(posterior, coef, agreement):
    grid = PriorGrid(
        transform=np.array([-1, 0, 0]),
        precision=np.array([1.0, 4.0, 4.0]),
        scale=np.array([0.0, 5.0, -5.0]),
        scale_sd=np.array([0.0, 1.0, 1.0]),
        noise=np.ones(3),
        log_prior=np.log([0.1, 0.6, 0.3]),
        deviation=np.full(3, np.nan),
    )
    coef, agreement = (np.array([v], dtype=float) for v in (coef, agreement))
    return AveragedWeights(
        coef, np.zeros(1), grid, np.array(posterior), agreement, 1, None
    )


def summarized(found, scores, **settings):
    scores = np.array([scores], dtype=float)
    filled = np.nan_to_num(scores)
    settings = {"n_samples": 50, "total_weight": 50.0} | settings
    units = (filled / np.linalg.norm(filled))[None]
    space = Subspace(np.eye(3), np.ones(3), scores, None, units, alpha=1.0)
    return summarize(found, space, ["a", "b", "c"], ["ill"], **settings)


def test_gammas_pull_as_hard_as_the_priors():
    """A small turn of the weights costs n times the penalty what it costs here."""
    trust = summarized(averaged([0, 1, 0], [3, 4, 0], [1, 1, 1]), [3.0, 4.0, 0.0])
    assert trust.gammas.tolist() == [0.0, 3.0, 3.0]
    angle, d, n = 1e-3, 3, 50
    penalty = 2 * (1 - np.cos(angle)) / d
    turn = 0.5 * 4.0 * (5.0 * np.tan(angle)) ** 2
    assert n * trust.gammas[1] * penalty == pytest.approx(turn, rel=1e-4)


def test_gammas_know_the_weight_of_the_rows():
    found = averaged([0, 1, 0], [3, 4, 0], [1, 1, 1])
    half = summarized(found, [3.0, 4.0, 0.0], total_weight=100.0)
    assert half.gammas.tolist() == [0.0, 1.5, 1.5]
    assert half.n_samples == 50


def test_cosine_is_taken_over_the_scored_features():
    scores = [3.0, 4.0, np.nan]
    along = averaged([0, 1, 0], [3, 4, 99], [1, 1, np.nan])
    assert summarized(along, scores).cosine == pytest.approx(1.0)
    opposed = averaged([0, 0, 1], [-3, -4, 0], [0, 0, np.nan])
    assert summarized(opposed, scores).cosine == 0.0
    nothing = averaged([1, 0, 0], [0, 0, 0], [0.5, 0.5, np.nan])
    assert summarized(nothing, scores).cosine == 0.0


def test_contradictions_come_surest_first():
    found = averaged([0, 1, 0], [-3, -4, 1], [0.05, 0.01, np.nan])
    trust = summarized(found, [3.0, 4.0, np.nan])
    assert [c.feature for c in trust.contradictions] == ["b", "a"]
    first = trust.contradictions[0]
    assert (first.output, first.score, first.weight) == ("ill", 4.0, -4.0)
    assert first.probability == pytest.approx(0.99)


RENAMED = {
    "believed": "p_aligned",
    "reversed": "p_reversed",
    "ignored": "p_uninformative",
    "survival": "cosine",
}


@pytest.mark.parametrize("old", RENAMED)
def test_the_names_of_version_0_1_are_deprecated(old):
    trust, new = make([0.1, 0.2, 0.3, 0.4]), RENAMED[old]
    with pytest.warns(
        FutureWarning, match=rf"Trust\.{old} .* Use Trust\.{new} instead"
    ):
        assert getattr(trust, old) == getattr(trust, new) > 0


def test_a_pickle_of_version_0_1_is_loaded():
    trust = make([0.1, 0.2, 0.3, 0.4], cosine=0.7)
    assert pickle.loads(pickle.dumps(trust)).cosine == 0.7
    state = dict(vars(trust))
    state["survival"] = state.pop("cosine")
    old = copy.copy(trust)
    old.__dict__.clear()
    old.__setstate__(state)
    assert old.cosine == 0.7
    assert vars(old).keys() == vars(trust).keys()
    assert "survival" in state
    del state["prior_weights"], state["shape_deviations"]
    older = copy.copy(trust)
    older.__dict__.clear()
    older.__setstate__(state)
    assert "in part" in older.verdict


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([1.0, 0, 0], True), ([0.0] * 3, False), ([np.nan, 0, 0], False)],
)
def test_an_opinion_is_a_score_other_than_zero(scores, expected):
    prior = FeaturePrior.from_array(np.array(scores), ["a", "b", "c"])
    assert has_opinion(prior) is expected
    assert not has_opinion(None)


@pytest.mark.parametrize("n_targets", [1, 2])
def test_of_one_target_it_is_one_and_of_several_a_tuple(n_targets):
    given = [make([0, 1, 0, 0]) for _ in range(n_targets)]
    kept = one_or_each(given)
    assert isinstance(kept, tuple if n_targets > 1 else Trust)
    assert each_trust(kept) == tuple(given)
