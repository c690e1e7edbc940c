"""LLMAttributionClassifier, for two and for many classes."""

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
from llmreg.posterior._intervals import check_level, probability_interval
from llmreg.preprocessing._validation import (
    check_labels,
    choose_classes,
    find_numbering,
    weigh_classes,
)


class LLMAttributionClassifier(ClassifierMixin, BaseAttributionEstimator):
    """Classifier whose feature attributions are pulled towards a prior.

    The prior is one score per feature (and class), from -10 to 10, that a large
    language model or a domain expert gives. A small model is trained on cross
    entropy plus `gamma` times the misalignment of its attributions with the
    scores [1]_. Prediction calls no language model.

    Parameters
    ----------
    prior : provider, FeaturePrior, dict, array-like, number, path or None, \
            default=None
        Where the scores come from: a provider or its name, such as "anthropic", asked
        once in `fit`; a :class:`~llmreg.FeaturePrior`; a dict or Series of scores by
        feature name, levels as ``"sex=female"``, and by class name first where there
        are more than two; an array of shape (n_columns,) or (n_classes, n_columns), in
        the order of the encoded columns; one number for all features; a path to a prior
        card. For two classes the scores speak for ``classes_[1]``, unless they name the
        other.
    gamma : float or "auto", default="auto"
        How far to trust the prior. "auto" learns it from the rows: many strengths are
        averaged by how well they explain the rows (see `trust_`), and hidden layers
        learn what the linear model leaves over. Where `solver`, `attribution`,
        `early_stopping` or ``net__*`` ask for a training loop, it chooses the number to
        train with. A number is the weight of the paper's penalty: at 100, its authors'
        choice, the model is its prior; at 0 no provider is asked.
    attribution : {"gradient", "input_x_gradient", "integrated_gradients"}, \
            default="gradient"
        How attributions are computed.
    score_transform : {"auto", "exp", "identity"} or callable, default="auto"
        What happens to the scores before they are normalised: "exp" is
        sign(s) exp(abs(s)), as in the code of the paper's authors; "auto" weighs some
        where `gamma` is "auto", else it is "exp" for scores, "identity" for slopes of
        curves; a callable maps a tensor of scores of one output to one of its shape.
    penalty_weights : {"spread"} or None, default="spread"
        Where `gamma` is "auto": whether the model is held less tightly to scores on
        which the estimates of the prior differ.
    penalty_on : {"auto", "mean", "row"}, default="auto"
        What a fixed gamma aligns: the mean attribution of a batch with the scores, or
        that of every row with the slopes of the curves: "auto", where there are curves.
    hidden_layer_sizes : array-like of int, default=()
        Widths of the hidden layers; the default is a linear model.
    activation : {"relu", "tanh", "silu", "gelu"}, default="relu"
        Nonlinearity of the hidden layers.
    module : nn.Module class or callable, default=None
        A model of your own instead of hidden layers, made by ``module(n_features,
        n_outputs)``; two classes take one output.
    trees : {"auto"} or None, default="auto"
        "auto" puts boosted trees on top of the linear model, in place of hidden layers,
        if they lower the loss of unseen rows by 1% and make them 20 times as likely.
        There are none below 200 rows or 10 of a class, above 1,000 encoded columns,
        under a fixed `gamma`, without scores or curves, where a training loop is asked
        for (see `gamma`), with a `module` or `biased_features`, or after `partial_fit`.
    solver : {"auto", "lbfgs", "adam", "sgd"}, default="auto"
        "auto" is "lbfgs", on all rows at once, for the linear model, else "adam".
    alpha : float, default=1.0
        Strength of the L2 penalty on the weights. A linear model without a prior is
        ``LogisticRegression(C=1 / alpha)`` of scikit-learn on the encoded table.
    learning_rate_init : float, default=0.01
        Step size of "adam" and "sgd".
    max_iter : int, default=200
        Passes over the rows, or steps of "lbfgs".
    batch_size : int or "auto", default="auto"
        Rows of a batch; "auto" takes all of up to 10,000 rows at once.
    early_stopping : bool, default=False
        Stop when the loss of rows set aside no longer falls. Not for "lbfgs".
    validation_fraction : float, default=0.1
        Share of the rows set aside by `early_stopping`.
    n_iter_no_change : int, default=10
        Passes without improvement before `early_stopping` stops.
    tol : float, default=1e-4
        Least improvement that counts for `early_stopping`.
    task : str, default=None
        The task in a sentence, for the provider.
    target_name : str, default=None
        Name of the target, for the provider; by default the name of `y`.
    feature_descriptions : dict, default=None
        What features mean, by name, for the provider: a text, or ``{"description":
        text, "unit": unit}``; levels as ``"sex=female"``.
    feature_names : list of str or dict, default=None
        Names of the columns where `X` has none, or new names by old ones.
    feature_kinds : dict of str, default=None
        "numeric" or "categorical" by the name of a column. Of others the dtype decides,
        and of a column of objects the rows of `fit`.
    scaler : {"bounded", "minmax", "standard"}, transformer or None, \
            default="bounded"
        Scaling of numeric columns. "bounded" is "minmax" whose values level off beyond
        the range of the training rows.
    imputer : {"median", "mean", "most_frequent"}, transformer or None, \
            default="median"
        Filling of missing numbers.
    encoder : {"onehot"} or None, default="onehot"
        Encoding of string and category columns.
    on_error : {"raise", "no_prior"}, default="raise"
        What to do where a provider fails to give a prior. "no_prior" warns with
        :class:`~llmreg.exceptions.PriorUnavailableWarning`, trains as with ``gamma=0``
        and says so in ``prior_.provenance["error"]``; no `fit` asks again in the next
        five minutes. Scores at hand that do not fit are an error either way.
    on_unit_mismatch : {"direction", "keep", "raise"}, default="direction"
        What to do with a column whose rows lie mostly outside its typical range or
        curve, as in other units or scaled by a step before. "direction" warns with
        :class:`~llmreg.exceptions.PriorUnitsWarning` and uses no more than the score
        that the curve sums up to; "raise" is an error; "keep" uses the curve.
    biased_features : list of str, "all" or None, default=None
        Columns along which rows are known to be no fair sample, as where some of a
        group are missing. Of these the model keeps what the prior says, and rows judge
        all others only. "all": it is not known along what, and rows judge only how much
        the prior counts. For `gamma` "auto" in `fit`; hidden layers learn nothing then.
    base_rate : float, dict or None, default=None
        How frequent classes are in the population, for rows that were drawn by class:
        the rate of ``classes_[1]`` of two, or rates by class that sum to 1. `fit` moves
        the log-odds from the rows' own rates (weighted) to these. None keeps to the
        rows; where they have more of one of two classes, and a prior with curves says
        base rates, the intercept begins near those.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes.
    warm_start : bool, default=False
        Go on from the last weights, where there is a training loop or a fixed `gamma`.
    random_state : int, RandomState instance or None, default=None
        Seed of weights, batches and validation; the same bits in any joblib backend.
    device : str, default="auto"
        "auto", "cpu" (in double precision), "cuda" or "mps" (in single).
    n_jobs : int, default=None
        Threads of torch; None is 1, -1 all. Another number may change the last bits.
    verbose : int, default=0
        What `fit` writes to stderr. 1: what was asked, and the verdict on the prior; 2:
        also the losses of every epoch.
    **net__params : dict
        Parameters of :class:`skorch.NeuralNet`, as ``net__callbacks``. With any but
        ``net__criterion__*`` the model is trained in skorch's loop.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    attributions_ : ndarray of shape (n_outputs, n_columns)
        Mean attributions on the training rows; one output for two classes.
    alignment_ : ndarray of shape (n_outputs,)
        Cosine of attributions and transformed scores; NaN without a prior. Where rows
        are aligned with the slopes of curves it is the mean of their cosines.
    coef_ : ndarray of shape (n_outputs, `n_features_in_`)
        Weights of the table's columns, in their own units; a linear model of numeric
        columns only. ``decision_function(X) == X @ coef_.T + intercept_`` for rows
        without gaps, under ``scaler="bounded"`` within the range of the training rows.
    intercept_ : ndarray of shape (n_outputs,)
        What is added to the weighted columns; there where `coef_` is.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, where all of them are strings.
    prior_ : FeaturePrior or None
        Scores of the encoded columns, NaN where `on_error` let the provider fail.
    encoder_ : TableEncoder
        The fitted encoding; ``encoder_.get_feature_names_out()`` names the columns.
    gamma_ : float
        The weight of the penalty; for "auto" the one that would pull about as hard.
    trust_ : Trust or None
        What "auto" found: weights of the strengths, features whose score the rows
        contradict, a verdict in words. None for a fixed `gamma`, or without scores.
    posterior_ : Posterior or None
        How uncertain the model is, for `predict_proba_interval`; of hidden layers that
        correct a linear model, how uncertain that is. None with trees on top, a fixed
        `gamma`, or where a training loop or other attributions were asked for.
    trees_ : Trees or None
        Trees on top, if there are any: their gain on unseen rows, and columns that
        work together. Other attributes are of the model below them.
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the torch module.
    n_iter_ : int
        Passes over the rows, or steps of "lbfgs".

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
        shared = {**locals(), **net__params}
        for name in ("self", "__class__", "class_weight", "base_rate", "net__params"):
            del shared[name]
        super().__init__(**shared)
        del self.loss
        self.base_rate = base_rate
        self.class_weight = class_weight

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
