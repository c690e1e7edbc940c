"""Trees on top of an additive model: where rows confirm them, and nowhere else."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor
from llmreg._utils._reproducibility import _get_threads
from llmreg.exceptions import CoefficientsError, ExportError, NoPosteriorError
from llmreg.export import boosting_margin, to_onnx, to_sklearn
from llmreg.linear_model import _trees
from tests.fakes import small_module

SCORES = {"a": 1, "b": 1, "c": 5}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.uniform(-1, 1, size=(500, 3)), columns=["a", "b", "c"])
    crossed = 6 * X["a"] * X["b"] + 2 * X["c"]
    return X, crossed, rng.logistic(size=len(X))


@pytest.fixture(scope="module")
def model(table):
    X, crossed, noise = table
    return LLMAttributionClassifier(SCORES, random_state=0).fit(X, crossed + noise > 0)


def new_rows(n_rows=400):
    rng = np.random.default_rng(1)
    X = pd.DataFrame(rng.uniform(-1, 1, size=(n_rows, 3)), columns=["a", "b", "c"])
    return X, 6 * X["a"] * X["b"] + 2 * X["c"]


class TestWhatRowsShow:
    def test_columns_that_work_together_are_learnt_and_named(self, model):
        X, crossed = new_rows()
        assert model.trees_.interactions == (("a", "b"),)
        assert model.score(X, crossed > 0) > 0.85
        below = clone(model).set_params(trees=None).fit(*fitted_on(model))
        assert below.trees_ is None
        assert below.score(X, crossed > 0) < 0.75

    def test_the_verdict_says_what_unseen_rows_gained(self, model):
        before, after = model.trees_.losses
        assert after < 0.9 * before
        assert model.trust_.verdict.endswith(str(model.trees_))
        said = f"from {before:.3f} to {after:.3f}; what works together: a with b."
        assert said in model.trust_.verdict

    def test_a_sum_stays_a_sum(self, table):
        X, _, noise = table
        y = 2 * X["a"] + X["b"] + 3 * X["c"] + noise > 0
        model = LLMAttributionClassifier(SCORES, random_state=0).fit(X, y)
        assert model.trees_ is None
        assert model.coef_.shape == (1, 3)

    def test_few_rows_grow_no_trees(self, table, monkeypatch):
        X, crossed, noise = table
        monkeypatch.delattr(_trees, "HistGradientBoostingClassifier")
        model = LLMAttributionClassifier(SCORES)
        assert model.fit(X[:199], crossed[:199] + noise[:199] > 0).trees_ is None

    def test_a_class_of_few_rows_grows_no_trees(self, table, monkeypatch):
        X, crossed, _ = table
        monkeypatch.delattr(_trees, "HistGradientBoostingClassifier")
        y = np.where(np.arange(len(X)) < 9, "rare", np.where(crossed > 0, "up", "down"))
        prior = {"rare": SCORES, "up": SCORES, "down": SCORES}
        assert LLMAttributionClassifier(prior).fit(X, y).trees_ is None

    def test_levels_are_gathered_for_trees(self, table):
        X, _, noise = table
        X = X.assign(a=np.where(X["a"] > 0, "up", "down"))
        y = 4 * np.where(X["a"] == "up", X["b"], -X["b"]) + noise > 0
        prior = {"a=up": 1, "a=down": 1, "b": 1, "c": 1}
        model = LLMAttributionClassifier(prior, random_state=0).fit(X, y)
        assert model.trees_.interactions == (("a", "b"),)
        assert model.trees_.table.shape == (4, 3)
        unknown = X.assign(a="sideways")
        assert np.isfinite(model.predict_proba(unknown)).all()


class TestOtherTargets:
    def test_of_a_regression_intervals_shrink_and_hold(self, table):
        X, crossed, noise = table
        model = LLMAttributionRegressor(SCORES, random_state=0)
        model.fit(X, crossed + 0.3 * noise)
        below = clone(model).set_params(trees=None).fit(X, crossed + 0.3 * noise)
        assert model.trees_.interactions == (("a", "b"),)
        X, crossed = new_rows()
        assert model.score(X, crossed) > 0.9 > 0.6 > below.score(X, crossed)
        y = crossed + 0.3 * np.random.default_rng(2).logistic(size=len(X))
        low, high = model.predict_interval(X).T
        assert 0.85 < np.mean((low < y) & (y < high)) < 0.97
        widths = [np.ptp(m.predict_interval(X), axis=1).mean() for m in (model, below)]
        assert widths[0] < 0.8 * widths[1]

    def test_of_several_targets(self, table):
        X, crossed, _ = table
        y = pd.DataFrame({"sum": X["a"] + X["b"], "product": crossed})
        prior = {"sum": SCORES, "product": SCORES}
        model = LLMAttributionRegressor(prior, hidden_layer_sizes=4, random_state=0)
        model.fit(X, y)
        assert model.predict(X).shape == y.shape
        assert len(model.trust_) == 2
        assert model.trees_.errors.shape == (2,)

    def test_of_several_classes(self, table):
        X, crossed, noise = table
        y = np.digitize(crossed + noise, [-1, 1])
        prior = {str(label): {"c": label - 1} for label in range(3)}
        model = LLMAttributionClassifier(prior, random_state=0).fit(X, y)
        assert model.trees_.interactions[0] == ("a", "b")
        X, crossed = new_rows()
        assert model.predict_proba(X).shape == (len(X), 3)
        assert model.score(X, np.digitize(crossed, [-1, 1])) > 0.65


class TestOneModel:
    def test_the_same_seed_gives_the_same_bits(self, model):
        X, _ = new_rows(50)
        again = clone(model).fit(*fitted_on(model))
        assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
        same = pickle.loads(pickle.dumps(model))
        assert np.array_equal(same.predict_proba(X), model.predict_proba(X))

    def test_outputs_are_shares_of_two(self, model):
        X, _ = new_rows(5)
        below = clone(model).set_params(trees=None).fit(*fitted_on(model))
        shares, margins = model.trees_.weights, below.decision_function(X)
        encoded = model.encoder_.transform(X)
        alone = model.trees_.add_to(np.zeros((5, 1)), encoded)[:, 0]
        expected = shares[0] * margins + alone
        np.testing.assert_allclose(model.decision_function(X), expected, rtol=1e-6)

    def test_a_base_rate_moves_the_logit(self, model):
        X, _ = new_rows(5)
        moved = clone(model).set_params(base_rate=0.1).fit(*fitted_on(model))
        apart = moved.decision_function(X) - model.decision_function(X)
        rate = fitted_on(model)[1].mean()
        expected = np.log(0.1 / 0.9) - np.log(rate / (1 - rate))
        np.testing.assert_allclose(apart, expected, rtol=1e-5)

    def test_partial_fit_says_that_it_leaves_them_out(self, model):
        X, y = fitted_on(model)
        goes_on = pickle.loads(pickle.dumps(model))
        with pytest.warns(UserWarning, match="leaves out the boosted trees"):
            goes_on.partial_fit(X[:20], y[:20])
        assert goes_on.trees_ is None

    @pytest.mark.parametrize("export", [to_sklearn, to_onnx])
    def test_exports_say_the_way_out(self, model, export):
        with pytest.raises(ExportError, match="trees=None"):
            export(model)

    def test_weights_say_the_way_out(self, model):
        with pytest.raises(CoefficientsError, match="trees=None"):
            _ = model.coef_

    @pytest.mark.parametrize(
        "params",
        [
            {"biased_features": ["c"]},
            {"gamma": 1.0},
            {"prior": None},
            {"attribution": "input_x_gradient"},
            {"module": small_module, "max_iter": 3},
            {"hidden_layer_sizes": 4, "max_iter": 3, "early_stopping": True},
            {"hidden_layer_sizes": 4, "max_iter": 3, "trees": None},
        ],
    )
    def test_what_grows_none(self, model, params):
        other = clone(model).set_params(**params).fit(*fitted_on(model))
        assert other.trees_ is None

    def test_more_columns_than_trees_look_at_grow_none(self, model, monkeypatch):
        monkeypatch.setattr(_trees, "_MOST_COLUMNS", 2)
        assert clone(model).fit(*fitted_on(model)).trees_ is None

    def test_hidden_layers_make_room_for_trees(self, model):
        X, _ = new_rows(50)
        wide = clone(model).set_params(hidden_layer_sizes=4).fit(*fitted_on(model))
        assert len(wide.net_.module_.corrections) == 0
        assert np.array_equal(wide.predict_proba(X), model.predict_proba(X))
        for take in (to_onnx, to_sklearn):
            with pytest.raises(ExportError, match="trees=None"):
                take(wide)
        with pytest.raises(NoPosteriorError, match="trees=None"):
            wide.predict_proba_interval(X)

    def test_hidden_layers_learn_where_trees_do_not(self, table):
        X, _, noise = table
        y = 2 * X["a"] + X["b"] + 3 * X["c"] + noise > 0
        wide = LLMAttributionClassifier(
            SCORES, hidden_layer_sizes=4, max_iter=5, random_state=0
        )
        alone = clone(wide).set_params(trees=None)
        found = [m.fit(X, y).predict_proba(X) for m in (wide, alone)]
        assert wide.trees_ is None
        assert np.array_equal(*found)


def fitted_on(model):
    """Return the rows of the fixtures again."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.uniform(-1, 1, size=(500, 3)), columns=["a", "b", "c"])
    noise = rng.logistic(size=len(X))
    return X, 6 * X["a"] * X["b"] + 2 * X["c"] + noise > 0


