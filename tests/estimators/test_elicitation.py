"""Both halves together: from a raw table over HTTP to a model that follows the answer.

The SDK is the real one; the server is on the loopback interface.
"""

from __future__ import annotations

import json
import pickle
import re
import socket

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict

from llmreg import (
    LLMAttributionClassifier,
    LLMAttributionRegressor,
    cli,
)
from llmreg.cli import _demo as demo
from llmreg.exceptions import (
    DataError,
    DeviceError,
    FeatureNamesError,
    IncompleteReplyError,
    MissingKeyError,
    ProviderAuthenticationError,
    UnsupportedColumnError,
)
from llmreg.providers import AnthropicProvider
from tests.fakes import score
from tests.loopback import MODEL, MessagesServer, answer, error, spoiled
from tests.providers import conftest as shared

clean_environ, key, vendor = shared.clean_environ, shared.key, shared.vendor

pytestmark = pytest.mark.usefixtures("key")

N_ROWS = 40
N_ESTIMATES = 3
TASK = "Predict whether a patient falls ill within a year."
DESCRIPTIONS = {"bmi": "body mass index, kg/m2", "sex=male": "a man or a boy"}


def opinion(name, level, output):
    """Score a feature by its names."""
    return np.clip(score(f"{name}/{level}/{output}"), -9, 9).item()


def expected(columns, outputs):
    """Give the scores that the same opinion has of the columns of the table."""
    return [[opinion(c.name, c.level, o) for c in columns] for o in outputs]


def opinionated(shift=0, sign=1):
    """Answer with the opinion on the names that are in the request."""

    def judge(feature, output):
        *_, name = output.values()
        return sign * (opinion(feature["name"], feature.get("level"), name) + shift)

    return lambda request: answer(request, judge)


@pytest.fixture
def server():
    with MessagesServer(opinionated()) as running:
        yield running


