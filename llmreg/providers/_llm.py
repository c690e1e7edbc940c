"""What all providers that ask a language model have in common."""

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval, StrOptions

from llmreg.elicitation._cache import PriorCache
from llmreg.elicitation._cost import Cost, add_up, price
from llmreg.elicitation._curves import count_curves
from llmreg.elicitation._prompt import PROMPT_VERSION
from llmreg.elicitation._questions import (
    MAX_FEATURES,
    WAYS,
    Questionnaire,
    hash_prompt,
    plan,
    plan_drafts,
)
from llmreg.elicitation._responses import combine, warn_of_silence
from llmreg.elicitation._retry import RetryPolicy
from llmreg.elicitation._sampling import (
    Completion,
    Request,
    Requester,
    ResponseStore,
    Sampler,
)
from llmreg.exceptions import MissingPriorError
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._task import Task
from llmreg.providers._base import PriorProvider, qualified_name

POSITIVE = Interval(Integral, 1, None, closed="left")

# How many answers are averaged where `n_estimates` is None: of scores, and of curves,
# of which one answer was measured to be nearly as good as two.
N_SCORES = 5
N_CURVES = 2


class LLMProvider(PriorProvider):
    """Base of the providers that ask a language model.

    The questionnaire is the same for every vendor, and so are the promises: several
    independent estimates side by side, each kept in a cache as soon as it arrives,
    retries bounded by attempts and by wall clock, and replies that are checked
    before use. A vendor's class is its parameters, `_connect` and `_complete`.

    Notes
    -----
    A vendor's class has the parameters `model`, `n_estimates`, `max_parallel`,
    `max_tokens`, `max_attempts`, `timeout` and `cache`, which mean what they mean in
    `AnthropicProvider`. It may have `ask`, `send_levels`, `network` and `chunk_size`,
    the most features in one question.

    What is sent: the task sentence, the target, the classes, and the name, the
    description, the unit and the level of each feature, with curves also the place
    of a level in an ordered category. No row of data is. `preview` shows it,
    `estimate_cost` counts it.

    With ``n_estimates="auto"`` 3 to 11 answers are asked for, until every mean has a
    standard error of at most 1. With ``ask="all"`` one question has at most 100
    features, with ``ask="each"`` one column, and with ``ask="rank"`` the feature at
    rank r of m scores ``10 * (m - r + 1) / m``. Levels whose names are kept back get
    no score: NaN, no opinion. An answer that was cut off is asked for again with
    twice `max_tokens`.

    With ``ask="curves"`` one question asks for everything: for every number its 5th,
    50th and 95th percentile and a response curve of 2 to 8 knots, in the units of the
    column, for every level an effect, and the base rate of every class or the
    percentiles of the target. Effects are on one scale from -10 to 10 for the whole
    table, also where it takes several questions: of 100 features, or 150 curves, at
    most. Features that an answer leaves out, half of them at most, have no opinion,
    and a warning names those of which no answer has one. Two answers are averaged
    unless `n_estimates` says otherwise; of those in different units the direction is.

    Examples
    --------
    A model that has one opinion of everything.

    >>> import json, tempfile
    >>> from llmreg.providers import Completion, LLMProvider
    >>> from llmreg import Feature, Task
    >>> class Indifferent(LLMProvider):
    ...     n_estimates, max_parallel, max_attempts = 1, 1, 1
    ...     max_tokens, timeout = None, 60.0
    ...     def __init__(self, model="indifferent", cache=None):
    ...         self.model, self.cache = model, cache
    ...     def _complete(self, client, request):
    ...         asked = json.loads(request.questionnaire.user)["features"]
    ...         reply = [
    ...             {"id": each["id"], "reason": "why not", "scores": {"o1": 1}}
    ...             for each in asked
    ...         ]
    ...         return Completion(json.dumps({"features": reply}), "end", self.model)
    >>> task = Task((Feature("age"),), "survived", ("yes",), "classification")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Indifferent(cache=folder).elicit(task)
    FeaturePrior: 1 feature, survived = yes, 1 estimate
    feature  score  spread  reason
    age       +1.0     0.0  why not
    """

    model: str
    n_estimates: int | str | None
    max_parallel: int
    max_tokens: int | None
    max_attempts: int
    timeout: float
    cache: PriorCache | str | os.PathLike[str] | None
    ask: str = "all"
    send_levels: bool = True
    network: str = "allow"
    chunk_size: int = MAX_FEATURES

    # Names of the parameters that shape a single answer, and so its cache key.
    _shaping: tuple[str, ...] = ("model",)
    # Room for a reply: reasons and scores of all features, and thinking.
    _min_tokens = 8192
    _tokens_per_feature = 80
    _tokens_per_score = 16
    _tokens_per_curve = 120

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "model": [str],
        "n_estimates": [POSITIVE, StrOptions({"auto"}), None],
        "max_parallel": [POSITIVE],
        "max_tokens": [POSITIVE, None],
        "max_attempts": [POSITIVE],
        "timeout": [Interval(Real, 0, None, closed="neither")],
        "cache": [PriorCache, str, os.PathLike, None],
        "ask": [StrOptions(set(WAYS))],
        "send_levels": ["boolean"],
        "network": [StrOptions({"allow", "never"})],
    }

    def elicit(self, task: Task) -> FeaturePrior:
        """Ask the model for its prior, or take what it has answered before.

        Raises
        ------
        MissingKeyError, MissingDependencyError
            Before anything is sent.
        MissingPriorError
            If estimates are not in the cache and `network` is "never".
        ProviderAuthenticationError
            If the account is refused.
        ProviderNotFoundError
            If the server does not know the model.
        ProviderUnavailableError
            If the connection is refused, or no answer came within the attempts and the
            time allowed.
        ProviderResponseError
            If the answers cannot be used.
        """
        sampler = self._sampler(task)
        usage = self._run(sampler)
        usage["served_from_cache"] = sampler.served_from_cache
        provenance = {
            "provider": qualified_name(self),
            "prompt_version": PROMPT_VERSION,
            "prompt_hash": hash_prompt(sampler.questions),
            "ask": self.ask,
            "address": self._place(),
        }
        prior = combine(task, sampler.estimates(), provenance, usage)
        warn_of_silence(prior, {k for q in sampler.questions for k in q.task.keys})
        return prior

    def has_cached(self, task: Task) -> bool:
        """Tell whether every estimate for a task is in the cache; nothing is sent."""
        return not self._sampler(task).pending()

    def preview(self, task: Task) -> list[dict[str, Any]]:
        """Show what would be sent for a task; nothing is sent, and no key is needed.

        Of each request "body" is the whole JSON body, and "times" how often it is
        sent at most, each time for an estimate of its own. What is in the cache is
        not here. A reply that cannot be used may lead to further requests.
        """
        to_send = self._sampler(task).to_send()
        shown = self._preview([self._request(question) for question, _ in to_send])
        return [
            {**request, "times": times}
            for request, (_, times) in zip(shown, to_send, strict=True)
        ]

    def estimate_cost(self, task: Task) -> Cost:
        """Count the tokens that a task would take; no model is asked.

        Those of requests that are not in the cache are counted by the vendor where it
        offers that and there are credentials, unless ``network="never"``; else, and
        for the replies, they are a rough guess. US dollars where the package
        ``genai-prices`` is installed and knows the model.
        """
        to_send = self._sampler(task).to_send()
        requests = [self._request(question) for question, _ in to_send]
        times = [times for _, times in to_send]
        # Counting is a request too, though the model is not asked.
        counts = None if self.network == "never" else self._count_tokens(requests)
        return price(add_up(requests, times, counts), str(self._settings()["model"]))

    def describe(self, task: Task) -> dict[str, str]:
        """Draft descriptions of the columns that have none, to be read and edited.

        A dict of sentences by column name. Nothing else uses the drafts: correct them,
        then pass them to an estimator as `feature_descriptions`. Raises what `elicit`
        does.
        """
        self._validate_params()
        questions = plan_drafts(task, self.chunk_size)
        sampler = Sampler(task, questions, 1, self._store())
        self._run(sampler)
        return sampler.estimates()[0].reasons

    def check_ready(self, task: Task | None = None) -> None:
        """Check that the model can be asked; nothing is sent.

        Nothing is needed where every estimate for the task is in the cache.

        Raises
        ------
        MissingDependencyError, MissingKeyError
            If the SDK is not installed, or no credentials are found.
        MissingPriorError
            If the task is not in the cache and `network` is "never".
        """
        self._validate_params()
        if task is not None:
            if self.has_cached(task):
                return
            self._check_network(task)
        with self._connect():
            pass

    def identity(self) -> dict[str, Any]:
        """Name what goes into a request, how the provider asks, and how often."""
        return {
            **self._settings(),
            "ask": self.ask,
            "send_levels": self.send_levels,
            "n_estimates": self._n_estimates(),
        }

    def _connect(self) -> AbstractContextManager[Any]:
        """Give what `_complete` needs, such as an SDK client, for one elicitation.

        The provider itself holds nothing that cannot be cloned, copied or pickled.
        """
        return nullcontext()

    def _complete(self, client: Any, request: Request) -> Completion:
        """Send one request; the one thing that each vendor does its own way.

        Raise `TransientError` where trying again may help, a `ProviderError` where
        it will not, and never an error of the SDK, which may hold the key.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define _complete(self, client, request)."
        )

    def _preview(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        """Show what `_complete` sends, "body" at least; vendors know better."""
        names, bodies = ("system", "user", "schema"), []
        for each in requests:
            asked = {name: getattr(each.questionnaire, name) for name in names}
            body = {"model": self.model, **asked, "max_tokens": each.max_tokens}
            bodies.append({"body": body})
        return bodies

    def _count_tokens(self, requests: Sequence[Request]) -> list[int] | None:
        """Count the tokens of requests; None where the vendor cannot be asked."""
        return None

    def _place(self) -> str:
        """Give the address that is asked, if there is one."""
        return ""

    def _settings(self) -> dict[str, Any]:
        """Name the class and the parameters that shape a single answer."""
        shaping = {name: getattr(self, name) for name in self._shaping}
        return {"provider": qualified_name(self), **shaping}

    def _check_network(self, task: Task) -> None:
        """Refuse to send anything where that is not allowed; say how to do without."""
        if self.network != "never":
            return
        raise MissingPriorError(
            f"Not all estimates for {task.target!r} ({len(task.features)} features) "
            f"are in {PriorCache.of(self.cache)!r}, and network='never' forbids "
            "requests. Where there is a network, run `llmreg elicit DATA.csv --target "
            "NAME --provider NAME -o prior.json` and pass the card here as "
            "prior='prior.json'. Or run `llmreg cache export FILE` there and `llmreg "
            "cache import FILE` here. Or set network='allow'."
        )

    def _policy(self) -> RetryPolicy:
        """Say how often and how long to try."""
        return RetryPolicy(attempts=self.max_attempts, budget=float(self.timeout))

    def _sampler(self, task: Task) -> Sampler:
        """Plan what to ask about a task."""
        self._validate_params()
        questions = plan(task, self.ask, self.send_levels, self.chunk_size)
        return Sampler(task, questions, self._n_estimates(), self._store())

    def _n_estimates(self) -> int | str:
        """Say how many answers are averaged."""
        if self.n_estimates is not None:
            return self.n_estimates
        return N_CURVES if self.ask == "curves" else N_SCORES

    def _store(self) -> ResponseStore:
        """Find the responses that are in the cache."""
        cache = PriorCache.of(self.cache)
        return ResponseStore(cache, self._settings(), self.max_tokens)

    def _request(self, question: Questionnaire) -> Request:
        """Make the request that asks a question first."""
        return Request(question, self._room(question.task), self.timeout)

    def _room(self, task: Task) -> int:
        """Choose the most tokens of a reply."""
        if self.max_tokens is not None:
            return self.max_tokens
        per_feature = self._tokens_per_feature
        per_feature += self._tokens_per_score * len(task.outputs)
        least = self._min_tokens
        needed = per_feature * len(task.features)
        if self.ask == "curves":
            needed += self._tokens_per_curve * count_curves(task)
        return max(least, least // 2 + needed)

    def _run(self, sampler: Sampler) -> Counter[str]:
        """Request what is not in the cache, while others wait; count what it took."""
        usage = Counter(requests=0, input_tokens=0, output_tokens=0)
        if not sampler.pending():
            return usage
        self._check_network(sampler.task)
        policy = self._policy()
        # One for all: the wait for the lock, every round, every attempt.
        deadline = policy.deadline()
        # Without a key nobody waits; whoever holds the lock may be requesting the
        # same estimates.
        with (
            self._connect() as client,
            sampler.store.cache.lock(sampler.key, policy.budget),
        ):
            requester = Requester(
                partial(self._complete, client),
                self.max_parallel,
                policy,
                deadline,
                self._room,
                sampler.store,
                usage,
            )
            sampler.run(requester.request)
        return usage
