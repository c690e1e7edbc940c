import io

import pytest

from llmreg import cli
from llmreg.cli import _demo as demo
from llmreg.exceptions import MissingKeyError
from tests.fakes import FakeProvider


@pytest.fixture
def no_key(monkeypatch, tmp_path):
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LLMREG_CACHE_DIR", str(tmp_path))


def test_demo_reports_and_draws(tmp_path):
    out, plot = io.StringIO(), tmp_path / "demo.png"
    frame = demo.run_demo(out, plot=plot, shots=(1, 5), n_repetitions=2, n_jobs=1)
    assert set(frame["method"]) == set(demo.METHODS)
    assert len(frame) == 2 * 2 * len(demo.METHODS)
    assert frame["roc_auc"].between(0, 1).all()
    text = out.getvalue()
    assert "4 of 4 draws" in text
    assert "5 per class" in text
    assert "worst concave points" in text
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.processes
def test_demo_is_reproducible():
    first, second = (
        demo.run_demo(io.StringIO(), shots=(5,), n_repetitions=2, n_jobs=n_jobs)
        for n_jobs in (1, 2)
    )
    assert first.to_dict("list") == second.to_dict("list")


def test_demo_asks_the_provider_once():
    before = FakeProvider.n_calls
    demo.run_demo(io.StringIO(), FakeProvider(), shots=(1,), n_repetitions=1, n_jobs=1)
    assert FakeProvider.n_calls == before + 1


def test_the_bundled_card_fits_its_table():
    X, y = demo.load_table()
    card = demo.load_card()
    assert set(card.features) == set(X.columns)
    assert card.estimates.shape == (5, 1, 20)
    assert "recorded" in card.provenance["source"]
    assert set(y) == {"benign", "malignant"}


def test_demo_without_a_key_stops_before_any_work(no_key, monkeypatch, capsys):
    monkeypatch.setattr(demo, "load_table", lambda: pytest.fail("work was begun"))
    assert cli.main(["demo", "--provider", "anthropic"]) == 1
    captured = capsys.readouterr()
    assert "ANTHROPIC_API_KEY" in captured.err
    assert not captured.out


def test_missing_key_is_typed(no_key):
    from llmreg.providers import AnthropicProvider

    with pytest.raises(MissingKeyError, match="ANTHROPIC_API_KEY"):
        AnthropicProvider().check_ready()


def test_show(tmp_path, capsys):
    path = tmp_path / "card.json"
    demo.load_card().write(path)
    assert cli.main(["show", str(path)]) == 0
    assert "worst radius" in capsys.readouterr().out
    assert cli.main(["show", str(tmp_path / "none.json")]) == 1
    assert "none.json" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        cli.main(["--version"])
    assert capsys.readouterr().out.startswith("0.")
