"""FLAML and AutoGluon as methods, each alone and with llmreg among its models.

llmreg is given the recorded curves there, which is what a provider asks for by default.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
import warnings
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from benchmarks.data.datasets import Dataset
from benchmarks.methods.baselines import Fit, Method, Predictor, of_classes
from benchmarks.methods.curves import knowing

#: Seconds of one core that a tool may have.
BUDGETS = (10, 30, 60)
#: What FLAML takes by itself where CatBoost is not installed: named, so that llmreg can
#: be added, and so that the list does not hang on what is installed.
FLAML_LEARNERS = (
    *("lgbm", "rf", "xgboost", "extra_tree", "xgb_limitdepth", "sgd", "lrl1"),
)
#: Five folds rather than rows set aside, of which there would be two at 5 per class;
#: no second layer, and no trial run of whether one would help.
AUTOGLUON: Mapping[str, Any] = {
    "num_bag_folds": 5,
    "num_bag_sets": 1,
    "num_stack_levels": 0,
    "dynamic_stacking": False,
    "ag_args_ensemble": {"fold_fitting_strategy": "sequential_local"},
    "num_cpus": 1,
    "num_gpus": 0,
}
_TARGET = "the target"


def named(name: str, seconds: int) -> str:
    """Name a method after its budget."""
    return f"{name}, {seconds} s"


@contextmanager
def seconds_of_a_core() -> Iterator[None]:
    """Have the tools read the time that this process computed, not that of day.

    Both tell their budgets by `time.time`. On a machine with other work the same
    seconds by the wall are another budget in every run.
    """
    began = time.time() - time.process_time()
    with mock.patch.object(time, "time", lambda: began + time.process_time()):
        yield


def flaml(seconds: int, *, llmreg: bool) -> Fit:
    """Make a method of FLAML's."""

    def fit(
        dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
    ) -> Predictor:
        from flaml import AutoML

        from llmreg.automl import flaml_learner

        automl, learners = AutoML(), list(FLAML_LEARNERS)
        if dataset.kind == "regression":
            learners.remove("lrl1")
        with warnings.catch_warnings(), seconds_of_a_core():
            warnings.simplefilter("ignore")
            if llmreg:
                learner = flaml_learner(
                    dataset.prior, X, y, kind=dataset.kind, random_state=seed
                )
                automl.add_learner("llmreg", learner)
                learners.insert(0, "llmreg")
            automl.fit(
                X,
                y,
                task=dataset.kind,
                metric="r2" if dataset.kind == "regression" else "log_loss",
                estimator_list=learners,
                time_budget=seconds,
                n_jobs=1,
                seed=seed,
                verbose=0,
            )
        if automl.model is None:
            raise RuntimeError("FLAML ended without a model.")
        return _quiet(automl, dataset)

    return fit


def autogluon(seconds: int, *, llmreg: bool) -> Fit:
    """Make a method of AutoGluon's."""

    def fit(
        dataset: Dataset, X: pd.DataFrame, y: pd.Series[Any], seed: int
    ) -> Predictor:
        from autogluon.tabular import TabularPredictor

        from llmreg.automl import autogluon_options

        logging.getLogger("autogluon").setLevel(logging.ERROR)
        regression = dataset.kind == "regression"
        options = dict(AUTOGLUON)
        folder = tempfile.mkdtemp(prefix="llmreg-autogluon-")
        with warnings.catch_warnings(), seconds_of_a_core():
            warnings.simplefilter("ignore")
            if llmreg:
                options |= autogluon_options(dataset.prior, X, y, kind=dataset.kind)
            predictor = TabularPredictor(
                _TARGET,
                path=folder,
                eval_metric="r2" if regression else "log_loss",
                problem_type="regression" if regression else dataset.task,
                verbosity=0,
            ).fit(X.assign(**{_TARGET: y}), time_limit=seconds, **options)
        return _quiet(_Shown(predictor, folder), dataset)

    return fit


class _Shown:
    """AutoGluon's predictor with the methods of a scikit-learn classifier."""

    def __init__(self, predictor: Any, folder: str) -> None:
        self.predictor = predictor
        # The models are on the disk, and wanted for as long as the predictor is.
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    @property
    def classes_(self) -> list[Any]:
        return list(self.predictor.class_labels)

    def predict(self, rows: pd.DataFrame) -> Any:
        return self.predictor.predict(rows)

    def predict_proba(self, rows: pd.DataFrame) -> Any:
        return self.predictor.predict_proba(rows)[self.classes_].to_numpy()


def _quiet(model: Any, dataset: Dataset) -> Predictor:
    """Predict without the warnings of a tool about levels that it did not see."""

    def predict(rows: pd.DataFrame) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if dataset.kind == "regression":
                return np.asarray(model.predict(rows), dtype=np.float64)
            return np.asarray(of_classes(dataset, model, rows), dtype=np.float64)

    return predict


def _methods() -> dict[str, Method]:
    """List the methods in the order of the tables, for every budget."""
    found = {}
    for seconds in BUDGETS:
        for name, make, module in (
            ("FLAML", flaml, "flaml.automl"),
            ("AutoGluon", autogluon, "autogluon.tabular"),
        ):
            found[named(name, seconds)] = Method(
                make(seconds, llmreg=False), imports=(module,)
            )
            found[named(f"{name} with llmreg", seconds)] = Method(
                knowing(make(seconds, llmreg=True)), imports=(module, "llmreg.automl")
            )
    return found


AUTOML: Mapping[str, Method] = _methods()
