from __future__ import annotations

import importlib.metadata
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from llmreg import FeaturePrior, LLMAttributionClassifier, cli
from llmreg.cli import _elicit as costs
from llmreg.providers import AnthropicProvider, PriorProvider
from llmreg.providers import _resolve as registry
from tests.cli.conftest import SECRETS
from tests.loopback import answer, error
from tests.providers.conftest import PLANTED_KEY

pytestmark = pytest.mark.usefixtures("key")

TASK = "Predict whether a passenger survived."


def words(path, server, *more):
    """Give a command line that asks the loopback model."""
    return [
        *("elicit", str(path), "--target", "survived", "--task", TASK),
        *("--provider", "anthropic", "--base-url", server.url, "--n-estimates", "2"),
        *("--drop", "ticket_id", "-o", str(path.with_name("prior.json")), *more),
    ]


@pytest.fixture
def descriptions(tmp_path):
    path = tmp_path / "descriptions.json"
    path.write_text(json.dumps({"age": "age in years", "sex=female": "girl or woman"}))
    return path


class TestElicit:
    def test_writes_a_card_and_shows_it(self, server, passengers, capsys):
        server.respond = lambda request: answer(
            request, lambda feature, output: 8 if feature["name"] == "sex" else -2
        )
        assert cli.main(words(passengers, server)) == 0
        prior = FeaturePrior.read(passengers.with_name("prior.json"))
        assert prior.features == ("age", "fare", "sex=female", "sex=male")
        assert prior.scores.tolist() == [[-2, -2, 8, 8]]
        assert prior.outputs == ("yes",)
        assert (prior.task, prior.target) == (TASK, "survived")
        out, err = capsys.readouterr()
        assert "sex=female" in out
        assert "█" * 8 in out or "#" * 8 in out
        assert "answers: 2 of 2" in err
        assert "2 requests" in err
        assert len(server.requests) == 2

    def test_writes_curves_on_the_card(self, server, passengers, capsys):
        assert cli.main(words(passengers, server, "--ask", "curves")) == 0
        card = passengers.with_name("prior.json")
        assert json.loads(card.read_text())["version"] == 2
        prior = FeaturePrior.read(card)
        assert prior.curves["age"].effects.tolist() == [[-3, 3]]
        assert prior.base_rates["yes"].rate == 0.5
        assert "answers: 2 of 2" in capsys.readouterr().err

    def test_says_what_it_is_about_to_do_first(self, server, passengers, capsys):
        def respond(request):
            told.append(capsys.readouterr().err)
            return answer(request)

        told = []
        server.respond = respond
        cli.main(words(passengers, server, "--n-estimates", "1"))
        for part in (
            TASK,
            "survived",
            "no, yes",
            "4 features",
            "sex=male",
            "1 request",
        ):
            assert part in told[0]
        assert "tokens" in told[0]

    def test_only_names_and_levels_leave_the_table(
        self, server, passengers, descriptions, capsys
    ):
        cli.main(words(passengers, server, "--descriptions", str(descriptions)))
        for request in server.requests:
            sent = json.dumps(request.body)
            assert not any(secret in sent for secret in SECRETS)
            assert not any(number in sent for number in ("7.25", "71.28", "51.86"))
        asked = server.requests[0].questionnaire
        assert asked["classes"] == ["no", "yes"]
        assert [feature["name"] for feature in asked["features"]] == [
            *("age", "fare", "sex", "sex")
        ]
        assert asked["features"][0]["description"] == "age in years"
        assert asked["features"][2]["level_description"] == "girl or woman"
        out, err = capsys.readouterr()
        assert PLANTED_KEY not in out + err
        assert PLANTED_KEY not in passengers.with_name("prior.json").read_text()

    # The model of the loopback knows no units.
    @pytest.mark.filterwarnings("ignore::llmreg.exceptions.PriorUnitsWarning")
    def test_a_fit_on_the_same_table_asks_no_more(
        self, server, passengers, descriptions
    ):
        cli.main(words(passengers, server, "--descriptions", str(descriptions)))
        table = pd.read_csv(passengers)
        model = LLMAttributionClassifier(
            AnthropicProvider(base_url=server.url, n_estimates=2, network="never"),
            task=TASK,
            feature_descriptions=json.loads(descriptions.read_text()),
        )
        model.fit(table[["age", "fare", "sex"]], table["survived"])
        assert len(server.requests) == 2
        card = passengers.with_name("prior.json")
        at_hand = LLMAttributionClassifier(card).fit(
            table[["age", "fare", "sex"]], table["survived"]
        )
        assert at_hand.prior_.scores.tolist() == model.prior_.scores.tolist()

    def test_the_second_time_nothing_is_sent(self, server, passengers, capsys):
        for _ in range(2):
            assert cli.main(words(passengers, server)) == 0
        assert len(server.requests) == 2
        assert "2 served from cache" in capsys.readouterr().err

    def test_a_dry_run_prints_it_and_sends_nothing(self, server, passengers, capsys):
        assert cli.main(words(passengers, server, "--dry-run")) == 0
        out = capsys.readouterr().out
        assert json.loads(out)
        assert "survived" in out
        assert "sex" in out
        assert not server.requests
        assert not passengers.with_name("prior.json").exists()

    @pytest.mark.parametrize(
        ("target", "more", "kind", "outputs"),
        [
            ("survived", [], "classification", ("yes",)),
            ("fare", [], "regression", ("fare",)),
            ("age", ["--kind", "regression"], "regression", ("age",)),
            ("ticket_id", ["--kind", "regression"], "regression", ("ticket_id",)),
            ("sex", [], "classification", ("male",)),
        ],
    )
    def test_the_kind_follows_the_target(
        self, server, passengers, target, more, kind, outputs
    ):
        line = words(passengers, server, *more)
        line[line.index("--target") + 1] = target
        if target == "ticket_id":
            line[line.index("--drop") + 1] = "survived"
        assert cli.main(line) == 0
        assert server.requests[0].questionnaire["kind"] == kind
        card = FeaturePrior.read(passengers.with_name("prior.json"))
        assert card.outputs == outputs


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_what_the_output_cannot_show_ends_nothing(
    server, passengers, monkeypatch, encoding
):
    """The answers are paid for: no card is lost to a terminal."""
    text = passengers.read_text(encoding="utf-8").replace("fare", "운임")
    passengers.write_text(text, encoding="utf-8")
    card, other = (passengers.with_name(name) for name in ("prior.json", "other.json"))
    FeaturePrior.from_dict({"운임": 9}, output="yes").write(other)
    for line in (words(passengers, server), ["show", card], ["diff", card, other]):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
        monkeypatch.setattr(sys, "stdout", out)
        assert cli.main([str(word) for word in line]) == 0
        out.flush()
        shown = out.buffer.getvalue().decode(encoding)
        assert ("운임" if encoding == "utf-8" else r"\uc6b4\uc784") in shown
        assert ("█" in shown) == (encoding == "utf-8" and line[0] != "diff")


