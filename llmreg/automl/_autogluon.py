"""llmreg as a model of AutoGluon's."""

import sys
from copy import deepcopy
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from llmreg._utils import import_optional
from llmreg.automl._model import CodedModel, settle_apart
from llmreg.exceptions import FeatureNamesError
from llmreg.preprocessing._levels import level_value
from llmreg.prior._feature_prior import FeaturePrior

#: Width of the hidden layer, name and place in AutoGluon's queue of each model. The
#: linear one goes before all others, for it takes little of a limited time.
MODELS = (
    (0, {"name_suffix": "Linear", "priority": 110}),
    (100, {"name_suffix": "MLP", "priority": 20}),
)
#: Seconds below which no fit is begun.
LEAST_SECONDS = 0.05


def autogluon_options(
    prior: Any,
    X: Any,
    y: Any,
    *,
    kind: str = "classification",
    hyperparameters: str | dict[Any, Any] | None = "default",
    **params: Any,
) -> dict[str, Any]:
    """Make the arguments that bring llmreg into ``TabularPredictor.fit``.

    A provider is asked here and not again. Two models of llmreg's are added to
    AutoGluon's: the linear one, and one with a hidden layer.

    Parameters
    ----------
    prior, X, y, kind : as in `settle_prior`
        The prior, the training table without the target, and the target.
    hyperparameters : str, dict or None, default="default"
        AutoGluon's other models, as ``TabularPredictor.fit`` takes them; None or an
        empty dict for llmreg alone.
    **params : dict
        Parameters of the estimators, for both models; what a provider is told (`task`,
        `target_name`, `feature_descriptions`), and `on_error`, go into `settle_prior`.

    Returns
    -------
    dict
        ``hyperparameters`` and ``feature_generator``; a `fit` without them trains
        AutoGluon's other models alone.

    Raises
    ------
    PriorError, ProviderError
        As in `settle_prior`.
    MissingDependencyError
        If AutoGluon is not installed.

    See Also
    --------
    named_levels : The feature generator, and why it is needed.
    flaml_learner : The same for FLAML.

    Examples
    --------
    Not run with the other examples: AutoGluon has an environment of its own.

    >>> from autogluon.tabular import TabularPredictor  # doctest: +SKIP
    >>> from llmreg.automl import autogluon_options
    >>> options = autogluon_options({"age": 8}, X, y)  # doctest: +SKIP
    >>> predictor = TabularPredictor("ill")  # doctest: +SKIP
    >>> predictor.fit(X.assign(ill=y), **options, time_limit=60)  # doctest: +SKIP
    """
    settled = settle_apart(prior, X, y, kind, params)
    # A prior as text is copied, hashed and written into logs without further ado.
    card = None if settled is None else settled.to_json()
    models: Any = hyperparameters or {}
    if isinstance(models, str):
        configs = import_optional(
            "autogluon.tabular.configs.hyperparameter_configs", "llmreg[autogluon]"
        )
        models = configs.get_hyperparameter_config(models)
    models = deepcopy(models)
    models[sys.modules[__name__].LLMRegModel] = [
        {"prior": card, "hidden": hidden, **params, "ag_args": queue}
        for hidden, queue in MODELS
    ]
    return {"hyperparameters": models, "feature_generator": named_levels()}


def named_levels() -> Any:
    """Make AutoGluon's default feature generator, with levels that keep their names.

    The default turns categories into numbers and columns of two values into 0 and 1,
    to save memory [1]_; a prior for ``"sex=female"`` then finds nothing. Levels that
    occur once become missing values in both.

    Returns
    -------
    autogluon.features.generators.AutoMLPipelineFeatureGenerator
        For the `feature_generator` of ``TabularPredictor.fit``.

    Raises
    ------
    MissingDependencyError
        If AutoGluon is not installed.

    References
    ----------
    .. [1] AutoGluon 1.6, docstring of ``CategoryFeatureGenerator``, `minimize_memory`.

    Examples
    --------
    >>> from llmreg.automl import named_levels
    >>> predictor.fit(train, feature_generator=named_levels())  # doctest: +SKIP
    """
    return sys.modules[__name__].NamedLevels()


