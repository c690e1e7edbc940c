"""The memory audit: what is held against the rows, and the rule of the verdict."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.data.catalogue import WORLDS
from benchmarks.data.datasets import Dataset, load
from benchmarks.data.knowledge import recorded_knowledge
from benchmarks.experiments import memory_audit
from benchmarks.experiments.memory_audit import HEART, NOT, OPEN
from llmreg.prior import BaseRate, FeaturePrior, TypicalRange

N_ROWS = 2001
TRUE = {"flat": (50.0, 500.0, 950.0), "late": (0.0, 0.0, 180.0)}


@pytest.fixture
def table():
    """Numbers from 0 to 1000, a column that is mostly 0, one of two values."""
    flat = np.linspace(0, 1000, N_ROWS)
    # Their 5th and their 50th percentile are their least value.
    late = np.where(flat < 800, 0, flat - 770)
    X = pd.DataFrame({"flat": flat, "late": late, "flag": (flat > 500) * 1.0})
    y = pd.Series(np.where(np.arange(N_ROWS) % 5, "no", "yes"))
    prior = FeaturePrior.from_dict({"yes": dict.fromkeys(X, 0)})
    return Dataset("toy", X, y, "classification", "yes", ("no", "yes"), {}, prior)


def said(rate=0.2, **ranges):
    """Make a prior of what was said."""
    return FeaturePrior.from_estimates(
        [{"yes": {"flat": 1, "late": 1, "flag": 1}}],
        ranges={name: TypicalRange(*found) for name, found in ranges.items()},
        base_rates={"yes": BaseRate(rate), "no": BaseRate(1 - rate)},
        provenance={"source": "It is the answer of a Toy model, recorded 2026-01-02."},
    )


def test_what_is_true_is_met_and_what_a_bound_gives_away_does_not_count(table):
    row = memory_audit.audit(table, said(**TRUE, flag=(0, 0, 1)))
    assert (row["percentiles"], row["met"]) == (4, 4)
    assert row["median_error"] == pytest.approx(0, abs=1e-9)
    assert row["odds_factor"] == pytest.approx(1, abs=0.01)
    assert (row["model"], row["asked"]) == ("Toy model", "2026-01-02")


def test_errors_are_in_true_ranges_and_odds_go_both_ways(table):
    row = memory_audit.audit(table, said(1 / 3, flat=(59.5, 455, 1000)))
    assert (row["percentiles"], row["met"]) == (3, 0)
    # Off by 9.5, 45 and 50, of 900.
    assert row["median_error"] == pytest.approx(0.05)
    assert row["odds_factor"] == pytest.approx(2, abs=0.01)
    assert memory_audit.odds_factor(0.2, 0.5) == pytest.approx(4)
    assert memory_audit.odds_factor(0.5, 0.2) == pytest.approx(4)


def test_nothing_said(table):
    row = memory_audit.audit(table, FeaturePrior.from_dict({"yes": {"flat": 1}}))
    assert row["median_error"] is None and row["percentiles"] == 0
    assert "model" not in row and memory_audit.verdict(row) == OPEN


def test_the_rule():
    def verdict(met, percentiles):
        return memory_audit.verdict({"met": met, "percentiles": percentiles})

    assert verdict(5, 10) == HEART and verdict(4, 10) == NOT
    assert verdict(5, 5) == OPEN and verdict(0, 6) == NOT


@pytest.mark.parametrize("name", WORLDS)
def test_no_world_is_known_by_heart(name):
    row = memory_audit.audit(load(name), recorded_knowledge(name))
    assert memory_audit.verdict(row) == NOT
    assert "Claude" in row["model"] and row["asked"] == "2026-11-27"


def test_program(tmp_path):
    out = tmp_path / "audit.csv"
    words = ["--out", str(out), "--cards", "salaries", "autoignition"]
    assert memory_audit.main(words) == 0 and memory_audit.main(words) == 0
    text = out.with_suffix(".md").read_text()
    assert "| salaries | other public | - | - | - | 5 of 9 | " in text
    assert "| autoignition | worlds | 0.290 | 0.529 | 2.755 |" in text
    assert "Claude model (Anthropic), 2026-11-27" in text
    assert len(pd.read_csv(out)) == 2
    assert memory_audit.main(["--out", str(out), "--report"]) == 0