@pytest.fixture
def rows():
    """A table whose columns are the same in every fold: levels are declared."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": np.where(np.arange(N_ROWS) % 7, rng.integers(18, 80, N_ROWS), None),
            "bmi": rng.normal(26, 4, N_ROWS),
            "smoker": rng.random(N_ROWS) < 0.4,
            "sex": pd.Categorical(rng.choice(["female", "male"], N_ROWS)),
            "region": pd.Categorical(
                rng.choice(["north", "south"], N_ROWS), ["north", "south", "west"]
            ),
        }
    ).astype({"age": float})


@pytest.fixture
def illness(rows):
    return pd.Series(np.where(rows["bmi"] > 26, "ill", "well"), name="illness")


@pytest.fixture
def provider(server, tmp_path):
    return AnthropicProvider(
        ask="all",
        n_estimates=N_ESTIMATES,
        base_url=server.url,
        cache=tmp_path / "answers",
    )


@pytest.fixture
def model(provider):
    return LLMAttributionClassifier(
        provider,
        task=TASK,
        feature_descriptions=DESCRIPTIONS,
        random_state=0,
        device="cpu",
    )


class TestFit:
    def test_a_raw_table_is_scored_by_name(self, server, model, rows, illness):
        server.enqueue(*[opinionated(shift) for shift in (-1, 0, 1)])
        rows["sex"] = rows["sex"].astype(object).where(rows.index > 1, None)
        model.fit(rows, illness)
        prior = model.prior_
        assert len(server.requests) == N_ESTIMATES
        assert prior.features == (
            *("age", "bmi", "smoker", "sex=female", "sex=male", "sex=missing"),
            *("region=north", "region=south", "region=west"),
        )
        assert prior.outputs == ("well",)
        assert prior.scores.tolist() == expected(model.encoder_.columns_, ["well"])
        np.testing.assert_allclose(prior.spread, np.sqrt(2 / 3))
        assert prior.rationale["sex=missing"] == "reason for f6"
        assert prior.descriptions == DESCRIPTIONS
        assert (prior.task, prior.target) == (TASK, "illness")
        assert prior.provenance["model"] == MODEL
        assert prior.provenance["provider"].endswith("AnthropicProvider")
        assert (prior.usage["requests"], prior.usage["output_tokens"]) == (3, 60)

    @pytest.mark.parametrize("sign", [1, -1])
    def test_the_scores_reach_the_model(self, server, model, rows, illness, sign):
        server.respond = opinionated(sign=sign)
        model.set_params(gamma=1e5, score_transform="identity").fit(rows, illness)
        told = sign * np.array(expected(model.encoder_.columns_, ["well"])[0])
        learnt = model.attributions_[0]
        cosine = learnt @ told / np.linalg.norm(learnt) / np.linalg.norm(told)
        assert cosine > 0.999
        np.testing.assert_allclose(model.alignment_, cosine)

    def test_three_classes(self, server, model, rows):
        stage = pd.Series(np.resize(["early", "late", "middle"], N_ROWS), name="stage")
        model.fit(rows, stage)
        asked = server.requests[0].questionnaire
        assert [o["class"] for o in asked["outputs"]] == ["early", "late", "middle"]
        assert model.prior_.outputs == ("early", "late", "middle")
        assert model.prior_.scores.tolist() == expected(
            model.encoder_.columns_, model.classes_
        )
        assert (model.alignment_ > 0.9).all()

    def test_two_targets(self, server, provider, rows):
        y = pd.DataFrame({"cost": rows["bmi"] ** 2, "days": 30 - rows["bmi"]})
        model = LLMAttributionRegressor(provider, random_state=0, device="cpu")
        model.fit(rows, y)
        asked = server.requests[0].questionnaire
        assert (asked["kind"], asked["target"]) == ("regression", "cost, days")
        assert model.prior_.outputs == ("cost", "days")
        assert model.prior_.scores.tolist() == expected(
            model.encoder_.columns_, ["cost", "days"]
        )
        assert model.predict(rows).shape == (N_ROWS, 2)

    def test_a_provider_that_is_not_heard_is_not_asked(
        self, server, model, rows, illness
    ):
        assert model.set_params(gamma=0).fit(rows, illness).prior_ is None
        assert server.requests == []


class TestAskedOnce:
    def test_fits_clones_and_pieces(self, server, model, rows, illness):
        first = model.fit(rows, illness).predict_proba(rows)
        again = clone(model).fit(rows, illness)
        np.testing.assert_array_equal(again.predict_proba(rows), first)
        assert again.prior_.usage["requests"] == 0
        assert again.prior_.usage["served_from_cache"] == N_ESTIMATES
        other = clone(model).set_params(hidden_layer_sizes=(3,), random_state=1)
        other.fit(rows[::2], illness[::2])
        pieces = clone(model).set_params(solver="adam")
        for piece in (slice(0, 20), slice(20, 40)):
            pieces.partial_fit(rows[piece], illness[piece])
        assert len(server.requests) == N_ESTIMATES

    @pytest.mark.processes
    def test_folds_and_candidates(self, server, model, rows, illness):
        model.set_params(solver="adam").fit(rows, illness)
        grid = {"gamma": [0.0, 1.0, 100.0], "max_iter": [5, 20]}
        search = GridSearchCV(model, grid, cv=2, n_jobs=2, error_score="raise")
        search.fit(rows, illness)
        cross_val_predict(model, rows, illness, cv=4)
        assert len(server.requests) == N_ESTIMATES

    def test_threads_that_start_together_wait_for_one_another(
        self, server, model, rows, illness
    ):
        search = GridSearchCV(model, {"gamma": [1.0, 9.0]}, cv=2, error_score="raise")
        with joblib.parallel_config("threading", n_jobs=2):
            search.fit(rows, illness)
        assert len(server.requests) == N_ESTIMATES

    def test_from_the_cache_without_key_or_network(
        self, model, rows, illness, monkeypatch
    ):
        first = model.fit(rows, illness).predict_proba(rows)
        saved = pickle.dumps(model)
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        # What pytest.fail raises is no Exception, so nothing takes it for a fault of
        # the connection.
        for name in ("socket", "create_connection", "getaddrinfo"):
            monkeypatch.setattr(socket, name, lambda *_, **__: pytest.fail("network"))
        loaded = pickle.loads(saved)
        np.testing.assert_array_equal(loaded.predict_proba(rows), first)
        again = loaded.fit(rows, illness)
        assert again.prior_.usage["served_from_cache"] == N_ESTIMATES
        np.testing.assert_array_equal(again.predict_proba(rows), first)

    def test_more_estimates_cost_the_difference(self, server, model, rows, illness):
        model.fit(rows, illness)
        model.set_params(prior__n_estimates=5).fit(rows, illness)
        assert len(server.requests) == 5
        assert model.prior_.estimates.shape[0] == 5


class TestOrderOfThings:
    @pytest.mark.parametrize(
        ("kind", "spoil"),
        [
            (DataError, lambda X, y: (X, y.where(y.index > 0))),
            (DataError, lambda X, y: (X, y[:-1])),
            (DataError, lambda X, y: (X, y.replace("ill", "well"))),
            (
                UnsupportedColumnError,
                lambda X, y: (X.assign(seen=pd.Timestamp("2020-01-01")), y),
            ),
            (ValueError, lambda X, y: (X.assign(bmi=np.inf), y)),
            (FeatureNamesError, lambda X, y: (X[["bmi"]].to_numpy(), y)),
            (FeatureNamesError, lambda X, y: (X[["bmi", "bmi"]], y)),
            (FeatureNamesError, lambda X, y: (X.drop(columns="bmi"), y)),
        ],
    )
    def test_data_that_cannot_be_fitted(
        self, server, model, rows, illness, kind, spoil
    ):
        with pytest.raises(kind):
            model.fit(*spoil(rows, illness))
        assert server.requests == []

    @pytest.mark.parametrize(
        ("kind", "changed"),
        [
            (DeviceError, {"device": "abacus"}),
            (ValueError, {"gamma": -1}),
            (ValueError, {"prior__n_estimates": 0}),
        ],
    )
    def test_parameters_that_cannot_be(
        self, server, model, rows, illness, kind, changed
    ):
        with pytest.raises(kind):
            model.set_params(**changed).fit(rows, illness)
        assert server.requests == []

    def test_no_key(self, server, model, rows, illness, monkeypatch):
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        with pytest.raises(MissingKeyError, match="ANTHROPIC_API_KEY"):
            model.fit(rows, illness)
        assert server.requests == []
        assert not hasattr(model, "net_")

    def test_a_key_that_is_refused(self, server, model, rows, illness):
        server.respond = lambda request: error(401, "authentication_error", "bad key")
        with pytest.raises(ProviderAuthenticationError, match="HTTP 401"):
            model.fit(rows, illness)
        assert not hasattr(model, "net_")
        with pytest.raises(NotFittedError):
            model.predict(rows)

    def test_a_refit_that_fails_leaves_no_old_net(self, server, model, rows, illness):
        model.fit(rows, illness)
        server.respond = lambda request: error(401, "authentication_error", "bad key")
        renamed = rows.rename(columns={"age": "height"})
        with pytest.raises(ProviderAuthenticationError):
            model.fit(renamed, illness)
        with pytest.raises(NotFittedError):
            model.predict(renamed)

    def test_an_answer_with_gaps(self, server, model, rows, illness):
        server.respond = spoiled(lambda entries: entries.pop(1))
        with pytest.raises(IncompleteReplyError, match=r"1 of 8 features: \['bmi'\]"):
            model.fit(rows, illness)
        assert len(server.requests) == 2 * N_ESTIMATES
        assert not hasattr(model, "net_")


class TestCard:
    def test_the_card_is_as_good_as_the_provider(self, model, rows, illness, tmp_path):
        path = tmp_path / "card.json"
        predicted = model.fit(rows, illness).predict_proba(rows)
        model.prior_.write(path)
        carded = clone(model).set_params(prior=str(path)).fit(rows, illness)
        np.testing.assert_array_equal(carded.predict_proba(rows), predicted)
        assert carded.prior_.provenance == model.prior_.provenance

    def test_an_expert_edits_one_line(self, model, rows, illness, tmp_path):
        path = tmp_path / "card.json"
        model.fit(rows, illness).prior_.write(path)
        before, after = re.split(r"(?<=\"feature\": \"bmi\",\n)", path.read_text())
        edited = re.sub(r'"score": -?\d+', '"score": 9.5', after, count=1)
        assert edited != after
        path.write_text(before + edited)
        carded = clone(model).set_params(prior=path).fit(rows, illness)
        changed = carded.prior_.scores != model.prior_.scores
        assert changed.tolist() == [[name == "bmi" for name in carded.prior_.features]]
        assert carded.prior_.scores[0, 1] == 9.5
        assert not np.array_equal(carded.attributions_, model.attributions_)
        assert json.loads(path.read_text())["provenance"]["model"] == MODEL


class TestDemo:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch, server):
        """One draw; and the SDK finds the server by itself."""
        defaults = demo.run_demo.__kwdefaults__
        monkeypatch.setitem(defaults, "shots", (1,))
        monkeypatch.setitem(defaults, "n_repetitions", 1)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)

    def run(self):
        words = ["demo", "--provider", "anthropic", "--no-plot", "--jobs", "1"]
        return cli.main(words)

    # The model of the loopback knows no units.
    @pytest.mark.filterwarnings("ignore::llmreg.exceptions.PriorUnitsWarning")
    def test_with_a_live_prior(self, server, capsys):
        assert self.run() == 0
        assert len(server.requests) == 2
        shown = capsys.readouterr().out
        prior = AnthropicProvider().elicit(demo.task_of(demo.load_card()))
        assert repr(prior) in shown
        assert "reason for f1" in shown
        assert "1 per class" in shown
        assert len(server.requests) == 2

    def test_without_a_key_nothing_is_begun(self, server, capsys, monkeypatch):
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        monkeypatch.setattr(demo, "load_table", lambda: pytest.fail("work was begun"))
        assert self.run() == 1
        captured = capsys.readouterr()
        assert "ANTHROPIC_API_KEY" in captured.err
        assert (captured.out, server.requests) == ("", [])
