"""What boosted trees of other libraries take from a prior, and from a fitted model."""

from collections.abc import Sequence
from copy import copy as shallow_copy
from itertools import groupby
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import KFold, StratifiedKFold, check_cv
from sklearn.utils import _safe_indexing

from llmreg.export._sklearn import check_model
from llmreg.preprocessing._encoder import TableEncoder
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._scores import FloatArray
from llmreg.prior._task import Feature

_LIBRARIES = ("lightgbm", "xgboost", "catboost", "sklearn")
# The least effect that makes a constraint, of 10, and the least weight of a column:
# what is held to be uninformative may be needed yet.
_LEAST_EFFECT, _LEAST_WEIGHT = 1.0, 0.1


def boosting_params(
    prior: FeaturePrior,
    X: Any,
    library: str,
    *,
    classes: Sequence[Any] | None = None,
    monotone: bool = True,
    weights: bool = False,
    additive: bool = False,
    tolerance: float = 0.1,
) -> dict[str, Any]:
    """Write what a prior knows as parameters of a library of boosted trees.

    Parameters
    ----------
    prior : FeaturePrior
        The prior, such as ``prior_`` of a fitted model.
    X : DataFrame or array-like of shape (n_samples, n_features)
        Training rows: their columns are found in the prior by name.
    library : {"lightgbm", "xgboost", "catboost", "sklearn"}
        Whose parameters; "sklearn" is HistGradientBoosting.
    classes : sequence of labels, default=None
        The labels, sorted. Of two, trees raise the probability of the second; without
        them, that of the output of the prior.
    monotone : bool, default=True
        Whether trees may only rise, or fall, in a numeric column whose score or curve
        does, by 1 or more to either side. Columns of levels or with codes, and
        several outputs, have no such constraint.
    weights : bool, default=False
        Whether columns are weighed by their effects, from 0.1 to 1: their gain; in
        XGBoost how often a node looks at them, which looks at half of the columns.
    additive : bool, default=False
        Whether columns may not interact; in CatBoost by trees of depth 1.
    tolerance : float, default=0.1
        The share of its rise by which a curve may fall within its typical range and
        still count as rising.

    Returns
    -------
    dict
        Parameters of the constructor, in the order of the columns of `X`.

    Raises
    ------
    ValueError
        If the library is another one, or takes no weights.
    PriorMismatchError
        If the prior does not score the classes.

    Examples
    --------
    >>> import pandas as pd
    >>> from llmreg import FeaturePrior
    >>> from llmreg.export import boosting_params
    >>> X = pd.DataFrame({"age": [61, 34], "bmi": [31, 22], "sex": ["m", "f"]})
    >>> effects = {"age": 6, "bmi": [(15, 3), (22, 0), (40, 5)], "sex=f": -1}
    >>> prior = FeaturePrior.from_dict(effects)
    >>> boosting_params(prior, X, "lightgbm", weights=True)
    {'monotone_constraints': [1, 0, 0], 'feature_contri': [1.0, 0.417, 0.1]}
    """
    if library not in _LIBRARIES:
        raise ValueError(f"library must be one of {_LIBRARIES}; got {library!r}.")
    if weights and library == "sklearn":
        raise ValueError(
            "HistGradientBoosting of scikit-learn takes no weights of columns: leave "
            "weights=True out, or choose another library."
        )
    encoded = TableEncoder().fit(X).columns_
    outputs, negative = prior.outputs, None
    if classes is not None:
        outputs = tuple(map(str, classes))
        if len(outputs) == 2:
            negative, outputs = outputs[0], outputs[1:]
    known = prior.align(encoded, outputs, negative)
    columns = [[*inputs] for _, inputs in groupby(encoded, lambda each: each.name)]
    effects = [_effects(known, inputs) for inputs in columns]
    params: dict[str, Any] = {}
    if monotone and len(outputs) == 1:
        codes = {name for name, curve in known.curves.items() if curve.special}
        # A code lies somewhere among the values, and breaks any order.
        signs = [
            _sign(found[0], tolerance)
            if inputs[0].level is None and inputs[0].name not in codes
            else 0
            for inputs, found in zip(columns, effects, strict=True)
        ]
        key = "monotonic_cst" if library == "sklearn" else "monotone_constraints"
        # XGBoost takes columns by number in a text alone.
        params[key] = str(tuple(signs)) if library == "xgboost" else signs
    if weights:
        key = "feature_contri" if library == "lightgbm" else "feature_weights"
        params[key] = _weights(effects)
        if library == "xgboost":
            params["colsample_bynode"] = 0.5
    if additive:
        apart = [[number] for number in range(len(columns))]
        of_library: dict[str, dict[str, Any]] = {
            "lightgbm": {"interaction_constraints": apart},
            "xgboost": {"interaction_constraints": str(apart)},
            "catboost": {"depth": 1},
            "sklearn": {"interaction_cst": "no_interactions"},
        }
        params |= of_library[library]
    return params


