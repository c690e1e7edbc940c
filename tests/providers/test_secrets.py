"""A key goes to the named host and to nobody else, and shows nowhere."""

from __future__ import annotations

import copy
import functools
import html
import json
import logging
import pickle
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import cloudpickle
import pytest
from pydantic import BaseModel, SecretStr
from sklearn.base import clone
from sklearn.utils import estimator_html_repr

from llmreg import LLMAttributionClassifier
from llmreg.exceptions import LLMRegError, MissingKeyError, ProviderError
from llmreg.providers import (
    AnthropicProvider,
    OpenAIProvider,
    collect_batch,
    submit_batch,
)
from tests.batches import Batches
from tests.loopback import MessagesServer, Reply
from tests.providers.test_wire import speaking
from tests.vendors import ANTHROPIC, OPENAI, PLANTED_KEY

KEY = PLANTED_KEY
VENDORS = pytest.mark.parametrize("vendor", [ANTHROPIC, OPENAI], ids=repr)


@dataclass
class Settings:
    key: str = KEY

    def read(self):
        return self.key

    def __call__(self):
        return self.key

    @classmethod
    def of_class(cls):
        return KEY


class Pair(NamedTuple):
    key: str = KEY

    def read(self):
        return self.key


class Loaded(BaseModel):
    key: str = KEY

    def read(self):
        return self.key


class Table(dict):
    def read(self):
        return self["key"]


class Told:
    def __repr__(self):
        return f"Told({KEY})"

    def __call__(self):
        return KEY


@pytest.mark.parametrize(
    "source",
    [
        Settings().read,
        Settings(),
        Settings.of_class,
        Pair().read,
        Loaded().read,
        Table(key=KEY).read,
        Told(),
        KEY.strip,
        SecretStr(KEY).get_secret_value,
        functools.cache(Settings().read),
        lambda key=KEY: key,
        functools.wraps(Told())(lambda: KEY),
    ],
)
def test_a_function_that_shows_its_key_is_not_shown(source, server, task):
    provider = AnthropicProvider(api_key=source, base_url=server.url, n_estimates=1)
    assert provider.api_key is source
    model = LLMAttributionClassifier(provider)
    for shown in (
        repr(provider),
        repr(vars(provider)),
        str(provider.get_params()),
        estimator_html_repr(model),
        repr(model),
        str(model.get_params()),
    ):
        assert KEY not in shown
    for held in (provider, provider.get_params(), model.get_params(), vars(provider)):
        assert KEY.encode() not in pickle.dumps(held)
        assert KEY.encode() not in cloudpickle.dumps(held)
    assert copy.copy(provider.get_params()["api_key"])() == KEY
    again = clone(clone(provider))
    assert again.api_key is source
    assert again.get_params()["api_key"]() == KEY
    again.elicit(task)
    assert server.requests[0].carried(KEY)


def fail_with_key():
    raise OSError(f"the vault refused {KEY}")


def in_locals(error):
    """List the local variables of this package that a traceback would show."""
    stack = traceback.TracebackException.from_exception(error, capture_locals=True)
    return [
        f"{frame.name}: {name}"
        for frame in stack.stack
        if "llmreg/" in frame.filename
        for name, value in (frame.locals or {}).items()
        if KEY in value or "planted" in value
    ]


@VENDORS
@pytest.mark.parametrize(
    "reply",
    [
        lambda v: v.error(401, f"bad key {KEY}"),
        lambda v: v.error(529, f"busy with {KEY}"),
        lambda v: Reply(json.dumps({"error": {"message": KEY}})),
        lambda v: Reply(json.dumps({"choices": [], "content": KEY, "model": KEY})),
        lambda v: Reply(f"<html>{KEY}</html>", content_type="text/html"),
        lambda v: v.message("", stop=KEY),
        lambda v: v.message(KEY),
        lambda v: Reply(json.dumps({"content": [{"type": "text"}], "model": KEY})),
    ],
)
def test_no_local_variable_holds_it(reply, server, provider, task, vendor, monkeypatch):
    monkeypatch.setenv(vendor.key_variable, KEY)
    server.respond = lambda request: reply(vendor)
    for call in (provider.elicit, provider.estimate_cost, provider.describe):
        try:
            call(task)
        except LLMRegError as error:
            while error is not None:
                assert in_locals(error) == []
                error = error.__context__
    with pytest.raises(LLMRegError):
        provider.elicit(task)


@VENDORS
@pytest.mark.parametrize(
    ("source", "match"),
    [
        (lambda: f"{KEY}\n{KEY}", "line break"),
        (lambda: f"\u201c{KEY}\u201d", "curly quote"),
        (lambda: KEY.encode(), "gives bytes"),
        (lambda: {"key": KEY}, "gives dict"),
        (fail_with_key, r"failed \(OSError\)"),
    ],
)
def test_a_key_that_is_none_is_in_no_local_variable(source, match, provider, task):
    with pytest.raises(MissingKeyError, match=match) as caught:
        provider.set_params(api_key=source).elicit(task)
    assert in_locals(caught.value) == []
    assert caught.value.__cause__ is caught.value.__context__ is None


