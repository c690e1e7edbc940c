"""A fitted linear or additive model as a pipeline of scikit-learn's own parts."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
)
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    SplineTransformer,
    StandardScaler,
)
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from llmreg._base import BaseAttributionEstimator
from llmreg.exceptions import ExportError
from llmreg.nn._additive import AdditiveModel
from llmreg.nn._net import LinearModel
from llmreg.preprocessing._levels import level_number, level_value
from llmreg.preprocessing._scaler import BoundedScaler, fit_minmax

# Stands for a gap among levels, which are hardly called so.
_GAP = "\x00missing"
# So near to the end of a range that levelling off is less than rounding.
_NEAR = 1e-5


def to_sklearn(model: Any) -> Pipeline:
    """Turn a linear or additive model into a pipeline of scikit-learn's own parts.

    Neither torch nor llmreg is needed to load it and to predict with it.

    Parameters
    ----------
    model : LLMAttributionClassifier or LLMAttributionRegressor
        A fitted model without hidden layers.

    Returns
    -------
    Pipeline
        Two steps: ``"table"``, a ColumnTransformer that fills gaps, scales, and opens
        columns for levels; and ``"model"``, a LogisticRegression, LinearRegression or
        PoissonRegressor with the weights of `model`. It takes the tables of pandas and
        the arrays that `model` takes; gaps in a numeric column of Python objects are
        None and NaN.

    Raises
    ------
    ExportError
        If the model is none of llmreg's, or has hidden layers or trees on top, or if
        a scaler of your own bends a curve where scikit-learn has no counterpart.

    See Also
    --------
    to_onnx : Any model as an ONNX graph.

    Notes
    -----
    The first step is frozen: it keeps what it has learnt. To fit the pipeline again
    would train its second step without the prior.

    With ``scaler="bounded"`` a numeric column becomes three: the scaled value kept
    within 0 and 1, and one for what lies beyond either end. A column with a curve
    becomes one for each knot of its shape, by a SplineTransformer of degree 1: the
    weight is the height of the shape there. Beside a code of the curve lie two knots
    with no number between them.

    Examples
    --------
    >>> import pandas as pd
    >>> from llmreg import LLMAttributionClassifier
    >>> from llmreg.export import to_sklearn
    >>> X = pd.DataFrame({"age": [61, 34, 47, 70], "sex": ["m", "f", "f", "m"]})
    >>> model = LLMAttributionClassifier({"age": 6}).fit(X, [1, 0, 0, 1])
    >>> to_sklearn(model).predict(X)
    array([1, 0, 0, 1])
    """
    check_exportable(model)
    module, encoder = model.net_.module_, model.encoder_
    if not isinstance(module, LinearModel | AdditiveModel):
        raise ExportError(
            "Only a model without hidden layers is a pipeline of scikit-learn's own "
            f"parts; this one holds a {type(module).__name__}. llmreg.export.to_onnx "
            "exports it."
        )
    weight, bias = array_of(module.weight), array_of(module.bias)
    names = getattr(model, "feature_names_in_", np.arange(encoder.n_features_in_))
    parts = [*_numbers(encoder, names, module), *_levels(encoder, names, weight)]
    table = ColumnTransformer(
        [(part.name, FrozenEstimator(part.steps), part.columns) for part in parts]
    )
    # A global request for frames is not for its steps, which give arrays and series.
    table.set_output(transform="default").fit(_one_row(encoder, names))
    weights = np.hstack([part.weights for part in parts])
    final = _final(model, *model._in_units(weights, bias))
    return Pipeline([("table", table), ("model", final)])


class _Part(NamedTuple):
    """Columns of one kind: what encodes them, and the weights of what that makes."""

    name: str
    columns: Any
    steps: Pipeline
    weights: np.ndarray


def _numbers(encoder: Any, names: np.ndarray, module: Any) -> list[_Part]:
    """Make one part for all numeric columns, if there are any."""
    if not encoder._numeric:
        return []
    columns = names[encoder._numeric]
    places = np.flatnonzero(~is_level(encoder))
    weights = array_of(module.weight)[:, places]
    steps = _filling(encoder, _frame(np.zeros((1, len(columns))), columns))
    scaler = encoder.scaler_
    is_bounded = isinstance(scaler, BoundedScaler)
    is_additive = isinstance(module, AdditiveModel)
    if is_bounded:
        steps.append(("scale", _bounded(scaler, is_additive)))
        weights = np.hstack([weights, -weights, weights])
    elif scaler is not None:
        steps.append(("scale", copy.deepcopy(scaler)))
    if is_additive:
        shapes, weights = _shapes(module, places, weights, is_bounded)
        steps.append(("shapes", shapes))
    return [_Part("numbers", list(columns), Pipeline(steps), weights)]


def _shapes(
    module: AdditiveModel, places: np.ndarray, weights: np.ndarray, is_bounded: bool
) -> tuple[ColumnTransformer, np.ndarray]:
    """Open columns with a curve at the knots of their shapes; others pass."""
    n_columns, n_made = len(places), weights.shape[1]
    shaped = np.searchsorted(places, module.basis.columns)
    plain = [i for i in range(n_made) if i % n_columns not in shaped]
    steps: list[Any] = [("columns", "passthrough", plain)]
    found = [weights[:, plain]]
    for number, place in enumerate(shaped):
        knots, heights = module.shape(number)
        if is_bounded and (min(knots) < -_NEAR or max(knots) > 1 + _NEAR):
            raise ExportError(
                "A curve bends beyond the range of the scaler, where values level off "
                'and scikit-learn has no counterpart. Fit with scaler="bounded", whose '
                "range holds the curves, or export with llmreg.export.to_onnx."
            )
        flat: dict[str, Any] = {"degree": 1, "extrapolation": "constant"}
        spline = SplineTransformer(knots=knots[:, None], **flat)
        # Of scaling that levels off the last columns are those that do not.
        steps.append((f"shape{place}", spline, [place + is_bounded * n_made]))
        found.append(heights)
    rows = np.zeros((2, n_made + is_bounded * n_columns))
    return ColumnTransformer(steps).fit(rows), np.hstack(found)


def _filling(encoder: Any, row: Any) -> list[tuple[str, Any]]:
    """Make the steps that fill gaps; the first makes floats of what a table holds."""
    _check_zeros(encoder)
    if isinstance(encoder.imputer, str):
        # The median of a single row is that row; unlike the most frequent value it is
        # of numbers, whatever the type of the column.
        imputer = SimpleImputer(strategy="median").fit(row + fills_of(encoder))
        return [("gaps", imputer)]
    floats = StandardScaler(with_mean=False, with_std=False).fit(row)
    imputer = copy.deepcopy(encoder.imputer_)
    return [("floats", floats), *([] if imputer is None else [("gaps", imputer)])]


def _bounded(scaler: BoundedScaler, is_additive: bool) -> FeatureUnion:
    """Level off beyond 0 and 1, in parts whose sum is that of `_scaler.soft_clip`.

    With s the scaled value that is its clipped value, less 1 / max(s, 1), plus
    1 / max(1 - s, 1). Shapes, flat beyond either end, take s itself.
    """
    low, scale = scaler.data_min_, scaler.scale_
    end = low + np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    reciprocal = [
        ("at_least_1", _function(np.clip, a_min=1.0, a_max=None)),
        ("reciprocal", _function(np.reciprocal)),
    ]
    turn = ("turn", _function(np.negative))
    whole = fit_minmax(MinMaxScaler(), low, scale)
    above = Pipeline([("scale", whole), *reciprocal])
    turned = fit_minmax(MinMaxScaler(), -end, scale)
    below = Pipeline([turn, ("scale", turned), *reciprocal])
    within = fit_minmax(MinMaxScaler(clip=True), low, scale)
    parts = [("within", within), ("above", above), ("below", below)]
    return FeatureUnion([*parts, *([("whole", whole)] * is_additive)])


def _levels(encoder: Any, names: np.ndarray, weight: np.ndarray) -> list[_Part]:
    """Make a part for every categorical column."""
    parts = []
    columns = np.flatnonzero(is_level(encoder))
    opened = zip(encoder._categorical, encoder._levels, encoder.gap_names, strict=True)
    for place, levels, gap in opened:
        places = spellings(levels, gap)
        if bad := [name for name in places if name == _GAP or name.endswith("\0")]:
            raise ExportError(
                f"The column {encoder._names[place]!r} has the levels {bad}, and NumPy "
                "drops the character NUL from the end of a text. Rename them and fit "
                "again."
            )
        if gap is not None:
            places[_GAP] = levels.index(gap)
        own, columns = np.split(columns, [len(levels)])
        weights = weight[:, own[list(places.values())]]
        steps = _onehot([*places])
        if place in encoder._decimal:
            numbers = {level_number(name): name for name in levels if name != gap}
            numbers.pop(None, None)
            replace = _function(pd.Series.replace, to_replace=numbers)
            steps.steps.insert(1, ("decimals", replace))
        # A single column, and not a list of one, arrives as pandas has it.
        parts.append(_Part(f"levels{place}", names[place], steps, weights))
    return parts


def _onehot(spelled: list[str]) -> Pipeline:
    # pandas knows what is missing, in columns of any type; objects that are spelled
    # would turn a gap into a level called None.
    unknown: dict[str, Any] = {"handle_unknown": "ignore", "sparse_output": False}
    onehot = OneHotEncoder(categories=[spelled], **unknown)
    imputer = SimpleImputer(strategy="constant", fill_value=_GAP)
    row = np.array([[spelled[0]]], dtype=object)
    return Pipeline(
        [
            ("values", _function(pd.Series, dtype="object")),
            ("category", _function(pd.Categorical)),
            ("objects", _function(np.array, dtype="O")),
            ("column", _function(np.expand_dims, axis=1)),
            ("gaps", imputer.fit(row)),
            ("spelling", _function(np.array, dtype="U")),
            ("onehot", onehot.fit(row)),
        ]
    )


def _function(function: Any, **options: Any) -> FunctionTransformer:
    return FunctionTransformer(
        function, kw_args=options or None, feature_names_out="one-to-one"
    )


def _one_row(encoder: Any, names: np.ndarray) -> Any:
    """Make a row that the table's transformers take, to learn its columns from."""
    row: list[Any] = [0.0] * len(names)
    for place, levels in zip(encoder._categorical, encoder._levels, strict=True):
        row[place] = levels[0]
    dtype = object if encoder._categorical else np.float64
    return _frame(np.array([row], dtype=dtype), names)


