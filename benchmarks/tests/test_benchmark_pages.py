"""The blocks of the pages: their language, and that the committed pages are filled."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks.data.catalogue import RESULTS
from benchmarks.data.results import COLUMNS, ResultFile
from benchmarks.reporting import pages
from benchmarks.reporting import tables as report
from benchmarks.reporting.pages import BlockError, Results, fill

NOTE = {
    "settings": {"seed": 0},
    "versions": {"python": "3.11.7", "numpy": "2.0"},
    "machine": {"cpu_count": 2, "system": "Linux", "architecture": "x86_64"},
    "commit": "0123456789abcdef",
}
REPORT = """# Title

Preface.

## One (2 met)

first

### Under one

second

## Two

third
"""


@pytest.fixture
def folder(tmp_path):
    """Two methods on two cards, two repetitions of 5 rows, one card of 10."""
    file = ResultFile(tmp_path / "toy.csv")
    for shots, repetition, method, values in (
        ("5", 0, "prior alone", (0.6, 0.8)),
        ("5", 1, "prior alone", (0.7, 0.9)),
        ("5", 0, "no prior, tuned", (0.5, 0.6)),
        ("5", 1, "no prior, tuned", (0.5, 0.6)),
        ("10", 0, "prior alone", (0.6,)),
        ("10", 0, "no prior, tuned", (0.9,)),
    ):
        for card, value in zip("ab", values, strict=False):
            row = {"card": card, "shots": shots, "repetition": repetition}
            file.append(row | {"method": method, "roc_auc": value})
    (tmp_path / "toy.md").write_text(REPORT)
    return tmp_path


def filled(words, folder, old=""):
    text = f"before\n\n<!-- {words} -->\n{old}<!-- end -->\n\nafter\n"
    new = fill(text, Results(folder))
    opening = f"before\n\n<!-- {words} -->\n\n"
    assert new.startswith(opening) and new.endswith("\n\n<!-- end -->\n\nafter\n")
    assert fill(new, Results(folder)) == new
    return new.removeprefix(opening).removesuffix("\n\n<!-- end -->\n\nafter\n")


class TestTable:
    def test_all_there_is_in_the_order_of_the_tables(self, folder):
        assert filled("table toy roc_auc", folder, "| stale |\n").splitlines() == [
            "| ROC AUC | 5 | 10 |",
            "|---|---|---|",
            "| no prior, tuned | 0.550 | 0.900 |",
            "| prior alone | 0.750 | 0.600 |",
        ]

    def test_chosen_rows_under_other_names(self, folder):
        words = """table toy roc_auc best error methods="
            prior alone = **the prior's scores**;
            = the others:; no prior,
            tuned" """
        assert filled(words, folder).splitlines()[2:] == [
            "| **the prior's scores** | **0.750** ± 0.050 | 0.600 |",
            "| the others: |  |  |",
            "| no prior, tuned | 0.550 ± 0.000 | **0.900** |",
        ]

    def test_the_best_is_that_of_the_rows_that_are_shown(self, folder):
        text = filled('table toy roc_auc best methods="prior alone"', folder)
        assert "| prior alone | **0.750** | **0.600** |" in text

    def test_caption(self, folder):
        text = filled("table toy roc_auc caption", folder)
        assert "(5: 2 data sets, 2 repetitions; 10: 1 data sets, 1 repetitions)" in text
        assert "standard error" not in text
        text = filled('table toy roc_auc caption error shots="5"', folder)
        assert "± standard error" in text and "(2 data sets, 2 repetitions)" in text

    def test_chosen_columns_and_data_sets(self, folder):
        text = filled('table toy roc_auc shots="10"', folder)
        assert text.startswith("| ROC AUC | 10 |\n")
        text = filled('table toy roc_auc cards="a" shots="5"', folder)
        assert "| prior alone | 0.650 |" in text


class TestInclude:
    def test_a_page_without_its_title(self, folder):
        assert filled("include toy.md", folder) == REPORT.removeprefix(
            "# Title\n\n"
        ).rstrip("\n")

    @pytest.mark.parametrize(
        ("section", "expected"),
        [
            ("Two", "third"),
            ("One", "first\n\n### Under one\n\nsecond"),
            ("Under one", "second"),
        ],
    )
    def test_a_section(self, section, expected, folder):
        assert filled(f'include toy.md section="{section}"', folder) == expected


