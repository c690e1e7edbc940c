"""LLMAttributionRegressor, for one and for several targets."""

from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import d2_tweedie_score, r2_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import StrOptions

from llmreg._base import BaseAttributionEstimator
from llmreg._base_rate import said_mean
from llmreg.exceptions import DataError
from llmreg.posterior._intervals import check_level, count_deviation, count_interval
from llmreg.preprocessing._scaler import fit_standard, scale_targets
from llmreg.preprocessing._validation import check_counts, check_numbers

# The distance from the 5th to the 95th percentile in standard deviations, and the rows
# that what is said of it is worth (docs/decisions/trust.md).
_WIDTH, _WORTH = 3.29, 10.0


class LLMAttributionRegressor(RegressorMixin, BaseAttributionEstimator):
    """Regressor whose feature attributions are pulled towards a prior.

    The prior is one score per feature (and target), from -10 to 10, that a large
    language model or a domain expert gives. A small model is trained on the squared
    error of the standardized targets, or the likelihood of counts, plus `gamma` times
    the misalignment of its attributions with the scores [1]_. Prediction calls no
    language model.

    Parameters
    ----------
    prior : provider, FeaturePrior, dict, array-like, number, path or None, \
            default=None
        Where the scores come from: a provider or its name, such as "anthropic", asked
        once in `fit`; a :class:`~llmreg.FeaturePrior`; a dict or Series of scores by
        feature name, levels as ``"sex=female"``, by target first where there are
        several; an array, (n_columns,) or (n_targets, n_columns); one number; a path to
        a card.
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
        Widths of the hidden layers; by default there is none.
    activation : {"relu", "tanh", "silu", "gelu"}, default="relu"
        Nonlinearity of the hidden layers.
    module : nn.Module class or callable, default=None
        A model of your own, made by ``module(n_features, n_outputs)``.
    trees : {"auto"} or None, default="auto"
        "auto" puts boosted trees on top of the linear model, in place of hidden layers,
        if they lower the loss of unseen rows by 1% and make them 20 times as likely.
        There are none below 200 rows, above 1,000 encoded columns, of counts, under a
        fixed `gamma`, without scores or curves, where a training loop is asked for (see
        `gamma`), with a `module` or `biased_features`, or after `partial_fit`.
    solver : {"auto", "lbfgs", "adam", "sgd"}, default="auto"
        "auto" is "lbfgs", on all rows at once, for the linear model, else "adam".
    alpha : float, default=1.0
        Strength of the L2 penalty on the weights. A linear model without a prior is
        ``Ridge(alpha)`` of scikit-learn, on the encoded table and standardized targets;
        of counts it is ``PoissonRegressor(alpha=alpha / sample_weight.sum())``.
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
        Name of the target, for the provider; by default the name of `y`, or of
        its columns.
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
    loss : {"squared_error", "poisson"}, default="squared_error"
        "poisson" is for counts: the model is one of the logarithm of their mean, which
        scores and curves are about, and `predict` gives the mean. Rates per unit of an
        exposure (years) are `y`, and the exposures `sample_weight`, as for
        scikit-learn's ``PoissonRegressor``; `score` is D2 as there. One target.
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
    target_scaler_ : StandardScaler
        What standardized the targets; of counts their logarithms.
    attributions_ : ndarray of shape (n_targets, n_columns)
        Mean attributions on the training rows, of the standardized targets.
    alignment_ : ndarray of shape (n_targets,)
        Cosine of attributions and transformed scores; NaN without a prior. Where rows
        are aligned with the slopes of curves it is the mean of their cosines.
    coef_ : ndarray of shape (`n_features_in_`,) or (n_targets, `n_features_in_`)
        Weights of the table's columns, in their own units and that of the target; a
        linear model of numeric columns only. ``predict(X) == X @ coef_.T +
        intercept_`` for rows without gaps, under ``scaler="bounded"`` within the range
        of the training rows; of counts that is the logarithm of the mean.
    intercept_ : float or ndarray of shape (n_targets,)
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
    trust_ : Trust, tuple of Trust or None
        What "auto" found, by target where there are several: weights of the strengths,
        features whose score the rows contradict, a verdict in words. None for a fixed
        `gamma`, or without scores.
    posterior_ : Posterior or None
        How uncertain the model is, for `return_std` and `predict_interval`; of hidden
        layers that correct a linear model, how uncertain that is. None where `gamma` is
        fixed, or a training loop or other attributions were asked for. With trees on
        top it has their noise.
    trees_ : Trees or None
        Trees on top, if there are any: their gain on unseen rows, and columns that
        work together. Other attributes are of the model below them.
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the torch module.
    n_iter_ : int
        Passes over the rows, or steps of "lbfgs".

    See Also
    --------
    LLMAttributionClassifier : The same for class labels.
    sklearn.linear_model.Ridge : The linear model without a prior.
    sklearn.linear_model.PoissonRegressor : That of counts.

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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseAttributionEstimator._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson"})],
    }

    @property
    def _is_count(self) -> bool:
        return bool(self.loss == "poisson")

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
        """
        return self._fit(X, y, sample_weight, one_pass=True)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Return the predicted targets of rows.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The rows.
        return_std : bool, default=False
            Return the standard deviation of the outcome too: of what the model does
            not know, and of the noise around it.

        Returns
        -------
        mean : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Targets, in the shape that `fit` was given.
        std : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Their standard deviations; only with `return_std`.

        Raises
        ------
        NoPosteriorError
            With `return_std`, if the model has no `posterior_`.
        """
        if return_std:
            return self._outcome(X)
        return self._in_targets(self._outputs(X).astype(np.float64), with_mean=True)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R2 of predictions, or D2 of counts: how much better than their mean.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, or exposures.

        Returns
        -------
        float
            1 at best, 0 for the mean; of counts the share of their deviance that is
            explained, as ``PoissonRegressor.score`` has it.
        """
        loss = partial(d2_tweedie_score, power=1) if self._is_count else r2_score
        return float(loss(y, self.predict(X), sample_weight=sample_weight))

    def predict_interval(self, X: Any, level: float = 0.9) -> np.ndarray:
        """Return the interval that holds the outcome of each row with a probability.

        Of counts the outcome is one of an exposure of 1, and the ends are counts.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The rows.
        level : float, default=0.9
            The probability, above 0 and below 1.

        Returns
        -------
        ndarray of shape (n_samples, 2) or (n_samples, n_targets, 2)
            The lower and the upper end.

        Raises
        ------
        NoPosteriorError
            If the model has no `posterior_`.

        Examples
        --------
        >>> import numpy as np
        >>> from llmreg import LLMAttributionRegressor
        >>> X = np.random.default_rng(0).random((30, 2))
        >>> model = LLMAttributionRegressor([5, 1]).fit(X, X @ [3, 1])
        >>> model.predict_interval([[0.5, 0.5]], level=0.5).shape
        (1, 2)
        """
        check_level(level)
        if self._is_count:
            logs, spread = self._uncertain(X)
            logs, noise = logs + self.target_scaler_.mean_, self._need_posterior().noise
            ends = count_interval(logs, spread, noise[0].variance, level)
            return ends[:, 0] if self._is_single else ends
        mean, std = self._outcome(X)
        assert self.posterior_ is not None
        width = [noise.quantile(level) for noise in self.posterior_.noise]
        half = std * (width[0] if self._is_single else width)
        return np.stack([mean - half, mean + half], axis=-1)

    def _outcome(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and the standard deviation of outcomes."""
        mean, deviation = self._uncertain(X)
        assert self.posterior_ is not None
        noise = [noise.variance for noise in self.posterior_.noise]
        if self._is_count:
            mean, deviation = self._in_targets(mean, True), self._in_targets(deviation)
            return mean, count_deviation(mean, deviation, noise[0])
        std = np.sqrt(deviation**2 + noise)
        return self._in_targets(mean, with_mean=True), self._in_targets(std)

    def _in_targets(self, outputs: np.ndarray, with_mean: bool = False) -> np.ndarray:
        """Bring outputs to the units and the shape of the targets."""
        targets = outputs * self.target_scaler_.scale_
        if with_mean:
            targets += self.target_scaler_.mean_
            targets = np.exp(targets) if self._is_count else targets
        return targets[:, 0] if self._is_single else targets

    def _check_target(self, y: Any) -> np.ndarray:
        names = getattr(y, "columns", None)
        self._target_labels = None if names is None else [str(name) for name in names]
        self._target_label = str(getattr(y, "name", None) or "target")
        return check_numbers(y)

    def _encode_target(
        self, y: Any, sample_weight: np.ndarray, classes: Any, reset: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        columns = y.reshape(len(y), -1)
        if reset:
            self._is_single = y.ndim == 1
        if self._is_count:
            check_counts(columns, is_first=reset)
            if reset:
                mean = np.average(columns, axis=0, weights=sample_weight)
                self.target_scaler_ = StandardScaler().fit(np.log(mean)[None])
            # As multiples of the mean: the unit of exposure does not matter then.
            unit = np.exp(self.target_scaler_.mean_)
            return columns / unit, sample_weight * unit
        if reset:
            weight = sample_weight * (len(y) / sample_weight.sum())
            # A constant target is predicted as it is, whatever the model says.
            self.target_scaler_ = fit_standard(columns, weight, 0.0)
        if columns.shape[1] != self._n_outputs():
            raise DataError(
                f"y has {columns.shape[1]} targets, and the model that is trained "
                f"further {self._n_outputs()}. Fit a new one, or give the same targets."
            )
        return scale_targets(columns, self.target_scaler_, reset), sample_weight

    def _expected_log_odds(
        self, y: np.ndarray, sample_weight: np.ndarray
    ) -> float | None:
        """Return the logarithm of the mean that the prior expects, if it does."""
        if not self._is_count or not (said := said_mean(self.prior_)):
            return None
        return float(np.log(said) - self.target_scaler_.mean_[0])

    def _anchor(self, y: np.ndarray, sample_weight: np.ndarray) -> np.ndarray:
        """Return targets as distances from the typical one, if that is known.

        Few rows show neither where the targets are centred nor how far they spread.
        """
        prior: Any = self.prior_
        ranges = [prior.target_ranges.get(name) for name in prior.outputs]
        known = [one for one in ranges if one is not None]
        scaler = self.target_scaler_
        if self._is_count or len(known) < len(ranges) or not scaler.scale_.all():
            return y
        columns = y * scaler.scale_ + scaler.mean_
        said = [(one.high - one.low) / _WIDTH for one in known]
        share = sample_weight.sum() / (sample_weight.sum() + _WORTH)
        scaler.var_ = share * scaler.scale_**2 + (1 - share) * np.square(said)
        scaler.scale_ = np.sqrt(scaler.var_)
        scaler.mean_ = np.array([one.middle for one in known])
        return (columns - scaler.mean_) / scaler.scale_

    def _targets(self, y: np.ndarray) -> dict[str, np.ndarray]:
        scaler = self.target_scaler_
        if self._is_count:
            return {self._task_names()[1][0]: y[:, 0] * np.exp(scaler.mean_)}
        # A constant target has no scale, and stands in no other place.
        rows = y * scaler.scale_ + scaler.mean_
        return dict(zip(self._task_names()[1], rows.T, strict=True))

    def _task_names(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        target = self.target_name or self._target_label
        if self._n_outputs() == 1:
            return target, (target,), ()
        names = self._target_labels or [f"y{k}" for k in range(self._n_outputs())]
        return self.target_name or ", ".join(names), tuple(names), ()

    def _loss_name(self) -> str:
        return "poisson" if self._is_count else "regression"

    def _n_outputs(self) -> int:
        return int(self.target_scaler_.n_features_in_)

    def _in_units(self, weight: np.ndarray, bias: np.ndarray) -> tuple[Any, Any]:
        scale, mean = self.target_scaler_.scale_, self.target_scaler_.mean_
        weight, bias = weight * scale[:, None], bias * scale + mean
        return (weight[0], bias[0]) if self._is_single else (weight, bias)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = not self._is_count
        tags.target_tags.positive_only = self._is_count
        return tags
