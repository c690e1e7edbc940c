"""The average of what several providers say about one task."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from llmreg.prior import FeaturePrior
from llmreg.providers.answers import now
from llmreg.providers.disputes import disputed
from llmreg.task import Task


def in_words(error: Exception) -> str:
    """Put an error into words.

    Parameters
    ----------
    error : Exception
        An error of llmreg, which holds no secrets.

    Returns
    -------
    str
        Its kind and what it says.
    """
    return f"{type(error).__name__}: {error}"


def average(
    task: Task,
    priors: Sequence[FeaturePrior],
    names: Sequence[str],
    failed: Mapping[str, Exception],
) -> FeaturePrior:
    """Average priors that are in the same order, and say how far apart they are.

    Parameters
    ----------
    task : Task
        What they answer.
    priors : sequence of FeaturePrior
        At least one; with the features and outputs of the task, in its order.
    names : sequence of str
        Whose they are.
    failed : mapping of str to Exception
        Who gave none, and why.

    Returns
    -------
    FeaturePrior
        Each prior counts the same, however many estimates it has.
    """
    missing = {name: in_words(error) for name, error in failed.items()}
    # Those that an ensemble among the members went on without.
    for name, prior in zip(names, priors, strict=True):
        if "failed" in prior.provenance:
            missing[name] = prior.provenance["failed"]
    scores = np.stack([prior.scores for prior in priors])
    mean, std = _moments(scores)
    between = FeaturePrior(task.keys, mean, task.outputs, estimates=scores)
    usage: Counter[str] = Counter()
    for prior in priors:
        usage.update(prior.usage)
    return FeaturePrior(
        features=task.keys,
        scores=mean,
        outputs=task.outputs,
        estimates=np.concatenate(
            [p.scores[None] if p.estimates is None else p.estimates for p in priors]
        ),
        rationale=_reasons(priors, scores, mean),
        task=task.description,
        target=task.target,
        descriptions={
            k: v for p in reversed(priors) for k, v in p.descriptions.items()
        },
        provenance={
            "provider": "llmreg.providers.ensemble.EnsembleProvider",
            "model": ", ".join(
                dict.fromkeys(filter(None, (p.provenance.get("model") for p in priors)))
            ),
            "members": json.dumps(list(names)),
            "disagreement": f"{np.nanmean(std) if (~np.isnan(std)).any() else 0:.3g}",
            "disputed": json.dumps(list(disputed(between)), ensure_ascii=False),
            "created": now(),
            **({"failed": json.dumps(missing, ensure_ascii=False)} if missing else {}),
        },
        usage=dict(usage),
    )


def _moments(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give mean and standard deviation over the members that have an opinion."""
    known = ~np.isnan(scores)
    n = known.sum(axis=0)
    total = np.maximum(n, 1)
    mean = np.nansum(scores, axis=0) / total
    std = np.sqrt(np.nansum((scores - mean) ** 2, axis=0) / total)
    return np.where(n > 0, mean, np.nan), np.where(n > 0, std, np.nan)


def _reasons(
    priors: Sequence[FeaturePrior], scores: np.ndarray, mean: np.ndarray
) -> dict[str, str]:
    """Take each reason from the member nearest to the average that gives one."""
    distance = np.nan_to_num(np.abs(scores - mean), nan=np.inf).sum(axis=1)
    chosen = {}
    for j, key in enumerate(priors[0].features):
        for i in np.argsort(distance[:, j], kind="stable"):
            if reason := priors[i].rationale.get(key):
                chosen[key] = reason
                break
    return chosen
