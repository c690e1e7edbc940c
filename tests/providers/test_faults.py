"""What an error says of a fault: its class, the address, the model, what to do."""

from __future__ import annotations

import json
import pickle
import socket

import httpx2
import pytest

from llmreg import LLMAttributionClassifier
from llmreg.exceptions import (
    PriorUnavailableWarning,
    ProviderAuthenticationError,
    ProviderError,
    ProviderNotFoundError,
    ProviderUnavailableError,
)
from tests.loopback import MODEL, Reply
from tests.vendors import PLANTED_KEY, VENDORS

pytestmark = [
    pytest.mark.usefixtures("key"),
    pytest.mark.parametrize("vendor", VENDORS, ids=repr),
]

GONE = {
    "anthropic": {"lifecycle": "retired", "retires_at": "2026-11-30T00:00:00Z"},
    "openai": {"shutdown_date": "2026-11-30"},
}
FATES = {
    "anthropic": "retired, shut down on 2026-11-30",
    "openai": "shut down on 2026-11-30",
}


def offering(vendor, gone="an-old-model"):
    """Know two models and no other, one of which is shut down."""
    names = {MODEL: {}, gone: GONE[vendor.name]}
    listed = [
        {"id": name, "created": 1, "display_name": name, **fate}
        for name, fate in names.items()
    ]

    def respond(request):
        if request.path.startswith("/v1/models"):
            return Reply(json.dumps({"data": listed, "has_more": False}))
        if request.body["model"] != MODEL:
            return vendor.error(404, f"no such model, said {PLANTED_KEY}")
        return vendor.answer(request)

    return respond


class TestNotFound:
    def test_a_model_that_is_not_there(self, server, provider, task, vendor, sleeps):
        server.respond = offering(vendor)
        provider.set_params(model=f"{MODEL}-1", n_estimates=2, max_parallel=1)
        with pytest.raises(ProviderNotFoundError) as caught:
            provider.elicit(task)
        told = str(caught.value)
        assert f"{MODEL}-1" in told and "HTTP 404" in told and provider.base_url in told
        assert vendor.path in told
        assert not isinstance(caught.value, ProviderAuthenticationError)
        assert caught.value.__notes__ == [f"The server has {MODEL!r}."]
        assert PLANTED_KEY not in told + repr(caught.value.__notes__)
        assert [r.path.partition("?")[0] for r in server.requests] == [
            *(vendor.path, "/v1/models")
        ]
        assert sleeps == []
        again = pickle.loads(pickle.dumps(caught.value))
        assert again.__notes__ == caught.value.__notes__

    def test_a_model_that_was_shut_down(self, server, provider, task, vendor):
        server.respond = offering(vendor)
        with pytest.raises(ProviderNotFoundError) as caught:
            provider.set_params(model="an-old-model").elicit(task)
        assert caught.value.__notes__ == [f"'an-old-model' is {FATES[vendor.name]}."]

    @pytest.mark.parametrize(
        "reply",
        [Reply("{}"), Reply("<html>", content_type="text/html"), Reply("no", 500)],
    )
    def test_a_server_that_lists_none(self, server, provider, task, vendor, reply):
        server.enqueue(vendor.error(404, "nothing here"), reply)
        with pytest.raises(ProviderNotFoundError, match="nothing here") as caught:
            provider.elicit(task)
        assert not getattr(caught.value, "__notes__", [])
        assert len(server.requests) == 2

    def test_models_are_listed_with_what_becomes_of_them(
        self, server, provider, vendor
    ):
        server.respond = offering(vendor)
        found = provider.models()
        assert found == {MODEL: "", "an-old-model": FATES[vendor.name]}
        assert server.requests[0].carried(PLANTED_KEY)

    def test_what_a_server_calls_a_model_is_cut_and_holds_no_key(
        self, server, provider, vendor
    ):
        names = [f"said\n{PLANTED_KEY}", "x" * 10**6]
        listed = [{"id": n, "shutdown_date": f"{PLANTED_KEY}"} for n in names]
        server.respond = lambda request: Reply(json.dumps({"data": listed}))
        found = provider.models()
        assert PLANTED_KEY not in repr(found) and "said ***" in found
        assert max(map(len, found)) <= 120

    def test_what_goes_well_asks_for_no_list(self, server, provider, task, vendor):
        server.respond = offering(vendor)
        provider.set_params(model=MODEL).elicit(task)
        assert [r.path for r in server.requests] == [vendor.path]


def test_a_server_that_is_not_there_is_told_at_once(provider, task, vendor, sleeps):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nothing listens
        address = f"http://127.0.0.1:{taken.getsockname()[1]}{vendor.prefix}"
        provider.set_params(base_url=address, n_estimates=5)
        told = f"The connection to {address} was refused: nothing listens there"
        with pytest.raises(ProviderUnavailableError, match=told):
            provider.elicit(task)
        model = LLMAttributionClassifier(
            provider, feature_names=["a", "b"], on_error="no_prior"
        )
        with pytest.warns(PriorUnavailableWarning, match=told):
            model.fit([[1, 2], [2, 1], [3, 5], [4, 4]], list("xyxy"))
    assert sleeps == []


@pytest.mark.parametrize(
    ("number", "kind", "told", "waits"),
    [
        (socket.EAI_NONAME, ProviderError, "no host of this name: {}.", []),
        (
            socket.EAI_AGAIN,
            ProviderUnavailableError,
            "the host of {} could not be looked up",
            [1],
        ),
    ],
)
def test_a_name_that_is_not_found(
    provider, task, vendor, sleeps, monkeypatch, number, kind, told, waits
):
    def fail(*args, **kwargs):
        raise socket.gaierror(number, "not found")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    address = f"http://llmreg.invalid{vendor.prefix}"
    provider.set_params(base_url=address, max_attempts=2)
    with pytest.raises(kind, match=told.format(address)) as caught:
        provider.elicit(task)
    assert type(caught.value) is kind
    assert sleeps == waits


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (httpx2.ConnectTimeout, "connection"),
        (httpx2.PoolTimeout, "request"),
        (httpx2.ReadTimeout, "request"),
    ],
)
def test_what_took_too_long(provider, task, monkeypatch, fault, what):
    def fail(*args, **kwargs):
        raise fault("too slow")

    monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", fail)
    told = f"failed 2 times: the {what} to {provider.base_url} timed out"
    with pytest.raises(ProviderUnavailableError, match=told):
        provider.set_params(max_attempts=2).elicit(task)


@pytest.mark.parametrize("status", [401, 400, 403])
def test_whoever_refuses_is_named(server, provider, task, vendor, status):
    server.enqueue(vendor.error(status, "no"))
    with pytest.raises(ProviderError, match=f"The server at {provider.base_url} re"):
        provider.elicit(task)
