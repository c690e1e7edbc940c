"""The estimates of one task: which to take from the cache, which to ask, when to stop.

An estimate is one answer to every question of the task. With a number of estimates
all are asked for at once. With "auto" they come in rounds, until the scores have
settled: the standard error of the mean score, s / sqrt(n) with the standard deviation
s of n estimates, is at most `SETTLED` for every feature and output, or `AUTO_MOST`
estimates are there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from llmreg.asking import Question
from llmreg.providers.answers import AnswerStore, Estimate, merge
from llmreg.providers.interview import Job
from llmreg.task import Task

AUTO_FIRST = 3
AUTO_STEP = 2
AUTO_MOST = 11
# On the scale of the scores, from -10 to 10.
SETTLED = 1.0


class Survey:
    """The questions of one task, and the answers to them so far.

    Parameters
    ----------
    task : Task
        The task.
    questions : sequence of Question
        What covers it.
    n_estimates : int or "auto"
        How many answers to each question are wanted.
    store : AnswerStore
        Where answers may be.

    Attributes
    ----------
    answers : dict
        The answers, by question and number of the estimate.
    served : int
        How many of them were in the cache.
    """

    def __init__(
        self,
        task: Task,
        questions: Sequence[Question],
        n_estimates: int | str,
        store: AnswerStore,
    ) -> None:
        self.task = task
        self.questions = questions
        self.store = store
        self.auto = isinstance(n_estimates, str)
        self.first = AUTO_FIRST if isinstance(n_estimates, str) else n_estimates
        self.answers: dict[Job, Estimate] = {}
        self.served = 0
        self._halves: dict[Question, tuple[Question, ...]] = {}

    @property
    def key(self) -> str:
        """What to lock while asking."""
        return self.store.key(self.questions)

    def run(
        self, ask: Callable[[Sequence[Job]], dict[Job, Estimate]]
    ) -> list[Estimate]:
        """Collect estimates until there are enough.

        Parameters
        ----------
        ask : callable
            Gets the answers that are not in the cache.

        Returns
        -------
        list of Estimate
            Each about all features of the task.
        """
        count = self.first
        while True:
            if missing := self.missing(count):
                self.answers |= ask(missing)
            estimates = [self._estimate(index) for index in range(count)]
            if not self.auto or count >= AUTO_MOST or settled(estimates):
                return estimates
            count = min(count + AUTO_STEP, AUTO_MOST)

    def missing(self, count: int) -> list[Job]:
        """List what has to be asked for a number of estimates.

        Parameters
        ----------
        count : int
            The number.

        Returns
        -------
        list of (Question, int)
            In the order of the estimates.
        """
        missing = []
        for index in range(count):
            for question in self.questions:
                job = question, index
                if job in self.answers:
                    continue
                found = self.store.load(question, index)
                if found is None:
                    missing.append(job)
                else:
                    self.answers[job] = found
                    self.served += 1
        return missing

    def cached(self) -> list[Estimate] | None:
        """Collect estimates from the cache alone.

        Returns
        -------
        list of Estimate or None
            None if something would have to be asked.
        """
        try:
            return self.run(_refuse)
        except _NotCached:
            return None

    def lacking(self) -> list[Job]:
        """List what has to be asked next, in the parts that are sent.

        Returns
        -------
        list of (Question, int)
            With "auto" that is one round; none if there are enough estimates.
        """
        try:
            self.run(_refuse)
        except _NotCached as e:
            return [(part, i) for q, i in e.missing for part in self._parts(q, i)]
        return []

    def to_send(self) -> list[tuple[Question, int]]:
        """List the questions as they would be sent now, and how often each.

        Returns
        -------
        list of (Question, int)
            Questions that were found to be too large are there in their parts, those
            that are in the cache not at all. With "auto" the number is the most.
        """
        most = AUTO_MOST if self.auto else self.first
        if self.cached() is not None:
            return []
        times: dict[Question, int] = {}
        for question, index in self.missing(most):
            for part in self._parts(question, index):
                times[part] = times.get(part, 0) + 1
        return list(times.items())

    def _parts(self, question: Question, index: int) -> list[Question]:
        """Resolve a missing question into what is sent for it."""
        if not self.store.is_split(question):
            return [question]
        halves = self._halves.setdefault(question, question.halves())
        return [
            part
            for half in halves
            if self.store.load(half, index) is None
            for part in self._parts(half, index)
        ]

    def _estimate(self, index: int) -> Estimate:
        """Put the answers of one estimate together."""
        parts = [self.answers[question, index] for question in self.questions]
        return merge(parts, self.task)


class _NotCached(Exception):
    """Something would have to be asked."""

    def __init__(self, missing: Sequence[Job]) -> None:
        super().__init__()
        self.missing = missing


def _refuse(missing: Sequence[Job]) -> dict[Job, Estimate]:
    """Ask nobody."""
    raise _NotCached(missing)


def settled(estimates: Sequence[Estimate]) -> bool:
    """Tell whether more estimates would hardly move the mean.

    Parameters
    ----------
    estimates : sequence of Estimate
        At least two.

    Returns
    -------
    bool
        Whether the standard error of every mean score is at most `SETTLED`.
    """
    scores = np.array(
        [[list(row.values()) for row in e.answer.scores.values()] for e in estimates]
    )
    errors = scores.std(axis=0, ddof=1) / np.sqrt(len(estimates))
    return bool((np.nan_to_num(errors) <= SETTLED).all())
