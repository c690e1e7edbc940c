"""The recorder of the tests: what it keeps of a request holds no key."""

from __future__ import annotations

import contextlib
import json
import pickle

import httpx2
import pytest

from llmreg.exceptions import ProviderError
from llmreg.prior._task import Feature, Task
from llmreg.providers import AnthropicProvider
from llmreg.providers._batch import collect_batch, submit_batch
from tests.batches import Batches
from tests.loopback import REDACTED, MessagesServer, Recorded
from tests.vendors import ANTHROPIC, PLANTED_KEY, VENDORS


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("LLMREG_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path / "no-profiles"))
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, PLANTED_KEY)


@pytest.fixture
def task():
    return Task((Feature("age"),), "ill", ("yes",), "classification", ("no", "yes"))


def holds_the_key(requests):
    """Look for the key in everything that a record consists of."""
    shown = [repr(requests), json.dumps([[r.path, dict(r.headers)] for r in requests])]
    shown += [json.dumps(r.body) + r.raw.decode() for r in requests]
    return PLANTED_KEY.encode() in pickle.dumps(requests) or any(
        PLANTED_KEY in text for text in shown
    )


@pytest.mark.parametrize("vendor", VENDORS, ids=repr)
def test_no_record_of_an_elicitation_holds_the_key(vendor, task, tmp_path):
    with MessagesServer(vendor.answer) as server:
        vendor.provider(server, n_estimates=2).elicit(task)
        server.enqueue(vendor.error(401, f"{PLANTED_KEY} is refused"))
        with pytest.raises(ProviderError):
            vendor.provider(server, model="another").elicit(task)
        # A refused estimate, and one that waits for its count of tokens.
        with contextlib.suppress(ProviderError):
            vendor.provider(server, model="third").estimate_cost(task)
    assert len(server.requests) >= 3
    assert all(request.carried(PLANTED_KEY) for request in server.requests)
    assert not holds_the_key(server.requests)
    written = [p.read_text() for p in tmp_path.rglob("*") if p.is_file()]
    assert written and not any(PLANTED_KEY in text for text in written)


def test_no_record_of_a_batch_holds_the_key(task):
    with MessagesServer() as server:
        server.respond = batches = Batches(server.url, looks=0)
        provider = AnthropicProvider(base_url=server.url, n_estimates=2)
        batch = submit_batch(provider, [task])
        assert collect_batch(provider, [task], batch).kept == 2
    assert len(server.requests) >= 3
    assert all(request.carried(PLANTED_KEY) for request in server.requests)
    assert not holds_the_key(server.requests)
    assert PLANTED_KEY not in json.dumps(batches.requests)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Authorization", f"Bearer {PLANTED_KEY}"),
        ("X-Api-Key", PLANTED_KEY),
        ("api-key", PLANTED_KEY),
        ("Cookie", PLANTED_KEY),
    ],
)
def test_credentials_are_left_out_as_the_record_is_made(header, value):
    request = Recorded.of("/v1", {header: value, "Accept": "*/*"}, b"{}")
    assert request.headers == {header: REDACTED, "Accept": "*/*"}
    assert request.carried(PLANTED_KEY) and not request.carried("another")
    assert not request.is_leaking
    assert not holds_the_key([request])


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        (f"/v1?key={PLANTED_KEY}", {}, {}),
        ("/v1", {"User-Agent": PLANTED_KEY}, {}),
        ("/v1", {}, {"metadata": PLANTED_KEY}),
    ],
)
def test_a_key_outside_its_header_ends_the_test(path, headers, body):
    server = MessagesServer(lambda request: ANTHROPIC.message("hello"))
    headers = {"x-api-key": PLANTED_KEY, **headers}
    with pytest.raises(AssertionError, match="outside its header") as caught, server:
        httpx2.post(server.url + path, headers=headers, json=body)
    assert not holds_the_key(server.requests)
    assert PLANTED_KEY not in str(caught.value)
