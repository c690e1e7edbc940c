"""What boosted trees take from a prior and a model, and that libraries do take it."""

import importlib
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.model_selection import ShuffleSplit, StratifiedKFold

from llmreg import (
    FeaturePrior,
    LLMAttributionClassifier,
    LLMAttributionRegressor,
    ResponseCurve,
)
from llmreg.exceptions import ExportError, PriorMismatchError
from llmreg.export import boosting_margin, boosting_params

NAMES = {
    "sklearn": HistGradientBoostingClassifier,
    "lightgbm": "LGBMClassifier",
    "xgboost": "XGBClassifier",
    "catboost": "CatBoostClassifier",
}
QUIET = {
    "sklearn": {"max_iter": 5},
    "lightgbm": {"n_estimators": 30, "verbosity": -1, "min_child_samples": 2},
    "xgboost": {"n_estimators": 5, "enable_categorical": True},
    "catboost": {"iterations": 5, "verbose": False, "allow_writing_files": False},
}


def make(library, params):
    kind = NAMES[library]
    if isinstance(kind, str):
        kind = getattr(pytest.importorskip(library), kind)
    return kind(**QUIET[library], **params)


def signs(effects, **options):
    X = pd.DataFrame([[0.0] * len(effects)] * 2, columns=list(effects))
    ranges = options.pop("ranges", {})
    prior = FeaturePrior.from_dict(effects, ranges=ranges)
    return boosting_params(prior, X, "sklearn", **options)["monotonic_cst"]


class TestMonotone:
    def test_signs_of_scores(self):
        assert signs({"a": 3, "b": -1, "c": 0.9, "d": 0}) == [1, -1, 0, 0]

    def test_no_opinion_is_no_constraint(self):
        X = pd.DataFrame({"a": [0, 1], "b": [0, 1]})
        prior = FeaturePrior.from_dict({"b": 4})
        assert boosting_params(prior, X, "catboost") == {"monotone_constraints": [0, 1]}

    def test_only_curves_that_are_monotone(self):
        falling = [(0, 5), (1, 5), (2, -3)]
        bent = [(0, 0), (1, 5), (2, 2)]
        assert signs({"a": falling, "b": bent, "c": [(0, 1), (1, 2)]}) == [-1, 0, 0]

    @pytest.mark.parametrize(("tolerance", "sign"), [(0.1, 1), (0.0, 0)])
    def test_a_little_back_is_tolerated(self, tolerance, sign):
        curve = [(0, -4), (1, 6), (2, 5)]
        assert signs({"a": curve}, tolerance=tolerance) == [sign]

    def test_what_lies_beyond_the_typical_range_does_not_count(self):
        curve = {"a": [(0, 6), (10, -4), (20, 0), (30, 6)]}
        assert signs(curve) == [0]
        assert signs(curve, ranges={"a": (12, 15, 40)}) == [1]

    def test_codes_break_the_order(self):
        curve = ResponseCurve([1, 9], [-5, 5], special={0: [3]})
        prior = FeaturePrior(("a",), [[5.0]], curves={"a": curve})
        X = pd.DataFrame({"a": [1.0, 2.0]})
        assert boosting_params(prior, X, "lightgbm") == {"monotone_constraints": [0]}

    def test_scores_of_the_other_class_are_turned(self):
        prior = FeaturePrior.from_dict({"age": 5}, output="healthy")
        X = pd.DataFrame({"age": [1, 2]})
        found = boosting_params(prior, X, "sklearn", classes=["healthy", "ill"])
        assert found == {"monotonic_cst": [-1]}

    def test_many_classes_have_none(self):
        scores = {name: {"a": 5} for name in "xyz"}
        X = pd.DataFrame({"a": [1, 2]})
        assert not boosting_params(FeaturePrior.from_dict(scores), X, "xgboost")
        with pytest.raises(PriorMismatchError):
            boosting_params(FeaturePrior.from_dict(scores), X, "xgboost", classes="xyw")


class TestWeights:
    def test_sizes_of_effects(self):
        X = pd.DataFrame({"a": [0, 1], "b": [0, 1], "c": ["u", "v"], "d": [0, 1]})
        bent = [(0, 5), (1, -5), (2, 5)]
        prior = FeaturePrior.from_dict({"a": bent, "b": 0, "c=u": 2, "c=v": -3})
        found = boosting_params(prior, X, "catboost", monotone=False, weights=True)
        assert found == {"feature_weights": [1.0, 0.1, 0.5, 0.5]}

    def test_no_opinion_at_all(self):
        X = pd.DataFrame({"a": [0, 1]})
        prior = FeaturePrior.from_dict({"a": None})
        found = boosting_params(prior, X, "xgboost", weights=True)
        assert found["feature_weights"] == [0.1]


