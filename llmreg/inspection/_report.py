"""A page about a model, for the people who must sign it off."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from llmreg._base import BaseAttributionEstimator
from llmreg.inspection._comparison import last_step, with_prior
from llmreg.inspection._report_html import STYLE, Markup, element, facts, join
from llmreg.inspection._report_results import (
    NOTHING,
    Performance,
    curve_picture,
    limits_section,
    measure,
    model_section,
    performance_section,
)
from llmreg.inspection._report_sections import (
    alignment_section,
    number,
    prior_section,
    sent_section,
    task_section,
    trust_section,
)
from llmreg.linear_model._trust import each_trust, has_opinion
from llmreg.prior._task import Task

__all__ = ["format_report", "write_report"]


def write_report(
    model: Any,
    path: str | os.PathLike[str],
    X: Any = None,
    y: Any = None,
    *,
    title: str | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> None:
    """Write a page about a fitted model: one HTML file that fetches nothing.

    It tells the task, the prior with its reasons and its source, what was sent to
    whom, what the model made of the prior, and how good it is with the prior and
    without. It holds names, descriptions and levels of the columns, and no row.

    Parameters
    ----------
    model : estimator, Pipeline or search
        A fitted estimator of llmreg, a pipeline whose last step is one, or a search
        whose best estimator is one of these.
    path : str or path-like
        The file; replaced if it is there.
    X : DataFrame or array-like of shape (n_samples, n_features), default=None
        A table to measure the performance on, by cross-validation; None measures
        none.
    y : Series or array-like of shape (n_samples,) or (n_samples, n_targets), \
            default=None
        Its labels or targets.
    title : str, default=None
        The headline.
    random_state : int, default=0
        Seed of the folds.
    n_jobs : int, default=None
        Processes of the cross-validation.

    Raises
    ------
    TypeError
        If the model is none of llmreg.
    NotFittedError
        If it is not fitted.
    ValueError
        If one of `X` and `y` is given without the other.
    DataError
        If the table cannot be used.
    MissingDependencyError
        If matplotlib is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from llmreg import LLMAttributionClassifier
    >>> from llmreg.inspection import write_report
    >>> model = LLMAttributionClassifier([8, 1]).fit([[1, 2], [3, 2]], ["a", "b"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = Path(folder) / "report.html"
    ...     write_report(model, page)
    ...     page.read_text(encoding="utf-8")[:15]
    '<!doctype html>'
    """
    text = format_report(
        model, X, y, title=title, random_state=random_state, n_jobs=n_jobs
    )
    Path(path).write_text(text, encoding="utf-8", errors="replace")


def format_report(
    model: Any,
    X: Any = None,
    y: Any = None,
    *,
    title: str | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> str:
    """Give the text of the page that `write_report` writes.

    Parameters
    ----------
    model : estimator, Pipeline or search
        As in `write_report`.
    X : DataFrame or array-like of shape (n_samples, n_features), default=None
        A table to measure the performance on.
    y : Series or array-like of shape (n_samples,) or (n_samples, n_targets), \
            default=None
        Its labels or targets.
    title : str, default=None
        The headline.
    random_state : int, default=0
        Seed of the folds.
    n_jobs : int, default=None
        Processes of the cross-validation.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    TypeError
        If the model is none of llmreg.
    ValueError
        If one of `X` and `y` is given without the other.

    Examples
    --------
    >>> from llmreg import LLMAttributionRegressor
    >>> from llmreg.inspection import format_report
    >>> model = LLMAttributionRegressor().fit([[1, 2], [3, 2]], [1, 2])
    >>> "No table was given" in format_report(model)
    True
    """
    if (X is None) != (y is None):
        raise ValueError("A table needs both X and y; one of them is None.")
    if isinstance(y, pd.DataFrame) and y.shape[1] == 1:
        # A table of one column, as X[["target"]] makes it, is that column.
        y = y.squeeze(axis=1)
    estimator = getattr(model, "best_estimator_", model)
    inner = last_step(estimator)
    check_is_fitted(inner, "attributions_")
    task = inner._describe_task()
    found, curve = None, Markup()
    if X is not None:
        prior = inner.prior_ if has_opinion(inner.prior_) else None
        found = measure(
            estimator, prior, X, y, random_state=random_state, n_jobs=n_jobs
        )
        if prior is not None and inner.gamma != 0:
            settled = with_prior(estimator, prior)
            curve = curve_picture(settled, X, y, found.metrics, random_state)
    head = title or f"Model report: {task.target}"
    return _page(
        head,
        _summary(inner, task, found),
        task_section(task, inner.prior_),
        prior_section(inner.prior_, task),
        sent_section(inner.prior_, inner.prior, task),
        alignment_section(inner),
        trust_section(inner),
        performance_section(found, curve),
        model_section(estimator, inner),
        limits_section(),
    )


def _page(title: str, *sections: Markup) -> str:
    """Put the page together."""
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        # Nothing is fetched and nothing runs, whatever the names of features are.
        element(
            "meta",
            http_equiv="Content-Security-Policy",
            content="default-src 'none'; style-src 'unsafe-inline'; img-src data:",
        ),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    header = element(
        "header",
        element("h1", title),
        element("p", f"Written by llmreg on {written}", class_="soft"),
    )
    page = element("html", head, element("body", header, *sections), lang="en")
    return f"<!doctype html>\n{page}\n"


def _summary(
    model: BaseAttributionEstimator, task: Task, found: Performance | None
) -> Markup:
    """Give the page in a few facts."""
    prior = model.prior_
    pairs = [("Predicts", task.target)]
    if has_opinion(prior):
        assert prior is not None
        told = prior.provenance
        source = told.get("model") or told.get("provider")
        at_hand = "recorded scores" if told.get("source") else "scores at hand"
        pairs.append(("Prior", source or at_hand))
        aligned = model.alignment_[~np.isnan(model.alignment_)]
        pairs.append(("Alignment, mean cosine", number(float(aligned.mean()))))
        pairs.append(("The rows and the prior", _trust_in_short(model)))
    else:
        pairs.append(("Prior", "none"))
    if found is None:
        pairs.append(("Performance", "not measured"))
    else:
        metric = found.metrics[0]
        text = "; ".join(
            f"{scores[metric.name].mean():.3f} {way}"
            for way, scores in found.scores.items()
            if way != NOTHING
        )
        name = metric.name.partition(",")[0]
        pairs.append((f"{name}, held out", text))
    return join([facts(pairs)])


def _trust_in_short(model: BaseAttributionEstimator) -> str:
    """Say in a few words how far the rows bear the prior out."""
    trusts = each_trust(model.trust_)
    if not trusts:
        return f"not weighed (gamma={model.gamma!r})"
    against = sum(len(trust.contradictions) for trust in trusts)
    cosine = float(np.mean([trust.cosine for trust in trusts]))
    scores = "score" if against == 1 else "scores"
    return f"cosine {cosine:.2f}; {against} {scores} contradicted"
