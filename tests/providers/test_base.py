from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from llmreg.elicitation._retry import RetryPolicy, TransientError
from llmreg.elicitation._sampling import Completion
from llmreg.exceptions import (
    PriorCacheWarning,
    PriorDisagreementWarning,
    ProviderAuthenticationError,
    ProviderError,
    ProviderResponseError,
    ProviderUnavailableError,
)
from llmreg.prior._task import Task
from llmreg.providers import CachedProvider, LLMProvider, PriorProvider


class Scripted(LLMProvider):
    """A vendor in a few lines: each estimate takes the next outcome of a script."""

    def __init__(
        self,
        script,
        model="m",
        n_estimates=1,
        max_parallel=1,
        max_tokens=None,
        max_attempts=3,
        timeout=60.0,
        cache=None,
    ):
        self.script = script
        self.model = model
        self.n_estimates = n_estimates
        self.max_parallel = max_parallel
        self.max_tokens = max_tokens
        self.max_attempts = max_attempts
        self.timeout = timeout
        self.cache = cache

    def _policy(self):
        return RetryPolicy(self.max_attempts, self.timeout, sleep=lambda seconds: None)

    def _complete(self, client, request):
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        if isinstance(step, str):
            return Completion(step, "end", "m", {"output_tokens": 5})
        features = json.loads(request.questionnaire.user)["features"]
        entries = [
            {"id": f["id"], "reason": f"said {step}", "scores": {"o1": step}}
            for f in features
        ]
        text = json.dumps({"features": entries})
        return Completion(text, "end", "m", {"output_tokens": 5})


class TestPriorProvider:
    def test_says_what_to_define(self, task):
        with pytest.raises(NotImplementedError, match="must define elicit"):
            PriorProvider().elicit(task)

    def test_a_vendor_must_define_complete(self, task):
        class Silent(LLMProvider):
            model, n_estimates, max_parallel = "m", 1, 1
            max_tokens, max_attempts, timeout, cache = None, 1, 1.0, None

        with pytest.raises(NotImplementedError, match="must define _complete"):
            Silent().elicit(task)


