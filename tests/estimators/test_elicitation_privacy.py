"""What leaves the machine, and where the key is not, over a whole fit."""

from __future__ import annotations

import json
import logging
import pickle
import traceback

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV

from llmreg import LLMAttributionClassifier, LLMAttributionRegressor, cli
from llmreg.elicitation._prompt import SYSTEM_TEXT
from llmreg.elicitation._questions import Questionnaire
from llmreg.exceptions import (
    DataError,
    DeviceError,
    IncompleteReplyError,
    MissingKeyError,
    ProviderAuthenticationError,
    ProviderResponseError,
    ProviderUnavailableError,
    UnsupportedColumnError,
)
from llmreg.providers import AnthropicProvider
from tests.loopback import answer, entries, error, message
from tests.providers import conftest as shared
from tests.vendors import PLANTED_KEY

clean_environ, server, vendor = shared.clean_environ, shared.server, shared.vendor

KEY = PLANTED_KEY
N_ROWS = 24
TASK = "Predict whether a patient falls ill."

# In every cell of a column, in the index and in the weights, so that a value as well
# as a statistic of them would be seen.
VALUE, WEIGHT, LABEL, REMARK = 98765.4321, 31337.25, "patient-zulu", "clinic-zulu"
CLOCK = {"host", "x-stainless-timeout", "x-stainless-read-timeout"}
PLANTED = ("9876", "3133", "zulu", "5544")


def planted_key():
    return KEY


@pytest.fixture
def provider(request, server, tmp_path, monkeypatch):
    from_environment = getattr(request, "param", "environment") == "environment"
    if from_environment:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    return AnthropicProvider(
        ask="all",
        n_estimates=2,
        max_attempts=1,
        base_url=server.url,
        cache=tmp_path / "answers",
        api_key=None if from_environment else planted_key,
    )


@pytest.fixture
def model(provider):
    return LLMAttributionClassifier(
        provider,
        task=TASK,
        target_name="illness",
        feature_descriptions={"income": "a year, in dollars", "sex=male": "a man"},
        random_state=0,
        device="cpu",
    )


@pytest.fixture
def rows():
    noise = np.random.default_rng(0).random(N_ROWS)
    X = pd.DataFrame(
        {
            "income": VALUE + noise,
            "smoker": noise > 0.5,
            "sex": np.resize(["female", "male"], N_ROWS),
        },
        index=[f"{LABEL}-{i}" for i in range(N_ROWS)],
    )
    X.iloc[3, 0] = np.nan
    X.attrs["source"] = REMARK
    return X


@pytest.fixture
def illness(rows):
    return np.where(rows["smoker"], "ill", "well")


def everything_of(request):
    # The port of this test's server and what is left of the timeout are any numbers.
    headers = {n: v for n, v in request.headers.items() if n.lower() not in CLOCK}
    return json.dumps([request.path, headers, request.body])


class TestWhatIsSent:
    def test_the_request_is_the_task_and_no_more(self, server, model, rows, illness):
        weight = WEIGHT + np.arange(N_ROWS)
        model.fit(rows, illness, sample_weight=weight)
        for request in server.requests:
            assert request.questionnaire == {
                "task": TASK,
                "kind": "classification",
                "target": "illness",
                "classes": ["ill", "well"],
                "outputs": [{"id": "o1", "class": "well"}],
                "features": [
                    {"id": "f1", "name": "income", "description": "a year, in dollars"},
                    {"id": "f2", "name": "smoker"},
                    {"id": "f3", "name": "sex", "level": "female"},
                    {
                        "id": "f4",
                        "name": "sex",
                        "level": "male",
                        "level_description": "a man",
                    },
                ],
            }
            schema = Questionnaire(model._describe_task()).schema
            form = {"type": "json_schema", "schema": schema}
            assert request.body == {
                "model": model.prior.model,
                "system": SYSTEM_TEXT,
                "messages": [
                    {"role": "user", "content": json.dumps(request.questionnaire)}
                ],
                "max_tokens": 8192,
                "output_config": {"format": form},
            }
            for text in PLANTED:
                assert text not in everything_of(request)

    def test_no_value_of_a_target(self, server, provider, rows):
        y = pd.DataFrame({"cost": 55443.25 + rows["smoker"], "days": 55449.0})
        LLMAttributionRegressor(provider, device="cpu").fit(rows, y)
        assert server.requests
        for request in server.requests:
            assert [o["target"] for o in request.questionnaire["outputs"]] == [
                *("cost", "days")
            ]
            for text in PLANTED:
                assert text not in everything_of(request)


