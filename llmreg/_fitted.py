"""What a fitted model tells of itself: how sure it is, and weights of its columns."""

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from llmreg.exceptions import CoefficientsError, NoPosteriorError
from llmreg.nn._additive import AdditiveModel
from llmreg.nn._factory import linear_part
from llmreg.nn._net import AlignedNet, LinearModel
from llmreg.posterior._labelling import expected_reduction, pick
from llmreg.posterior._posterior import Posterior
from llmreg.preprocessing._encoder import TableEncoder
from llmreg.preprocessing._scaler import BoundedScaler
from llmreg.preprocessing._validation import check_table


class UncertaintyMixin:
    """What the posterior of an estimator is used for."""

    encoder_: TableEncoder
    net_: AlignedNet
    posterior_: Posterior | None
    target_scaler_: Any
    _loss_name: Callable[[], str]
    _outputs: Callable[[Any], np.ndarray]

    def rank_unlabelled(
        self, X: Any, n_rows: int | None = None, *, return_utilities: bool = False
    ) -> Any:
        """Return which rows to label next, best first.

        Best is the row whose label is expected to make the predictions of all rows of
        `X` most certain: a label tells about every row that is like its own, most where
        the model does not know yet and where the outcome is not a matter of chance.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            The rows without a label.
        n_rows : int, default=None
            How many rows will be labelled before the next fit: each is chosen as if
            those before it had a label, so that they are not alike. None ranks all
            rows, each as if it alone got one.
        return_utilities : bool, default=False
            Return how much each row would tell, too.

        Returns
        -------
        rows : ndarray of shape (min(n_rows, n_samples),) or (n_samples,)
            Positions in `X`.
        utilities : ndarray of shape (n_samples,)
            For each row of `X`, what its label alone is expected to take off the mean
            variance of the predictions: of the probabilities, summed over the logits
            that the model has; in a regression, of the standardized targets. Only with
            `return_utilities`.

        Raises
        ------
        NoPosteriorError
            If the model has no `posterior_`.

        Examples
        --------
        >>> import numpy as np
        >>> from llmreg import LLMAttributionClassifier
        >>> X = np.random.default_rng(0).random((30, 2))
        >>> model = LLMAttributionClassifier([5, 1]).fit(X[:2], ["no", "yes"])
        >>> model.rank_unlabelled(X[2:], n_rows=3).shape
        (3,)
        """
        if n_rows is not None:
            check_scalar(n_rows, "n_rows", Integral, min_val=1)
        posterior, columns = self._known(X)
        factors = posterior.factors(columns).astype(np.float64)
        noise, slope = self._label_noise(self._outputs(X).astype(np.float64))
        utilities = expected_reduction(factors, noise, slope)
        if n_rows is None:
            rows = np.argsort(-utilities, kind="stable")
        else:
            rows = pick(factors, noise, slope, min(n_rows, len(columns)))
        return (rows, utilities) if return_utilities else rows

    def _label_noise(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the variance of a label, and how predictions move with outputs."""
        noise = [one.variance for one in self._need_posterior().noise]
        if self._loss_name() == "poisson":
            means = np.exp(outputs)
            return noise[0] / (means * np.exp(self.target_scaler_.mean_)), means
        if noise:
            ones = np.ones_like(outputs)
            return ones * noise, ones
        p = expit(outputs) if outputs.shape[1] == 1 else softmax(outputs, axis=1)
        # A logit that is all but certain learns nothing from its own label.
        slope = np.maximum(p * (1 - p), 1e-12)
        return 1 / slope, slope

    def _uncertain(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the means of outputs, and their standard deviations."""
        posterior, columns = self._known(X)
        outputs = self._outputs(X).astype(np.float64)
        shift, deviation = posterior.moments(columns)
        return outputs + shift, deviation

    def _known(self, X: Any) -> tuple[Posterior, Any]:
        """Return the posterior, and rows as it takes them."""
        posterior = self._need_posterior()
        columns = self.encoder_.encode(check_table(self, X, reset=False))
        basis = getattr(linear_part(self.net_.module_), "basis", None)
        return posterior, columns if basis is None else basis.design(columns)

    def _need_posterior(self) -> Posterior:
        """Return the posterior, or say why there is none."""
        check_is_fitted(self, "net_")
        if self.posterior_ is None:
            raise NoPosteriorError(
                "This model does not know how uncertain it is: that takes "
                'gamma="auto", a prior that has scores or curves, and no training loop '
                "(partial_fit, early_stopping, net__*, or another solver or "
                "attribution than the default), and for classes no trees on top "
                "(trees=None). Fit such a model, or put intervals around "
                "this one with conformal prediction, for example with MAPIE."
            )
        return self.posterior_


# What to call in place of `coef_`.
_HINT = (
    "attributions_ has a value for each encoded column; "
    "shap.KernelExplainer(model.predict_proba, X), of a regressor model.predict, "
    "explains the rows as they are; SelectFromModel takes importance_getter."
)


class EncodedWeights(np.ndarray):
    """Weights of the encoded columns of a table with levels, as `coef_` gives them.

    They are no weights of the columns of the table: what takes them for such, which is
    a computation with rows or columns of another width, is a `CoefficientsError`.
    """

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kw: Any) -> Any:
        self._refuse_tables(inputs)
        out = kw.pop("out", ())
        if any(array is not None for array in out):  # as `round` calls it
            kw["out"] = tuple(map(_plain, out))
        return getattr(ufunc, method)(*map(_plain, inputs), **kw)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        self._refuse_tables(args)
        if func is np.linalg.norm and kwargs.get("axis") == 0:
            # As `SelectFromModel` weighs the columns of the table.
            raise _levels_error()
        args = [_plain(arg) for arg in args]
        return func(*args, **{k: _plain(v) for k, v in kwargs.items()})

    def _refuse_tables(self, others: Any) -> None:
        for other in others:
            shape = other.shape if isinstance(other, np.ndarray) else ()
            if shape and not {*shape} & {*self.shape}:
                raise _levels_error()