def check_levels_are_named(prior: FeaturePrior | None, X: pd.DataFrame) -> None:
    """Refuse a column of which the prior scores levels, and none that it has."""
    if prior is None:
        return
    for name in map(str, X.columns):
        start = f"{name}="
        keys = (key for key in prior.features if key.startswith(start))
        # 1 and 1.0 are one level, as they are to the estimators.
        scored = {level_value(key.removeprefix(start)) for key in keys}
        if not scored or name in prior.features:
            continue
        levels = X[name].astype("category").cat.categories
        found = set(map(level_value, map(str, levels)))
        if found and not scored & found:
            raise FeatureNamesError(
                f"The prior scores the levels {sorted(scored)} of {name!r}, but "
                f"AutoGluon has turned them into {sorted(found)[:5]}. Give "
                "TabularPredictor.fit feature_generator=named_levels() from "
                "llmreg.automl, or all that autogluon_options() returns."
            )


def __getattr__(name: str) -> Any:
    """Make a class when it is asked for, by pickle in another process too."""
    if name not in ("LLMRegModel", "NamedLevels"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = _make_model() if name == "LLMRegModel" else _make_generator()
    globals()[name] = made
    made.__qualname__, made.__module__ = name, __name__
    return made


def _make_generator() -> type[Any]:
    """Subclass AutoGluon's default feature generator."""
    generators = import_optional("autogluon.features.generators", "llmreg[autogluon]")

    class NamedLevels(generators.AutoMLPipelineFeatureGenerator):  # type: ignore
        """AutoGluon's default, but that categories keep their names."""

        def __init__(self, **kwargs: Any) -> None:
            as_type = generators.AsTypeFeatureGenerator(convert_bool=False)
            fill = generators.FillNaFeatureGenerator(inplace=True)
            kwargs.setdefault("pre_generators", [as_type, fill])
            super().__init__(pre_enforce_types=False, **kwargs)

        def _get_category_feature_generator(self) -> Any:
            return generators.CategoryFeatureGenerator(minimize_memory=False)

    return NamedLevels


def _make_model() -> type[Any]:
    """Subclass AutoGluon's base class, which is not there to import before."""
    base = import_optional("autogluon.core.models", "llmreg[autogluon]").AbstractModel
    exceptions = import_optional("autogluon.core.utils.exceptions", "llmreg[autogluon]")
    too_late = exceptions.TimeLimitExceeded

    class LLMRegModel(base):  # type: ignore[valid-type, misc]
        """llmreg, as AutoGluon trains it, with `prior`, `hidden` and their parameters.

        A prior is a dict, a FeaturePrior, the path or the text of a card.
        """

        ag_key = "LLMREG"
        ag_name = "LLMReg"
        seed_name = "random_state"
        _supported_problem_types = ("binary", "multiclass", "regression")
        _default_auxiliary_params_extra = {  # noqa: RUF012
            "valid_raw_types": ["bool", "int", "float", "category"],
            "ignored_type_group_special": ["text_ngram", "text_as_category"],
        }

        def _set_default_params(self) -> None:
            self._set_default_param_value("prior", None)
            self._set_default_param_value("hidden", 0)

        def _fit(
            self,
            X: Any,
            y: Any,
            time_limit: float | None = None,
            num_cpus: Any = 1,
            sample_weight: Any = None,
            **kwargs: Any,
        ) -> None:
            if time_limit is not None and time_limit < LEAST_SECONDS:
                raise too_late
            X = self.preprocess(X, is_train=True)
            params = {"device": "cpu", **self._get_model_params()}
            prior = _read(params.pop("prior"))
            check_levels_are_named(prior, X)
            if isinstance(num_cpus, int):
                params.setdefault("n_jobs", num_cpus)
            is_number = self.problem_type == "regression"
            self.model = CodedModel(
                prior,
                "regression" if is_number else "classification",
                None if is_number else _classes(self.label_cleaner),
                **params,
            ).fit(X, y, seconds=time_limit, sample_weight=sample_weight)

    return LLMRegModel


def _read(prior: Any) -> Any:
    """Read a prior from the text or the file of a card, or from a dict."""
    if isinstance(prior, str) and prior.lstrip().startswith("{"):
        return FeaturePrior.from_json(prior)
    if isinstance(prior, (str, PathLike)):
        return FeaturePrior.read(prior)
    return FeaturePrior.from_dict(prior) if isinstance(prior, dict) else prior


def _classes(label_cleaner: Any) -> Any:
    """List the classes in the order of AutoGluon's numbers."""
    names = label_cleaner.inverse_transform(pd.Series(range(label_cleaner.num_classes)))
    return np.asarray(names)