class TestWhatIsNoEvidence:
    """Rows that trees have seen before, in one form or another, confirm nothing."""

    @pytest.mark.parametrize(
        "estimator", [LLMAttributionClassifier, LLMAttributionRegressor]
    )
    def test_copies_of_rows_do_not_confirm_trees(self, table, estimator):
        X, _, noise = table
        y = noise > 0 if estimator is LLMAttributionClassifier else noise
        some = np.random.default_rng(0).integers(len(X), size=len(X))
        X, y = X.iloc[some], np.asarray(y)[some]
        assert estimator(SCORES, random_state=0).fit(X, y).trees_ is None

    def test_few_distinct_rows_are_no_copies(self):
        rng = np.random.default_rng(0)
        X = pd.DataFrame(rng.integers(0, 3, size=(800, 2)), columns=["a", "b"])
        y = 4 * (X["a"] - 1) * (X["b"] - 1) + rng.logistic(size=800) > 0
        model = LLMAttributionClassifier({"a": 1, "b": 1}, random_state=0).fit(X, y)
        assert model.trees_.interactions == (("a", "b"),)


def test_a_class_that_is_gone_grows_no_trees(table):
    X, crossed, noise = table
    y = np.digitize(crossed + noise, [-2, 2]).astype(str)
    prior = dict.fromkeys("012", SCORES)
    model = LLMAttributionClassifier(prior, warm_start=True).fit(X, y)
    assert model.fit(X[y < "2"], y[y < "2"]).trees_ is None


