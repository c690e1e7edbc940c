"""The parameters that classifier and regressor share: names, ranges and defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from llmreg.nn._attribution import ATTRIBUTIONS
from llmreg.nn._factory import SOLVERS
from llmreg.nn._net import ACTIVATIONS

_COUNT = Interval(Integral, 1, None, closed="left")
_NON_NEGATIVE = Interval(Real, 0, None, closed="left")


class AttributionParameters(BaseEstimator):
    """The parameters of both estimators, and those passed on to skorch.

    The loss is a regressor's.

    Parameters
    ----------
    prior : provider, FeaturePrior, dict, array-like, number, path or None, \
            default=None
        Where the scores come from: a provider or its name, such as "anthropic", asked
        once in `fit`; a :class:`~llmreg.FeaturePrior`; a dict of scores by feature
        name, levels as ``"sex=female"``, and by class or target first where there are
        several; an array of shape (n_columns,) or (n_outputs, n_columns), in the order
        of the encoded columns; one number for all features; a path to a prior card. For
        two classes the scores speak for ``classes_[1]``, unless they name the other.
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
        What a fixed gamma aligns: the mean attribution of a batch, with the scores, or
        the attribution of every row, with the slopes of the curves there. "auto" is
        "row" for a prior with curves, else "mean".
    hidden_layer_sizes : array-like of int, default=()
        Widths of the hidden layers; by default there is none.
    activation : {"relu", "tanh", "silu", "gelu"}, default="relu"
        Nonlinearity of the hidden layers.
    module : nn.Module class or callable, default=None
        A model of your own instead of hidden layers, made by ``module(n_features,
        n_outputs)``; two classes take one output.
    trees : {"auto"} or None, default="auto"
        "auto" puts boosted trees on top of the linear model, where `gamma` is "auto"
        and 200 rows or more, if they lower the loss of unseen rows by 1% and make them
        20 times as likely. None keeps it linear, or a sum of shapes; so do counts.
    solver : {"auto", "lbfgs", "adam", "sgd"}, default="auto"
        "auto" is "lbfgs", on all rows at once, for the linear model, else "adam".
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
        Columns along which the rows are known to be no fair sample, as where some of a
        group are missing. Of these the model keeps what the prior says, and the rows
        judge all others only. "all" says that they are no fair sample and not along
        what: they decide no more than how much the prior counts. Where `gamma` is
        "auto" and `fit` makes the model; hidden layers learn nothing then.
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
    attributions_ : ndarray of shape (n_outputs, n_columns)
        Mean attributions on the training rows: of one output for two classes, of
        standardized targets in a regression.
    alignment_ : ndarray of shape (n_outputs,)
        Cosine of attributions and transformed scores; NaN without a prior. Where rows
        are aligned with the slopes of curves it is the mean of their cosines.
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
        How uncertain the model is, for its intervals; of hidden layers that correct a
        linear model, how uncertain that is. None where `gamma` is fixed, or a training
        loop or other attributions were asked for.
    trees_ : Trees or None
        Trees on top, if there are any: their gain on unseen rows, and columns that
        work together. Other attributes are of the model below them.
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the torch module.
    n_iter_ : int
        Passes over the rows, or steps of "lbfgs".
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "gamma": [_NON_NEGATIVE, StrOptions({"auto"})],
        "attribution": [StrOptions(set(ATTRIBUTIONS))],
        "score_transform": [StrOptions({"auto", "exp", "identity"}), callable],
        "penalty_weights": [StrOptions({"spread"}), None],
        "penalty_on": [StrOptions({"auto", "mean", "row"})],
        "hidden_layer_sizes": ["array-like", _COUNT],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "module": [callable, None],
        "trees": [StrOptions({"auto"}), None],
        "solver": [StrOptions({"auto", *SOLVERS})],
        "alpha": [_NON_NEGATIVE],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [_COUNT],
        "batch_size": [StrOptions({"auto"}), _COUNT],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [_COUNT],
        "tol": [_NON_NEGATIVE],
        "task": [str, None],
        "target_name": [str, None],
        "feature_descriptions": [Mapping, None],
        "feature_names": ["array-like", Mapping, None],
        "feature_kinds": [Mapping, None],
        "on_error": [StrOptions({"raise", "no_prior"})],
        "on_unit_mismatch": [StrOptions({"direction", "keep", "raise"})],
        "biased_features": [StrOptions({"all"}), "array-like", None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "device": [str],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
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
        loss: str = "squared_error",
        warm_start: bool = False,
        random_state: Any = None,
        device: str = "auto",
        n_jobs: int | None = None,
        verbose: int = 0,
        **net__params: Any,
    ) -> None:
        self._assign(locals())

    def _assign(self, given: Mapping[str, Any]) -> None:
        """Keep the arguments of a constructor, which are its local variables."""
        for name, value in given.items():
            if name not in {"self", "__class__", "net__params"}:
                setattr(self, name, value)
        self._set_net_params(given["net__params"])

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get parameters as in scikit-learn, those for skorch (`net__*`) included."""
        params = super().get_params(deep=deep)
        return params | {k: v for k, v in vars(self).items() if k.startswith("net__")}

    def set_params(self, **params: Any) -> Self:
        """Set parameters as in scikit-learn, those for skorch (`net__*`) included."""
        own = {k: v for k, v in params.items() if not k.startswith("net__")}
        super().set_params(**own)
        self._set_net_params({k: v for k, v in params.items() if k not in own})
        return self

    def _set_net_params(self, params: Mapping[str, Any]) -> None:
        for name, value in params.items():
            if not name.startswith("net__"):
                raise TypeError(
                    f"{type(self).__name__} got an unexpected parameter {name!r}. "
                    "Parameters for skorch start with net__."
                )
            setattr(self, name, value)
