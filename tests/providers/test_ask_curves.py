"""Curves asked of providers, over the wire of every vendor."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from llmreg import LLMAttributionClassifier
from llmreg.exceptions import (
    IncompleteReplyError,
    LLMRegWarning,
    PriorMismatchWarning,
    ProviderResponseError,
)
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._task import Feature, Task
from llmreg.providers import (
    CachedProvider,
    EnsembleProvider,
    LocalProvider,
    StaticPrior,
    collect_batch,
    submit_batch,
)
from tests.batches import Batches
from tests.loopback import curves
from tests.vendors import VENDORS

pytestmark = pytest.mark.usefixtures("key")

every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=repr)


@pytest.fixture
def provider(provider):
    return provider.set_params(ask="curves")


def wide(n_features):
    features = tuple(Feature(f"x{i}") for i in range(n_features))
    return Task(features, "ill", ("yes",), "classification", ("no", "yes"))


def spoiled(vendor, change):
    """Answer with a reply that `change` has been at, in place."""

    def respond(request):
        found = curves(request)
        change(found)
        return vendor.message(json.dumps(found))

    return respond


@every_vendor
class TestElicit:
    def test_gives_everything(self, server, provider, task, vendor):
        effects = iter([2, 4])
        server.enqueue(
            *[lambda r, e=e: vendor.answer(r, lambda f, o: e) for e in effects]
        )
        prior = provider.set_params(n_estimates=None).elicit(task)
        assert len(server.requests) == 2
        assert prior.curves["age"].values.tolist() == [0, 10]
        assert prior.curves["age"].effects.tolist() == [[-3, 3]]
        assert prior.curves["age"].spread.tolist() == [[1, 1]]
        assert prior.curves["fare"]([-1]).tolist() == [[3]]
        assert prior.ranges["fare"] == (0, 5, 10, (0, 0, 0))
        assert prior.scores.tolist() == [[3, 3, 3]]
        assert prior.base_rates == {"yes": (0.5, 0), "no": (0.5, 0)}
        assert prior.rationale["fare"] == "reason for f3"
        assert prior.provenance["ask"] == "curves"
        assert prior.spread.tolist() == [[1, 1, 1]]

    def test_scores_are_asked_five_times_as_ever(self, server, provider, task):
        provider.set_params(ask="all", n_estimates=None)
        assert [shown["times"] for shown in provider.preview(task)] == [5]
        assert provider.identity()["n_estimates"] == 5

    def test_is_kept_apart_from_scores(self, server, provider, task):
        first = provider.elicit(task)
        second = provider.elicit(task)
        assert len(server.requests) == 1
        assert second.usage["served_from_cache"] == 1
        assert (
            first.to_json().partition('"usage"')[0]
            == (second.to_json().partition('"usage"')[0])
        )
        assert not provider.set_params(ask="all").elicit(task).curves
        assert len(server.requests) == 2

    def test_a_wide_table_is_asked_in_parts(self, server, provider):
        task = wide(250)
        prior = provider.elicit(task)
        sizes = [len(r.questionnaire["features"]) for r in server.requests]
        assert sorted(sizes) == [83, 83, 84]
        assert tuple(prior.curves) == task.keys
        assert prior.base_rates["yes"].rate == 0.5

    def test_what_is_too_large_is_halved(self, server, provider, task, vendor):
        server.enqueue(vendor.error(413, "too many bytes"))
        prior = provider.elicit(task)
        asked = [r.questionnaire for r in server.requests]
        assert [len(a["features"]) for a in asked] == [3, 2, 1]
        assert [a.get("columns") for a in asked] == [
            None,
            *[["age", "sex", "fare"]] * 2,
        ]
        assert set(prior.curves) == {"age", "fare"}
        assert provider.has_cached(task)

    def test_what_is_left_out_is_reported(self, server, provider, task, vendor):
        server.respond = spoiled(vendor, lambda reply: reply["curves"].pop())
        with pytest.warns(PriorMismatchWarning, match=r"no opinion of 1 of 3 .*'fare'"):
            prior = provider.elicit(task)
        assert np.isnan(prior.scores).tolist() == [[False, False, True]]
        assert len(server.requests) == 1

    def test_levels_that_are_kept_back_are_not_reported(self, provider, task):
        prior = provider.set_params(send_levels=False).elicit(task)
        assert np.isnan(prior.scores).tolist() == [[False, True, False]]

    @pytest.mark.parametrize(
        ("change", "kind", "told"),
        [
            (lambda r: r["curves"].clear(), IncompleteReplyError, "'age', 'fare'"),
            (
                lambda r: r["curves"][0].update(range=[200, 300, 400]),
                ProviderResponseError,
                "same unit",
            ),
            (
                lambda r: r["curves"][0]["curve"].update(o1=3),
                ProviderResponseError,
                "a list",
            ),
        ],
    )
    def test_an_unusable_reply_is_asked_for_once_more(
        self, server, provider, task, vendor, change, kind, told
    ):
        bad = spoiled(vendor, change)
        server.enqueue(bad)
        assert provider.elicit(task).usage["requests"] == 2
        server.enqueue(bad, bad)
        with pytest.raises(kind, match=told):
            provider.set_params(n_estimates=2).elicit(task)

    def test_auto_goes_on_while_the_curves_move(self, server, provider, task, vendor):
        effects = iter([9, 0, 9, *[5] * 8])

        def respond(request):
            effect = next(effects)
            return vendor.answer(request, lambda f, o: effect * (f["id"] == "f1"))

        server.respond = respond
        provider.set_params(n_estimates="auto", max_parallel=1).elicit(task)
        assert len(server.requests) > 3

    def test_the_preview_is_what_is_sent(self, server, provider, task):
        (shown,) = provider.preview(task)
        provider.elicit(task)
        assert shown["body"] == server.requests[0].body

    def test_curves_take_more_room_and_cost_more(self, provider):
        task = wide(60)
        provider.set_params(network="never")
        room, cost = provider._room(task), provider.estimate_cost(task)
        provider.set_params(ask="all")
        assert room > 1.5 * provider._room(task)
        assert cost.output_tokens > provider.estimate_cost(task).output_tokens

    def test_estimators_carry_curves_along(self, server, provider):
        X = pd.DataFrame({"age": [1.0, 9, 2, 8], "sex": pd.Categorical(list("ffmm"))})
        model = LLMAttributionClassifier(provider, max_iter=2).fit(X, list("nyny"))
        assert model.prior_.curves["age"].values.tolist() == [0, 10]
        asked = server.requests[0].questionnaire["features"]
        assert [f.get("order") for f in asked] == [None] * 3

    def test_an_ordered_category_is_told(self, server, provider):
        stages = pd.Categorical(
            ["low", "mid", "top", "low"], ["low", "mid", "top"], ordered=True
        )
        X = pd.DataFrame({"age": [1.0, 9, 2, 8], "stage": stages})
        LLMAttributionClassifier(provider, max_iter=2).fit(X, list("nyny"))
        asked = server.requests[0].questionnaire["features"]
        assert [(f.get("level"), f.get("order")) for f in asked] == [
            (None, None),
            *(("low", 1), ("mid", 2), ("top", 3)),
        ]


def test_a_batch_fills_the_cache(server, provider, task):
    server.respond = Batches(server.url)
    provider.set_params(n_estimates=2)
    tasks = [task, replace(task, target="drowned")]
    batch = submit_batch(provider, tasks)
    report = collect_batch(provider, tasks, batch, sleep=lambda seconds: None)
    assert (report.kept, report.failed) == (4, {})
    n_requests = len(server.requests)
    assert set(provider.elicit(task).curves) == {"age", "fare"}
    assert len(server.requests) == n_requests


def test_the_cache_of_priors_has_everything(provider, task, tmp_path):
    cached = CachedProvider(provider, cache=tmp_path / "priors")
    first, second = cached.elicit(task), cached.elicit(task)
    assert second.usage == {"served_from_cache": 1}
    fields = ("ranges", "units", "base_rates", "target_ranges", "rationale")
    for name in fields:
        assert getattr(first, name) == getattr(second, name), name
    for name, curve in first.curves.items():
        np.testing.assert_array_equal(curve.effects, second.curves[name].effects)
        assert curve.special == second.curves[name].special
    np.testing.assert_array_equal(first.scores, second.scores)


class TestEnsemble:
    def test_averages_everything(self, task):
        rich = FeaturePrior.from_dict(
            {"age": [(0, -4), (10, 4)], "sex=female": 2, "fare": 1},
            ranges={"age": (0, 5, 10)},
            base_rates={"yes": 0.2},
            units={"age": "years"},
        )
        richer = FeaturePrior.from_dict(
            {"age": [(0, -6), (5, 0), (10, 2)], "sex=female": 4, "fare": None},
            ranges={"age": (2, 5, 12), "fare": (1, 2, 3)},
            base_rates={"yes": 0.4},
        )
        prior = EnsembleProvider([StaticPrior(rich), StaticPrior(richer)]).elicit(task)
        assert prior.curves["age"].values.tolist() == [0, 5, 10]
        assert prior.curves["age"].effects.tolist() == [[-5, 0, 3]]
        assert prior.ranges["age"] == (1, 5, 11, (1, 0, 1))
        assert prior.ranges["fare"][:3] == (1, 2, 3)
        assert prior.base_rates["yes"] == pytest.approx((0.3, 0.1))
        assert prior.units == {"age": "years"}
        assert prior.scores[0].tolist() == [
            prior.curves["age"].score(prior.ranges["age"])[0],
            *(3, 1),
        ]
        assert prior.estimates.shape == (2, 1, 3)

    def test_a_score_is_a_straight_line(self, task):
        drawn = StaticPrior(
            FeaturePrior.from_dict(
                {"age": [(0, 0), (20, 0)], "fare": 2}, ranges={"age": (5, 10, 15)}
            )
        )
        scored = StaticPrior({"age": 6, "sex=female": 1})
        silent = StaticPrior({"fare": 2})
        prior = EnsembleProvider([drawn, scored, silent]).elicit(task)
        assert prior.curves["age"]([5, 10, 15]).tolist() == [[-3, 0, 3]]

    @every_vendor
    def test_of_curves_and_scores_of_vendors(self, server, provider, task, vendor):
        scores = vendor.provider(server)
        prior = EnsembleProvider([provider, scores]).elicit(task)
        assert prior.curves["age"].effects.tolist() == [[-3, 3]]
        assert EnsembleProvider([provider]).has_cached(task)


def test_answers_are_logged_as_they_come(provider, task, caplog):
    caplog.set_level(logging.INFO, "llmreg")
    provider.set_params(n_estimates=2).elicit(task)
    told = [r.getMessage() for r in caplog.records]
    assert [t for t in told if "is there" in t] == [
        "response 1 of 2 is there",
        "response 2 of 2 is there",
    ]


def test_a_fit_with_verbose_shows_each_answer(provider, capsys):
    X = pd.DataFrame({"age": [1.0, 9, 2, 8], "fare": [3.0, 1, 2, 4]})
    provider.set_params(n_estimates=2)
    LLMAttributionClassifier(provider, max_iter=2, verbose=1).fit(X, list("nyny"))
    assert "response 2 of 2 is there" in capsys.readouterr().err


def test_the_small_model_says_once_what_it_is_worth(monkeypatch, tmp_path):
    from llmreg.providers import _local

    file = tmp_path / _local.MODEL_FILE
    file.touch()
    monkeypatch.setattr(_local, "_find", lambda model: file)
    monkeypatch.setattr(_local, "import_optional", lambda *names: None)
    _local._warn_of.cache_clear()
    with pytest.warns(LLMRegWarning, match=r"SmolLM2-135M.*worse than a score of \+1"):
        LocalProvider().check_ready()
    LocalProvider().check_ready()
    LocalProvider(file).check_ready()
    _local._warn_of.cache_clear()


@every_vendor
def test_defaults_are_curves(vendor, task):
    provider = vendor.kind(network="never")
    assert provider.ask == "curves"
    assert [shown["times"] for shown in provider.preview(task)] == [2]


def test_the_small_model_is_asked_for_scores():
    assert LocalProvider().ask == "all"
