"""The benchmark of searches: one elicitation, rows that are kept, a table."""

import json

import pandas as pd
import pytest

from benchmarks.data.datasets import load
from benchmarks.experiments import scale

ROW = {
    "fits": 500,
    "start": 1.0,
    "asked": 1,
    "shipped": 5_400,
    "best": "alpha=1.0 gamma=auto",
    "score": -0.1,
    "load": 0.5,
}


def case(kind, backend, workers, seconds):
    key = {"kind": kind, "backend": backend, "workers": workers}
    return {**key, **ROW, "seconds": seconds, "slowest": 2 * seconds, "run": 0}


def test_a_full_search_has_five_hundred_fits():
    assert scale.FOLDS * len(scale.GAMMAS) * len(scale.ALPHAS) == 500


@pytest.mark.parametrize("backend", ["none", "threading"])
def test_a_search_asks_once(backend):
    workers = 1 if backend == "none" else 2
    row = scale.measure(load(scale.CARD), "linear", backend, workers, n_candidates=2)
    assert (row["fits"], row["asked"]) == (10, 1)
    assert row["seconds"] > 0 and row["shipped"] > 1_000
    assert set(row) | {"run"} == set(scale.COLUMNS)


def test_speed_ups_are_over_the_plain_loop():
    rows = [case("linear", "loky", 2, 5.0), case("linear", "none", 1, 9.0)]
    lines = scale.table_of(pd.DataFrame(rows)).splitlines()
    assert lines[2].startswith("| linear | none | 1 | 500 | 1.0 s | 9.0 s | 18.0 s | ")
    assert "| 55.6 | 1.00 |" in lines[2]
    assert "| 5.0 s | 10.0 s | 100.0 | 1.80 | 1 | 5.4 kB |" in lines[3]
    alone = scale.table_of(pd.DataFrame(rows[:1])).splitlines()
    assert "| 100.0 | - |" in alone[2]


def test_what_is_there_is_not_measured_again(tmp_path, monkeypatch, capsys):
    asked = []

    def measure(data, kind, backend, workers, n_candidates, rounds):
        asked.append((kind, backend, workers))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return case(kind, backend, workers, 2.0)

    monkeypatch.setattr(scale, "measure", measure)
    out = tmp_path / "scale.csv"
    assert scale.main(["--out", str(out)]) == 130
    assert scale.main(["--out", str(out), "--kinds", "linear"]) == 0
    assert asked[2:] == [("linear", *rest) for rest in scale.BACKENDS[2:]][:1] + [
        ("linear", *rest) for rest in scale.BACKENDS[2:]
    ]
    assert len(pd.read_csv(out)) == len(scale.BACKENDS)
    before = len(asked)
    words = ["--kinds", "linear", "--backends", "loky", "--again"]
    assert scale.main(["--out", str(out), *words]) == 0
    assert asked[before:] == [("linear", "loky", 2)]
    note = json.loads(out.with_suffix(".json").read_text())
    assert note["runs"][0]["settings"]["card"] == scale.CARD
    assert "| linear | loky | 2 |" in out.with_suffix(".md").read_text()
