"""A page about a model, for the people who must sign it off."""

import os
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from typing import Any

import pandas as pd
from sklearn.utils.validation import check_is_fitted

from llmreg._base import BaseAttributionEstimator
from llmreg._utils import import_optional
from llmreg._utils._files import write_text
from llmreg._utils._text import escape, list_names
from llmreg.exceptions import DataError
from llmreg.inspection._comparison import (
    PriorCurveDisplay,
    last_step,
    measure,
    with_prior,
)
from llmreg.inspection._fitted_display import AlignmentDisplay, TrustDisplay
from llmreg.inspection._plotting import load_pyplot
from llmreg.inspection._prior_display import PriorDisplay
from llmreg.inspection._report_content import content
from llmreg.inspection._shape_display import ShapeDisplay
from llmreg.linear_model._trust import has_opinion
from llmreg.nn._additive import AdditiveModel
from llmreg.nn._factory import linear_part
from llmreg.prior._feature_prior import FeaturePrior

# Features in a picture of one or two outputs, and of more; the tables name all.
N_FEATURES, N_FEATURES_EACH, N_SHAPES = 30, 15, 9
# The same picture is the same text: ids are hashed, and nothing tells the time.
SETTINGS = {"svg.hashsalt": "llmreg", "svg.fonttype": "path", "font.size": 10}

# For the light and the dark page: the style, the address that holds it, the width.
Images = list[tuple[str, str, str]]


def write_report(
    model: Any,
    path: str | os.PathLike[str],
    X: Any = None,
    y: Any = None,
    **options: Any,
) -> None:
    """Write a page about a fitted model: one HTML file that fetches nothing.

    It shows the task, the prior with reasons and source, what was sent to whom, what
    the model made of the prior, and the performance with the prior and without. It
    holds names, descriptions and levels of the columns, and no row.

    Parameters
    ----------
    model : estimator, Pipeline or search
        A fitted estimator of llmreg, a pipeline whose last step is one, or a search
        whose best estimator is one of these.
    path : str or path-like
        The file; replaced if it is there.
    X, y : DataFrame or array-like, default=None
        A table to measure the performance on, by cross-validation, and its labels or
        targets.
    **options : dict
        `title`, `random_state` and `n_jobs`, as `format_report` takes them.

    Raises
    ------
    TypeError, NotFittedError
        If the model is no fitted one of llmreg.
    ValueError
        If one of `X` and `y` is given without the other.
    DataError
        If the table cannot be used.
    MissingDependencyError
        If matplotlib or jinja2 is not installed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from llmreg import LLMAttributionClassifier
    >>> from llmreg.inspection import write_report
    >>> model = LLMAttributionClassifier([8, 1]).fit([[1, 2], [3, 2]], ["a", "b"])
    >>> with TemporaryDirectory() as folder:
    ...     write_report(model, Path(folder) / "report.html")
    """
    write_text(path, format_report(model, X, y, **options), errors="replace")


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
    X, y : DataFrame or array-like, default=None
        A table to measure the performance on, and its labels or targets.
    title : str, default=None
        The headline.
    random_state, n_jobs : int, default=0 and None
        Seed and processes of the cross-validation.

    Returns
    -------
    str
        HTML.

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
    template = load_template()
    estimator = getattr(model, "best_estimator_", model)
    inner = last_step(estimator)
    check_is_fitted(inner, "attributions_")
    prior = inner.prior_ if has_opinion(inner.prior_) else None
    images, performance, no_curve = _pictures(inner), None, ""
    if X is not None:
        performance = measure(
            estimator, prior, X, y, random_state=random_state, n_jobs=n_jobs
        )
        if prior is not None and inner.gamma != 0:
            settled = with_prior(estimator, prior)
            scoring = next(iter(performance.metrics.values()))
            if scoring == "r2":
                scoring = "neg_mean_absolute_error"
            try:
                images["curve"] = draw_curve(settled, X, y, scoring, random_state)
            except DataError as error:
                no_curve = str(error)
    found = content(estimator, inner, performance)
    return template.render(
        title=title or f"Model report: {found['task'].target}",
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        images=images,
        no_curve=no_curve,
        listed=partial(list_names, limit=12, write=str),
        **found,
    )


def load_template() -> Any:
    """Load the template of the page, which escapes whatever it is given."""
    jinja2 = import_optional("jinja2", "llmreg[report]")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("llmreg.inspection"),
        autoescape=True,
        finalize=show_hidden,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html")


def show_hidden(value: Any) -> Any:
    """Write as escapes what would hide or move other text; markup is left alone."""
    if hasattr(value, "__html__"):
        return value
    return escape(str(value), keep="\n")


def _pictures(model: BaseAttributionEstimator) -> dict[str, Images]:
    """Draw the prior, and what the model made of it."""
    prior: FeaturePrior | None = model.prior_
    if prior is None or (prior.provenance.get("error") and not has_opinion(prior)):
        return {}
    few = len(prior.outputs) <= 2
    options: dict[str, Any] = {"n_features": N_FEATURES if few else N_FEATURES_EACH}
    images = {"prior": draw(partial(PriorDisplay.from_prior, prior, **options))}
    if has_opinion(prior):
        align = partial(AlignmentDisplay.from_estimator, model, **options)
        images["alignment"] = draw(align)
    module = model.net_.module_
    if isinstance(linear_part(module), AdditiveModel):
        shapes = partial(ShapeDisplay.from_estimator, model, n_features=N_SHAPES)
        images["shapes"] = draw(shapes)
    if model.trust_ is not None:
        images["trust"] = draw(partial(TrustDisplay.from_estimator, model, **options))
    return images


def draw_curve(estimator: Any, X: Any, y: Any, scoring: str, seed: int) -> Images:
    """Draw the learning curves; raises DataError where there are too few rows."""
    display = PriorCurveDisplay.from_estimator(
        estimator, X, y, n_repeats=5, scoring=scoring, random_state=seed
    )
    load_pyplot().close(display.figure_)
    return draw(display.plot)


def draw(make: Callable[[], Any]) -> Images:
    """Draw a display for a light and a dark page; as images, SVGs run no script."""
    plt = load_pyplot()
    images = []
    for kind, style in (("light", "default"), ("dark", "dark_background")):
        # "default" first: a matplotlibrc is the taste of a person, not of a report.
        with plt.style.context(["default", style, SETTINGS]):
            figure = make().figure_
            file = BytesIO()
            options = {"transparent": True, "metadata": {"Date": None}}
            figure.savefig(file, format="svg", **options)
            plt.close(figure)
        text = b64encode(file.getvalue()).decode("ascii")
        width = round(96 * figure.get_figwidth())
        images.append((kind, f"data:image/svg+xml;base64,{text}", str(width)))
    return images
