"""Outside faults are told at once where waiting cannot help, and all is bounded."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import tracemalloc
import zlib

import numpy as np
import pytest

from llmreg import LLMAttributionClassifier
from llmreg.exceptions import (
    PriorUnavailableWarning,
    ProviderError,
    ProviderResponseError,
    ProviderUnavailableError,
)
from llmreg.providers import (
    AnthropicProvider,
    collect_batch,
    submit_batch,
)
from tests.batches import Batches
from tests.loopback import Reply
from tests.vendors import ANTHROPIC, OPENAI

VENDORS = pytest.mark.parametrize("vendor", [ANTHROPIC, OPENAI], ids=repr)
pytestmark = pytest.mark.usefixtures("key")


class TestToldAtOnce:
    @VENDORS
    @pytest.mark.parametrize(
        "address",
        [
            *("127.0.0.1:1/v1", "localhost", "ftp://host/v1", "http:/host", "http://"),
            *(
                "https://ho st/v1",
                "http://host/v1\nx",
                "http://host:abc",
                "http://[::1",
            ),
            *("http://host:99999", "//host/v1", "sk-ant-a-key-in-its-place"),
        ],
    )
    def test_an_address_that_is_none(self, address, vendor, task, sleeps, monkeypatch):
        with pytest.raises(ProviderError, match="base_url is no address") as caught:
            vendor.kind(base_url=address).elicit(task)
        assert type(caught.value) is ProviderError
        assert "a-key" not in str(caught.value)
        variable = vendor.kind._address_variable
        monkeypatch.setenv(variable, address)
        with pytest.raises(ProviderError, match=f"{variable} is no address"):
            vendor.kind().elicit(task)
        assert sleeps == []

    @VENDORS
    @pytest.mark.parametrize(
        "spell",
        [
            lambda url: f" {url}\n",
            lambda url: f"{url}/",
            lambda url: url.replace("http", "HTTP"),
            lambda url: url.replace("127.0.0.1", "LocalHost"),
            lambda url: f"{url}//",
        ],
    )
    def test_spellings_of_an_address_are_one(
        self, spell, server, provider, task, vendor
    ):
        if "LocalHost" in spell(provider.base_url):
            provider.set_params(
                base_url=provider.base_url.replace("127.0.0.1", "localhost")
            )
        identity = provider.identity()
        provider.elicit(task)
        provider.set_params(base_url=spell(provider.base_url)).elicit(task)
        assert provider.identity() == identity
        assert len(server.requests) == 1
        usual = vendor.kind(base_url="https://host:443/v1")
        assert usual.identity() == vendor.kind(base_url="https://host/v1/").identity()

    @VENDORS
    @pytest.mark.parametrize("value", ["", " ", "\n"])
    def test_an_empty_address_is_the_vendors_own(self, value, vendor, monkeypatch):
        monkeypatch.setenv(vendor.kind._address_variable, value)
        provider = vendor.kind()
        with provider._connect() as client:
            assert str(client.base_url).rstrip("/") == vendor.kind._own_address
        assert provider.identity()["base_url"] is None

    @VENDORS
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("ALL_PROXY", "socks5://127.0.0.1:1"),
            ("ALL_PROXY", "socks://user:secret@127.0.0.1:1"),
            ("HTTP_PROXY", "http://127.0.0.1:abc"),
            ("HTTPS_PROXY", "ftp://127.0.0.1:1"),
            ("SSL_CERT_FILE", "/nonexistent.pem"),
            ("SSL_CERT_FILE", __file__),
        ],
    )
    def test_a_client_that_cannot_be_made(
        self, name, value, server, provider, task, monkeypatch
    ):
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv(name, value)
        with pytest.raises(ProviderError, match="cannot be set up") as one:
            provider.elicit(task)
        assert type(one.value) is ProviderError
        assert one.value.__context__ is None
        assert "secret" not in str(one.value)
        model = LLMAttributionClassifier(
            provider, feature_names=["a", "b"], on_error="no_prior"
        )
        with pytest.warns(PriorUnavailableWarning, match="cannot be set up"):
            model.fit([[1, 2], [2, 1], [3, 5], [4, 4]], list("xyxy"))
        assert server.requests == []

    @VENDORS
    @pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
    @pytest.mark.parametrize("value", ["", "http://127.0.0.1:1"])
    def test_proxies_that_do_not_matter(self, name, value, provider, task, monkeypatch):
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv(name, value)
        assert provider.elicit(task).features == task.keys

    @VENDORS
    @pytest.mark.parametrize("status", [407, 403, 401])
    def test_a_proxy_that_refuses(
        self, status, provider, task, sleeps, vendor, monkeypatch
    ):
        said = f"HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n".encode()
        with speaking(lambda connection: (connection.recv(9999), said)[1]) as port:
            monkeypatch.setenv("NO_PROXY", "")
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
            provider.set_params(base_url="https://llmreg.invalid")
            with pytest.raises(ProviderError, match=rf"proxy refused.*{status}"):
                provider.elicit(task)
        assert sleeps == []

    @VENDORS
    def test_a_server_without_tls(self, provider, task, sleeps, server):
        provider.set_params(base_url=server.url.replace("http:", "https:"))
        with pytest.raises(ProviderError, match=r"TLS.*certificate") as caught:
            provider.elicit(task)
        assert type(caught.value) is ProviderError
        assert sleeps == []

    @pytest.mark.parametrize("vendor", [OPENAI], ids=repr)
    @pytest.mark.parametrize(
        ("text", "known"),
        [
            (
                "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead.",
                "max_completion_tokens",
            ),
            (
                "`max_tokens` is deprecated; please use max_completion_tokens instead",
                "max_completion_tokens",
            ),
            ("Unrecognized argument: max_completion_tokens", "max_tokens"),
            (
                "body.max_completion_tokens: Extra inputs are not permitted",
                "max_tokens",
            ),
            ("Unknown field 'max_completion_tokens'", "max_tokens"),
        ],
    )
    def test_the_limit_on_tokens_goes_by_the_name_that_is_known(
        self, text, known, server, provider, task, vendor, monkeypatch
    ):
        def respond(request):
            if known not in request.body:
                return vendor.error(400, text)
            return vendor.answer(request)

        server.respond = respond
        if known == "max_tokens":
            monkeypatch.setattr(
                "llmreg.providers._openai._NEW_LIMIT_HOSTS", ("127.0.0.1",)
            )
        assert provider.elicit(task).usage["requests"] == 1
        assert [r.body.get(known) for r in server.requests] == [None, 8192]

    @pytest.mark.parametrize("vendor", [OPENAI], ids=repr)
    @pytest.mark.parametrize(
        "text", ["max_completion_tokens is too large: 8192", "max_tokens: at most 99"]
    )
    def test_a_limit_that_is_too_high_is_sent_once(
        self, text, server, provider, task, vendor
    ):
        server.respond = lambda request: vendor.error(400, text)
        with pytest.raises(ProviderError, match="max"):
            provider.elicit(task)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("vendor", "params"),
    [
        (ANTHROPIC, {"thinking": {"type": "adaptive", "least": [np.int64(1024)]}}),
        (ANTHROPIC, {"max_tokens": np.int32(900), "timeout": np.float32(20)}),
        (OPENAI, {"temperature": np.float32(0.5), "max_tokens": np.int64(900)}),
        (OPENAI, {"extra_body": {"options": {"num_ctx": np.int64(9)}}}),
        (OPENAI, {"n_estimates": np.int64(1), "max_parallel": np.uint8(2)}),
        (OPENAI, {"extra_body": {"stop": (np.str_("x"),), "echo": np.bool_(True)}}),
    ],
)
def test_numbers_of_numpy_are_numbers(server, provider, task, params):
    assert provider.set_params(**params).elicit(task).scores.tolist() == [[3, 3, 3]]
    for name in {"temperature", "max_tokens", "thinking"} & set(params):
        assert server.requests[0].body[name] == params[name]
    assert provider.has_cached(task)


class TestReasonsToStop:
    @VENDORS
    @pytest.mark.parametrize(
        "reason",
        [
            None,
            "",
            "eos",
            "STOP",
            "end_turn",
            "stop",
            "COMPLETE",
            "done",
            "tool_use",
            3,
            # What has all scores was not cut off.
            "length",
            "max_tokens",
            "MODEL_LENGTH",
        ],
    )
    def test_a_whole_answer_is_taken(self, reason, server, provider, task, vendor):
        def respond(request):
            body = json.loads(vendor.answer(request).body)
            place = body["choices"][0] if "choices" in body else body
            place["finish_reason" if "choices" in body else "stop_reason"] = reason
            return Reply(json.dumps(body))

        server.respond = respond
        assert provider.elicit(task).scores.tolist() == [[3, 3, 3]]
        assert len(server.requests) == 1

    @VENDORS
    @pytest.mark.parametrize(
        "reason", ["length", "LENGTH", "max_tokens", "MAX_TOKENS", "model_length"]
    )
    def test_a_reply_that_was_cut_off_gets_more_room(
        self, reason, server, provider, task, vendor
    ):
        server.enqueue(vendor.message('{"features": [', stop=reason))
        provider.elicit(task)
        assert len(server.requests) == 2

    @pytest.mark.parametrize("vendor", [OPENAI], ids=repr)
    @pytest.mark.parametrize(
        "split",
        [
            lambda text: [{"type": "text", "text": text}],
            lambda text: [{"type": "text", "text": t} for t in (text[:9], text[9:])],
            lambda text: [{"type": "text", "text": text}, {"type": "image_url"}],
            lambda text: [{"type": "output_text", "text": text}, "odd", None],
            lambda text: [{"type": "thinking", "thinking": []}, {"text": text}],
            lambda text: [{"type": "reasoning", "text": "{x}"}, {"text": text}],
            lambda text: {"type": "text", "text": text},
            lambda text: [text],
        ],
    )
    def test_content_in_parts(self, split, server, provider, task, vendor):
        def respond(request):
            body = json.loads(vendor.answer(request).body)
            message = body["choices"][0]["message"]
            message["content"] = split(message["content"])
            return Reply(json.dumps(body))

        server.respond = respond
        assert provider.elicit(task).scores.tolist() == [[3, 3, 3]]
        assert len(server.requests) == 1


def bomb(wbits=31):
    """Give 256 MB of spaces, packed: the same MB again and again, without an end."""
    press = zlib.compressobj(9, zlib.DEFLATED, wbits)
    start = press.flush(zlib.Z_FULL_FLUSH)
    part = press.compress(b" " * 2**20) + press.flush(zlib.Z_FULL_FLUSH)
    return start + part * 2**8


BOMBS = {
    "gzip": (bomb(), {"content-encoding": "gzip"}),
    "deflate": (bomb(15), {"content-encoding": "deflate"}),
    "gzip twice": (gzip.compress(bomb()), {"content-encoding": "gzip, gzip"}),
    "br": (b"x", {"content-encoding": "br"}),
    "zstd": (b"x", {"content-encoding": "zstd"}),
    "as it is": (b" " * 2**25, {}),
    "capitals": (bomb(), {"content-encoding": "GZIP"}),
}


class TestBoundsOfSize:
    @VENDORS
    @pytest.mark.parametrize("status", [200, 500])
    @pytest.mark.parametrize("name", BOMBS)
    def test_a_reply_without_end(self, name, status, server, provider, task, sleeps):
        body, headers = BOMBS[name]
        server.respond = lambda request: Reply(body, status, headers)
        tracemalloc.start()
        with pytest.raises(ProviderResponseError, match=r"The server (sent|comp)"):
            provider.elicit(task)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # The server of the test is in this process too.
        assert peak < 2**27
        assert sleeps == []

    @pytest.mark.parametrize("name", [*BOMBS][:5])
    def test_results_without_end(self, name, server, provider, task):
        body, headers = BOMBS[name]
        batches = Batches(server.url, looks=0)
        server.respond = batches
        number = submit_batch(provider, [task])
        server.respond = lambda request: (
            Reply(body, 200, headers)
            if request.path.endswith("/results")
            else batches(request)
        )
        with pytest.raises(ProviderResponseError):
            collect_batch(provider, [task], number, sleep=lambda _: None)

    def test_many_results_are_no_reply_without_end(
        self, server, provider, task, monkeypatch
    ):
        monkeypatch.setattr("llmreg.providers._hosted._wire.MAX_REPLY", 5000)
        batches = Batches(server.url, looks=0)
        server.respond = batches
        number = submit_batch(provider.set_params(n_estimates=40), [task])
        report = collect_batch(provider, [task], number, sleep=lambda _: None)
        assert (report.kept, dict(report.failed)) == (40, {})

    @VENDORS
    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity", "", "GZip"])
    def test_compressed_answers_are_read(
        self, encoding, server, provider, task, vendor
    ):
        def respond(request):
            body = vendor.answer(request).body.encode()
            packed = {"gzip": gzip.compress, "deflate": zlib.compress}
            body = packed.get(encoding.lower(), bytes)(body)
            return Reply(body, headers={"content-encoding": encoding})

        server.respond = respond
        assert provider.elicit(task).scores.tolist() == [[3, 3, 3]]


class speaking:
    """A server that says what it is told to, byte by byte where it is a generator."""

    def __init__(self, speak):
        self.speak = speak

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.is_over = threading.Event()
        threading.Thread(target=self.work, daemon=True).start()
        return self.socket.getsockname()[1]

    def __exit__(self, *_):
        self.is_over.set()
        self.socket.close()

    def work(self):
        while not self.is_over.is_set():
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=[connection], daemon=True).start()

    def answer(self, connection):
        said = self.speak(connection)
        with connection:
            try:
                for part in [said] if isinstance(said, bytes) else said:
                    connection.sendall(part)
                    if self.is_over.wait(0 if isinstance(said, bytes) else 0.05):
                        return
            except OSError:
                pass


def endless(start, part):
    def speak(connection):
        yield start
        while True:
            yield part

    return speak


OK = b"HTTP/1.1 200 OK\r\n"


class TestBoundsOfTime:
    @pytest.mark.parametrize(
        "speak",
        [
            endless(OK + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
            endless(OK + b"content-length: 999999\r\n\r\n", b" "),
            endless(OK + b"\r\n", b"\n"),
            endless(OK + b"x-long: ", b"a"),
            endless(b"HTTP/1.1 ", b"2"),
            endless(b"HTTP/1.1 500 No\r\ncontent-length: 999999\r\n\r\n", b" "),
            endless(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 P\r\n\r\n"),
        ],
    )
    @pytest.mark.parametrize("call", ["elicit", "count", "submit", "collect"])
    def test_drips(self, call, speak, task, tmp_path, monkeypatch):
        for module in "elicitation._sampling", "providers._hosted":
            monkeypatch.setattr(f"llmreg.{module}.GRACE", 0.05)
        with speaking(speak) as port:
            provider = AnthropicProvider(
                base_url=f"http://127.0.0.1:{port}",
                n_estimates=1,
                cache=tmp_path,
                timeout=0.25,
                max_attempts=1,
            )
            calls = {
                "elicit": lambda: provider.elicit(task),
                "count": lambda: provider.estimate_cost(task),
                "submit": lambda: submit_batch(provider, [task]),
                "collect": lambda: collect_batch(provider, [task], "b", timeout=0.25),
            }
            start = time.monotonic()
            told = "list of batches" if call == "submit" else "."
            with pytest.raises(ProviderError, match=told):
                calls[call]()
            assert time.monotonic() - start < 10

    def test_results_that_drip(self, server, provider, task):
        batches = Batches(server.url, looks=0)
        server.respond = batches
        number = submit_batch(provider, [task])
        server.respond = lambda request: (
            Reply("{}", padding=200)
            if request.path.endswith("/results")
            else batches(request)
        )
        start = time.monotonic()
        with pytest.raises(ProviderUnavailableError):
            collect_batch(provider.set_params(timeout=0.5), [task], number)
        assert time.monotonic() - start < 10

    @VENDORS
    def test_a_slow_answer_in_time_is_read(self, server, provider, task, vendor):
        server.respond = lambda request: Reply(vendor.answer(request).body, padding=5)
        assert provider.set_params(timeout=20).elicit(task).features == task.keys


def test_the_wait_for_a_batch_goes_by_the_clock(server, provider, task):
    server.respond = Batches(server.url, looks=10**9)
    number = submit_batch(provider, [task])
    with pytest.raises(ProviderUnavailableError, match=r"has not ended after 0\.25 s"):
        collect_batch(
            provider,
            [task],
            number,
            timeout=0.25,
            pause=0.02,
            sleep=lambda s: time.sleep(0.1),
        )
    assert len(server.requests) < 7


def test_content_may_be_a_text(server, provider, task):
    def respond(request):
        body = json.loads(ANTHROPIC.answer(request).body)
        return Reply(json.dumps({**body, "content": body["content"][0]["text"]}))

    server.respond = respond
    assert provider.elicit(task).scores.tolist() == [[3, 3, 3]]


CIRCLE = {}
CIRCLE["in"] = CIRCLE


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        b"x",
        object(),
        float("nan"),
        np.float32("inf"),
        1j,
        len,
        CIRCLE,
        "\ud83d",
    ],
)
@VENDORS
def test_what_json_cannot_hold_is_told_at_once(value, server, provider, task, vendor):
    name = {"anthropic": "thinking", "openai": "extra_body"}[vendor.name]
    provider.set_params(**{name: {"type": "adaptive", "a": {"b": [value]}}})
    for call in (provider.elicit, provider.has_cached, provider.preview):
        with pytest.raises(ProviderError, match=f"{name} holds what JSON cannot"):
            call(task)
    assert server.requests == []


@VENDORS
def test_arrays_of_numpy_are_lists(server, provider, task, vendor):
    name = {"anthropic": "thinking", "openai": "extra_body"}[vendor.name]
    given = {"type": "adaptive", "a": np.array([1.5, 2.0])}
    provider.set_params(**{name: given}).elicit(task)
    assert [1.5, 2.0] in json.loads(server.requests[0].raw).get(
        name, json.loads(server.requests[0].raw)
    ).values()


@VENDORS
def test_a_host_of_no_name_is_told_at_once(provider, task, sleeps, monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    provider.set_params(base_url="http://llmreg.invalid")
    with pytest.raises(ProviderError, match="no host of this name") as caught:
        provider.elicit(task)
    assert type(caught.value) is ProviderError
    assert sleeps == []


@VENDORS
@pytest.mark.parametrize("said", ["\u00b2", "\u00fc 20 s", "\xff"])
def test_a_header_of_any_letters_is_no_fault(said, server, provider, task, vendor):
    server.enqueue(vendor.error(429, "slow", {"x-said": said}))
    assert provider.elicit(task).usage["requests"] == 2


@VENDORS
def test_json_without_end_is_no_fault_of_the_sdk(server, provider, task):
    server.respond = lambda request: Reply("[" * 200_000)
    with pytest.raises(ProviderResponseError, match="could not be read"):
        provider.elicit(task)


@VENDORS
def test_the_name_of_a_model_is_cut(server, provider, task, vendor):
    def respond(request):
        body = json.loads(vendor.answer(request).body)
        return Reply(json.dumps({**body, "model": "\x1bm" * 1_000_000}))

    server.respond = respond
    prior = provider.elicit(task)
    assert len(prior.to_json()) < 5000
    assert "\x1b" not in prior.provenance["model"]


@pytest.mark.parametrize(
    "text",
    [
        "The input token count (120) exceeds the maximum number of tokens allowed (9).",
        "The schema produces a constraint that has too many states for serving.",
        "The model is loaded with context length of only 4096 tokens",
        "`inputs` tokens + `max_new_tokens` must be <= 4097",
        "The prompt (length 5000) is longer than the maximum model length of 4096.",
        "This model's maximum prompt length is 131072",
        "Input is too long for requested model.",
        "too many tokens: total number of tokens in the prompt cannot exceed 4081",
        "The input (5000 tokens) is longer than the model's context length",
        "Range of input length should be [1, 30720]",
        "Invalid schema: Too many properties. Expected at most 5000",
        "Invalid 'messages[1].content': string too long.",
        "Input tokens exceed the configured limit of 272000 tokens.",
        "Request too large for gpt-4o on tokens per min (TPM): Limit 10, Requested 12.",
    ],
)
@pytest.mark.parametrize("status", [400, 422, 429])
@VENDORS
def test_a_question_that_is_too_large_is_halved_at_once(
    text, status, server, provider, task, sleeps, vendor
):
    server.enqueue(vendor.error(status, text))
    provider.elicit(task)
    told = [len(r.questionnaire["features"]) for r in server.requests]
    assert (told, sleeps) == ([3, 2, 1], [])


@VENDORS
def test_a_limit_of_rate_that_points_to_the_bill_is_waited_for(
    server, provider, task, sleeps, vendor
):
    text = "Rate limit reached. Try again in 20s, or pay more at https://x.example/billing."
    server.enqueue(vendor.error(429, text))
    provider.elicit(task)
    assert len(sleeps) == 1