def holds_no_key(*things):
    for thing in things:
        assert KEY.encode() not in (
            thing if isinstance(thing, bytes) else thing.encode()
        )


def chain(link):
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def spoil_entries(request):
    """Repeat the key in a reason, and leave a feature out."""
    found = entries(request)[:-1]
    found[0]["reason"] = KEY
    return message(json.dumps({"features": found}))


FAILURES = {
    "label": (
        DataError,
        None,
        lambda X, y: (X, np.where(np.arange(N_ROWS), y, None)),
        {},
    ),
    "column": (
        UnsupportedColumnError,
        None,
        lambda X, y: (X.assign(seen=pd.Timestamp("2020-01-01")), y),
        {},
    ),
    "device": (DeviceError, None, None, {"device": "abacus"}),
    "no key": (MissingKeyError, None, None, {"prior__api_key": str}),
    "refused": (
        ProviderAuthenticationError,
        lambda request: error(401, "authentication_error", f"bad key {KEY}"),
        None,
        {},
    ),
    "broken": (
        ProviderUnavailableError,
        lambda request: error(500, "api_error", f"crashed on Bearer {KEY}"),
        None,
        {},
    ),
    "gaps": (IncompleteReplyError, spoil_entries, None, {}),
    "chatter": (
        ProviderResponseError,
        lambda request: message(f"Your key is {KEY}."),
        None,
        {},
    ),
}


class TestKey:
    @pytest.mark.parametrize("provider", ["environment", "function"], indirect=True)
    def test_in_nothing_that_is_kept_or_shown(
        self, server, model, rows, illness, tmp_path, caplog, capfd
    ):
        caplog.set_level(logging.DEBUG)
        holds_no_key(repr(model), model._repr_html_(), repr(model.get_params()))
        model.set_params(verbose=1).fit(rows, illness)
        assert server.requests and all(r.carried(KEY) for r in server.requests)
        model.prior_.write(tmp_path / "card.json")
        joblib.dump(model, tmp_path / "model.joblib")
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        # Two answers at the least, the card and the model.
        assert len(files) >= 4
        assert "asking" in caplog.text
        holds_no_key(
            repr(model),
            model._repr_html_(),
            repr(model.get_params()),
            repr(vars(model)),
            pickle.dumps(model),
            repr(model.prior_),
            model.prior_._repr_html_(),
            caplog.text,
            *capfd.readouterr(),
            *(path.read_bytes() for path in files),
        )

    @pytest.mark.parametrize("name", FAILURES)
    def test_in_no_failure(
        self, server, model, rows, illness, tmp_path, caplog, capfd, name
    ):
        caplog.set_level(logging.DEBUG)
        kind, respond, spoil, changed = FAILURES[name]
        server.respond = respond or answer
        data = spoil(rows, illness) if spoil else (rows, illness)
        model.set_params(**changed)
        with pytest.raises(kind) as caught:
            model.fit(*data)
        assert bool(server.requests) == bool(respond)
        assert not hasattr(model, "net_")
        for link in chain(caught.value):
            assert type(link).__module__.startswith(("llmreg.", "builtins", "json"))
            holds_no_key(str(link), repr(vars(link)), pickle.dumps(link))
        back = pickle.loads(pickle.dumps(caught.value))
        assert (type(back), str(back)) == (kind, str(caught.value))
        holds_no_key(
            "".join(traceback.format_exception(caught.value)),
            pickle.dumps(model),
            repr(vars(model)),
            caplog.text,
            *capfd.readouterr(),
            *(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()),
        )

    def test_in_no_failed_search(self, server, model, rows, illness):
        server.respond = FAILURES["refused"][1]
        search = GridSearchCV(model, {"gamma": [1.0, 2.0]}, cv=2)
        with pytest.raises(ValueError, match="ProviderAuthenticationError") as caught:
            search.fit(rows, illness)
        holds_no_key(str(caught.value), pickle.dumps(search))

    def test_in_no_line_of_the_command(self, server, monkeypatch, capsys):
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        server.respond = FAILURES["refused"][1]
        assert cli.main(["demo", "--provider", "anthropic", "--no-plot"]) == 1
        shown = capsys.readouterr()
        assert "HTTP 401: bad key ***" in shown.err
        holds_no_key(*shown)
