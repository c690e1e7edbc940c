"""A small server on the loopback interface that speaks the Messages API.

It records what it is asked and answers from a queue, then from a function. A reply
may be wrong in any way that the wire allows: a status, a header, a body of any kind,
fewer bytes than it announced.

Credentials are left out of the record as it is made, so that no record can hold a key:
what is kept of them is a hash, enough to tell whether a key was sent.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "claude-of-the-loopback"


# Headers that may carry credentials: authorization, x-api-key and their like.
SECRET_HEADERS = ("auth", "key", "token", "secret", "cookie")
REDACTED = "(not recorded)"


@dataclass(frozen=True)
class Recorded:
    """A request as it came in, without its credentials."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    raw: bytes = b""
    credentials: frozenset[str] = frozenset()  # their hashes
    is_leaking: bool = False  # a credential was where none belongs

    @classmethod
    def of(cls, path: str, headers: Mapping[str, str], raw: bytes) -> Recorded:
        """Record a request."""
        secrets = {
            word
            for name, value in headers.items()
            if is_secret(name)
            for word in value.split()
            if word not in {"Bearer", "Basic"}
        }
        kept = {n: REDACTED if is_secret(n) else v for n, v in headers.items()}
        written = json.dumps([path, kept, raw.decode(errors="replace")])
        is_leaking = any(secret in written for secret in secrets)
        for secret in secrets:
            path = path.replace(secret, REDACTED)
            kept = {n: v.replace(secret, REDACTED) for n, v in kept.items()}
            raw = raw.replace(secret.encode(), REDACTED.encode())
        # What is uploaded comes as a form.
        is_form = raw.startswith(b"--")
        body = json.loads("{}" if is_form else raw or b"{}")
        hashes = frozenset(map(_hash, secrets))
        return cls(path, kept, body, raw, hashes, is_leaking)

    def carried(self, key: str) -> bool:
        """Tell whether a key was sent, in a header that is there for it."""
        return _hash(key) in self.credentials

    @property
    def questionnaire(self) -> dict[str, Any]:
        """The JSON document that the user message holds."""
        return json.loads(self.body["messages"][-1]["content"])


@dataclass(frozen=True)
class Reply:
    """What goes back over the wire."""

    body: str | bytes = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    cut: bool = False  # announce more bytes than are sent, then hang up
    padding: int = 0  # spaces that come first, twenty a second, to keep it alive


def is_secret(header: str) -> bool:
    return any(part in header.lower() for part in SECRET_HEADERS)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


Respond = Callable[[Recorded], Reply]
Score = Callable[[dict[str, Any], dict[str, Any]], Any]


class MessagesServer:
    """Serve on a free port, in threads, as a context manager.

    `respond` answers when the queue of `enqueue` is empty.
    """

    def __init__(self, respond: Respond | None = None) -> None:
        self.respond = respond or answer
        self.requests: list[Recorded] = []
        self._queue: deque[Reply | Respond] = deque()
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.002}
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def enqueue(self, *replies: Reply | Respond) -> None:
        self._queue.extend(replies)

    def __enter__(self) -> MessagesServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        # Whatever a test is about: no key in a path, in a body or in other headers.
        leaking = [r.path for r in self.requests if r.is_leaking]
        assert not leaking, f"a key was sent outside its header: {leaking}"

    def take(self, request: Recorded) -> Reply:
        """Record a request and choose its reply."""
        with self._lock:
            self.requests.append(request)
            reply = self._queue.popleft() if self._queue else self.respond
        return reply if isinstance(reply, Reply) else reply(request)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["content-length"] or 0)
                raw = self.rfile.read(length)
                request = Recorded.of(self.path, dict(self.headers), raw)
                reply = server.take(request)
                body = reply.body
                payload = body if isinstance(body, bytes) else body.encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("content-type", reply.content_type)
                length = len(payload) + 9 * reply.cut + reply.padding
                self.send_header("content-length", str(length))
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # the client gave up
                    for _ in range(reply.padding):
                        self.wfile.write(b" ")
                        time.sleep(0.05)
                    self.wfile.write(payload)
                self.close_connection = reply.cut

            do_GET = do_POST

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def message(
    text: str, *, stop_reason: str = "end_turn", tokens: tuple[int, int] = (100, 20)
) -> Reply:
    """Build a message of the API, with a text block."""
    body = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": tokens[0], "output_tokens": tokens[1]},
    }
    return Reply(json.dumps(body))


def error(
    status: int, kind: str, text: str, headers: Mapping[str, str] | None = None
) -> Reply:
    """Build an error of the API."""
    body = {"type": "error", "error": {"type": kind, "message": text}}
    return Reply(json.dumps(body), status, headers or {})


def entries(
    request: Recorded, score: Score = lambda feature, output: 3
) -> list[dict[str, Any]]:
    """Fill in the questionnaire of a request."""
    asked = request.questionnaire
    return [
        {
            "id": feature["id"],
            "reason": f"reason for {feature['id']}",
            "scores": {o["id"]: score(feature, o) for o in asked["outputs"]},
        }
        for feature in asked["features"]
    ]


def curves(
    request: Recorded, score: Score = lambda feature, output: 3
) -> dict[str, Any]:
    """Fill in the questionnaire of a request for curves, all of them straight."""
    asked = request.questionnaire
    reply: dict[str, Any] = {}
    for feature in asked["features"]:
        effects = {o["id"]: score(feature, o) for o in asked["outputs"]}
        entry = {"id": feature["id"], "reason": f"reason for {feature['id']}"}
        if "level" in feature:
            reply.setdefault("levels", []).append({**entry, "effect": effects})
            continue
        entry |= {
            "range": [0, 5, 10],
            "curve": {o: [[0, -effect], [10, effect]] for o, effect in effects.items()},
            "special": {o: [[-1, effect]] for o, effect in effects.items()},
        }
        reply.setdefault("curves", []).append(entry)
    about, told = "target_ranges", [1, 2, 4]
    if asked["kind"] == "classification":
        about, told = "base_rates", 1 / max(len(asked["outputs"]), 2)
    return {about: {o["id"]: told for o in asked["outputs"]}, **reply}


def filled_in(request: Recorded, score: Score = lambda feature, output: 3) -> str:
    """Fill in a questionnaire of either kind, as the text of a reply."""
    is_of_curves = "[p5, p50, p95]" in json.dumps(request.body)
    if is_of_curves:
        return json.dumps(curves(request, score))
    return json.dumps({"features": entries(request, score)})


def answer(request: Recorded, score: Score = lambda feature, output: 3) -> Reply:
    """Answer a request as a well-behaved model does."""
    return message(filled_in(request, score))


def spoiled(change: Callable[[list[dict[str, Any]]], object]) -> Respond:
    """Answer with entries that `change` has been at, in place."""

    def respond(request: Recorded) -> Reply:
        found = entries(request)
        change(found)
        return message(json.dumps({"features": found}))

    return respond
