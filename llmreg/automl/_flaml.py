"""llmreg as a learner of FLAML's."""

import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmreg._utils import import_optional
from llmreg.automl._model import CodedModel, settle_apart
from llmreg.prior._feature_prior import FeaturePrior

#: FLAML scales its first guess of a learner's cost by this: a fit of the linear model
#: beside LightGBM's with four trees of four leaves.
COST_BESIDE_LIGHTGBM = 2.0
HIDDEN = 100


@dataclass(eq=False, repr=False)
class FlamlLearner:
    """What ``flaml.AutoML().add_learner`` takes for a class of learners.

    It has the methods that FLAML asks of a class of learners [1]_. Being an object, it
    can carry the prior, and be pickled.

    Parameters
    ----------
    prior : FeaturePrior or None
        The scores of the columns; see `settle_prior`.
    kind : {"classification", "regression"}
        What is predicted.
    classes : list or None
        The classes, sorted, as FLAML numbers them; None in a regression.
    params : dict
        Parameters of the estimator that are not searched for.

    See Also
    --------
    flaml_learner : Makes one.

    References
    ----------
    .. [1] FLAML's documentation, "Task Oriented AutoML", "Estimator and search space".

    Examples
    --------
    >>> from llmreg.automl import FlamlLearner
    >>> learner = FlamlLearner(None, "classification", ["no", "yes"], {"alpha": 1.0})
    >>> learner.cost_relative2lgbm()
    2.0
    """

    prior: FeaturePrior | None
    kind: str
    classes: list[Any] | None
    params: dict[str, Any]

    def __call__(self, **config: Any) -> Any:
        """Make a learner."""
        return sys.modules[__name__].LLMRegLearner(learner=self, **config)

    def search_space(
        self, data_size: tuple[int, ...], task: Any, **kwargs: Any
    ) -> dict[str, dict[str, Any]]:
        """Return domain and first value of each parameter that is searched for."""
        tune = import_optional("flaml.tune", "llmreg[flaml]")
        # Without a prior there is nothing that it could weigh.
        gammas = ["auto", 10.0, 100.0] if self.prior is not None else ["auto"]
        widths = {"domain": tune.choice([0, HIDDEN]), "low_cost_init_value": 0}
        space: dict[str, dict[str, Any]] = {
            "gamma": {"domain": tune.choice(gammas), "init_value": "auto"},
            "alpha": {"domain": tune.loguniform(0.01, 100.0), "init_value": 1.0},
            "hidden": {**widths, "init_value": 0},
        }
        return {name: v for name, v in space.items() if name not in self.params}

    def size(self, config: dict[str, Any]) -> float:
        """Estimate the bytes that the model of a configuration takes."""
        n_columns = 1 if self.prior is None else len(self.prior.features)
        n_outputs = max(1, len(self.classes or ()))
        width = int(config.get("hidden", self.params.get("hidden", 0)))
        return 8.0 * (n_columns * max(width, n_outputs) + width * n_outputs)

    def cost_relative2lgbm(self) -> float:
        """Return how long the first fit takes, as a multiple of LightGBM's."""
        return COST_BESIDE_LIGHTGBM

    def init(self) -> None:
        """Do what FLAML wants done before a search: nothing."""


def flaml_learner(
    prior: Any, X: Any, y: Any, *, kind: str = "classification", **params: Any
) -> FlamlLearner:
    """Make a learner for ``flaml.AutoML().add_learner``.

    A provider is asked here and not again, however long FLAML searches. FLAML keeps
    the names of columns and levels, and drops columns that do not vary; it numbers the
    classes, whose names are put back.

    Parameters
    ----------
    prior, X, y, kind : as in `settle_prior`
        The prior, and what FLAML will be given.
    **params : dict
        Parameters of the estimators to set, rather than search for: `gamma`, `alpha`,
        `hidden` (width of a hidden layer, 0 for none), and any other. What a provider
        is told (`task`, `target_name`, `feature_descriptions`), `feature_names` and
        `on_error` go into `settle_prior`.

    Returns
    -------
    FlamlLearner
        To be given to ``add_learner``; it can be pickled.

    Raises
    ------
    PriorError, ProviderError
        As in `settle_prior`.

    See Also
    --------
    autogluon_options : The same for AutoGluon.

    Notes
    -----
    ``automl.add_learner("llmreg", flaml_learner(prior, X, y))``, then
    ``automl.fit(X, y, estimator_list=["lgbm", "llmreg"], task="classification")``.
    `skip_transform` must stay off.

    Where a class has fewer than 20 rows, FLAML repeats them before it splits off the
    rows that it validates on (FLAML 2.7, ``GenericTask.prepare_data``), and copies of
    one row are on both sides, which favours learners that memorise.
    ``auto_augment=False`` in ``automl.fit`` turns that off.

    Examples
    --------
    >>> import pandas as pd
    >>> from llmreg.automl import flaml_learner
    >>> X = pd.DataFrame({"age": [30, 60]})
    >>> learner = flaml_learner({"age": 8}, X, ["healthy", "ill"])
    >>> learner.classes
    ['healthy', 'ill']
    """
    settled = settle_apart(prior, X, y, kind, params, "feature_names")
    classes = np.unique(np.asarray(y)).tolist() if kind == "classification" else None
    return FlamlLearner(settled, kind, classes, params)


def __getattr__(name: str) -> Any:
    """Make the learner class when it is asked for, by pickle in another process too."""
    if name != "LLMRegLearner":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()[name] = _make_class()
    made.__qualname__, made.__module__ = name, __name__
    return made


def _make_class() -> type[Any]:
    """Subclass FLAML's base class, which is not there to import before."""
    base = import_optional("flaml.automl.model", "llmreg[flaml]").BaseEstimator

    class LLMRegLearner(base):  # type: ignore[valid-type, misc]
        """One configuration of llmreg, as FLAML trains it."""

        def __init__(
            self, task: Any = "binary", *, learner: FlamlLearner, **config: Any
        ) -> None:
            super().__init__(task, **config)
            self.learner = learner

        def get_params(self, deep: bool = False) -> dict[str, Any]:
            params: dict[str, Any] = super().get_params(deep)
            return params | {"learner": self.learner}

        def fit(
            self, X_train: Any, y_train: Any, budget: Any = None, **kwargs: Any
        ) -> float:
            return super().fit(X_train, y_train, budget=None, seconds=budget, **kwargs)

        def _fit(self, X_train: Any, y_train: Any, **kwargs: Any) -> float:
            start = time.time()
            params = {"random_state": 0, "device": "cpu", **self.learner.params}
            params |= {k: v for k, v in self.params.items() if k != "_estimator_type"}
            model = CodedModel(
                self.learner.prior, self.learner.kind, self.learner.classes, **params
            )
            options = {name: kwargs.get(name) for name in ("seconds", "sample_weight")}
            self._model = model.fit(X_train, y_train, **options)
            return time.time() - start

        @property
        def classes_(self) -> Any:
            return np.arange(len(self.learner.classes or ()))

        @property
        def feature_names_in_(self) -> Any:
            return getattr(self._model.estimator_, "feature_names_in_", None)

        @property
        def n_features_in_(self) -> Any:
            return self._model.estimator_.n_features_in_

    return LLMRegLearner
