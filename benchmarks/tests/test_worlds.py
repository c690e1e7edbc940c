"""The worlds: what each of them has, and how their tables are made anew."""

import ast
import json
import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from benchmarks.data import catalogue
from benchmarks.data.catalogue import HERE, WORLDS, path_of, read_card
from benchmarks.data.datasets import DATA_VARIABLE, load
from benchmarks.data.worlds import _draws, making

FOLDER = HERE / "worlds"
NAMES = sorted(WORLDS)


def said_by(name):
    """Read the constants and functions of a generator without its simulator."""
    found = {}
    for node in ast.parse((FOLDER / f"{name}.py").read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            found[ast.unparse(node.targets[0])] = node.value.value
        elif isinstance(node, ast.FunctionDef):
            found[node.name] = [argument.arg for argument in node.args.args]
    return found


class TestEveryWorld:
    @pytest.mark.parametrize(
        "folder, end",
        [
            ("cards", ".json"),
            ("priors", ".json"),
            ("knowledge", ".json"),
            ("tables", ".csv.gz"),
        ],
    )
    def test_has_one_of_each_and_there_is_no_other(self, folder, end):
        files = sorted(path.name for path in (FOLDER / folder).iterdir())
        assert files == [f"{name}{end}" for name in NAMES]

    @pytest.mark.parametrize("name", NAMES)
    def test_table_is_as_card_and_generator_say(self, name, monkeypatch):
        monkeypatch.delenv(DATA_VARIABLE, raising=False)
        load.cache_clear()
        card, generator = read_card(name), said_by(name)
        assert generator["make"] == ["rng"] and generator["SEED"] > 0
        table = pd.read_csv(path_of("tables", name), keep_default_na=False)
        making.refuse_strange(table, card, generator["N_ROWS"])
        found = load(name)
        assert len(found.X) == generator["N_ROWS"] and found.card["name"] == name
        assert f"see {name}.py" in card["source"]
        assert card["file"] == f"tables/{name}.csv.gz"

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("folder", ["priors", "knowledge"])
    def test_answers_are_about_the_card(self, name, folder):
        record = json.loads(path_of(folder, name).read_text(encoding="utf-8"))
        task = read_card(name)["task"]
        assert record["name"] == name and task in record["task"]
        assert len(record["estimates"]) == 2

    def test_two_classes_come_first_then_numbers_then_many(self):
        kinds = [len(read_card(name).get("classes", ())) for name in WORLDS]
        assert kinds == sorted(kinds, key=lambda n: (n != 2, n))

    def test_no_two_draw_the_same(self):
        assert len({said_by(name)["SEED"] for name in NAMES}) == len(NAMES)


CARD = {
    "name": "coin",
    "table": "coin",
    "target": "side",
    "classes": ["heads", "tails"],
    "features": {
        "weight": {"kind": "numeric"},
        "metal": {"kind": "categorical", "levels": {"gold": "", "tin": ""}},
    },
}


@pytest.fixture
def coin(monkeypatch, tmp_path):
    """A world of which there is nothing yet but a generator."""
    module = ModuleType("benchmarks.data.worlds.coin")
    module.SEED, module.N_ROWS = 5, 20

    def make(rng):
        return pd.DataFrame(
            {
                "weight": rng.random(module.N_ROWS),
                "metal": ["gold", "tin"] * 10,
                "side": [*["heads", "tails"] * 9, "tails", "heads"],
            }
        )

    module.make = make
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(making, "WORLDS", ("coin",))
    monkeypatch.setattr(making, "read_card", lambda name: CARD)
    path = tmp_path / "tables" / "coin.csv.gz"
    monkeypatch.setattr(making, "path_of", lambda folder, name: path)
    return module, path


class TestMaking:
    def test_a_new_table_then_the_same_bits(self, coin, capsys):
        _, path = coin
        assert making.main([]) == 0 and path.exists()
        packed = path.read_bytes()
        assert making.main(["--check"]) == 0 and making.main(["coin"]) == 0
        out = capsys.readouterr().out
        assert "coin: new" in out and out.count("coin: the same bits") == 2
        assert path.read_bytes() == packed
        # It is there: there is nothing to make.
        assert making.main([]) == 0 and not capsys.readouterr().out

    def test_other_bits_are_told_and_only_written_where_named(self, coin, capsys):
        module, path = coin
        making.main([])
        packed, module.SEED = path.read_bytes(), 6
        assert making.main(["--check"]) == 1
        assert "other bits in 20 of 21 lines" in capsys.readouterr().out
        assert path.read_bytes() == packed
        assert making.main(["coin"]) == 1 and path.read_bytes() != packed

    def test_a_strange_table_is_refused(self, coin, capsys):
        module, path = coin
        module.N_ROWS = 19
        module.make = lambda rng: pd.DataFrame({"side": ["heads"] * 19})
        assert making.main([]) == 2 and not path.exists()
        assert "makes 19 rows of ['side'], not 19 rows" in capsys.readouterr().err
        module.make = lambda rng: pd.DataFrame(
            {"weight": range(19), "metal": "gold", "side": ["heads"] * 19}
        )
        assert making.main([]) == 2
        assert "The levels ['tin'] of 'metal'" in capsys.readouterr().err

    def test_no_simulator_and_no_world(self, coin, monkeypatch, capsys):
        monkeypatch.setitem(sys.modules, "benchmarks.data.worlds.coin", None)
        assert making.main(["coin"]) == 2
        assert "Call `make worlds`" in capsys.readouterr().err
        assert making.main(["titanic"]) == 2
        assert "'titanic' is no world" in capsys.readouterr().err


def test_draws():
    rng = np.random.default_rng(0)
    assert _draws.clip(7, 0, 5) == 5.0
    assert {_draws.choose(rng, "ab") for _ in range(20)} == {"a", "b"}
    assert _draws.choose(rng, {"a": 0, "b": 1}) == "b"
    assert _draws.number(rng, {3: 1, 4: 0}) == 3.0
    assert (_draws.yes("x"), _draws.yes(None)) == ("yes", "no")


def test_a_world_is_in_the_group():
    assert catalogue.names("worlds") == WORLDS and len(WORLDS) == 7
