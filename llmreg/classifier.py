"""LLMAttributionClassifier, for two and for many classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions

from llmreg._base import BaseAttributionEstimator
from llmreg._base_rate import check_base_rate, said_log_odds, shift_to_rates
from llmreg._parameters import AttributionParameters
from llmreg._utils import inherit_docs
from llmreg.posterior._intervals import check_level, probability_interval
from llmreg.preprocessing._validation import (
    check_labels,
    choose_classes,
    find_numbering,
    weigh_classes,
)


@inherit_docs
class LLMAttributionClassifier(ClassifierMixin, BaseAttributionEstimator):
    """Classifier whose feature attributions are pulled towards a prior.

    The prior is one score per feature (and class), from -10 to 10, that a large
    language model or a domain expert gives. A small model is trained on cross
    entropy plus `gamma` times the misalignment of its attributions with the
    scores [1]_. Prediction calls no language model.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the L2 penalty on the weights. A linear model without a prior is
        ``LogisticRegression(C=1 / alpha)`` of scikit-learn on the encoded table.
    base_rate : float, dict or None, default=None
        How frequent classes are in the population, for rows that were drawn by class:
        the rate of ``classes_[1]`` of two, or rates by class that sum to 1. `fit` moves
        the log-odds from the rows' own rates (weighted) to these. None keeps to the
        rows; where they have more of one of two classes, and a prior with curves says
        base rates, the intercept begins near those.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    coef_ : ndarray of shape (n_outputs, `n_features_in_`)
        Weights of the table's columns, in their own units; a linear model of numeric
        columns only. ``decision_function(X) == X @ coef_.T + intercept_`` for rows
        without gaps, under ``scaler="bounded"`` within the range of the training rows.
    intercept_ : ndarray of shape (n_outputs,)
        What is added to the weighted columns; there where `coef_` is.

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
        "base_rate": [Interval(Real, 0, 1, closed="neither"), Mapping, None],
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
        penalty_on: str = "auto",
        hidden_layer_sizes: Sequence[int] | int = (),
        activation: str = "relu",
        module: Callable[..., Any] | None = None,
        trees: str | None = "auto",
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
        on_unit_mismatch: str = "direction",
        biased_features: Sequence[str] | str | None = None,
        base_rate: float | Mapping[Any, float] | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        device: str = "auto",
        n_jobs: int | None = None,
        verbose: int = 0,
        **net__params: Any,
    ) -> None:
        self._assign(locals())

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
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' cannot be used with partial_fit: one piece "
                "does not tell how frequent the classes are. Give the weights, as "
                "sklearn.utils.compute_class_weight computes them."
            )
        return self._fit(X, y, sample_weight, classes, one_pass=True)

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
        return softmax(self._logits(X), axis=1)

    def predict_proba_interval(self, X: Any, level: float = 0.9) -> np.ndarray:
        """Return credible intervals of the probabilities of the classes.

        Of two classes they are those of the normal distribution of the logit. Of more
        they are quantiles of draws from those of all logits, the same for every row.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The rows.
        level : float, default=0.9
            How likely each probability lies within, above 0 and below 1.

        Returns
        -------
        ndarray of shape (n_samples, n_classes, 2)
            The lower and the upper end, for each of ``classes_``.

        Raises
        ------
        NoPosteriorError
            If the model has no `posterior_`.

        Examples
        --------
        >>> import numpy as np
        >>> from llmreg import LLMAttributionClassifier
        >>> X = np.random.default_rng(0).random((30, 2))
        >>> model = LLMAttributionClassifier([5, 1]).fit(X, X[:, 0] > 0.5)
        >>> model.predict_proba_interval([[0.9, 0.5]]).shape
        (1, 2, 2)
        """
        check_level(level)
        return probability_interval(*self._uncertain(X), level)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of `predict_proba`, of the same shape."""
        return log_softmax(self._logits(X), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest class of each row.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The rows.
        """
        logits = self._logits(X)  # which checks that the model is fitted
        return self.classes_[logits.argmax(axis=1)]

    def _logits(self, X: Any) -> np.ndarray:
        """Return a logit for each class, 0 for the first of two."""
        logits = self._outputs(X)
        return logits if logits.shape[1] > 1 else np.hstack([0 * logits, logits])

    def _check_target(self, y: Any) -> np.ndarray:
        self._target_label = str(getattr(y, "name", None) or "target")
        self._has_plain_labels = type(y) is np.ndarray
        return check_labels(y)

    def _encode_target(
        self, y: Any, sample_weight: np.ndarray, classes: Any, reset: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        goes_on = not reset or self.warm_start
        known = getattr(self, "classes_", None) if goes_on else None
        if self.class_weight is not None:
            of_class = weigh_classes(self.class_weight, y, sample_weight)
            sample_weight = sample_weight * of_class
        present = y[sample_weight > 0]
        self.classes_ = choose_classes(present, classes, known)
        is_open = self._is_clone and self._has_plain_labels
        self._numbering = find_numbering(self.classes_, is_open)
        self._rates = check_base_rate(self.base_rate, self.classes_)
        return np.searchsorted(self.classes_, y).astype(np.float64), sample_weight

    def _shift(
        self,
        outputs: Callable[[], np.ndarray],
        y: np.ndarray,
        sample_weight: np.ndarray,
    ) -> np.ndarray | None:
        if self._rates is None:
            return None
        rows = outputs, y.astype(int), sample_weight
        return shift_to_rates(
            self._rates, self.classes_, *rows, self.biased_features is not None
        )

    def _expected_log_odds(
        self, y: np.ndarray, sample_weight: np.ndarray
    ) -> float | None:
        if self._rates is not None or len(self.classes_) > 2:
            return None
        prior: Any = self.prior_
        return said_log_odds(prior, self._task_names()[2], y.astype(int), sample_weight)

    def _task_names(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        classes = tuple(str(label) for label in self.classes_)
        scored = classes[1:] if len(classes) == 2 else classes
        return self.target_name or self._target_label, scored, classes

    def _loss_name(self) -> str:
        return "binary" if len(self.classes_) == 2 else "multiclass"

    def _n_outputs(self) -> int:
        return 1 if len(self.classes_) == 2 else len(self.classes_)