def test_messages():
    prior, X = FeaturePrior.from_dict({"a": 1}), pd.DataFrame({"a": [0, 1]})
    with pytest.raises(ValueError, match="library must be one of"):
        boosting_params(prior, X, "sktree")
    with pytest.raises(ValueError, match="takes no weights"):
        boosting_params(prior, X, "sklearn", weights=True)


@pytest.mark.parametrize("library", list(NAMES))
def test_the_libraries_take_it(library, table, illness, prior):
    """Constraints hold, and without interactions effects add up."""
    X = table[["age", "bmi", "smoker", "sex", "region"]].fillna({"sex": "unknown"})
    X = X.astype({"sex": "category", "smoker": float})
    known, weights = FeaturePrior.from_dict(prior), library != "sklearn"
    params = boosting_params(known, X, library, weights=weights, additive=True)
    if library == "catboost":
        params["cat_features"] = ["sex", "region"]
    y = (illness == "ill").to_numpy().astype(int)
    with warnings.catch_warnings():
        if library != "sklearn":  # What others warn of is theirs to mend.
            warnings.simplefilter("ignore")
        model = make(library, params).fit(X, y)
        rows = pd.concat([X.iloc[[5]]] * 40, ignore_index=True)
        rows["age"] = np.linspace(10, 90, 40)
        rising = model.predict_proba(rows)[:, 1]
        rows["bmi"] = 35.0
        moved = model.predict_proba(rows)[:, 1]
    assert (np.diff(rising) >= -1e-12).all() and np.ptp(rising) > 0
    logits = [np.log(p / (1 - p)) for p in (rising, moved)]
    np.testing.assert_allclose(np.ptp(logits[1] - logits[0]), 0, atol=1e-5)


class TestMargin:
    def test_training_rows_get_what_others_say(self, table, illness, prior):
        model = LLMAttributionClassifier({"ill": prior}).fit(table, illness)
        found = boosting_margin(model, table, illness, cv=3)
        folds = StratifiedKFold(3, shuffle=True, random_state=0)
        (train, test), *_ = folds.split(table, illness)
        part = LLMAttributionClassifier({"ill": prior})
        part.fit(table.iloc[train], illness.iloc[train])
        expected = part.decision_function(table.iloc[test])
        np.testing.assert_allclose(found[test], expected, atol=1e-6)
        new = boosting_margin(model, table)
        np.testing.assert_array_equal(new, model.decision_function(table))
        assert np.abs(new - found).max() > 1e-3
        again = boosting_margin(model, table, illness, cv=np.int64(3))
        np.testing.assert_array_equal(again, found)

    def test_counts_have_logarithms(self, table, risk, prior):
        counts = np.floor(np.exp(risk))
        model = LLMAttributionRegressor(prior, loss="poisson").fit(table, counts)
        margin = boosting_margin(model, table)
        np.testing.assert_allclose(np.exp(margin), model.predict(table))
        assert np.isfinite(boosting_margin(model, table, counts, cv=3)).all()

    def test_many_classes_and_numbers(self, table, stage, risk, prior):
        scores = dict.fromkeys(("early", "middle", "late"), prior)
        model = LLMAttributionClassifier(scores).fit(table, stage)
        assert boosting_margin(model, table, stage, cv=3).shape == (len(table), 3)
        number = LLMAttributionRegressor(prior).fit(table, risk)
        margin = boosting_margin(number, table, risk)
        trees = HistGradientBoostingRegressor().fit(table[["age"]], risk - margin)
        assert np.isfinite(margin + trees.predict(table[["age"]])).all()

    @pytest.mark.parametrize("library", ["lightgbm", "xgboost", "catboost"])
    def test_trees_start_at_it(self, library, rng):
        """A margin that is right leaves nothing to learn, the base rate included."""
        pytest.importorskip(library)
        X = rng.normal(size=(4000, 2))
        margin = 2 + X[:, 0]
        y = (rng.random(4000) < 1 / (1 + np.exp(-margin))).astype(int)
        model = make(library, {})
        key = {"lightgbm": "init_score", "xgboost": "base_margin"}.get(library)
        model.fit(X, y, **{key or "baseline": margin})
        if library == "xgboost":
            start = np.zeros(len(X), dtype=np.float32)
            learnt = model.predict(X, output_margin=True, base_margin=start)
        elif library == "lightgbm":
            learnt = model.predict(X, raw_score=True)
        else:
            learnt = model.predict(X, prediction_type="RawFormulaVal")
        assert abs(learnt.mean()) < 0.2

    def test_errors(self, table, illness, prior):
        model = LLMAttributionClassifier({"ill": prior}).fit(table, illness)
        with pytest.raises(ValueError, match="each row once"):
            boosting_margin(model, table, illness, cv=ShuffleSplit(2))
        with pytest.raises(ExportError):
            boosting_margin(HistGradientBoostingClassifier(), table)


def test_no_library_is_imported():
    source = importlib.import_module("llmreg.export._boosting")
    assert not {"lightgbm", "xgboost", "catboost"} & set(vars(source))
