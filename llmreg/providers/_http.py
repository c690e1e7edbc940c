"""An HTTP client whose replies are bounded, in size and by the wall clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from llmreg._utils._log import rewriting
from llmreg.exceptions import ProviderResponseError
from llmreg.providers._secrets import Secrets

# The most bytes of a reply, or of a line of one that is read line by line. The longest
# answers of models take some hundreds of kilobytes.
MAX_REPLY = 2**24
# Bytes that are looked at together.
_PIECE = 2**16
# Of these a piece grows a thousandfold at most; of others, or one in another, without
# bounds.
_ENCODINGS = ("gzip", "deflate")
# Those of the HTTP client that write what a server says.
_LOGGERS = ("httpx2", "httpcore2.http11", "httpcore2.http2")


def bounded_client(sdk: Any, **options: Any) -> Any:
    """Make a client that follows no redirect, and reads no reply without bounds.

    The timeouts of the SDK are for each read, so a server that sends a byte now and
    then could go on for ever; here they are for the whole reply.
    """
    import httpx2

    class BoundedClient(sdk.DefaultHttpxClient):  # type: ignore[misc]
        def send(self, request: Any, *, stream: bool = False, **more: Any) -> Any:
            seconds = request.extensions.get("timeout", {}).get("read")
            deadline = time.monotonic() + (float("inf") if seconds is None else seconds)
            secrets = Secrets(request.headers)
            failure = None
            try:
                with rewriting(_LOGGERS, secrets.hide_in_reply):
                    response = super().send(request, stream=True, **more)
                    # Nobody reads an error line by line.
                    is_lines = stream and response.is_success
                    pieces = _pieces(response, deadline, is_lines)
                    content = pieces if is_lines else b"".join(pieces)
            except httpx2.TransportError as e:
                told = secrets.hide_in_reply(str(e))
                if told == str(e):
                    raise
                failure = type(e)(told, request=request)
            if failure is not None:
                # Without its cause, since the SDK writes all of that into its log.
                raise failure
            # The SDK may log the headers.
            encoding = response.headers.encoding
            headers = [
                (name.encode(encoding), secrets.hide_in_reply(value).encode(encoding))
                for name, value in response.headers.multi_items()
                if not name.lower().startswith(("content-encoding", "content-length"))
            ]
            return httpx2.Response(
                response.status_code,
                headers=headers,
                content=content,
                request=response.request,
                extensions={"http_version": response.http_version.encode()},
            )

    return BoundedClient(
        follow_redirects=False,
        headers={"accept-encoding": ", ".join(_ENCODINGS)},
        **options,
    )


def _pieces(response: Any, deadline: float, is_lines: bool) -> Iterator[bytes]:
    """Read a reply bit by bit, as long as it is within its bounds."""
    import httpx2

    size = 0
    with closing(response):
        encoding = response.headers.get("content-encoding", "identity").lower()
        if encoding not in (*_ENCODINGS, "identity", ""):
            raise ProviderResponseError(
                "The server compressed its reply in a way that was not asked for: "
                f"only {' and '.join(_ENCODINGS)} are read. Is there a proxy in "
                "between, or a wrong base_url?"
            )
        for piece in response.iter_bytes(_PIECE):
            end = piece.rfind(b"\n") + 1 if is_lines else 0
            size = len(piece) - end if end else size + len(piece)
            if size > MAX_REPLY:
                raise ProviderResponseError(
                    f"The server sent more than {MAX_REPLY >> 20} MB, which is no "
                    "answer to the question. Is there a proxy in between, or a wrong "
                    "base_url?"
                )
            if time.monotonic() > deadline:
                raise httpx2.ReadTimeout("too slow", request=response.request)
            yield piece
