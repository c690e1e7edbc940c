"""The parameters that classifier and regressor share: names, ranges and defaults."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self, TypeVar

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from llmreg.nn._attribution import ATTRIBUTIONS
from llmreg.nn._factory import SOLVERS
from llmreg.nn._net import ACTIVATIONS
from llmreg.prior._transforms import SCORE_TRANSFORMS


class AttributionParameters(BaseEstimator):
    """What classifier and regressor share; `share_docstring` adds it to theirs.

    Parameters
    ----------
    gamma : float or "auto", default="auto"
        How far to trust the prior. "auto" learns it from the rows: many strengths,
        from "the scores are everything" to "they are no guide", are weighed by how
        well they explain the rows, and averaged (see `trust_`). Hidden layers and
        modules of one's own learn what the linear model leaves over. Where a training
        loop is asked for, by `solver`, `attribution`, `early_stopping` or ``net__*``,
        "auto" chooses the number that it trains with. A number, at least 0, is the
        weight of the paper's penalty; its authors take 100, at which the model is its
        prior. With 0 a provider is not asked.
    attribution : {"gradient", "input_x_gradient", "integrated_gradients"}, \
            default="gradient"
        How attributions are computed.
    score_transform : {"auto", "exp", "identity"} or callable, default="auto"
        What happens to the scores before they are normalised. "exp" is
        sign(s) exp(abs(s)), as in the code of the paper's authors: a point more makes
        a score 2.7 times as large. "identity" takes them as they are. "auto" weighs
        these and others between them where `gamma` is "auto", and is "exp" elsewhere.
        A callable maps a tensor of the scores of one output to one of that shape.
    penalty_weights : {"spread"} or None, default="spread"
        Where `gamma` is "auto": whether the model is held less tightly to scores on
        which the estimates of the prior differ.
    penalty_on : {"mean", "row"}, default="mean"
        Align the mean attribution of a batch, or the attribution of every row.
    hidden_layer_sizes : array-like of int, default=()
        Widths of the hidden layers; the default is a linear model.
    activation : {"relu", "tanh", "silu", "gelu"}, default="relu"
        Nonlinearity of the hidden layers.
    solver : {"auto", "lbfgs", "adam", "sgd"}, default="auto"
        The optimizer; "auto" is "lbfgs" for the linear model and "adam" for others.
        "lbfgs" always takes all rows at once.
    learning_rate_init : float, default=0.01
        Step size of "adam" and "sgd".
    max_iter : int, default=200
        Passes over the rows, or steps of "lbfgs".
    batch_size : int or "auto", default="auto"
        Rows of a batch; "auto" takes all of up to 10,000 rows at once.
    early_stopping : bool, default=False
        Set rows aside, stop when their loss no longer falls, keep the best weights.
        Without effect on "lbfgs".
    validation_fraction : float, default=0.1
        Share of the rows set aside by `early_stopping`.
    n_iter_no_change : int, default=10
        Passes without improvement before `early_stopping` stops.
    tol : float, default=1e-4
        Least improvement that counts for `early_stopping`.
    task : str, default=None
        The task in a sentence, for the provider.
    feature_descriptions : dict of str, default=None
        What features mean, by name; levels as ``"sex=female"``. For the provider.
        Instead of a text also ``{"description": text, "unit": unit}``.
    feature_names : list of str or dict, default=None
        Names of the columns where `X` has none, or new names by old ones.
    feature_kinds : dict of str, default=None
        "numeric" or "categorical" by the name of a column. Others are what their dtype
        says: numbers and booleans are numeric, categories and strings have levels. Of
        a column of objects the rows of `fit` decide.
    scaler : {"bounded", "minmax", "standard"}, transformer or None, \
            default="bounded"
        Scaling of numeric columns, fitted on the training rows. "bounded" is "minmax"
        whose values level off beyond the range of those rows.
    imputer : {"median", "mean", "most_frequent"}, transformer or None, \
            default="median"
        Filling of missing numbers, fitted on the training rows.
    encoder : {"onehot"} or None, default="onehot"
        Encoding of string and category columns.
    on_error : {"raise", "no_prior"}, default="raise"
        What to do where a provider fails to give a prior. "no_prior" warns with
        :class:`~llmreg.exceptions.PriorUnavailableWarning`, trains as with
        ``gamma=0``, and says so in ``prior_.provenance["error"]``. An outage
        is remembered for five minutes, in which no `fit` asks again; other failures
        are not. Scores at hand that do not fit are an error either way.
    warm_start : bool, default=False
        Go on from the weights of the last `fit`. Nothing to go on from where `gamma`
        is "auto" and needs no training loop: a fit ends where it ends from anywhere.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, batches and validation split. The same seed gives
        the same bits, in every joblib backend.
    device : str, default="auto"
        "auto", "cpu", "cuda", "mps": where to train. Double precision on the CPU,
        single elsewhere.
    n_jobs : int, default=None
        Threads of torch; None is 1, -1 all. The number of threads may change the
        last bits.
    verbose : int, default=0
        What a fit tells on stderr, beside the loggers under ``llmreg``. 1: what was
        asked, what the cache had, the verdict on the prior; 2: also losses of passes.
    **net__params : dict
        Parameters that start with ``net__`` are passed on to
        :class:`skorch.NeuralNet`: ``net__callbacks``, ``net__optimizer``,
        ``net__module__*``, ``net__criterion__n_steps``. With any of them but those of
        the criterion the model is trained in skorch's loop.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, where all of them are strings.
    prior_ : FeaturePrior or None
        The scores of the encoded columns; all NaN, and ``provenance["error"]`` says
        why, where the provider failed and `on_error` is "no_prior".
    encoder_ : TableEncoder
        The fitted encoding; ``encoder_.get_feature_names_out()`` names the columns.
    gamma_ : float
        The weight of the penalty. For "auto" the fixed `gamma` that would pull about
        as hard as the average over the strengths does.
    trust_ : Trust, tuple of Trust or None
        What "auto" found: the weights of the strengths, the cosine of the model's
        weights and the scores, the features whose score the rows contradict, and a
        verdict in words. One a target where there are several; None for a fixed
        `gamma`, or without scores.
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the torch module.
    n_iter_ : int
        Passes over the rows, or steps of "lbfgs".
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "gamma": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "attribution": [StrOptions(set(ATTRIBUTIONS))],
        "score_transform": [StrOptions({"auto", *SCORE_TRANSFORMS}), callable],
        "penalty_weights": [StrOptions({"spread"}), None],
        "penalty_on": [StrOptions({"mean", "row"})],
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "module": [callable, None],
        "solver": [StrOptions({"auto", *SOLVERS})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "task": [str, None],
        "target_name": [str, None],
        "feature_descriptions": [Mapping, None],
        "feature_names": ["array-like", Mapping, None],
        "feature_kinds": [Mapping, None],
        "on_error": [StrOptions({"raise", "no_prior"})],
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
        warm_start: bool = False,
        random_state: Any = None,
        device: str = "auto",
        n_jobs: int | None = None,
        verbose: int = 0,
        **net__params: Any,
    ) -> None:
        self.prior = prior
        self.gamma = gamma
        self.attribution = attribution
        self.score_transform = score_transform
        self.penalty_weights = penalty_weights
        self.penalty_on = penalty_on
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.module = module
        self.solver = solver
        self.alpha = alpha
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.task = task
        self.target_name = target_name
        self.feature_descriptions = feature_descriptions
        self.feature_names = feature_names
        self.feature_kinds = feature_kinds
        self.scaler = scaler
        self.imputer = imputer
        self.encoder = encoder
        self.on_error = on_error
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.n_jobs = n_jobs
        self.verbose = verbose
        self._set_net_params(net__params)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, those passed on to skorch (`net__*`) included.

        Parameters
        ----------
        deep : bool, default=True
            Also return the parameters of parameters that have some.

        Returns
        -------
        dict
            Values by name.
        """
        params: dict[str, Any] = super().get_params(deep=deep)
        return params | {k: v for k, v in vars(self).items() if k.startswith("net__")}

    def set_params(self, **params: Any) -> Self:
        """Set parameters, those passed on to skorch (`net__*`) included.

        Parameters
        ----------
        **params : dict
            Values by name.

        Returns
        -------
        self
            The estimator.
        """
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


Estimator = TypeVar("Estimator", bound=type[AttributionParameters])


def share_docstring(estimator: Estimator) -> Estimator:
    """Complete a docstring with the parameters and attributes that are shared.

    Parameters come in the order of the signature, attributes of one's own first.
    """
    if estimator.__doc__ is None:  # python -OO
        return estimator
    doc = inspect.cleandoc(estimator.__doc__)
    for title in ("Parameters", "Attributes"):
        own, shared = (
            _entries(doc, title),
            _entries(AttributionParameters.__doc__, title),
        )
        order = dict.fromkeys([*inspect.signature(estimator).parameters, *own, *shared])
        entries = shared | own
        complete = "\n".join(entries[name] for name in order if name in entries)
        doc = doc.replace("\n".join(own.values()), complete)
    estimator.__doc__ = doc + "\n"
    return estimator


def _entries(doc: str | None, title: str) -> dict[str, str]:
    """Split a section of a docstring into its entries, by name."""
    _, _, rest = inspect.cleandoc(doc or "").partition(f"{title}\n{'-' * len(title)}\n")
    entries = re.split(r"\n(?=\S)", rest.partition("\n\n")[0])
    return {entry.partition(" ")[0].strip("*"): entry for entry in entries}
