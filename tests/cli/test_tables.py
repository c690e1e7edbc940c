"""Tables as people have them: gaps, surplus delimiters, names that are there twice."""

from __future__ import annotations

import os
import threading
from functools import partial

import pandas as pd
import pytest

from llmreg import LLMAttributionClassifier, cli
from llmreg.automl import settle_prior
from llmreg.cli._report import read_rows
from llmreg.cli._tables import read_table, read_task
from llmreg.exceptions import DataError, UnsupportedColumnError
from llmreg.providers import AnthropicProvider


@pytest.fixture
def write(tmp_path):
    def written(text):
        path = tmp_path / "table.csv"
        path.write_text(text)
        return path

    return written


@pytest.mark.parametrize(
    "text",
    [
        "diag,age,zip\n0,ill,61,1234\n1,well,34,4321\n",
        "diag,age,zip\nill,61,1234,,\nwell,34,4321,,\n",
        "diag,age,zip\nill,61,1234,\nwell,34,4321,5\n",
        "diag,age,zip\nill,61,1234,5\nwell,34,4321\n",
        "diag,age,zip\nill,61,1234\nwell,34,4321,5\n",
    ],
)
def test_rows_longer_than_the_header_are_refused(write, text):
    path = write(text)
    with pytest.raises(DataError, match=r"than its header|Expected 3 fields") as caught:
        read_task(path, "diag")
    # No cell is told; the folder may have any number in its name.
    assert "61" not in str(caught.value).replace(str(path), "")
    with pytest.raises(DataError):
        read_rows(write(text), ["diag"], None)


@pytest.mark.parametrize("header", ["diag,age", "diag,age,"])
def test_a_delimiter_at_the_end_of_the_rows_does_no_harm(write, header):
    path = write(f"{header}\nill,61,\nwell,34,\n")
    table = read_table(path)
    assert table["diag"].tolist() == ["ill", "well"]
    assert table["age"].tolist() == [61, 34]
    X, y = read_rows(path, ["diag"], None)
    assert (X["age"].tolist(), y.tolist()) == ([61, 34], ["ill", "well"])


@pytest.mark.parametrize("header", ["age,y,y", '"y", age,y', "NA,y,NA"])
def test_two_columns_of_one_name_are_refused(write, header):
    with pytest.raises(DataError, match="more than once"):
        read_task(write(f"{header}\n1,a,b\n2,b,a\n"), "y")


def test_names_that_only_look_renamed_are_taken(write):
    task = read_task(write("age,age.1,y\n1,2,b\n2,3,a\n"), "y")
    assert task.keys == ("age", "age.1")


def test_a_table_without_rows_is_told(write):
    with pytest.raises(DataError, match="0 rows"):
        read_task(write("age,y\n"), "y")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_read_once(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("age,y\n1,a\n2,b\n",))
    writer.start()
    assert read_task(path, "y").classes == ("a", "b")
    writer.join()


def test_a_boolean_target_with_gaps_has_two_classes(write):
    path = write("age,y\n1,True\n2,False\n3,\n4,True\n")
    task = read_task(path, "y")
    assert (task.kind, task.classes) == ("classification", ("False", "True"))
    X, y = read_rows(path, ["y"], None)
    assert y.dtype == bool
    model = LLMAttributionClassifier({"age": 1}).fit(X, y)
    assert model.classes_.tolist() == [False, True]


@pytest.mark.parametrize("kind", [None, "classification", "regression"])
@pytest.mark.parametrize(
    ("cells", "told"),
    [(["", ""], "none of them has a value"), (["1e400", "2"], "infinite")],
)
def test_a_target_that_cannot_be_used_is_told(write, kind, cells, told):
    path = write(pd.DataFrame({"age": [1, 2], "y": cells}).to_csv(index=False))
    with pytest.raises(DataError, match=told):
        read_task(path, "y", kind=kind)
    with pytest.raises(DataError, match=told):
        read_rows(path, ["y"], None)


@pytest.mark.parametrize(
    ("cells", "kind", "told"),
    [
        (["a", "b"], "regression", "holds texts"),
        (["1.5", "n.k."], "regression", "holds texts"),
        (["1.5", "2.5"], "classification", "Unknown label type: continuous"),
    ],
)
def test_a_target_of_another_kind_is_told(write, capsys, tmp_path, cells, kind, told):
    path = write(pd.DataFrame({"age": [1, 2], "y": cells}).to_csv(index=False))
    words = ["new", str(path), "--target", "y", "-o", str(tmp_path / "card.json")]
    assert cli.main([*words, "--kind", kind]) == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / "card.json").exists()


