"""LLMAttributionRegressor, for one and for several targets."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin, _fit_context

from llmreg._base import BaseAttributionEstimator
from llmreg._parameters import share_docstring
from llmreg.exceptions import DataError
from llmreg.preprocessing._scaler import fit_standard
from llmreg.preprocessing._validation import check_numbers


@share_docstring
class LLMAttributionRegressor(RegressorMixin, BaseAttributionEstimator):
    """Regressor whose feature attributions are pulled towards a prior.

    The prior is one score per feature (and target), from -10 to 10, that a large
    language model or a domain expert gives. A small model is trained on the squared
    error of the standardized targets plus `gamma` times the misalignment of its
    attributions with the scores [1]_. Nothing is asked of anybody at prediction
    time.

    Parameters
    ----------
    prior : provider, FeaturePrior, dict, array-like, number, path or None, \
            default=None
        Where the scores come from: a provider, or the name of one, such as
        "anthropic", asked once in `fit`; a :class:`~llmreg.FeaturePrior`; a dict of
        scores by feature name, the levels of categorical columns as ``"sex=female"``,
        and by target name first where there are several; an array of shape
        (n_columns,) or (n_targets, n_columns), in the order of the encoded columns;
        one number for all features; a path to a prior card; None for no prior.
    module : nn.Module class or callable, default=None
        A model of your own, made by ``module(n_features, n_outputs)``. Overrides
        `hidden_layer_sizes` and `activation`.
    alpha : float, default=1.0
        Strength of the L2 penalty on the weights. A linear model without a prior is
        scikit-learn's ``Ridge(alpha)`` of the standardized targets on the encoded
        table.
    target_name : str, default=None
        Name of the target, for the provider; by default the name of `y`, or of its
        columns.

    Attributes
    ----------
    target_scaler_ : StandardScaler
        What standardized the targets.
    attributions_ : ndarray of shape (n_targets, n_columns)
        Mean attributions on the training rows, of the standardized targets.
    alignment_ : ndarray of shape (n_targets,)
        Cosine of attributions and transformed scores; NaN without a prior.
    coef_ : ndarray of shape (n_columns,) or (n_targets, n_columns)
        Weights of the encoded columns, in units of the target; linear model only.
    intercept_ : float or ndarray of shape (n_targets,)
        Bias, in units of the target; linear model only.

    See Also
    --------
    LLMAttributionClassifier : The same for class labels.
    sklearn.linear_model.Ridge : The linear model without a prior.

    References
    ----------
    .. [1] Vukadin, Šilić, Delač, "Large Language Models as Attribution Regularizers
       for Efficient Model Training", arXiv 2502.20268.

    Examples
    --------
    >>> import pandas as pd
    >>> from llmreg import LLMAttributionRegressor
    >>> X = pd.DataFrame({"rooms": [2, 3, 5], "noise": [1, 7, 4]})
    >>> model = LLMAttributionRegressor({"rooms": 9, "noise": -3}, random_state=0)
    >>> model.fit(X, [200, 300, 500]).alignment_.round(2)
    array([1.])
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Get the prior and train the model.

        1. Check that the prior, or its provider, is at hand.
        2. Check the rows and the targets.
        3. Encode the table: impute, scale, one column per level.
        4. Score the encoded columns: ask the provider, or match names.
        5. Train the net on the aligned loss.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows: numbers, booleans, strings, categories, missing values.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, at least 0.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        PriorError
            If the prior does not fit the table.
        ProviderError
            If the provider gives no prior and `on_error` is "raise"; nothing has
            been trained then.
        EncodingError
            If a column has no encoding, or names are needed and absent.
        ModuleOutputError
            If `module` does not fit.
        DeviceError
            If `device` is not there.
        """
        return self._fit(X, y, sample_weight)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go over one piece of the data once, from where the model stands.

        The first call gets the prior and fits the encoding: its rows decide the
        scaling of inputs and targets and, but for category columns, the levels.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows of the piece.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        self
            The estimator.

        Raises
        ------
        LLMRegError
            As in `fit`.
        """
        return self._fit(X, y, sample_weight, one_pass=True)

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted targets of rows.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
            Targets, in the shape that `fit` was given.
        """
        outputs = self._outputs(X).astype(np.float64)
        targets = outputs * self.target_scaler_.scale_ + self.target_scaler_.mean_
        return targets[:, 0] if self._is_single else targets

    def _check_target(self, y: Any) -> np.ndarray:
        names = getattr(y, "columns", None)
        self._target_labels = None if names is None else [str(name) for name in names]
        self._target_label = str(getattr(y, "name", None) or "target")
        return check_numbers(y)

    def _encode_target(
        self, y: Any, sample_weight: np.ndarray, *, reset: bool, **options: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        columns = y.reshape(len(y), -1)
        if reset:
            self._is_single = y.ndim == 1
            weight = sample_weight * (len(y) / sample_weight.sum())
            # A constant target is predicted as it is, whatever the model says.
            self.target_scaler_ = fit_standard(columns, weight, 0.0)
        scaler = self.target_scaler_
        if columns.shape[1] != self._n_outputs():
            raise DataError(
                f"y has {columns.shape[1]} targets, and the model that is trained "
                f"further {self._n_outputs()}. Fit a new one, or give the same targets."
            )
        if not np.isfinite(scaler.scale_).all():
            raise DataError(
                "The targets are so large that their spread is no number. Divide them "
                "by a constant, or fit their logarithms."
            )
        gap = columns - scaler.mean_
        if not reset:
            # What was constant so far gets a scale where it moves for the first time.
            late = (scaler.scale_ == 0) & gap.any(axis=0)
            scaler.scale_[late] = np.abs(gap).max(axis=0)[late]
        scale = np.where(scaler.scale_ > 0, scaler.scale_, 1.0)
        return gap / scale, sample_weight

    def _task_names(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        target = self.target_name or self._target_label
        if self._n_outputs() == 1:
            return target, (target,), ()
        names = self._target_labels or [f"y{k}" for k in range(self._n_outputs())]
        return self.target_name or ", ".join(names), tuple(names), ()

    def _loss_name(self) -> str:
        return "regression"

    def _n_outputs(self) -> int:
        return int(self.target_scaler_.n_features_in_)

    def _set_coef(self, weight: np.ndarray, bias: np.ndarray) -> None:
        scale, mean = self.target_scaler_.scale_, self.target_scaler_.mean_
        coef, intercept = weight * scale[:, None], bias * scale + mean
        self.coef_ = coef[0] if self._is_single else coef
        self.intercept_ = float(intercept[0]) if self._is_single else intercept

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