class TestProvenance:
    def test_one_run(self, folder):
        (folder / "toy.json").write_text(json.dumps({"runs": [NOTE]}))
        assert filled("provenance toy", folder) == (
            "`results/toy.csv`: seed 0; commit 0123456; 2 CPUs, Linux, x86_64; "
            "python 3.11.7, numpy 2.0."
        )

    def test_several_runs(self, folder):
        versions = {"numpy": "2.1", "scipy": "1.0"}
        dates = {"begun": "2026-01-02", "continued": "2026-01-04"}
        dates["settings"] = {"seed": 0, "threads": 1}
        later = NOTE | dates | {"versions": versions, "commit": "abcdef0123-dirty"}
        (folder / "toy.json").write_text(json.dumps({"runs": [NOTE, later]}))
        text = filled("provenance toy", folder)
        assert (
            "commit 0123456, then abcdef0 with changes; measured from 2026-01-02 to "
            in text
        )
        assert "to 2026-01-04; 2 CPUs, Linux, x86_64; threads 1; " in text
        assert "numpy 2.0, then 2.1, scipy 1.0." in text


class TestErrors:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ("table none roc_auc", "line 3: there is no result file 'none.csv'"),
            ("table ../toy roc_auc", "no result file"),
            ("table toy auc", "no measure is called 'auc'"),
            ("table toy", "missing a required argument: 'metric'"),
            ("table toy roc_auc bold", "no flag of a table: 'bold'"),
            ("table toy roc_auc rows=5", "'rows'"),
            ('table toy roc_auc shots="5 7"', "no number of rows .*: '7'"),
            ('table toy roc_auc cards="c"', "no data set in toy.csv: 'c'"),
            ('table toy roc_auc methods="prior"', "no method in toy.csv .*: 'prior'"),
            ('table toy roc_auc methods="prior', "No closing quotation"),
            ('include toy.md section="Three"', "0 sections"),
            ("provenance toy", "no note toy.json"),
        ],
    )
    def test_what_is_not_there(self, words, message, folder):
        with pytest.raises(BlockError, match=message):
            filled(words, folder)

    def test_another_file(self, folder):
        (folder / "odd.csv").write_text("card,shots\n")
        with pytest.raises(BlockError, match="has the columns"):
            filled("table odd roc_auc", folder)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("<!-- end -->\n", "line 1: .* ends no block"),
            (
                "\n<!-- tabel toy roc_auc -->\n<!-- end -->\n",
                "line 3: .* ends no block",
            ),
            ("\n<!-- include toy.md -->\n", "line 2: no <!-- end --> follows"),
            (
                "<!-- include toy.md -->\n<!-- include toy.md -->\n<!-- end -->\n",
                "line 2: .* stands in an open block",
            ),
        ],
    )
    def test_blocks_that_are_not_closed(self, text, message, folder):
        with pytest.raises(BlockError, match=message):
            fill(text, Results(folder))

    def test_other_comments_code_and_prose_are_left_alone(self, folder):
        text = (
            "<!-- a note -->\n\n```markdown\n<!-- include toy.md -->\nold\n"
            "<!-- end -->\n```\n\nFrom `<!-- table` to `<!-- end -->` it is made.\n"
        )
        assert fill(text, Results(folder)) == text


class TestProgram:
    def test_check_and_fill(self, folder, capsys):
        page = folder / "page.md"
        page.write_text("<!-- include toy.md -->\n<!-- end -->\n")
        words = [str(page), "--results", str(folder)]
        assert pages.main([*words, "--check"]) == 1
        assert "page.md: stale" in capsys.readouterr().err
        assert "Preface" not in page.read_text()
        assert pages.main(words) == 0
        assert "Preface" in page.read_text()
        assert pages.main([*words, "--check"]) == 0

    def test_an_error_names_the_page(self, folder, capsys):
        page = folder / "page.md"
        page.write_text("<!-- include none.md -->\n<!-- end -->\n")
        assert pages.main([str(page), "--results", str(folder)]) == 2
        assert "page.md, line 1: there is no result file" in capsys.readouterr().err


def test_the_committed_pages_are_what_the_results_make_of_them():
    found = [path.name for path, _ in pages.stale(pages.pages(), RESULTS)]
    assert not found, f"run `python -m benchmarks report`: {found} are stale"


def test_rows_of_methods_that_are_gone_follow_the_others():
    frame = pd.DataFrame({"method": ["old", "b", "a", "b"], "roc_auc": np.arange(4)})
    found = report.ordered(frame.reindex(columns=list(COLUMNS)), ["a", "b"])
    assert found["method"].tolist() == ["a", "b", "b", "old"]