def test_columns_of_the_same_name_are_two(table):
    X, crossed, noise = table
    X = X.set_axis(["a", "a", "b"], axis=1)
    model = LLMAttributionClassifier([1, 1, 5], random_state=0)
    assert model.fit(X, crossed + noise > 0).trees_.table.shape == (3, 3)


def test_columns_of_levels_of_the_same_name_are_two(table):
    X, _, noise = table
    up = [np.where(X[name] > 0, "up", "down") for name in "ab"]
    X = pd.DataFrame({"a": up[0], "b": up[1], "c": X["c"]})
    # Were the numbers of their levels added up, two of the four would be the same.
    y = 4 * ((up[0] == "up") & (up[1] == "down")) + X["c"] + noise > 1
    model = LLMAttributionClassifier([1, 1, 1, 1, 5], random_state=0)
    apart = model.fit(X, y).predict_proba(X)
    assert model.trees_.table.shape == (5, 3)
    same = X.set_axis(["a", "a", "c"], axis=1)
    np.testing.assert_array_equal(model.fit(same, y).predict_proba(same), apart)
    assert model.trees_.table.shape == (5, 3)


def test_intervals_and_pieces_know_of_no_trees(model, table):
    with pytest.raises(NoPosteriorError, match="trees=None"):
        model.predict_proba_interval(table[0])
    again = pickle.loads(pickle.dumps(model))
    with pytest.warns(UserWarning, match="leaves out the boosted trees"):
        again.partial_fit(*fitted_on(model))
    assert "trees" not in again.trust_.verdict


