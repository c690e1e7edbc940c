"""The one method of every provider, and what all language models have in common."""

from __future__ import annotations

import logging
import os
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from llmreg.exceptions import MissingPriorError
from llmreg.prior import FeaturePrior
from llmreg.prompting import PROMPT_VERSION, Questionnaire, build_questionnaire
from llmreg.providers.answers import AnswerStore, Estimate, combine, now
from llmreg.providers.cache import PriorCache
from llmreg.providers.interview import Completion, Interview, Request
from llmreg.providers.retry import RetryPolicy
from llmreg.task import Task

logger = logging.getLogger(__name__)

MIN_TOKENS = 8192


class PriorProvider(BaseEstimator):
    """Base of what delivers a prior for a task.

    A provider of your own needs one method, `elicit`. Inheriting from this class
    gives it `get_params` and `set_params` as well, so that it is cloned with the
    estimator and a search can reach its parameters as ``prior__name``. As in every
    scikit-learn object, the constructor only assigns its arguments.

    Examples
    --------
    >>> from llmreg.prior import FeaturePrior
    >>> from llmreg.providers import PriorProvider
    >>> from llmreg.task import Feature, Task
    >>> class Cautious(PriorProvider):
    ...     def elicit(self, task):
    ...         return FeaturePrior.from_dict({key: 1 for key in task.keys})
    >>> task = Task((Feature("age"),), "survived", ("yes",), "classification")
    >>> Cautious().elicit(task).scores
    array([[1.]])
    """

    @property
    def requires_feature_names(self) -> bool:
        """Whether columns without names are refused before anything is asked."""
        return True

    def elicit(self, task: Task) -> FeaturePrior:
        """Give a score for every feature and output of a task.

        Parameters
        ----------
        task : Task
            What is predicted from what.

        Returns
        -------
        FeaturePrior
            The scores, by name.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define elicit(self, task), which returns a "
            "FeaturePrior: for instance FeaturePrior.from_dict({key: score for key in "
            "task.keys})."
        )

    def identity(self) -> dict[str, Any]:
        """Name everything about the provider that shapes its answers.

        A cache keeps the answers of providers with different identities apart.

        Returns
        -------
        dict
            The class and the parameters.
        """
        return {"provider": qualified_name(self), **self.get_params(deep=False)}


class LLMProvider(PriorProvider):
    """Base of the providers that ask a language model.

    The questionnaire is the same for every vendor, and so are the promises: several
    independent estimates side by side, each kept in a cache as soon as it arrives,
    retries bounded by attempts and by wall clock, and replies that are checked
    before use. A vendor's class is its parameters, `_connect` and `_complete`.

    Parameters that the class of a vendor has, under these names:

    model : str
        The model to ask.
    n_estimates : int
        Independent answers to average.
    max_parallel : int
        The most requests at one time.
    max_tokens : int or None
        Room for a reply, thinking included; None goes by the number of features.
    max_attempts : int
        The most times that one request is sent.
    timeout : float
        Seconds for a whole elicitation, waits included.
    cache : PriorCache, str, path-like or None
        Where answers are kept.
    network : {"allow", "never"}
        Whether what is not in the cache may be asked for. Optional.
    """

    model: str
    n_estimates: int
    max_parallel: int
    max_tokens: int | None
    max_attempts: int
    timeout: float
    cache: PriorCache | str | os.PathLike[str] | None
    network: str = "allow"

    # Names of the parameters that shape a single answer, and so its cache key.
    _shaping: tuple[str, ...] = ("model",)

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "model": [str],
        "n_estimates": [Interval(Integral, 1, None, closed="left")],
        "max_parallel": [Interval(Integral, 1, None, closed="left")],
        "max_tokens": [Interval(Integral, 1, None, closed="left"), None],
        "max_attempts": [Interval(Integral, 1, None, closed="left")],
        "timeout": [Interval(Real, 0, None, closed="neither")],
        "cache": [PriorCache, str, os.PathLike, None],
        "network": [StrOptions({"allow", "never"})],
    }

    def elicit(self, task: Task) -> FeaturePrior:
        """Ask the model for its prior, or take what it has answered before.

        Parameters
        ----------
        task : Task
            What is predicted from what; all that the model is told.

        Returns
        -------
        FeaturePrior
            The average of the estimates, with reasons, provenance and usage.

        Raises
        ------
        MissingKeyError, MissingDependencyError
            Before anything is sent.
        MissingPriorError
            If estimates are not in the cache and `network` is "never".
        ProviderAuthenticationError
            If the account is refused.
        ProviderUnavailableError
            If no answer came within the attempts and the time allowed.
        ProviderResponseError
            If the answers cannot be used.
        """
        self._validate_params()
        questionnaire = build_questionnaire(task)
        store = self._store(task, questionnaire)
        wanted = range(self.n_estimates)
        found = store.load(wanted)
        usage = Counter(requests=0, input_tokens=0, output_tokens=0)
        usage["served_from_cache"] = len(found)
        if len(found) < self.n_estimates:
            self._check_network(task)
            self.check_ready()
            with store.cache.lock(store.key, self.timeout):
                # Whoever held the lock may have asked for the same estimates.
                found = store.load(wanted)
                usage["served_from_cache"] = len(found)
                missing = [index for index in wanted if index not in found]
                if missing:
                    found |= self._ask(task, questionnaire, store, missing, usage)
        provenance = {
            "provider": qualified_name(self),
            "prompt_version": PROMPT_VERSION,
            "prompt_hash": questionnaire.digest,
        }
        return combine(task, [found[index] for index in wanted], provenance, usage)

    def check_ready(self, task: Task | None = None) -> None:
        """Check that the model can be asked; nothing is sent.

        Parameters
        ----------
        task : Task or None, default=None
            The task, if it is known: nothing is needed where every estimate for it
            is in the cache.

        Raises
        ------
        MissingDependencyError
            If the SDK is not installed.
        MissingKeyError
            If no credentials are found.
        MissingPriorError
            If the task is not in the cache and `network` is "never".
        """
        self._validate_params()
        if task is not None:
            store = self._store(task, build_questionnaire(task))
            if len(store.load(range(self.n_estimates))) == self.n_estimates:
                return
            self._check_network(task)
        with self._connect():
            pass

    def identity(self) -> dict[str, Any]:
        """Name everything about the provider that shapes its answers.

        Returns
        -------
        dict
            The class, the parameters that go into a request, and `n_estimates`.
        """
        return {**self._settings(), "n_estimates": self.n_estimates}

    def _connect(self) -> AbstractContextManager[Any]:
        """Give what `_complete` needs, such as an SDK client, for one elicitation.

        It is made when it is needed and closed afterwards, so that the provider
        itself holds nothing that cannot be cloned, copied or pickled.
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

    def _settings(self) -> dict[str, Any]:
        """Name the class and the parameters that shape a single answer."""
        shaping = {name: getattr(self, name) for name in self._shaping}
        return {"provider": qualified_name(self), **shaping}

    def _check_network(self, task: Task) -> None:
        """Refuse to ask where asking is not allowed; say how to do without."""
        if self.network != "never":
            return
        raise MissingPriorError(
            f"Not all estimates for {task.target!r} ({len(task.features)} features) "
            f"are in {PriorCache.of(self.cache)!r}, and network='never' forbids to ask "
            "for them. Where there is a network, run `llmreg elicit DATA.csv --target "
            "NAME --provider NAME -o prior.json` and bring the card: "
            "prior='prior.json'. Or bring the answers: `llmreg cache export FILE` "
            "there, `llmreg cache import FILE` here. Or set network='allow'."
        )

    def _policy(self) -> RetryPolicy:
        """Say how often and how long to try."""
        return RetryPolicy(attempts=self.max_attempts, budget=self.timeout)

    def _store(self, task: Task, questionnaire: Questionnaire) -> AnswerStore:
        """Find the estimates that are in the cache."""
        cache = PriorCache.of(self.cache)
        return AnswerStore(cache, task, questionnaire, self._settings())

    def _room(self, task: Task) -> int:
        """Choose `max_tokens`: reasons and scores of all features, and thinking."""
        if self.max_tokens is not None:
            return self.max_tokens
        per_feature = 80 + 16 * len(task.outputs)
        return max(MIN_TOKENS, MIN_TOKENS // 2 + per_feature * len(task.features))

    def _ask(
        self,
        task: Task,
        questionnaire: Questionnaire,
        store: AnswerStore,
        missing: list[int],
        usage: Counter[str],
    ) -> dict[int, Estimate]:
        """Ask for the estimates that are not in the cache, and count what it took."""
        logger.info("asking %s for %d estimates", self.model, len(missing))
        with self._connect() as client:
            interview = Interview(
                task,
                questionnaire,
                partial(self._complete, client),
                self._policy(),
                self._room(task),
            )
            replies = interview.ask(missing, self.max_parallel, store.save)
        usage.update(interview.usage)
        return {
            index: Estimate(answer, completion.model, now())
            for index, (completion, answer) in replies.items()
        }


def qualified_name(thing: object) -> str:
    """Name the class of an object, with its module.

    Parameters
    ----------
    thing : object
        Anything.

    Returns
    -------
    str
        Such as ``llmreg.providers.base.PriorProvider``.
    """
    return f"{type(thing).__module__}.{type(thing).__qualname__}"