CELLS = {
    "names": [f"Person{i} Smith" for i in range(10)],
    "addresses": [f"p{i}@example.org" for i in range(10)],
    "decimal commas": [f"2{i},5" for i in range(10)],
    "numbers and one odd": [*range(271, 280), "?"],
    "codes that repeat": [f"K{i % 6}" for i in range(10)],
    "few numbers as text": ["1,5", "2", "3", "4", "5", "6"] + ["2"] * 4,
}


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("more", [[], ["--dry-run"], ["--batch"]])
@pytest.mark.parametrize("cells", CELLS.values(), ids=CELLS)
def test_what_an_estimator_refuses_is_refused_before_anything_is_sent(
    server, tmp_path, capsys, cells, more
):
    table = pd.DataFrame({"bmi": range(10), "who": cells, "y": [0, 1] * 5})
    table.to_csv(tmp_path / "table.csv", index=False)
    table = pd.read_csv(tmp_path / "table.csv")
    provider = AnthropicProvider(base_url=server.url, n_estimates=1)
    model = LLMAttributionClassifier(provider)
    ways = [model.fit, model.preview_prompt, model.elicit_prior]
    ways.append(partial(settle_prior, provider))
    for way in ways:
        with pytest.raises(UnsupportedColumnError, match="who"):
            way(table[["bmi", "who"]], table["y"])
    words = ["elicit", str(tmp_path / "table.csv"), "--target", "y", "--yes"]
    words += ["--provider", "anthropic", "--base-url", server.url]
    card = ["-o", str(tmp_path / "card.json")]
    assert cli.main([*words, *card, *more]) == 1
    out, err = capsys.readouterr()
    assert "- 'who': " in err
    assert "--drop" in err
    assert "--feature-kind" in err
    assert not any(str(cell) in out + err for cell in cells if len(str(cell)) > 3)
    assert server.requests == []
    assert cli.main([*words, *card, "--drop", "who"]) == 0
    (asked,) = server.requests[0].questionnaire["features"]
    assert asked["name"] == "bmi"


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("cells", [CELLS["names"], CELLS["decimal commas"]])
def test_cells_of_a_target_are_classes_only_if_somebody_says_so(
    server, tmp_path, capsys, cells
):
    table = pd.DataFrame({"bmi": range(10), "y": cells})
    table.to_csv(tmp_path / "table.csv", index=False)
    words = ["elicit", str(tmp_path / "table.csv"), "--target", "y", "--yes"]
    words += ["--provider", "anthropic", "--base-url", server.url]
    words += ["-o", str(tmp_path / "card.json")]
    assert cli.main(words) == 1
    assert "--kind" in capsys.readouterr().err
    assert server.requests == []
    assert cli.main([*words, "--kind", "classification"]) == 0


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("cells", [CELLS["names"], list("abcdefghij"), [*range(1, 11)]])
def test_declared_kinds_are_those_of_the_estimators(server, tmp_path, cells):
    table = pd.DataFrame({"bmi": range(10), "a=b": cells, "y": [0, 1] * 5})
    path, card = tmp_path / "table.csv", str(tmp_path / "card.json")
    table.to_csv(path, index=False)
    words = ["elicit", str(path), "--target", "y", "--yes", "--provider", "anthropic"]
    words += ["--base-url", server.url, "--n-estimates", "1", "-o", card]
    assert cli.main([*words, "--feature-kind", "a=b=levels"]) == 1
    assert server.requests == []
    assert cli.main([*words, "--feature-kind", "a=b=categorical"]) == 0
    asked = len(server.requests)
    provider = AnthropicProvider(base_url=server.url, n_estimates=1)
    model = LLMAttributionClassifier(provider, feature_kinds={"a=b": "categorical"})
    table = pd.read_csv(path)
    prior = model.elicit_prior(table[["bmi", "a=b"]], table["y"])
    assert prior.features[1:] == tuple(sorted(f"a=b={cell}" for cell in cells))
    assert len(server.requests) == asked