def _frame(rows: np.ndarray, names: np.ndarray) -> Any:
    """Name the columns of rows, where they are known by name and not by number."""
    return rows if names.dtype.kind == "i" else pd.DataFrame(rows, columns=names)


def _final(
    model: Any, weights: np.ndarray, intercept: Any
) -> LogisticRegression | LinearRegression | PoissonRegressor:
    """Make the last step, with weights in place of a fit."""
    if is_classifier(model):
        final = LogisticRegression()
        final.classes_ = model.classes_
        final.n_iter_ = np.array([model.n_iter_], dtype=np.int32)
    elif model._loss_name() == "poisson":
        final = PoissonRegressor()
        final._base_loss = final._get_loss()
        final.n_iter_ = model.n_iter_
        intercept = np.reshape(intercept, -1)[0]
        weights = np.reshape(weights, -1)
    else:
        final = LinearRegression()
    final.coef_, final.intercept_ = weights, intercept
    final.n_features_in_ = weights.shape[-1]
    return final


def check_model(model: Any) -> None:
    """Raise unless something is a fitted estimator of llmreg."""
    if not isinstance(model, BaseAttributionEstimator):
        raise ExportError(
            "Expected an LLMAttributionClassifier or LLMAttributionRegressor; got "
            f"{type(model).__name__}. Of a search pass best_estimator_, of a "
            "pipeline its last step."
        )
    check_is_fitted(model, "net_")


