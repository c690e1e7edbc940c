"""Learning curves: where the prior stops to matter, labels saved, the plot."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.data.results import COLUMNS
from benchmarks.reporting import curves
from benchmarks.reporting.learning import (
    LINEAR,
    MLP,
    TUNED,
    Saved,
    curve,
    median_factor,
    reach,
    rows_per_class,
    saved,
    stop,
)

SIZES = {"1": 2, "10": 20, "100": 200, "0.8": 2000}


def frame_of(methods, card="toy", sizes=None):
    """Rows of one card; methods: name -> for every size the values of the draws."""
    sizes = list(SIZES) if sizes is None else sizes
    return pd.DataFrame(
        [
            {
                "card": card,
                "shots": shots,
                "repetition": draw,
                "method": method,
                "n_train": SIZES[shots],
                "roc_auc": value,
            }
            for method, by_size in methods.items()
            for shots, values in zip(sizes, by_size, strict=True)
            for draw, value in enumerate(np.atleast_1d(values))
        ]
    )


def gains(*by_size):
    """Rows in which the default gains so much over tuning, draw by draw."""
    ours = [0.7 + np.asarray(gain) for gain in by_size]
    return frame_of({TUNED: [np.full(len(g), 0.7) for g in by_size], LINEAR: ours})


class TestRows:
    def test_a_share_is_told_per_class(self):
        rows = frame_of({TUNED: [0.5] * 4})
        assert rows_per_class(rows) == {"1": 1, "10": 10, "100": 100, "0.8": 1000}

    def test_a_curve_is_in_order_of_the_rows(self):
        rows = frame_of({TUNED: [[0.5, 0.7], [0.6, 0.6], [0.7, 0.7], [0.8, 0.9]]})
        found = curve(rows.sample(frac=1, random_state=0), TUNED)
        assert list(found["rows"]) == [1, 10, 100, 1000]
        assert list(found["draws"]) == [2] * 4
        np.testing.assert_allclose(found["mean"], [0.6, 0.6, 0.7, 0.85])
        assert found["deviation"][0] == pytest.approx(np.std([0.5, 0.7], ddof=1))


class TestStop:
    def test_it_stops_where_the_gain_stays_small(self):
        found = stop(gains([0.1, 0.2], [0.02, 0.01], [0.004, -0.004], [0.001, -0.001]))
        assert (found.small, found.settled, found.largest) == (100, 100, 1000)
        assert found.gain == pytest.approx(0)

    def test_a_small_gain_before_a_large_one_does_not_count(self):
        found = stop(gains([0.0, 0.0], [0.1, 0.1], [0.0, 0.0], [0.0, 0.0]))
        assert found.small == 100

    def test_it_does_not_stop_within_the_table(self):
        found = stop(gains([0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.006, 0.006]))
        assert (found.small, found.settled) == (np.inf, np.inf)
        assert found.gain == pytest.approx(0.006)

    def test_the_least_gain_itself_is_not_below(self):
        rows = gains([0.0], [0.0], [0.0], [0.0])
        rows.loc[rows["method"] == LINEAR, "roc_auc"] = 0.005
        rows.loc[rows["method"] == TUNED, "roc_auc"] = 0.0
        assert stop(rows).small == np.inf

    def test_small_and_sure_is_not_settled(self):
        sure, unsure = [0.0030, 0.0031, 0.0029], [0.010, -0.004, 0.003]
        found = stop(gains(sure, sure, unsure, unsure))
        assert (found.small, found.settled) == (1, 100)

    def test_one_draw_tells_by_the_mean_alone(self):
        found = stop(gains([0.1], [0.004], [0.004], [0.004]))
        assert (found.small, found.settled) == (10, 10)
        assert np.isnan(found.error)

    def test_nothing_without_both(self):
        assert stop(frame_of({TUNED: [0.5] * 4})) is None


class TestSaved:
    def test_interpolates_in_the_logarithm_of_the_rows(self):
        rows, means = np.array([1.0, 10.0, 1000.0]), np.array([0.5, 0.6, 0.8])
        assert reach(rows, means, 0.7) == pytest.approx(100)
        assert reach(rows, means, 0.55) == pytest.approx(10**0.5)
        assert reach(rows, means, 0.6) == pytest.approx(10)
        assert reach(rows, means, 0.4) == 1
        assert reach(rows, means, 0.9) == np.inf

    def test_the_first_touch_counts(self):
        means = np.array([0.5, 0.7, 0.6, 0.8])
        assert reach(np.array([1.0, 10, 100, 1000]), means, 0.7) == pytest.approx(10)

    def test_a_tenth_of_the_rows(self):
        rows = frame_of({TUNED: [0.5, 0.6, 0.7, 0.8], LINEAR: [0.6, 0.7, 0.8, 0.8]})
        found = saved(rows, LINEAR)
        assert (found.mark_rows, found.mark) == (100, 0.7)
        assert found.rows == pytest.approx(10) and found.factor == pytest.approx(10)
        assert not found.bounded

    def test_tuned_needs_what_it_needs(self):
        rows = frame_of({TUNED: [0.5, 0.6, 0.7, 0.8]})
        assert saved(rows, TUNED).factor == pytest.approx(1)

    def test_a_small_table_has_its_mark_below(self):
        methods = {TUNED: [0.5, 0.6, 0.65], LINEAR: [0.6, 0.7, 0.7]}
        found = saved(frame_of(methods, sizes=["1", "10", "0.8"]), LINEAR)
        assert (found.mark_rows, found.mark) == (10, 0.6)
        assert found.bounded and found.factor == 10

    def test_what_is_never_reached(self):
        rows = frame_of({TUNED: [0.5, 0.6, 0.7, 0.8], LINEAR: [0.4, 0.5, 0.6, 0.6]})
        found = saved(rows, LINEAR)
        assert (found.rows, found.factor, found.bounded) == (np.inf, 0, False)

    def test_nothing_without_the_method_or_the_mark(self):
        assert saved(frame_of({TUNED: [0.5] * 4}), LINEAR) is None
        assert saved(frame_of({LINEAR: [0.5] * 4}), LINEAR) is None

    def test_the_median_says_whether_it_is_a_bound(self):
        def one(factor, bounded=False):
            return Saved(100, 0.7, 100 / factor, factor, bounded)

        assert median_factor([one(1), one(3), one(50, True)]) == (3, False)
        assert median_factor([one(1), one(50, True), one(50, True)]) == (50, True)
        assert median_factor([one(2), one(4)]) == (3, False)
        assert median_factor([one(2), one(50, True)]) == (26, True)


class TestProgram:
    @pytest.fixture
    def rows(self):
        methods = {
            TUNED: [[0.5, 0.5], [0.6, 0.6], [0.7, 0.7], [0.8, 0.8]],
            LINEAR: [[0.6, 0.6], [0.7, 0.7], [0.8, 0.8], [0.8, 0.8]],
            MLP: [[0.6, 0.6], [0.65, 0.65], [0.8, 0.8], [0.8, 0.8]],
        }
        parts = [frame_of(methods, card=card) for card in ("a", "b")]
        return pd.concat(parts, ignore_index=True)

    @pytest.fixture
    def file(self, rows, tmp_path):
        """A file as it was written before F1 was told."""
        path = tmp_path / "fewshot.csv"
        columns = [name for name in COLUMNS if name != "f1"]
        rows.reindex(columns=columns).to_csv(path, index=False)
        return path

    def test_writes_tables_numbers_and_plot(self, file, tmp_path, capsys):
        out = tmp_path / "curves.csv"
        assert curves.main(["--files", str(file), "--out", str(out)]) == 0
        text = out.with_suffix(".md").read_text()
        assert "| a | 1000 | 1000 | 1000 | +0.0000 ± 0.0000 |" in text
        assert "| a | 100 | 0.700 | 10 | 10 | 21.5 | 4.64 |" in text
        assert "| **median** | | | | 10 | | 4.64 |" in text
        assert "(curves.png)" in text and text.rstrip() in capsys.readouterr().out
        numbers = pd.read_csv(out)
        assert len(numbers) == 2 * 3 * 4
        assert out.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"

    def test_extra_sizes_join_and_the_first_file_wins(self, rows, file, tmp_path):
        extra = tmp_path / "extra.csv"
        more = rows[rows["shots"] == "1"].assign(roc_auc=0.1)
        two = more.assign(shots="2", n_train=4)
        pd.concat([more, two]).reindex(columns=list(COLUMNS)).to_csv(extra, index=False)
        frame = curves.read([file, extra])
        assert set(frame["shots"]) == {*SIZES, "2"}
        assert 0.1 not in set(frame.loc[frame["shots"] == "1", "roc_auc"])

    def test_only_draws_that_all_methods_have(self, rows):
        late = (rows["repetition"] == 1) & (rows["method"] == MLP)
        left = curves.same_draws(rows[~(late & (rows["shots"] == "10"))])
        assert set(left.loc[left["shots"] == "10", "repetition"]) == {0}
        assert set(left.loc[left["shots"] == "100", "repetition"]) == {0, 1}

    def test_says_what_is_wrong_with_a_file(self, tmp_path, capsys):
        out = ["--out", str(tmp_path / "curves.csv")]
        assert curves.main(["--files", str(tmp_path / "absent.csv"), *out]) == 2
        assert "no result file absent.csv" in capsys.readouterr().err
        other = tmp_path / "other.csv"
        other.write_text("a,b\n1,2\n")
        assert curves.main(["--files", str(other), *out]) == 2
        assert "lacks the columns" in capsys.readouterr().err
        empty = tmp_path / "empty.csv"
        empty.write_text(",".join(COLUMNS) + "\n")
        assert curves.main(["--files", str(empty), *out]) == 2
        assert "no ROC AUC" in capsys.readouterr().err
