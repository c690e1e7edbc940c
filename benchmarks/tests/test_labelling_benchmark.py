"""The experiment on labels: who chooses rows, and what the tables say of it."""

import numpy as np
import pandas as pd

from benchmarks.experiments import labelling


def test_everybody_starts_from_the_same_rows_and_adds_to_them(monkeypatch):
    monkeypatch.setattr(labelling, "SIZES", (4, 6))
    for card in ("titanic", "salaries"):
        rows = pd.DataFrame(labelling.measure(card, 1))
        by = ["prior", "strategy", "labels"]
        assert not rows.duplicated(by).any()
        chosen = rows[rows["strategy"] != labelling.ALL]
        assert set(chosen["labels"]) == {2, 4, 6}
        assert set(chosen["strategy"]) == set(labelling.STRATEGIES)
        start = chosen[chosen["labels"] == 2].groupby("prior")["score"]
        assert (start.nunique() == 1).all()


def test_labels_are_counted_between_two_sizes():
    scores = np.array([0.6, 0.8, 0.7])
    goals = (0.5, 0.7, 0.75, 0.9)
    found = [labelling.labels_needed([2, 4, 8], scores, goal) for goal in goals]
    np.testing.assert_allclose(found, [2, 3, 3.5, np.nan])


def test_table_has_means_and_the_labels_that_are_needed():
    base = {"card": "titanic", "prior": "curves", "repetition": 0, "log_loss": 0.5}
    rows = [{**base, "strategy": labelling.ALL, "labels": 500, "score": 0.9}]
    for strategy in labelling.STRATEGIES:
        for labels in (2, 4, 8, 16, 32, 64):
            score = 0.7 + 0.185 * (strategy == labelling.OURS) * (labels >= 16)
            rows.append(
                {**base, "strategy": strategy, "labels": labels, "score": score}
            )
    lines = labelling.table_of(pd.DataFrame(rows), "score").splitlines()
    assert lines[0].endswith("| all | 90% | 95% | 99% |")
    assert lines[-1].endswith("| 0.885 | 0.885 | 0.900 | 16 | > 64 | > 64 |")
    gap = labelling.beside_random(pd.DataFrame(rows)).splitlines()[-1]
    assert gap.startswith("| to choose on | curves | 1 | +0.000 ± nan | +0.000 ± nan |")