def check_exportable(model: Any) -> None:
    """Raise unless something is a fitted estimator without trees on top."""
    check_model(model)
    if model.trees_ is not None:
        raise ExportError(
            "Boosted trees lie on top of this model, which no export holds. Fit with "
            "trees=None for a model that can be exported, or save this one with joblib."
        )


def array_of(values: Tensor) -> np.ndarray:
    """Give weights of a module in double precision."""
    return np.asarray(values.detach().cpu().numpy(), dtype=np.float64)


def is_level(encoder: Any) -> np.ndarray:
    """Say of each encoded column whether it is that of a level."""
    return np.array([column.level is not None for column in encoder.columns_])


def fills_of(encoder: Any) -> np.ndarray | None:
    """Read off what gaps of the numeric columns are filled with, for each of them."""
    _check_zeros(encoder)
    imputer = encoder.imputer_
    if imputer is None:
        return None
    if not isinstance(encoder.imputer, str):
        raise no_counterpart("imputer", imputer, '"median", "mean", "most_frequent"')
    # A row of gaps shows what each is filled with, a column without values included.
    gaps = np.full((1, len(encoder._numeric)), np.nan)
    return np.asarray(imputer.transform(gaps), dtype=np.float64)[0]


def _check_zeros(encoder: Any) -> None:
    """Refuse the scaling of sparse columns that reach below 0."""
    ranges = encoder._ranges
    if ranges is not None and ranges.keeps_zeros and (ranges.low < 0).any():
        raise ExportError(
            "Of a sparse matrix zeros stay zeros, and some of its columns are below 0: "
            "their scaling has no counterpart. Fit a dense array, or set scaler=None."
        )


def spellings(levels: Sequence[str], gap: str | None) -> dict[str, int]:
    """Give the place of every spelling of a level; gaps, called `gap`, have none."""
    found = {}
    for place, level in enumerate(levels):
        if level == gap:
            continue
        value = level_value(level)
        found[level] = place
        if level_value(f"{value}.0") == value:
            also = {"0": ["False", "-0", "-0.0"], "1": ["True"]}.get(value, [])
            # Python writes large numbers with an exponent.
            if level_value(large := repr(float(value))) == value:
                also.append(large)
            found |= dict.fromkeys([value, f"{value}.0", *also], place)
    return found


def no_counterpart(what: str, transformer: Any, known: str) -> ExportError:
    return ExportError(
        f"The {what} {type(transformer).__name__} has no counterpart in the graph. Fit "
        f"with {what}={known} or None, or put the transformer into a pipeline in front "
        "of the model and convert it by itself."
    )
