"""LLMAttributionClassifier, for two and for many classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils._param_validation import StrOptions

from llmreg._base import BaseAttributionEstimator
from llmreg._parameters import AttributionParameters, share_docstring
from llmreg.preprocessing._validation import check_labels, choose_classes, weigh_classes


@share_docstring
class LLMAttributionClassifier(ClassifierMixin, BaseAttributionEstimator):
    """Classifier whose feature attributions are pulled towards a prior.

    The prior is one score per feature (and class), from -10 to 10, that a large
    language model or a domain expert gives. A small model is trained on cross
    entropy plus `gamma` times the misalignment of its attributions with the
    scores [1]_. Nothing is asked of anybody at prediction time.

    Parameters
    ----------
    prior : provider, FeaturePrior, dict, array-like, number, path or None, \
            default=None
        Where the scores come from: a provider, or the name of one, such as
        "anthropic", asked once in `fit`; a :class:`~llmreg.FeaturePrior`; a dict of
        scores by feature name, the levels of categorical columns as ``"sex=female"``,
        and by class name first where there are more than two; an array of shape
        (n_columns,) or (n_classes, n_columns), in the order of the encoded columns;
        one number for all features; a path to a prior card; None for no prior. For
        two classes the scores speak for ``classes_[1]``, unless they name the other.
    module : nn.Module class or callable, default=None
        A model of your own, made by ``module(n_features, n_outputs)``; two classes
        take one output. Overrides `hidden_layer_sizes` and `activation`.
    alpha : float, default=1.0
        Strength of the L2 penalty on the weights. A linear model without a prior is
        scikit-learn's ``LogisticRegression(C=1 / alpha)`` on the encoded
        table.
    target_name : str, default=None
        Name of the target, for the provider; by default the name of `y`.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    attributions_ : ndarray of shape (n_outputs, n_columns)
        Mean attributions on the training rows; one output for two classes.
    alignment_ : ndarray of shape (n_outputs,)
        Cosine of attributions and transformed scores; NaN without a prior.
    coef_ : ndarray of shape (n_outputs, n_columns)
        Weights of the encoded columns; linear model only.
    intercept_ : ndarray of shape (n_outputs,)
        Bias; linear model only.

    See Also
    --------
    LLMAttributionRegressor : The same for numeric targets.
    sklearn.linear_model.LogisticRegression : The linear model without a prior.

    References
    ----------
    .. [1] Vukadin, Šilić, Delač, "Large Language Models as Attribution Regularizers
       for Efficient Model Training", arXiv 2502.20268.

    Examples
    --------
    Two rows say little; with the prior the model knows where to look.

    >>> import pandas as pd
    >>> from llmreg import LLMAttributionClassifier
    >>> X = pd.DataFrame({"age": [30, 60], "shoe_size": [44, 38]})
    >>> model = LLMAttributionClassifier({"age": 8, "shoe_size": 1}, random_state=0)
    >>> model.fit(X, ["healthy", "ill"]).alignment_.round(3)
    array([1.])
    >>> model.predict(pd.DataFrame({"age": [70], "shoe_size": [44]}))
    array(['ill'], dtype='<U7')
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **AttributionParameters._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), Mapping, None],
    }

    def __init__(
        self,
        prior: Any = None,
        *,
        gamma: float | str = "auto",
        attribution: str = "gradient",
        score_transform: str | Callable[..., Any] = "auto",
        penalty_weights: str | None = "spread",
        penalty_on: str = "mean",
        hidden_layer_sizes: Sequence[int] | int = (),
        activation: str = "relu",
        module: Callable[..., Any] | None = None,
        solver: str = "auto",
        alpha: float = 1.0,
        learning_rate_init: float = 0.01,
        max_iter: int = 200,
        batch_size: int | str = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        task: str | None = None,
        target_name: str | None = None,
        feature_descriptions: Mapping[str, Any] | None = None,
        feature_names: Sequence[str] | Mapping[str, str] | None = None,
        feature_kinds: Mapping[str, str] | None = None,
        scaler: Any = "bounded",
        imputer: Any = "median",
        encoder: str | None = "onehot",
        on_error: str = "raise",
        class_weight: Mapping[Any, float] | str | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        device: str = "auto",
        n_jobs: int | None = None,
        verbose: int = 0,
        **net__params: Any,
    ) -> None:
        shared = dict(locals())
        for name in ("self", "__class__", "class_weight", "net__params"):
            del shared[name]
        super().__init__(**shared, **net__params)
        self.class_weight = class_weight

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Get the prior and train the model.

        1. Check that the prior, or its provider, is at hand.
        2. Check the rows and the labels.
        3. Encode the table: impute, scale, one column per level.
        4. Score the encoded columns: ask the provider, or match names.
        5. Train the net on the aligned loss.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows: numbers, booleans, strings, categories, missing values.
        y : array-like of shape (n_samples,)
            Class labels.
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
        DataError
            If labels are missing, or there is only one class.
        EncodingError
            If a column has no encoding, or names are needed and absent.
        ModuleOutputError
            If `module` does not fit.
        DeviceError
            If `device` is not there.
        """
        return self._fit(X, y, sample_weight)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Go over one piece of the data once, from where the model stands.

        The first call gets the prior and fits the encoding: its rows decide the
        scaling and, but for category columns, the levels.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows of the piece.
        y : array-like of shape (n_samples,)
            Their labels.
        classes : array-like of shape (n_classes,), default=None
            All classes; needed in the first call if its labels lack some.
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
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' cannot be used with partial_fit: one piece "
                "does not tell how frequent the classes are. Give the weights, as "
                "sklearn.utils.compute_class_weight computes them."
            )
        return self._fit(X, y, sample_weight, one_pass=True, classes=classes)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logits of rows.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            The logit of ``classes_[1]`` where there are two classes, else of each.
        """
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of ``classes_``.
        """
        outputs = self._outputs(X)
        if outputs.shape[1] > 1:
            return np.asarray(softmax(outputs, axis=1))
        return np.hstack([expit(-outputs), expit(outputs)])

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Log-probabilities, in the order of ``classes_``.
        """
        outputs = self._outputs(X)
        if outputs.shape[1] > 1:
            return np.asarray(log_softmax(outputs, axis=1))
        return np.hstack([log_expit(-outputs), log_expit(outputs)])

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest class of each row.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            Class labels.
        """
        outputs = self._outputs(X)
        index = outputs.argmax(axis=1) if outputs.shape[1] > 1 else outputs[:, 0] > 0
        return np.asarray(self.classes_[index.astype(int)])

    def _check_target(self, y: Any) -> np.ndarray:
        self._target_label = str(getattr(y, "name", None) or "target")
        self._has_plain_labels = type(y) is np.ndarray
        return check_labels(y)

    def _encode_target(
        self, y: Any, sample_weight: np.ndarray, *, reset: bool, **options: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        goes_on = not reset or self.warm_start
        known = getattr(self, "classes_", None) if goes_on else None
        self.classes_ = choose_classes(y, options.get("classes"), known)
        self._numbering = self._find_numbering()
        if self.class_weight is not None:
            sample_weight = sample_weight * weigh_classes(self.class_weight, y)
        return np.searchsorted(self.classes_, y).astype(np.float64), sample_weight

    def _find_numbering(self) -> Literal["own", "open"] | None:
        """Say whether the labels may be numbers that stand for other labels."""
        if self.classes_.dtype.kind not in "iu" or self.classes_[0] < 0:
            return None
        if self._is_clone and self._has_plain_labels:
            return "open"
        is_counted = self.classes_[-1] == len(self.classes_) - 1
        return "own" if is_counted else None

    def _task_names(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        classes = tuple(str(label) for label in self.classes_)
        scored = classes[1:] if len(classes) == 2 else classes
        return self.target_name or self._target_label, scored, classes

    def _loss_name(self) -> str:
        return "binary" if len(self.classes_) == 2 else "multiclass"

    def _n_outputs(self) -> int:
        return 1 if len(self.classes_) == 2 else len(self.classes_)

    def _set_coef(self, weight: np.ndarray, bias: np.ndarray) -> None:
        self.coef_, self.intercept_ = weight, bias
