"""What asking costs: rows by way of asking, recorded replies, tables."""

import numpy as np
import pandas as pd

from benchmarks.experiments import costs


def test_more_estimates_are_more_requests():
    frame = pd.DataFrame(costs.costs("titanic"))
    assert len(frame) == len(costs.WAYS) * len(costs.MODELS)
    assert (frame["requests"] == frame["ask"].map(costs.WAYS)).all()
    assert (frame[["tokens_in", "tokens_out", "recorded_out"]] > 0).all(axis=None)


def test_a_recorded_reply_has_all_features():
    curves, scores = (costs.recorded_reply("titanic", ask) for ask in costs.WAYS)
    assert len(scores["features"]) == len(curves["features"]) == 6
    assert not any("curve" in entry for entry in scores["features"])
    assert any("curve" in entry for entry in curves["features"])


def test_rows_are_written_once_each(tmp_path, capsys):
    out = tmp_path / "costs.csv"
    for _ in range(2):
        assert costs.main(["--cards", "titanic", "--out", str(out)]) == 0
    frame = pd.read_csv(out)
    assert len(frame) == len(costs.WAYS) * len(costs.MODELS)
    text = out.with_suffix(".md").read_text()
    assert '| `ask="curves"` | 2 |' in text and "Means over 1 tables" in text
    assert '| titanic | `ask="all"` | 3 |' in text
    unpriced = costs.table_of(frame.assign(usd=np.nan))
    assert "| - | - | - | - |" in unpriced