class TestConsent:
    def test_above_the_limit_nobody_there_is_a_no(self, server, passengers, capsys):
        assert cli.main(words(passengers, server, "--limit", "10")) == 1
        assert "pass --yes" in capsys.readouterr().err
        assert not server.requests

    @pytest.mark.parametrize(("said", "n_requests"), [("y\n", 2), ("\n", 0)])
    def test_somebody_is_asked(
        self, server, passengers, monkeypatch, said, n_requests, capsys
    ):
        class Person:
            def isatty(self):
                return True

            def readline(self):
                return said

        monkeypatch.setattr(sys, "stdin", Person())
        code = cli.main(words(passengers, server, "--limit", "10"))
        assert code == (0 if n_requests else 1)
        assert len(server.requests) == n_requests
        assert "[y/N]" in capsys.readouterr().err

    def test_the_cost_is_told_without_asking_the_vendor(self, server, passengers):
        cli.main(words(passengers, server))
        assert not any("count_tokens" in request.path for request in server.requests)

    def test_yes_goes_ahead(self, server, passengers):
        assert cli.main(words(passengers, server, "--limit", "10", "--yes")) == 0

    def test_a_provider_that_knows_its_cost_is_believed(self, passengers):
        class Cost:
            requests, input_tokens, output_tokens = 3, 700, 50

            def __str__(self):
                return "three requests"

        class Knowing(PriorProvider):
            def estimate_cost(self, task):
                return Cost()

        plan = costs.make_plan(Knowing(), None)
        assert plan == (3, 750, "three requests")