@VENDORS
@pytest.mark.parametrize(
    "end",
    [
        *("?api-key=", "?API_KEY=", "?v=1&access_token=", "?sig=", "?code=", "#key="),
        *("?X-Amz-Signature=", "?password=", "?x=1;api-key=", ";token=", "/a;v=1;key="),
        *("?a=b&amp;api_key=", "?api%2Dkey=", "%3Bkey="),
    ],
)
def test_a_key_in_an_address_is_refused(end, task, vendor, monkeypatch):
    address = f"https://host/v1{end}{KEY}"
    with pytest.raises(ProviderError, match=r"behind its \?") as caught:
        vendor.kind(base_url=address)
    assert KEY not in str(caught.value)
    monkeypatch.setenv(vendor.kind._address_variable, address)
    with pytest.raises(ProviderError, match=vendor.kind._address_variable) as caught:
        vendor.kind().elicit(task)
    assert KEY not in str(caught.value)
    other = "https://host/v1?api-version=2026-01-01"
    assert vendor.kind(base_url=other)._address() == other


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (f"Cookie: session={KEY}", f"session={KEY}"),
        (f"Cookie: a=1; id={KEY}; b=2", KEY),
        (f"X-Session: {KEY}", KEY),
        (f"Proxy-Authorization: Basic {KEY}", KEY),
        (f"X-Gateway-Pass: {KEY}", KEY),
        (f"X-Jwt-Assertion: {KEY}", KEY),
        (f"X-Credential: {KEY}/20260101/aws", f"{KEY}/20260101/aws"),
        (f"Authorization: Token {KEY}, realm=x", f"Token {KEY}"),
    ],
)
@VENDORS
def test_other_headers_are_secret_too(
    header, said, server, provider, task, vendor, monkeypatch
):
    monkeypatch.setenv(f"{vendor.kind._vendor.upper()}_CUSTOM_HEADERS", header)
    monkeypatch.setenv(vendor.key_variable, "another-key-0123456789")
    server.enqueue(vendor.error(400, f"no good: {said}"))
    with pytest.raises(ProviderError, match=r"no good: .*\*\*\*") as caught:
        provider.elicit(task)
    assert KEY not in str(caught.value)


@VENDORS
@pytest.mark.parametrize("key", ["1", "a", "f1", "id", "o1", "scores", "EMPTY", "-7"])
def test_a_short_key_is_a_word_in_a_reply(
    key, server, provider, task, vendor, monkeypatch
):
    # So short a key is everywhere in a record.
    monkeypatch.setattr("tests.loopback.is_secret", lambda header: False)
    monkeypatch.setenv(vendor.key_variable, key)
    prior = provider.elicit(task)
    assert prior.scores.tolist() == [[3, 3, 3]]
    assert prior.rationale["age"] == "reason for f1"
    assert len(server.requests) == 1


@pytest.mark.parametrize("level", ["anthropic", "openai", "httpx2", "httpcore2", None])
@VENDORS
def test_debug_logs_do_not_show_it(
    level, server, provider, task, vendor, monkeypatch, caplog
):
    caplog.set_level(logging.DEBUG, level)
    monkeypatch.setenv(vendor.key_variable, KEY)
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", f"Cookie: id={KEY}x")
    echo = Reply(vendor.message("").body, 401, {"x-you-sent": KEY})
    if level in {"anthropic", "openai"}:
        # What the HTTP client writes about a reply is its own.
        server.enqueue(echo)
        with pytest.raises(ProviderError):
            provider.elicit(task)
    provider.elicit(task)
    # A token with a line break is refused before the HTTP client can quote it.
    monkeypatch.delenv(vendor.key_variable)
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", f"{KEY}\n")
    monkeypatch.setenv("OPENAI_ORG_ID", f"{KEY}\n")
    n_requests = len(server.requests)
    with pytest.raises(ProviderError, match="nothing was sent") as caught:
        provider.set_params(n_estimates=2).elicit(task)
    assert in_locals(caught.value) == []
    assert KEY not in caplog.text
    assert len(server.requests) == n_requests


