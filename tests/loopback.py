"""A small server on the loopback interface that speaks the Messages API.

It records what it is asked and answers from a queue, then from a function. A reply
may be wrong in any way that the wire allows: a status, a header, a body of any kind,
fewer bytes than it announced.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "claude-of-the-loopback"


@dataclass(frozen=True)
class Recorded:
    """A request as it came in."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    raw: bytes = b""

    @property
    def questionnaire(self) -> dict[str, Any]:
        """The JSON document that the user message holds."""
        return json.loads(self.body["messages"][-1]["content"])


@dataclass(frozen=True)
class Reply:
    """What goes back over the wire."""

    body: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    cut: bool = False  # announce more bytes than are sent, then hang up


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
            target=self._http.serve_forever, kwargs={"poll_interval": 0.01}
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
                headers, body = dict(self.headers), json.loads(raw or b"{}")
                reply = server.take(Recorded(self.path, headers, body, raw))
                payload = reply.body.encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("content-type", reply.content_type)
                self.send_header("content-length", str(len(payload) + 9 * reply.cut))
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # the client gave up
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


def answer(request: Recorded, score: Score = lambda feature, output: 3) -> Reply:
    """Answer a request as a well-behaved model does."""
    return message(json.dumps({"features": entries(request, score)}))


def spoiled(change: Callable[[list[dict[str, Any]]], object]) -> Respond:
    """Answer with entries that `change` has been at, in place."""

    def respond(request: Recorded) -> Reply:
        found = entries(request)
        change(found)
        return message(json.dumps({"features": found}))

    return respond
