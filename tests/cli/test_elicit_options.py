"""How `llmreg elicit` asks: ways, levels, several tables, batches."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from llmreg import FeaturePrior, cli
from llmreg.cli import _elicit as costs
from llmreg.cli._elicit import _sent
from llmreg.elicitation._cost import Cost
from llmreg.exceptions import FeatureNamesError
from llmreg.prior._task import Feature, Task
from llmreg.providers import LocalProvider, PriorProvider
from tests.batches import PATH, Batches, ChatBatches
from tests.cli.test_elicit import words
from tests.loopback import Reply, answer, error
from tests.vendors import PLANTED_KEY

pytestmark = pytest.mark.usefixtures("key")


@pytest.fixture
def batches(server):
    """Batches that have ended when somebody looks for the first time."""
    server.respond = Batches(server.url, looks=0)
    return server.respond


@pytest.fixture
def two_tables(passengers, tmp_path):
    """Two tables with targets of their own."""
    other = tmp_path / "houses.csv"
    pd.DataFrame({"rooms": [1.5, 2, 3, 5], "rent": [400.5, 500, 700, 999]}).to_csv(
        other, index=False
    )
    (tmp_path / "cards").mkdir()
    return [passengers, other]


def several(paths, server, *more):
    """Give a command line that asks about several tables."""
    return [
        *("elicit", *map(str, paths), "--provider", "anthropic", *more),
        *("--base-url", server.url, "--n-estimates", "2"),
        *("-o", str(paths[0].parent / "cards")),
    ]


class TestWays:
    def test_each_column_by_itself(self, server, passengers):
        assert cli.main(words(passengers, server, "--ask", "each")) == 0
        # Three columns, two estimates.
        assert len(server.requests) == 6
        asked = {
            tuple(f["name"] for f in r.questionnaire["features"])
            for r in server.requests
        }
        assert asked == {("age",), ("fare",), ("sex", "sex")}

    def test_a_way_that_is_none_is_refused_at_once(self, server, passengers, capsys):
        with pytest.raises(SystemExit):
            cli.main(words(passengers, server, "--ask", "nicely"))
        assert "rank" in capsys.readouterr().err
        assert not server.requests

    def test_a_ranking_is_asked_for_as_one(self, server, passengers, capsys):
        assert cli.main(words(passengers, server, "--ask", "rank", "--dry-run")) == 0
        (sent,) = json.loads(capsys.readouterr().out)
        schema = sent["body"]["output_config"]["format"]["schema"]
        assert "rankings" in schema["properties"]

    def test_levels_stay_here(self, server, passengers, capsys):
        assert cli.main(words(passengers, server, "--no-send-levels")) == 0
        for request in server.requests:
            assert "female" not in json.dumps(request.body)
        prior = FeaturePrior.read(passengers.with_name("prior.json"))
        assert prior.scores[0, :2].tolist() == [3, 3]
        assert np.isnan(prior.scores[0, 2:]).all()
        assert "levels are not sent" in capsys.readouterr().err

    def test_levels_are_sent_by_default_and_on_demand(self, server, passengers, capsys):
        for more in ([], ["--send-levels"]):
            cli.main(words(passengers, server, "--dry-run", *more))
            assert "female" in capsys.readouterr().out

    def test_a_provider_without_the_choice_says_so(self, passengers, capsys):
        line = ["elicit", str(passengers), "--target", "survived", "--drop"]
        line += ["ticket_id", "--provider", "local", "--base-url", "http://x"]
        assert cli.main([*line, "--ask", "each"]) == 1
        err = capsys.readouterr().err
        assert "--base-url" in err and "--ask" not in err


class TestTables:
    def test_each_gets_a_card_of_its_name(self, server, two_tables, capsys):
        more = ["--target", "survived", "--target", "rent", "--drop", "ticket_id"]
        table = pd.DataFrame({"ticket_id": range(4), "rooms": [1.5, 2, 3, 5]})
        table.assign(rent=[400.5, 500, 700, 999]).to_csv(two_tables[1], index=False)
        assert cli.main(several(two_tables, server, *more)) == 0
        cards = two_tables[0].parent / "cards"
        assert FeaturePrior.read(cards / "passengers.json").target == "survived"
        assert FeaturePrior.read(cards / "houses.json").features == ("rooms",)
        assert "in all: 4 requests" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("more", "told"),
        [
            (["--target", "a", "--target", "b", "--target", "c"], "3 times for 2"),
            (["--target", "rent", "--task", "x", "--task", "y", "--task", "z"], "--ta"),
        ],
    )
    def test_options_are_there_once_or_for_each(
        self, server, two_tables, capsys, more, told
    ):
        assert cli.main(several(two_tables, server, *more)) == 1
        assert told in capsys.readouterr().err
        assert not server.requests

    def test_two_of_one_name(self, server, two_tables, capsys):
        same = [two_tables[0], two_tables[0]]
        assert cli.main(several(same, server, "--target", "survived")) == 1
        assert "same name" in capsys.readouterr().err


class TestBatch:
    def test_a_card_by_way_of_a_batch(self, server, batches, passengers, capsys):
        assert cli.main(words(passengers, server, "--batch")) == 0
        assert len(batches.requests) == 2
        assert all(request.path.startswith(PATH) for request in server.requests)
        prior = FeaturePrior.read(passengers.with_name("prior.json"))
        assert prior.estimates.shape == (2, 1, 4)
        err = capsys.readouterr().err
        assert "in a batch, at half the price" in err
        assert "--batch msgbatch_01" in err
        assert "2 served from cache" in err

    def test_the_id_of_a_batch_moves_no_cursor(
        self, server, batches, passengers, capsys, monkeypatch
    ):
        evil = {"id": "\x1b[2J\x9b\u202e", "processing_status": "ended"}
        batch = batches.batch
        monkeypatch.setattr(batches, "batch", lambda ended: {**batch(ended), **evil})
        cli.main(words(passengers, server, "--batch"))
        told = "".join(capsys.readouterr())
        assert "collect it later with --batch [2J" in told
        assert not set(told) & set("\x1b\x9b\u202e")

    def test_many_tables_are_one_batch(self, server, batches, two_tables):
        table = pd.read_csv(two_tables[0]).drop(columns="ticket_id")
        table.to_csv(two_tables[0], index=False)
        more = ["--target", "survived", "--target", "rent", "--batch"]
        assert cli.main(several(two_tables, server, *more)) == 0
        assert len(batches.requests) == 4
        assert sum(request.path == PATH for request in server.requests) == 1
        cards = two_tables[0].parent / "cards"
        assert sorted(card.name for card in cards.iterdir()) == [
            "houses.json",
            "passengers.json",
        ]

    def test_an_earlier_batch_is_collected_not_sent_again(
        self, server, batches, passengers, monkeypatch
    ):
        def interrupted(*_, **__):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("llmreg.cli._elicit.collect_batch", interrupted)
            assert cli.main(words(passengers, server, "--batch")) == 130
        # Nobody is asked again whether to spend what has been spent.
        again = words(passengers, server, "--batch", "msgbatch_01", "--limit", "1")
        assert cli.main(again) == 0
        assert cli.main(again) == 0  # all is in the cache by now
        assert sum(request.path == PATH for request in server.requests) == 1

    def test_what_failed_is_told_and_nothing_paid_in_full(
        self, server, batches, passengers, capsys
    ):
        batches.spoil = {1: {"type": "expired"}}
        assert cli.main(words(passengers, server, "--batch")) == 1
        err = capsys.readouterr().err
        assert "1 answers are lacking" in err and "expired" in err
        assert all(request.path.startswith(PATH) for request in server.requests)
        assert not passengers.with_name("prior.json").exists()
        server.respond = answer
        assert cli.main(words(passengers, server)) == 0
        assert sum(r.path == "/v1/messages" for r in server.requests) == 1

    def test_a_batch_for_something_else_is_told(
        self, server, batches, passengers, capsys
    ):
        assert cli.main(words(passengers, server, "--batch")) == 0
        other = words(passengers, server, "--batch", "msgbatch_01", "--model", "m")
        assert cli.main(other) == 1
        assert "other tables or options" in capsys.readouterr().err

    def test_rounds_until_the_scores_have_settled(self, server, batches, passengers):
        line = words(passengers, server, "--batch", "--n-estimates", "auto")
        assert cli.main(line) == 0
        assert len(batches.requests) == 3

    def test_the_limit_holds_for_batches(self, server, batches, passengers, capsys):
        assert cli.main(words(passengers, server, "--batch", "--limit", "10")) == 1
        assert "pass --yes" in capsys.readouterr().err
        assert not server.requests

    def test_a_vendor_without_batches(self, server, passengers, capsys):
        line = words(passengers, server, "--batch")
        line[line.index("anthropic")] = "local"
        del line[line.index("--base-url") : line.index("--n-estimates")]
        assert cli.main(line) == 1
        assert "no batch interface" in capsys.readouterr().err
        assert not server.requests

    def test_the_batches_of_openai(self, server, passengers, monkeypatch, capsys):
        monkeypatch.setenv("OPENAI_API_KEY", PLANTED_KEY)
        server.respond = ChatBatches(looks=0)
        line = words(passengers, server, "--batch")
        line[line.index("anthropic")] = "openai"
        line[line.index(server.url)] = f"{server.url}/v1"
        assert cli.main(line) == 0
        assert "batch batch_01: 2 answers" in capsys.readouterr().err
        prior = FeaturePrior.read(passengers.with_name("prior.json"))
        assert prior.provenance["tokens"] == "200 input tokens, 40 output tokens"

    def test_a_model_in_this_process_has_no_network_to_leave_out(self):
        task = Task((Feature("age"),), "ill", ("yes",), "classification", ("no", "yes"))
        plan = costs.make_plan(LocalProvider(n_estimates=2), task)
        assert plan.requests == 2
        assert "rough guess" in plan.text

    def test_half_the_price(self):
        class Priced(PriorProvider):
            def estimate_cost(self, task):
                return Cost(5, 10, 10, 99, "the vendor", usd=3.0)

        assert "$3.00" in costs.make_plan(Priced(), None).text
        assert "$1.50" in costs.make_plan(Priced(), None, batch=True).text

    def test_names_that_look_alike_are_refused_for_providers_without_a_preview(self):
        alike = tuple(Feature(name) for name in ("age", "age\u200b"))
        task = Task(alike, "ill", ("yes",), "classification", ("no", "yes"))
        for ask in (costs.make_plan, _sent):
            with pytest.raises(FeatureNamesError, match="Rename one of them"):
                ask(PriorProvider(), task)


class TestWordsOfTheShell:
    def test_options_stand_for_parameters(self, server, passengers, capsys):
        server.respond = lambda request: error(404, "not_found_error", "no such model")
        assert cli.main(words(passengers, server)) == 1
        err = capsys.readouterr().err
        assert "Check --model and --base-url." in err
        assert server.url in err and "HTTP 404: no such model" in err

    def test_so_they_do_about_columns_and_the_cache(self, passengers, server, capsys):
        line = words(passengers, server, "--cache", str(passengers))
        assert cli.main(line) == 1
        err = capsys.readouterr().err
        assert "to a folder that can" in err
        assert "pass --cache, " in err and "cache=" not in err
        cells = pd.DataFrame({"who": [f"{i},5 kg" for i in range(9)], "survived": 1})
        cells.to_csv(passengers, index=False)
        del line[line.index("--drop") : line.index("-o")]
        assert cli.main(line) == 1
        err = capsys.readouterr().err
        assert "--feature-kind NAME=categorical" in err and "--drop" in err
        assert "feature_kinds" not in err and server.requests == []


class TestModels:
    def test_they_are_listed(self, server, capsys):
        old = {"id": "a-model", "lifecycle": "deprecated", "retires_at": None}
        listed = [{"id": "claude-sonnet-5-5", "lifecycle": "active"}, old]
        server.respond = lambda request: Reply(json.dumps({"data": listed}))
        line = ["models", "--provider", "anthropic", "--base-url", server.url]
        assert cli.main(line) == 0
        out = capsys.readouterr().out
        assert out == "claude-sonnet-5-5: the default\na-model: deprecated\n"
        (request,) = server.requests
        assert request.path == "/v1/models"

    def test_a_provider_without_a_list(self, capsys):
        assert cli.main(["models", "--provider", "local"]) == 1
        assert "LocalProvider has no list of models" in capsys.readouterr().err