class TestBatches:
    @pytest.mark.parametrize(
        "place",
        [
            "{other}/v1/messages/batches/msgbatch_01/results",
            "{other}/anything?x=1",
            "{named}@{other}/results",
            "//{other}/results",
            "file:///etc/passwd",
            "",
            None,
        ],
    )
    def test_results_come_from_the_named_host(self, place, key, server, provider, task):
        with MessagesServer() as other:
            batches = Batches(server.url, looks=0)
            described = batches.batch

            def batch(ended):
                url = place and place.format(
                    other=other.url.removeprefix("http:" if "//{" in place else ""),
                    named=server.url,
                )
                return {**described(ended), "results_url": url}

            batches.batch = batch
            server.respond = batches
            number = submit_batch(provider, [task])
            report = collect_batch(provider, [task], number, sleep=lambda _: None)
            assert (report.kept, dict(report.failed)) == (1, {})
            assert other.requests == []
            assert all(request.carried(key) for request in server.requests)

    def test_a_redirect_is_not_followed(self, key, server, provider, task):
        with MessagesServer() as other:
            batches = Batches(server.url, looks=0)

            def respond(request):
                if request.path.endswith("/results"):
                    return Reply("", 307, {"location": other.url})
                return batches(request)

            server.respond = respond
            number = submit_batch(provider, [task])
            with pytest.raises(ProviderError, match="points to another address"):
                collect_batch(provider, [task], number, sleep=lambda _: None)
            assert other.requests == []

    def test_no_local_variable_holds_it(self, key, server, provider, task, monkeypatch):
        batches = Batches(server.url, looks=0)
        server.respond = batches
        number = submit_batch(provider, [task])
        message = json.loads(ANTHROPIC.message(f"you sent {key}").body)
        batches.spoil = {0: {"type": "succeeded", "message": message}}
        report = collect_batch(provider, [task], number, sleep=lambda _: None)
        assert key not in str(report)

        def full(*args):
            raise OSError("no space left")

        batches.spoil = {}
        monkeypatch.setattr("llmreg.elicitation._sampling.ResponseStore.save", full)
        with pytest.raises(OSError, match="no space") as caught:
            collect_batch(provider, [task], number, sleep=lambda _: None)
        assert in_locals(caught.value) == []


@pytest.mark.parametrize("header", ["X-Api-Key: gateway-key", "Cookie: id=gateway-key"])
def test_a_server_without_a_key_gets_no_mark_of_ours(header, server, task, monkeypatch):
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", header)
    server.respond = OPENAI.answer
    OpenAIProvider(base_url=f"{server.url}/v1", n_estimates=1).elicit(task)
    sent = {name.lower() for name in server.requests[0].headers}
    assert "authorization" not in sent


@pytest.mark.parametrize(
    "address",
    [
        f"https://user:{KEY}\uff20host/v1",
        f"user:{KEY}@host",
        f"https:user:{KEY}@host",
        f"https://user:{KEY}@host".encode(),
        (f"https://user:{KEY}@host",),
        Path(f"https://user:{KEY}@host"),
    ],
)
@VENDORS
def test_a_password_in_whatever_is_given_as_address_is_refused(address, vendor):
    with pytest.raises(ProviderError, match="in front of an @") as caught:
        vendor.kind(base_url=address)
    assert KEY not in str(caught.value)
    assert vendor.kind(base_url="https://host/@team/v1").base_url


ODD_KEY = "sk-a/b+c=d&e'f\"g<h>0123"


@pytest.mark.parametrize("key", [KEY, ODD_KEY])
@pytest.mark.parametrize(
    "spell",
    [
        quote,
        lambda key: "".join(f"%{ord(c):02X}" for c in key),
        lambda key: "".join(f"%{ord(c):02x}" for c in key),
        html.escape,
        lambda key: "".join(f"&#{ord(c)};" for c in key),
        lambda key: "".join(f"&#x{ord(c):04X};" for c in key),
        lambda key: json.dumps(json.dumps(key)).strip('"\\'),
    ],
)
@VENDORS
def test_it_is_found_however_a_server_spells_it(
    spell, key, server, provider, task, vendor, monkeypatch
):
    monkeypatch.setenv(vendor.key_variable, key)
    server.respond = lambda request: vendor.error(400, f"bad key {spell(key)}!")
    with pytest.raises(ProviderError, match=r"bad key \*\*\*!\)"):
        provider.elicit(task)


@pytest.mark.parametrize("status", [200, 307, 401, 429, 500])
@VENDORS
def test_logs_do_not_show_what_a_server_repeats(
    status, key, server, provider, task, vendor, caplog
):
    caplog.set_level(logging.DEBUG)
    headers = {"x-you-sent": key, "location": f"http://x/{key}", "set-cookie": key}
    server.enqueue(Reply(vendor.message("{}").body, status, headers))
    with suppress(ProviderError):
        provider.elicit(task)
    assert "x-you-sent" in caplog.text
    assert key not in caplog.text
    assert not any(logging.getLogger(n).filters for n in ("httpx2", "httpcore2.http11"))


@pytest.mark.parametrize(
    "line",
    [
        *("HTTP/1.1 401 {}", "HTTP/1.1 200 {}", "{}", "HTTP/1.1 200 OK\r\n{}"),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}",
    ],
)
@VENDORS
def test_logs_do_not_show_what_a_status_line_repeats(line, key, provider, task, caplog):
    caplog.set_level(logging.DEBUG)
    said = f"{line.format(key)}\r\ncontent-length: 2\r\n\r\n{{}}".encode()
    with speaking(lambda c: (c.recv(99999), said)[1]) as port:
        provider.set_params(base_url=f"http://127.0.0.1:{port}", max_attempts=1)
        with pytest.raises(ProviderError):
            provider.elicit(task)
    assert key not in caplog.text
