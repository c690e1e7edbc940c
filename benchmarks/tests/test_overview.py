"""The picture of the first pages: drawn, readable, and of which tables."""

import itertools

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.data.results import COLUMNS, ResultFile
from benchmarks.methods.registry import in_order
from benchmarks.reporting import overview
from tests.pictures import check_readable


@pytest.fixture
def file(tmp_path):
    """Two sizes of a table that is public, and of one that nobody has published."""
    file = ResultFile(tmp_path / "worlds.csv")
    cells = itertools.product(("adult", "clinic_wait"), ("5", "0.8"), overview.DRAWN)
    for number, (card, shots, method) in enumerate(cells):
        row = {"card": card, "shots": shots, "method": method, "repetition": 0}
        file.append(dict.fromkeys(COLUMNS) | row | {"roc_auc": 0.7 + number / 100})
    return file


def test_methods_are_known():
    assert {*overview.DRAWN} <= {*in_order()}


def test_picture(file, tmp_path):
    out = tmp_path / "overview.png"
    assert overview.main(["--files", str(file.path), "--out", str(out)]) == 0
    assert out.stat().st_size > 10_000


def test_readable(file):
    frame = file.read()
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    with mpl.rc_context({"font.size": 9}):
        rows = frame[frame["card"] == "clinic_wait"]
        overview.draw_all(figure, "tables that nobody has published", rows)
        check_readable(figure)
    title = figure.axes[-1].get_title(loc="left")
    assert title == "1 tables that nobody has published"


def test_tables_that_lack_a_method(file, tmp_path, capsys):
    frame = file.read()
    lacking = ResultFile(tmp_path / "lacking.csv")
    for row in frame[frame["method"] != "CatBoost"].to_dict("records"):
        lacking.append({k: None if pd.isna(v) else v for k, v in row.items()})
    assert overview.main(["--files", str(lacking.path)]) == 2
    assert "'CatBoost'" in capsys.readouterr().err
