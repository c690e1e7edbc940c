"""The parts of `llmreg.automl` that need neither FLAML nor AutoGluon."""

import pickle

import numpy as np
import pandas as pd
import pytest

from llmreg import FeaturePrior, LLMAttributionClassifier, LLMAttributionRegressor
from llmreg.automl import flaml_learner, settle_prior
from llmreg.automl._autogluon import _read, check_levels_are_named
from llmreg.automl._model import COST_OF_HIDDEN_LAYERS, CodedModel, plain_frame
from llmreg.exceptions import (
    DataError,
    FeatureNamesError,
    PriorMismatchError,
)
from tests.fakes import FakeProvider


class TestSettling:
    def test_all_sources_say_the_same(self, table, illness, prior, tmp_path):
        from_dict = settle_prior(prior, table, illness)
        card = FeaturePrior.from_dict({"ill": prior})
        card.write(tmp_path / "card.json")
        with pytest.warns(UserWarning, match="no score for"):
            from_path = settle_prior(tmp_path / "card.json", table, illness)
        np.testing.assert_array_equal(from_dict.scores, from_path.scores)
        assert from_dict.outputs == ("ill",)
        assert "region=west" in from_dict.features

    def test_a_provider_is_asked_once_and_no_more(self, table, illness):
        FakeProvider.n_calls = 0
        learner = flaml_learner(FakeProvider(), table, illness)
        assert FakeProvider.n_calls == 1
        model = CodedModel(learner.prior, "classification", learner.classes)
        model.fit(table, (illness == "ill").astype(int))
        pickle.loads(pickle.dumps(learner))
        assert FakeProvider.n_calls == 1

    def test_what_does_not_fit_is_told_before_a_search(self, table, illness):
        with pytest.raises(PriorMismatchError, match="heigth"):
            settle_prior({"heigth": 3, "age": 1}, table, illness)

    def test_declared_kinds_reach_the_prior_and_the_trials(self, rng):
        X = pd.DataFrame({"zip": np.tile([1, 2, 3], 10), "age": rng.random(30)})
        kinds = {"zip": "categorical"}
        prior = {"zip=2": 4, "age": 1}
        learner = flaml_learner(prior, X, X["age"] > 0.5, feature_kinds=kinds)
        assert "zip=2" in learner.prior.features
        assert learner.params["feature_kinds"] == kinds

    def test_no_prior_and_no_such_kind(self, table, illness):
        assert settle_prior(None, table, illness) is None
        with pytest.raises(ValueError, match="kind must be"):
            settle_prior(None, table, illness, kind="ranking")


class TestCodedModel:
    @pytest.mark.parametrize("classes", [["healthy", "ill"], ["ill", "healthy"]])
    def test_numbers_of_classes_become_names(self, classes, table, illness, prior):
        """In whatever order the framework has numbered them."""
        settled = settle_prior(prior, table, illness)
        codes = np.array([classes.index(label) for label in illness])
        model = CodedModel(settled, "classification", classes, random_state=0)
        found = model.fit(table, codes).predict_proba(table)
        plain = LLMAttributionClassifier(prior, random_state=0).fit(table, illness)
        order = [classes.index(label) for label in plain.classes_]
        np.testing.assert_allclose(
            found[:, order], plain.predict_proba(table), atol=1e-8
        )
        assert set(model.predict(table)) == {0, 1}

    def test_a_class_that_a_fold_lacks_has_probability_zero(self, table, stage):
        names = sorted(stage.unique())
        scored = {name: {"age": float(i)} for i, name in enumerate(names)}
        prior = settle_prior(scored, table, stage)
        codes = np.array([names.index(label) for label in stage])
        few = codes < 2
        model = CodedModel(prior, "classification", names).fit(table[few], codes[few])
        assert model.predict_proba(table).shape == (len(table), 3)
        assert not model.predict_proba(table)[:, 2].any()
        assert set(model.predict(table)) <= {0, 1}

    def test_numbers_stay_numbers(self, table, risk, prior):
        settled = settle_prior(prior, table, risk, kind="regression")
        model = CodedModel(settled, "regression", random_state=0).fit(table, risk)
        plain = LLMAttributionRegressor(prior, random_state=0).fit(table, risk)
        np.testing.assert_allclose(model.predict(table), plain.predict(table))

    def test_hidden_layers_wait_for_time(self, table, illness, prior, monkeypatch):
        settled = settle_prior(prior, table, illness)
        codes = (illness == "ill").astype(int)
        model = CodedModel(settled, "classification", ["healthy", "ill"], hidden=5)
        assert model.fit(table, codes, seconds=0.0).was_shortened_
        assert model.estimator_.hidden_layer_sizes == ()
        plenty = 1000.0 * COST_OF_HIDDEN_LAYERS
        assert not model.fit(table, codes, seconds=plenty).was_shortened_
        assert model.estimator_.hidden_layer_sizes == (5,)

    def test_labels_that_are_no_numbers_are_refused(self, table, illness, prior):
        model = CodedModel(None, "classification", ["healthy", "ill"])
        with pytest.raises(DataError, match="leave its preprocessing on"):
            model.fit(table, illness)
        with pytest.raises(DataError, match="from 0 to 1"):
            model.fit(table, np.full(len(table), 2))


class TestFrames:
    def test_a_gap_of_flaml_is_a_gap(self):
        X = pd.DataFrame({"sex": pd.Categorical(["male", "__NAN__"]), "age": [1, 2]})
        plain = plain_frame(X)
        assert list(plain["sex"].cat.categories) == ["male"]
        assert plain["sex"].isna().tolist() == [False, True]
        assert "__NAN__" in X["sex"].cat.categories

    def test_categories_of_true_and_false_are_a_flag(self):
        X = pd.DataFrame({"smoker": pd.Categorical([True, False, None])})
        assert plain_frame(X)["smoker"].tolist()[:2] == [1.0, 0.0]
        assert np.isnan(plain_frame(X)["smoker"].iloc[2])

    def test_an_array_stays(self):
        X = np.zeros((2, 2))
        assert plain_frame(X) is X

    def test_numbers_in_place_of_levels_are_refused(self):
        prior = FeaturePrior.from_dict({"sex=female": 3, "age": 1})
        X = pd.DataFrame({"sex": pd.Categorical([0, 1]), "age": [1, 2]})
        with pytest.raises(FeatureNamesError, match="named_levels"):
            check_levels_are_named(prior, X)
        check_levels_are_named(None, X)

    @pytest.mark.parametrize("levels", [[1.0, 2.0], [1, 2], [True, False], ["1", "2"]])
    def test_a_level_may_have_another_spelling(self, levels):
        X = pd.DataFrame({"ward": pd.Categorical(levels)})
        check_levels_are_named(FeaturePrior.from_dict({"ward=1": 3}), X)


class TestPriors:
    @pytest.mark.parametrize("way", ["path", "text of the path", "card", "dict"])
    def test_any_form_is_read(self, way, tmp_path):
        prior = FeaturePrior.from_dict({"sex=female": 3, "age": 1})
        path = tmp_path / "card.json"
        prior.write(path)
        forms = {"path": path, "text of the path": str(path), "card": prior.to_json()}
        read = _read(forms.get(way, {"sex=female": 3, "age": 1}))
        assert read.features == prior.features
        check_levels_are_named(read, pd.DataFrame({"sex": ["female"], "age": [1]}))


def test_unknown_names_of_the_lazy_modules_are_errors():
    from llmreg.automl import _autogluon as autogluon
    from llmreg.automl import _flaml as flaml

    for module in (autogluon, flaml):
        with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
            module.Nothing  # noqa: B018