def _plain(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, EncodedWeights) else value


def _levels_error() -> CoefficientsError:
    return CoefficientsError(
        "coef_ of a table with levels has a weight for every encoded column, of its "
        f"own scale, and none for a column of the table. {_HINT} "
        "llmreg.export.to_sklearn(model) has the weights of the levels."
    )


class CoefficientsMixin:
    """`coef_` and `intercept_`, as they follow from the net and the encoding."""

    encoder_: TableEncoder
    net_: AlignedNet
    trees_: Any

    @property
    def coef_(self) -> np.ndarray:
        """Weights of the columns of the table, in their own units.

        They are there for a linear model of numeric columns. For rows without gaps
        ``X @ coef_.T + intercept_`` is what the model says: the logits of a
        classifier, the targets of a regressor. Under ``scaler="bounded"`` this holds
        within the range of the training rows; beyond it values level off.

        Where columns have levels these are the weights of the encoded columns; what
        multiplies them with rows of the table fails.

        Weights in units depend on the units, and so does what ``SelectFromModel``
        picks by them; ``importance_getter="attributions_"`` does not.

        Returns
        -------
        ndarray of shape (n_outputs, `n_features_in_`) or (`n_features_in_`,)
            The weights; of one dimension for a single target.

        Raises
        ------
        CoefficientsError
            If the scaler or imputer is your own, or the model has hidden layers, or
            trees on top. It is an AttributeError that says what to call instead.
        """
        weight, bias = self._encoded_weights()
        if self.encoder_._categorical:
            return np.asarray(weight).view(EncodedWeights)
        return np.asarray(_weigh_columns(weight, bias, self.encoder_)[0])

    @property
    def intercept_(self) -> Any:
        """What is added to the weighted columns; there where `coef_` is.

        Returns
        -------
        ndarray of shape (n_outputs,) or float
            The biases; a number for a single target.

        Raises
        ------
        CoefficientsError
            As for `coef_`.
        """
        weight, bias = self._encoded_weights()
        if self.encoder_._categorical:
            return bias
        return _weigh_columns(weight, bias, self.encoder_)[1]

    def _encoded_weights(self) -> tuple[Any, Any]:
        """Return weights and bias of the encoded columns, in units of the target."""
        check_is_fitted(self, "net_")
        if self.trees_ is not None:
            raise CoefficientsError(
                "Boosted trees lie on top of this model, which no weights of columns "
                f"hold. Fit with trees=None, and without hidden layers. {_HINT}"
            )
        if not isinstance(layer := self.net_.module_, LinearModel):
            is_bent = isinstance(layer, AdditiveModel)
            held = f"this one holds a {type(layer).__name__}"
            held += ", whose shapes for columns with a curve have no slope" * is_bent
            raise CoefficientsError(f"Only linear models have coef_; {held}. {_HINT}")
        weights = layer.weight.detach(), layer.bias.detach()
        return self._in_units(*(w.cpu().numpy().astype(np.float64) for w in weights))

    def _in_units(self, weight: np.ndarray, bias: np.ndarray) -> tuple[Any, Any]:
        """Turn weights for the outputs of the module into those for the target."""
        return weight, bias


def _weigh_columns(weight: Any, bias: Any, encoder: Any) -> tuple[Any, Any]:
    """Turn weights of encoded columns into those of the columns of the table."""
    factor, offset = _factor_and_offset(encoder)
    with np.errstate(over="ignore", invalid="ignore"):
        coef, intercept = weight * factor, bias + weight @ offset
    if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
        raise CoefficientsError(
            "The weights of the columns in their own units are too large for numbers. "
            f"Give the columns other units. {_HINT}"
        )
    return coef, intercept


def _factor_and_offset(encoder: Any) -> tuple[Any, Any]:
    """Give what turns complete columns into encoded ones; raise if nothing does."""
    imputer, scaler = encoder.imputer, encoder.scaler_
    ones = np.ones(encoder.n_features_in_)
    what, unknown = "scaler", scaler
    if imputer is not None and not isinstance(imputer, str):
        what, unknown = "imputer", imputer
    elif scaler is None:
        return ones, 0 * ones
    elif type(scaler) in (MinMaxScaler, BoundedScaler) and not scaler.clip:
        return scaler.scale_, scaler.min_
    elif type(scaler) is StandardScaler:
        with np.errstate(over="ignore"):
            factor = ones / scaler.scale_ if scaler.with_std else ones
        return factor, -scaler.mean_ * factor if scaler.with_mean else 0 * ones
    raise CoefficientsError(
        "coef_ and intercept_ fit the columns that fit was given, and what the "
        f"{what} {type(unknown).__name__} makes of those may not be a multiple. "
        f"Give {what} as a string to have them. {_HINT}"
    )
