"""llmreg inside FLAML: the real thing, for a few trials."""

import pickle
import time

import numpy as np
import pytest
from sklearn.base import clone

from benchmarks.data.datasets import load
from benchmarks.data.splits import Cell, draw
from benchmarks.methods import automl as automl_methods
from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.automl import flaml_learner
from tests.fakes import FakeProvider
from tests.frameworks import framework

flaml = framework("flaml.automl")
# What FLAML and the libraries under it warn of is theirs to mend.
pytestmark = pytest.mark.filterwarnings("ignore")


def search(learner, X, y, task="classification", **changes):
    automl = flaml.AutoML()
    automl.add_learner("llmreg", learner)
    settings = {
        "task": task,
        "metric": "r2" if task == "regression" else "log_loss",
        "estimator_list": ["llmreg"],
        "max_iter": 1,
        "time_budget": -1,
        "n_jobs": 1,
        "verbose": 0,
        "seed": 0,
    }
    automl.fit(X, y, **(settings | changes))
    return automl


@pytest.fixture
def whole(table):
    """Without the gaps, which FLAML fills before a learner sees them."""
    return table.assign(bmi=table["bmi"].fillna(26), sex=table["sex"].fillna("male"))


def test_two_classes_by_their_names(whole, illness, prior):
    automl = search(flaml_learner(prior, whole, illness), whole, illness)
    plain = LLMAttributionClassifier(prior, random_state=0).fit(whole, illness)
    assert list(automl.classes_) == ["healthy", "ill"]
    np.testing.assert_allclose(
        automl.predict_proba(whole), plain.predict_proba(whole), atol=0.005
    )
    assert set(automl.predict(whole)) == {"healthy", "ill"}
    estimator = automl.model.estimator.estimator_
    scores = dict(
        zip(estimator.prior_.features, estimator.prior_.scores[0], strict=True)
    )
    assert scores["sex=male"] == 1
    assert scores["region=west"] == -2


def test_many_classes(whole, stage):
    prior = {"early": {"age": -6}, "late": {"age": 6}, "middle": {"age": 0}}
    automl = search(flaml_learner(prior, whole, stage), whole, stage)
    plain = LLMAttributionClassifier(prior, random_state=0).fit(whole, stage)
    assert list(automl.classes_) == list(plain.classes_)
    # Not the same numbers: FLAML repeats the rows of classes that have few.
    assert (automl.predict(whole) == plain.predict(whole)).mean() > 0.9
    known = automl.model.estimator.estimator_.prior_
    assert known.outputs == ("early", "late", "middle")


def test_numbers(whole, risk, prior):
    learner = flaml_learner(prior, whole, risk, kind="regression")
    automl = search(learner, whole, risk, task="regression")
    plain = LLMAttributionRegressor(prior, random_state=0).fit(whole, risk)
    np.testing.assert_allclose(automl.predict(whole), plain.predict(whole), atol=0.05)


def test_gaps_and_levels_unseen(table, illness, prior):
    automl = search(flaml_learner(prior, table, illness), table, illness)
    assert np.isfinite(automl.predict_proba(table.assign(sex="other"))).all()


def test_several_trials_ask_once_and_are_pickled(whole, illness):
    FakeProvider.n_calls = 0
    learner = flaml_learner(FakeProvider(), whole, illness)
    automl = search(
        learner, whole, illness, max_iter=4, eval_method="holdout", ensemble=False
    )
    assert FakeProvider.n_calls == 1
    again = pickle.loads(pickle.dumps(automl))
    np.testing.assert_array_equal(
        automl.predict_proba(whole), again.predict_proba(whole)
    )


def test_a_learner_is_cloned(whole, illness, prior):
    learner = flaml_learner(prior, whole, illness)
    made = learner(task="binary", gamma=10.0, n_jobs=1)
    copy = clone(made)
    assert copy is not made
    assert copy.get_params()["gamma"] == 10.0


def test_what_is_set_is_not_searched_for(whole, illness, prior):
    learner = flaml_learner(prior, whole, illness, gamma=10.0, hidden=0)
    assert set(learner.search_space((60, 5), "binary")) == {"alpha"}
    automl = search(learner, whole, illness)
    assert automl.model.estimator.estimator_.gamma == 10.0
    without = flaml_learner(None, whole, illness)
    assert without.search_space((60, 5), "binary")["gamma"]["domain"].categories == [
        "auto"
    ]


def test_beside_others_and_within_the_time(whole, illness, prior):
    start = time.perf_counter()
    automl = search(
        flaml_learner(prior, whole, illness),
        whole,
        illness,
        estimator_list=["llmreg", "lgbm"],
        max_iter=None,
        time_budget=1.5,
    )
    # Ample: a machine with other work must not fail it.
    assert time.perf_counter() - start < 30
    assert automl.best_estimator in {"llmreg", "lgbm"}
    assert np.isfinite(automl.best_loss_per_estimator["llmreg"])


def test_in_an_ensemble(whole, illness, prior):
    automl = search(
        flaml_learner(prior, whole, illness),
        whole,
        illness,
        estimator_list=["llmreg", "lgbm"],
        max_iter=2,
        ensemble=True,
    )
    assert np.isfinite(automl.predict_proba(whole)).all()


@pytest.mark.parametrize("llmreg", [False, True])
def test_the_benchmark_runs_it(llmreg):
    cancer = load("breast-cancer-wisconsin")
    rows = draw(cancer.y.to_numpy(), 2, Cell(cancer.name, 5, 0), 0)[0]
    X, y = cancer.X.iloc[rows], cancer.y.iloc[rows]
    predict = automl_methods.flaml(1, llmreg=llmreg)(cancer, X, y, 0)
    scores = predict(cancer.X[:20])
    assert scores.shape == (20,)
    assert ((scores >= 0) & (scores <= 1)).all()