def boosting_margin(model: Any, X: Any, y: Any = None, *, cv: Any = 5) -> FloatArray:
    """Give what a fitted model predicts, for boosted trees to start at.

    Of a model with trees on top it is what the model below them predicts.

    Parameters
    ----------
    model : LLMAttributionClassifier or LLMAttributionRegressor
        A fitted model.
    X : DataFrame or array-like of shape (n_samples, n_features)
        The rows.
    y : array-like of shape (n_samples,), default=None
        The targets of training rows. Each row then gets the prediction of a copy of
        the model that is fitted without it; no provider is asked. Trees that start at
        a model which has seen their rows learn too little.
    cv : int, cross-validator or iterable, default=5
        How training rows are divided, as in scikit-learn; a number of folds is
        shuffled, for tables are often sorted, and the same in every call.

    Returns
    -------
    ndarray of shape (n_samples,) or (n_samples, n_classes)
        Logits, of the second of two classes or of each of several; predictions of a
        regression, of counts their logarithms. ``init_score`` of LightGBM,
        ``base_margin`` of XGBoost, ``baseline`` of CatBoost.

    Raises
    ------
    ExportError
        If the model is none of llmreg's.
    ValueError
        If `cv` does not leave out each row once.

    Examples
    --------
    >>> import numpy as np
    >>> from llmreg import LLMAttributionRegressor
    >>> from llmreg.export import boosting_margin
    >>> X = np.arange(20.0)[:, None]
    >>> model = LLMAttributionRegressor([8]).fit(X, X[:, 0])
    >>> boosting_margin(model, X, X[:, 0]).shape
    (20,)
    """
    check_model(model)
    if y is None:
        # Where trees are on top the shift of `base_rate` is theirs.
        shift = getattr(model.trees_, "shift", 0.0)
        model = shallow_copy(model)
        model.trees_ = None
        predict = model.decision_function if is_classifier(model) else model.predict
        margin = np.asarray(predict(X), dtype=np.float64) + shift
        return np.log(margin) if model._loss_name() == "poisson" else margin
    if isinstance(cv, Integral):
        kind = StratifiedKFold if is_classifier(model) else KFold
        cv = kind(int(cv), shuffle=True, random_state=0)
    margins, rows = [], []
    for train, test in check_cv(cv).split(X, y):
        copy = clone(model).set_params(prior=model.prior_, warm_start=False, trees=None)
        copy._is_clone = model._is_clone  # The labels are those of the caller.
        copy.fit(_safe_indexing(X, train), _safe_indexing(y, train))
        margins.append(boosting_margin(copy, _safe_indexing(X, test)))
        rows.append(test)
    order = np.argsort(np.concatenate(rows))
    if not np.array_equal(np.concatenate(rows)[order], np.arange(len(y))):
        raise ValueError("cv must leave out each row once, as KFold does.")
    return np.concatenate(margins)[order]


def _effects(prior: FeaturePrior, inputs: Sequence[Feature]) -> FloatArray:
    """Give effects of levels, along a curve or of its ends, (n_outputs, n_points)."""
    name = inputs[0].key
    scores = prior.scores[:, [prior.features.index(each.key) for each in inputs]]
    curve, typical = prior.curves.get(name), prior.ranges.get(name)
    if curve is None:
        is_line = inputs[0].level is None
        return np.hstack([-scores, scores]) if is_line else scores
    low, high = curve.values[[0, -1]] if typical is None else (typical[0], typical[2])
    inside = curve.values[(curve.values > low) & (curve.values < high)]
    # Codes lie beside the curve.
    return curve._between_knots(np.array([low, *inside, high]))


def _sign(effects: FloatArray, tolerance: float) -> int:
    """Tell whether effects rise, 1, or fall, -1, or neither; NaN does neither."""
    steps = np.diff(effects)
    up, down = steps[steps > 0].sum(), -steps[steps < 0].sum()
    if max(up, down) < 2 * _LEAST_EFFECT or min(up, down) > tolerance * max(up, down):
        return 0
    return 1 if up > down else -1


def _weights(effects: Sequence[FloatArray]) -> list[float]:
    """Weigh columns by what their effects span, those unknown by the mean."""
    sizes = np.array([np.ptp(np.nan_to_num(each), axis=1).max() for each in effects])
    is_known = np.array([not np.isnan(each).all() for each in effects])
    sizes[~is_known] = sizes[is_known].mean() if is_known.any() else 0.0
    found: list[float] = (sizes / (sizes.max() or 1.0)).clip(_LEAST_WEIGHT).tolist()
    return [round(weight, 3) for weight in found]