class TestMistakes:
    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (("--target", "survived", "surviving"), "no column 'surviving'"),
            (("--drop", "ticket_id", "cabin"), "no column 'cabin'"),
            (("--provider", "anthropic", "oracle"), "no provider 'oracle'"),
            (("--n-estimates", "2", "0"), "n_estimates"),
            (("--n-estimates", "2", "many"), "n_estimates"),
        ],
    )
    def test_are_told_before_anything_is_sent(
        self, server, passengers, capsys, change, told
    ):
        line = words(passengers, server)
        name, old, new = change
        assert line[line.index(name) + 1] == old
        line[line.index(name) + 1] = new
        assert cli.main(line) == 1
        assert told in capsys.readouterr().err
        assert not server.requests

    def test_files_that_are_not_there(self, server, passengers, capsys, tmp_path):
        line = words(passengers, server)
        line[1] = str(tmp_path / "none.csv")
        assert cli.main(line) == 1
        assert "none.csv" in capsys.readouterr().err
        nowhere = ["-o", str(tmp_path / "no" / "prior.json")]
        assert cli.main(words(passengers, server, *nowhere)) == 1
        assert "prior.json" in capsys.readouterr().err
        folder = ["-o", str(tmp_path)]
        assert cli.main(words(passengers, server, *folder)) == 1
        assert "is a folder" in capsys.readouterr().err
        assert not server.requests

    @pytest.mark.parametrize("text", ["", "[]", '{"age": 3}', "[" * 100_000])
    def test_descriptions_that_are_none(self, server, passengers, capsys, text):
        path = passengers.with_name("d.json")
        path.write_text(text)
        assert cli.main(words(passengers, server, "--descriptions", str(path))) == 1
        assert "descriptions" in capsys.readouterr().err

    def test_an_unknown_feature_in_the_descriptions(self, server, passengers, capsys):
        path = passengers.with_name("d.json")
        path.write_text('{"cabin": "where"}')
        assert cli.main(words(passengers, server, "--descriptions", str(path))) == 1
        assert "cabin" in capsys.readouterr().err

    def test_a_refused_account(self, server, passengers, capsys):
        server.respond = lambda r: error(401, "authentication_error", PLANTED_KEY)
        assert cli.main(words(passengers, server)) == 1
        err = capsys.readouterr().err
        assert "ANTHROPIC_API_KEY" in err
        assert PLANTED_KEY not in err

    def test_no_key(self, server, passengers, capsys, monkeypatch):
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        assert cli.main(words(passengers, server)) == 1
        assert "ANTHROPIC_API_KEY" in capsys.readouterr().err

    def test_after_a_failure_what_was_kept_is_told(self, server, passengers, capsys):
        server.enqueue(answer, error(400, "invalid_request_error", "no"))
        assert cli.main(words(passengers, server)) == 1
        assert "1 of 2 estimates arrived" in capsys.readouterr().err


class Registered(PriorProvider):
    """A third party's."""

    def elicit(self, task):
        return FeaturePrior.from_dict(dict.fromkeys(task.keys, 4))


class TestVendors:
    @pytest.fixture
    def registered(self, monkeypatch):
        def entry_points(*, group, name=None):
            found = [
                importlib.metadata.EntryPoint(
                    "mine", "tests.cli.test_elicit:Registered", group
                ),
                importlib.metadata.EntryPoint("gone", "not_installed:Gone", group),
            ]
            return importlib.metadata.EntryPoints(
                e for e in found if name in (None, e.name)
            )

        monkeypatch.setattr(registry, "entry_points", entry_points)

    def test_registered_by_others(self, passengers, registered, tmp_path, capsys):
        card = tmp_path / "mine.json"
        line = ["elicit", str(passengers), "--target", "survived", "--drop"]
        line += ["ticket_id", "--provider", "mine", "-o", str(card)]
        assert cli.main(line) == 0
        assert FeaturePrior.read(card).scores.tolist() == [[4, 4, 4, 4]]
        assert {"mine", "anthropic"} <= set(registry.provider_names())
        assert cli.main([*line, "--model", "m"]) == 1
        assert "does not take --model" in capsys.readouterr().err

    def test_that_cannot_be_imported(self, passengers, registered, capsys):
        line = ["elicit", str(passengers), "--target", "survived", "--drop"]
        assert cli.main([*line, "ticket_id", "--provider", "gone"]) == 1
        assert "not_installed" in capsys.readouterr().err


def test_from_a_process_of_its_own(server, passengers):
    done = subprocess.run(
        [sys.executable, "-m", "llmreg.cli", *words(passengers, server)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        cwd=Path(__file__).parents[2],
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "████" not in done.stderr
    assert "███│" in done.stdout or "│███" in done.stdout
    assert len(server.requests) == 2
    assert passengers.with_name("prior.json").exists()


@pytest.mark.parametrize("mark", ["\x1b[31m", "\x1b]0;t\x07", "\x08", "\u202e", "\x9b"])
def test_names_of_files_and_models_move_no_cursor(server, passengers, capsys, mark):
    table = passengers.rename(passengers.with_name(f"t{mark}.csv"))
    card = table.with_name(f"c{mark}.json")
    asked = words(table, server, "--model", f"m{mark}", "-o", str(card))
    assert cli.main(asked) == 0
    saved = str(table.with_name(f"x{mark}"))
    for action in (["export", saved], ["import", saved], ["list"]):
        folder = ["--folder", str(table.with_name(mark))] * (action != ["list"])
        assert cli.main(["cache", *action, *folder]) == 0
    assert cli.main(["cache", "clear", "--folder", str(table.with_name(mark))]) == 1
    told = "".join(capsys.readouterr())
    assert mark not in told
    assert all(c.isprintable() or c == "\n" for c in told)
