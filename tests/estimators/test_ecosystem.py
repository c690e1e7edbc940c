"""Where a LogisticRegression or a Ridge stood: searches, ensembles, pipelines."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.exceptions import PriorMismatchWarning
from tests.fakes import DropoutNet, FakeProvider


@pytest.fixture
def classifier(prior):
    return LLMAttributionClassifier(prior, gamma=1.0, random_state=0, device="cpu")


@pytest.fixture
def regressor(prior):
    return LLMAttributionRegressor(prior, gamma=1.0, random_state=0, device="cpu")


@pytest.fixture
def numbers(table):
    return table[["age", "bmi", "smoker"]].astype(float).fillna(26.0)


@pytest.fixture
def number_prior():
    return {"age": 6, "bmi": 5, "smoker": 8}


def test_pipeline_with_a_column_transformer(table, illness, prior):
    columns = ColumnTransformer(
        [
            ("num", StandardScaler(), ["age", "bmi"]),
            ("cat", OneHotEncoder(sparse_output=False), ["sex", "region"]),
        ],
        remainder="passthrough",
    ).set_output(transform="pandas")
    model = LLMAttributionClassifier(
        {**prior, "sex=female": -1}, random_state=0, device="cpu"
    )
    X = table.assign(region=table["region"].astype(str))
    # Without its categories the column does not say that there is a west.
    with pytest.warns(PriorMismatchWarning, match="region=west: the levels are north"):
        pipeline = make_pipeline(columns, model).fit(X, illness)
    fitted = pipeline[-1]
    scored = dict(zip(fitted.prior_.features, fitted.prior_.scores[0], strict=True))
    assert scored["num__age"] == 6
    assert scored["cat__sex_male"] == 1
    assert scored["cat__sex_female"] == -1
    assert scored["remainder__smoker"] == 8
    assert pipeline.score(table, illness) > 0.6


@pytest.mark.processes
def test_grid_search(table, illness, classifier):
    search = GridSearchCV(
        classifier,
        {"gamma": [0.0, 10.0], "hidden_layer_sizes": [(), (4,)], "max_iter": [300]},
        cv=2,
        n_jobs=2,
        scoring="roc_auc",
    ).fit(table, illness)
    assert search.best_score_ > 0.7
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.processes
def test_randomized_search_over_the_provider(table, illness):
    model = LLMAttributionClassifier(FakeProvider(), device="cpu")
    search = RandomizedSearchCV(
        model,
        {"prior__scale": [0.5, 1.0], "gamma": [0.1, 1.0], "net__lr": [0.9, 1.0]},
        n_iter=3,
        cv=2,
        n_jobs=2,
        random_state=0,
    ).fit(table, illness)
    assert search.best_estimator_.prior.scale == search.best_params_["prior__scale"]
    assert search.best_estimator_.net_.lr == search.best_params_["net__lr"]


def test_grid_search_in_a_pipeline_of_a_regressor(numbers, risk, number_prior):
    pipeline = make_pipeline(
        StandardScaler().set_output(transform="pandas"),
        LLMAttributionRegressor(number_prior, device="cpu", random_state=0),
    )
    search = GridSearchCV(
        pipeline, {"llmattributionregressor__gamma": [0, 1]}, cv=3
    ).fit(numbers, risk)
    assert search.best_score_ > 0.5


@pytest.mark.processes
def test_cross_validation(table, illness, risk, classifier, regressor):
    proba = cross_val_predict(classifier, table, illness, method="predict_proba")
    assert proba.shape == (len(table), 2)
    assert cross_val_score(regressor, table, risk, n_jobs=2).mean() > 0.4
    assert cross_validate(classifier, table, illness)["test_score"].mean() > 0.6


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_calibration(table, illness, classifier, method):
    model = CalibratedClassifierCV(classifier, method=method, cv=2)
    assert model.fit(table, illness).score(table, illness) > 0.7
    plain = model.predict_proba(table)
    weights = np.linspace(0.1, 2, len(table))
    model.fit(table, illness, sample_weight=weights)
    assert not np.allclose(model.predict_proba(table), plain)


def test_a_temperature_multiplies_the_logits_of_a_model_with_names(table, stage, prior):
    prior = {"early": {"age": -6}, "middle": {"age": 0}, "late": prior}
    model = LLMAttributionClassifier(prior, random_state=0, device="cpu")
    model.fit(table, stage)
    scaled = CalibratedClassifierCV(FrozenEstimator(model), method="temperature")
    scaled.fit(table, stage)
    assert list(scaled.classes_) == list(model.classes_)
    # Of single precision, and of softmax only differences are known.
    before, after = model.decision_function(table), np.log(scaled.predict_proba(table))
    (factor,) = [each.calibrators[0].beta_ for each in scaled.calibrated_classifiers_]
    expected = factor * np.diff(before, axis=1)
    np.testing.assert_allclose(np.diff(after, axis=1), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.processes
def test_bagging(numbers, illness, risk, number_prior):
    # Bagging hands its members arrays, so the names have to be given.
    names = list(numbers.columns)
    member = LLMAttributionClassifier(number_prior, feature_names=names, device="cpu")
    model = BaggingClassifier(member, n_estimators=3, random_state=0, n_jobs=2)
    assert model.fit(numbers, illness).score(numbers, illness) > 0.7
    member = LLMAttributionRegressor(number_prior, feature_names=names, device="cpu")
    model = BaggingRegressor(member, n_estimators=3, random_state=0)
    assert model.fit(numbers, risk).score(numbers, risk) > 0.4


def test_voting_and_stacking(table, illness, classifier):
    numbers_only = make_pipeline(
        ColumnTransformer([("num", "passthrough", ["age"])]), LogisticRegression()
    )
    members = [("llm", classifier), ("lr", numbers_only)]
    for ensemble in (
        VotingClassifier(members, voting="soft"),
        StackingClassifier(members, cv=2),
    ):
        assert ensemble.fit(table, illness).score(table, illness) > 0.7


def test_tuned_threshold(table, illness, classifier):
    model = TunedThresholdClassifierCV(
        classifier, scoring="balanced_accuracy", cv=2
    ).fit(table, illness)
    assert 0 <= model.best_threshold_ <= 1


def test_transformed_target(table, risk, regressor):
    model = TransformedTargetRegressor(regressor, func=np.log, inverse_func=np.exp)
    assert model.fit(table, risk).score(table, risk) > 0.5


def test_permutation_importance(table, illness, classifier):
    found = permutation_importance(
        classifier.fit(table, illness), table, illness, random_state=0, n_repeats=3
    )
    assert found.importances_mean.shape == (5,)
    assert found.importances_mean[2] > 0


def test_set_output_of_a_pipeline(numbers, illness, number_prior):
    model = LLMAttributionClassifier(number_prior, device="cpu")
    pipeline = make_pipeline(StandardScaler(), model).set_output(transform="pandas")
    pipeline.fit(numbers, illness)
    assert list(pipeline[-1].feature_names_in_) == list(numbers.columns)


def test_metadata_routing(table, illness, classifier, rng):
    weight = rng.integers(0, 3, len(table)).astype(float)
    direct = clone(classifier).fit(table, illness, sample_weight=weight)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(clone(classifier).set_fit_request(sample_weight=True))
        pipeline.fit(table, illness, sample_weight=weight)
        search = GridSearchCV(
            clone(classifier)
            .set_fit_request(sample_weight=True)
            .set_score_request(sample_weight=True),
            {"gamma": [1.0]},
            cv=2,
        ).fit(table, illness, sample_weight=weight)
    expected = direct.predict_proba(table)
    np.testing.assert_array_equal(pipeline.predict_proba(table), expected)
    np.testing.assert_array_equal(search.predict_proba(table), expected)


def test_clone_keeps_every_parameter(prior):
    model = LLMAttributionClassifier(
        prior, gamma=3.0, net__lr=0.5, net__callbacks=[], hidden_layer_sizes=(3,)
    )
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert copied.get_params()["net__lr"] == 0.5
    assert "net__lr=0.5" in repr(model)
    copied.set_params(net__lr=0.1, gamma=1.0)
    assert (copied.net__lr, copied.gamma) == (0.1, 1.0)
    with pytest.raises(TypeError, match=r"unexpected parameter 'gama'.*net__"):
        LLMAttributionClassifier(gama=3)
    with pytest.raises(ValueError, match="Invalid parameter 'gama'"):
        model.set_params(gama=3)


@pytest.mark.parametrize("gamma", [1.0, "auto"])
@pytest.mark.parametrize("score_transform", ["identity", "auto"])
@pytest.mark.parametrize("hidden_layer_sizes", [(), (4,)])
def test_saving_and_loading(
    table, illness, classifier, hidden_layer_sizes, score_transform, gamma, tmp_path
):
    classifier.set_params(
        hidden_layer_sizes=hidden_layer_sizes,
        score_transform=score_transform,
        gamma=gamma,
    ).fit(table, illness)
    expected = classifier.predict_proba(table)
    joblib.dump(classifier, tmp_path / "model.joblib")
    for loaded in (
        pickle.loads(pickle.dumps(classifier)),
        joblib.load(tmp_path / "model.joblib"),
        copy.deepcopy(classifier),
    ):
        np.testing.assert_array_equal(loaded.predict_proba(table), expected)
        assert loaded.prior_.features == classifier.prior_.features
        assert str(loaded.trust_) == str(classifier.trust_)
        assert loaded.gamma_ == classifier.gamma_


def fit_predict(model, X, y):
    return clone(model).fit(X, y).predict_proba(X)


MODELS = {
    "auto": {"gamma": "auto"},
    "auto, mlp": {"gamma": "auto", "hidden_layer_sizes": (16,), "max_iter": 30},
    "auto, module": {"gamma": "auto", "module": DropoutNet, "max_iter": 10},
    "linear": {},
    "adam": {"solver": "adam", "max_iter": 30, "batch_size": 16},
    "mlp": {"hidden_layer_sizes": (50,), "max_iter": 30},
    "early stopping": {"hidden_layer_sizes": (8,), "early_stopping": True},
    "dropout": {"module": DropoutNet, "max_iter": 30},
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "backend", ["threading", pytest.param("loky", marks=pytest.mark.processes)]
)
def test_the_same_seed_gives_the_same_bits(name, backend, illness, prior, rng):
    X = pd.DataFrame(rng.normal(size=(len(illness), 40))).add_prefix("x")
    model = LLMAttributionClassifier(
        {"x0": 3, "x1": -4},
        random_state=7,
        device="cpu",
        **{"gamma": 1.0} | MODELS[name],
    )
    expected = fit_predict(model, X, illness)
    with joblib.parallel_config(backend, n_jobs=2):
        found = joblib.Parallel()(
            joblib.delayed(fit_predict)(model, X, illness) for _ in range(2)
        )
    for predictions in found:
        np.testing.assert_array_equal(predictions, expected)


def test_the_global_generators_are_left_alone(table, illness, classifier):
    import torch

    torch.manual_seed(3)
    np.random.seed(3)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(3)
    np.random.seed(3)
    classifier.fit(table, illness)
    assert (torch.rand(1), np.random.rand()) == expected