class TestElicit:
    def test_the_reason_comes_from_the_estimate_nearest_to_the_average(self, task):
        prior = Scripted([0, 5, 9], n_estimates=3).elicit(task)
        assert prior.rationale["age"] == "said 5"

    def test_the_prior_says_where_it_comes_from(self, task):
        prior = Scripted([1]).elicit(task)
        assert prior.task == task.description
        assert prior.target == "survived"
        assert prior.descriptions == {
            "age": "age in years",
            "sex=female": "woman or girl",
        }
        assert prior.provenance["model"] == "m"
        assert prior.provenance["provider"].endswith("test_base.Scripted")
        assert prior.provenance["created"].endswith("+00:00")
        assert len(prior.provenance["prompt_hash"]) == 64

    def test_usage_counts_failed_attempts_too(self, task):
        script = [TransientError("busy"), "no JSON", 3]
        prior = Scripted(script).elicit(task)
        assert prior.usage == {
            "requests": 3,
            "input_tokens": 0,
            "output_tokens": 10,
            "served_from_cache": 0,
        }

    @pytest.mark.parametrize("count", [np.int64(7), None, "7", 7.5])
    def test_counts_are_taken_as_a_vendor_gives_them(self, task, count):
        """An answer that was paid for is not lost for one that is missing."""

        class Counting(Scripted):
            def _complete(self, client, request):
                reply = super()._complete(client, request)
                return replace(reply, usage={"output_tokens": count})

        prior = Counting([3]).elicit(task)
        assert prior.usage["output_tokens"] == (7 if count == np.int64(7) else 0)
        assert Counting([]).elicit(task).scores[0, 0] == 3

    def test_more_estimates_cost_the_difference(self, task):
        Scripted([1, 3], n_estimates=2).elicit(task)
        prior = Scripted([8], n_estimates=3).elicit(task)
        assert prior.usage["requests"] == 1
        assert prior.usage["served_from_cache"] == 2
        assert prior.scores[0, 0] == 4

    @pytest.mark.parametrize("change", [{"model": "other"}, {"cache": "elsewhere"}])
    def test_another_model_or_folder_is_asked_anew(self, task, tmp_path, change):
        if "cache" in change:
            change = {"cache": tmp_path / "elsewhere"}
        Scripted([1]).elicit(task)
        assert Scripted([2], **change).elicit(task).scores[0, 0] == 2

    def test_another_task_is_asked_anew(self, task):
        Scripted([1]).elicit(task)
        other = Task.from_dict({**task.to_dict(), "target": "drowned"})
        assert Scripted([2]).elicit(other).scores[0, 0] == 2

    def test_a_kept_answer_that_does_not_fit_is_asked_again(self, task, tmp_path):
        cache = tmp_path / "cache"
        Scripted([1]).elicit(task)
        (kept,) = cache.glob("*.json")
        kept.write_text(kept.read_text().replace("f3", "f4"))
        assert Scripted([2]).elicit(task).scores[0, 0] == 2
        assert len(list(cache.glob("*.unusable"))) == 1

    @pytest.mark.parametrize("name", ["replace", "mkdir", "chmod"])
    @pytest.mark.parametrize("n_estimates", [1, 3])
    @pytest.mark.parametrize("wrap", [lambda provider: provider, CachedProvider])
    def test_a_full_disk_loses_no_answer(
        self, task, monkeypatch, name, n_estimates, wrap
    ):
        def no_space(*_, **__):
            raise OSError(28, "No space left on device")

        provider = wrap(Scripted([7] * n_estimates, n_estimates=n_estimates))
        monkeypatch.setattr(f"llmreg._utils._files.os.{name}", no_space)
        if name == "mkdir":
            # Told before anything is asked.
            with pytest.raises(ProviderError, match="cannot be written"):
                provider.elicit(task)
            return
        with pytest.warns(PriorCacheWarning, match="No space left") as told:
            assert provider.elicit(task).scores[0, 0] == 7
        assert len(told) == 1
        # No more is in the script.
        assert provider.elicit(task).usage["served_from_cache"] >= 1
        assert provider.has_cached(task)

    def test_a_warning_that_is_an_error_loses_no_answer(self, task, monkeypatch):
        def no_space(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("llmreg._utils._files.os.replace", no_space)
        provider = Scripted([7])
        with pytest.raises(PriorCacheWarning):
            provider.elicit(task)
        assert provider.elicit(task).scores[0, 0] == 7

    def test_a_reply_that_cannot_be_used_is_asked_for_once_more(self, task):
        provider = Scripted(["{}", "{}", 1])
        with pytest.raises(ProviderResponseError):
            provider.elicit(task)
        assert provider.script == [1]

    def test_a_refused_account_stops_the_other_estimates(self, task):
        refused = ProviderAuthenticationError("no")
        provider = Scripted([refused, 1, 1], n_estimates=3)
        with pytest.raises(ProviderAuthenticationError):
            provider.elicit(task)
        assert provider.script == [1, 1]

    def test_what_was_saved_is_told(self, task):
        script = [1, ProviderUnavailableError("gone"), 3]
        with pytest.raises(ProviderUnavailableError) as caught:
            Scripted(script, n_estimates=3).elicit(task)
        assert "2 of 3 estimates arrived" in caught.value.__notes__[0]

    def test_a_bug_is_not_tried_again(self, task):
        provider = Scripted([NameError("oops"), 1])
        with pytest.raises(NameError):
            provider.elicit(task)
        assert provider.script == [1]

    @pytest.mark.parametrize(
        "change",
        [
            {"n_estimates": 0},
            {"timeout": 0},
            {"max_attempts": 1.5},
            {"max_tokens": -1},
            {"model": None},
        ],
    )
    def test_wrong_parameters_are_named(self, task, change):
        (name,) = change
        with pytest.raises(ValueError, match=f"The '{name}' parameter of Scripted"):
            Scripted([], **change).elicit(task)

    def test_room_grows_with_the_number_of_features(self, task):
        wide = Task.from_dict(
            {**task.to_dict(), "features": [{"name": f"x{i}"} for i in range(500)]}
        )
        assert Scripted([])._room(task) == 8192
        assert Scripted([])._room(wide) > 50_000
        assert Scripted([], max_tokens=99)._room(wide) == 99


class TestDisagreement:
    def test_large_scores_of_both_signs_are_warned_of(self, task):
        with pytest.warns(PriorDisagreementWarning, match=r"'age', 'sex=female'"):
            prior = Scripted([5, -6], n_estimates=2).elicit(task)
        assert prior.spread.tolist() == [[5.5, 5.5, 5.5]]

    @pytest.mark.parametrize("script", [[1, -1, 1], [9, 8, 9, -3], [5, 0, 9]])
    def test_noise_around_zero_and_one_outlier_are_not(self, task, script):
        Scripted(script, n_estimates=len(script)).elicit(task)


class TestParameters:
    def test_identity_has_what_shapes_the_answers(self):
        identity = Scripted([], timeout=5.0, n_estimates=2).identity()
        assert set(identity) == {
            *("provider", "model", "ask", "send_levels", "n_estimates")
        }
