"""llmreg inside AutoGluon: the real thing, without its other models or with one."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.data.datasets import load
from benchmarks.data.splits import Cell, draw
from benchmarks.methods import automl as automl_methods
from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.automl import autogluon_options
from tests.fakes import FakeProvider
from tests.frameworks import framework

tabular = framework("autogluon.tabular")
# What AutoGluon and the libraries under it warn of is theirs to mend.
pytestmark = pytest.mark.filterwarnings("ignore")
LINEAR, MLP = "LLMRegLinear", "LLMRegMLP"


@pytest.fixture
def train(table, tmp_path):
    """Train on the table; the same rows are the ones to tune on, so none is lost."""

    def run(prior, y, *, hyperparameters=None, predictor=None, **fit):
        kind = "regression" if pd.api.types.is_float_dtype(y) else "classification"
        options = autogluon_options(
            prior, table, y, kind=kind, hyperparameters=hyperparameters
        )
        rows = table.assign(target=y)
        made = tabular.TabularPredictor(
            "target", path=str(tmp_path / "models"), verbosity=0, **(predictor or {})
        )
        fit = {"tuning_data": rows, "num_cpus": 1, "num_gpus": 0, **fit}
        if fit["tuning_data"] is None:
            del fit["tuning_data"]
        return made.fit(rows, **(options | fit))

    return run


def estimator_of(predictor, name=LINEAR):
    return predictor._trainer.load_model(name).model.estimator_


def test_two_classes_by_their_names(train, table, illness, prior):
    predictor = train(prior, illness)
    assert set(predictor.model_names()) >= {LINEAR, MLP}
    ours = predictor.predict_proba(table, model=LINEAR)
    plain = LLMAttributionClassifier(prior, random_state=0).fit(table, illness)
    np.testing.assert_allclose(
        ours[["healthy", "ill"]], plain.predict_proba(table), atol=0.005
    )
    known = estimator_of(predictor).prior_
    scores = dict(zip(known.features, known.scores[0], strict=True))
    assert scores["sex=male"] == 1
    assert scores["smoker"] == 8


def test_the_positive_class_may_be_the_other(train, table, illness, prior):
    predictor = train(prior, illness, predictor={"positive_class": "healthy"})
    plain = LLMAttributionClassifier(prior, random_state=0).fit(table, illness)
    ours = predictor.predict_proba(table, model=LINEAR)["ill"]
    np.testing.assert_allclose(ours, plain.predict_proba(table)[:, 1], atol=0.005)


def test_many_classes(train, table, stage):
    prior = {"early": {"age": -6}, "late": {"age": 6}, "middle": {"age": 0}}
    predictor = train(prior, stage)
    plain = LLMAttributionClassifier(prior, random_state=0).fit(table, stage)
    ours = predictor.predict_proba(table, model=LINEAR)
    np.testing.assert_allclose(
        ours[list(plain.classes_)], plain.predict_proba(table), atol=0.005
    )


def test_numbers(train, table, risk, prior):
    predictor = train(prior, risk)
    plain = LLMAttributionRegressor(prior, random_state=0).fit(table, risk)
    ours = predictor.predict(table, model=LINEAR)
    np.testing.assert_allclose(ours, plain.predict(table), atol=0.05)


def test_a_hidden_layer(train, illness, prior):
    estimator = estimator_of(train(prior, illness), MLP)
    assert estimator.hidden_layer_sizes == (100,)


def test_bagged_beside_another_asked_once_and_loaded_again(train, table, illness):
    FakeProvider.n_calls = 0
    predictor = train(
        FakeProvider(),
        illness,
        hyperparameters={"GBM": {"num_boost_round": 5}},
        tuning_data=None,
        num_bag_folds=2,
        dynamic_stacking=False,
        num_stack_levels=0,
        ag_args_ensemble={"fold_fitting_strategy": "sequential_local"},
    )
    assert FakeProvider.n_calls == 1
    assert f"{LINEAR}_BAG_L1" in predictor.model_names()
    again = tabular.TabularPredictor.load(predictor.path)
    pd.testing.assert_frame_equal(
        predictor.predict_proba(table), again.predict_proba(table)
    )
    assert np.isfinite(again.predict_proba(table.assign(sex="other"))).all(axis=None)
    predictor.refit_full(model=f"{LINEAR}_BAG_L1")
    predictor.info()


def test_levels_that_lost_their_names_end_the_model_not_the_search(
    table, illness, prior, tmp_path
):
    options = autogluon_options(
        prior, table, illness, hyperparameters={"GBM": {"num_boost_round": 5}}
    )
    predictor = tabular.TabularPredictor(
        "target", path=str(tmp_path / "models"), verbosity=0
    ).fit(table.assign(target=illness), hyperparameters=options["hyperparameters"])
    assert "LightGBM" in predictor.model_names()
    assert LINEAR not in predictor.model_names()
    failures = predictor.model_failures()
    told = failures.loc[failures["model"] == LINEAR, "exc_str"].iloc[0]
    assert "named_levels" in told


def test_no_time_is_told_in_autogluons_way(train, table, illness, prior):
    from autogluon.core.utils.exceptions import TimeLimitExceeded

    from llmreg.automl._autogluon import LLMRegModel

    model = LLMRegModel(problem_type="binary", name="late", path="unused")
    with pytest.raises(TimeLimitExceeded):
        model._fit(table, illness, time_limit=0.0)


@pytest.mark.parametrize("llmreg", [False, True])
def test_the_benchmark_runs_it(llmreg):
    cancer = load("breast-cancer-wisconsin")
    rows = draw(cancer.y.to_numpy(), 2, Cell(cancer.name, 5, 0), 0)[0]
    X, y = cancer.X.iloc[rows], cancer.y.iloc[rows]
    predict = automl_methods.autogluon(3, llmreg=llmreg)(cancer, X, y, 0)
    scores = predict(cancer.X[:20])
    assert scores.shape == (20,)
    assert ((scores >= 0) & (scores <= 1)).all()