def test_margins_hold_the_declared_base_rate(table):
    X, crossed, noise = table
    model = LLMAttributionClassifier(SCORES, base_rate=0.02, random_state=0)
    model.fit(X, crossed + noise > 0)
    assert model.trees_ is not None
    assert boosting_margin(model, X).mean() < -2


def test_a_constant_target_has_no_say(table):
    X, crossed, noise = table
    prior = {"one": SCORES, "other": SCORES}
    both = pd.DataFrame({"one": crossed + noise, "other": 7.0})
    two = LLMAttributionRegressor(prior, random_state=0).fit(X, both)
    one = LLMAttributionRegressor(SCORES, random_state=0).fit(X, both["one"])
    np.testing.assert_allclose(two.trees_.losses, one.trees_.losses, rtol=1e-6)
    np.testing.assert_allclose(two.predict(X)[:, 1], 7.0)


def test_few_rows_have_one_thread(table, monkeypatch):
    X, crossed, noise = table
    seen, margins = set(), _trees._margins

    def watched(*given):
        seen.add(_get_threads("openmp"))
        return margins(*given)

    monkeypatch.setattr(_trees, "_margins", watched)
    model = LLMAttributionRegressor(SCORES, n_jobs=2).fit(X, crossed + noise)
    assert model.trees_ is not None
    model.predict(X)
    assert seen == {1}


class TestOnePrecision:
    """Trees split at values of rows, and no rounding decides on which side one is."""

    @staticmethod
    def single():
        rng = np.random.default_rng(0)
        # More values than trees have bins, many of them several times.
        X = np.round(rng.uniform(-1, 1, size=(500, 3)), 3).astype(np.float32)
        return X, 6 * X[:, 0] * X[:, 1] + 2 * X[:, 2] + rng.logistic(size=500)

    @pytest.mark.parametrize("form", [np.asarray, csr_array])
    @pytest.mark.parametrize("scaler", ["minmax", "standard"])
    def test_rows_of_either_make_one_model(self, scaler, form):
        X, y = self.single()
        double = X.astype(np.float64)
        model = LLMAttributionRegressor([1, 1, 5], scaler=scaler, random_state=0)
        found = []
        for rows in (X, double):
            model.fit(form(rows), y)
            assert model.trees_ is not None
            found += [model.predict(form(rows)) for rows in (X, double)]
        np.testing.assert_allclose(found[1:], found[:1] * 3, rtol=1e-5, atol=1e-6)

    def test_so_do_a_part_of_very_many_and_a_base_rate(self, monkeypatch):
        monkeypatch.setattr(_trees, "_MOST_ROWS", 400)
        X, y = self.single()
        model = LLMAttributionClassifier([1, 1, 5], base_rate=0.1, random_state=0)
        found = [
            model.fit(rows, y > 0).predict_proba(X)
            for rows in (X, X.astype(np.float64))
        ]
        assert model.trees_ is not None
        np.testing.assert_allclose(*found, atol=1e-6)


def test_rows_are_told_apart_by_all_of_their_keys(monkeypatch):
    # As floats these keys would all be the same.
    keys = pd.Series(np.repeat(2**63 + np.arange(4, dtype=np.uint64), 2))
    monkeypatch.setattr(pd.util, "hash_pandas_object", lambda *_, **__: keys)
    kinds = _trees._copies(np.zeros((8, 1)), np.ones(8))
    assert len(np.unique(kinds)) == 4
