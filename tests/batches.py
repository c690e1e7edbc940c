"""The message batches of the API, for a server on the loopback interface."""

from __future__ import annotations

import json

from tests.loopback import Recorded, Reply, answer
from tests.vendors import OPENAI

PATH = "/v1/messages/batches"


class Batches:
    """Answers as the batches of the API do; ends after some looks."""

    def __init__(self, url, looks=2):
        self.url = url
        self.looks = looks
        self.requests = []
        self.spoil = {}

    def __call__(self, request):
        if request.path.startswith(PATH) and request.path.endswith("/results"):
            lines = [json.dumps(self.result(i)) for i in range(len(self.requests))]
            # In any order, as the vendor says.
            text = "\n".join(reversed(lines))
            return Reply(text, content_type="application/x-jsonl")
        if request.path == PATH:
            self.requests = request.body["requests"]
        else:
            self.looks -= 1
        return Reply(json.dumps(self.batch(ended=self.looks < 0)))

    def batch(self, ended):
        return {
            "id": "msgbatch_01",
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "results_url": f"{self.url}{PATH}/msgbatch_01/results" if ended else None,
            "request_counts": dict.fromkeys(
                ("processing", "succeeded", "errored", "canceled", "expired"), 0
            ),
            "created_at": "2026-01-31T12:00:00Z",
            "expires_at": "2026-02-01T12:00:00Z",
        }

    def result(self, i):
        asked = self.requests[i]
        message = answer(Recorded("", {}, asked["params"])).body
        told = {"type": "succeeded", "message": json.loads(message)}
        return {"custom_id": asked["custom_id"], "result": self.spoil.get(i, told)}


class ChatBatches:
    """Answers as OpenAI's batches do: a file of requests, and one or two of results."""

    def __init__(self, looks=2):
        self.looks = looks
        self.requests = []
        self.spoil = {}
        self.files = {}
        self.fate = {"status": "completed"}

    def __call__(self, request):
        if request.path == "/v1/files":
            # The form has other fields, none of which is a line of JSON.
            lines = request.raw.decode().splitlines()
            self.requests = [json.loads(line) for line in lines if line[:1] == "{"]
            return Reply(json.dumps({"id": "file-in", "object": "file"}))
        if request.path.endswith("/content"):
            name = request.path.split("/")[-2]
            lines = reversed([json.dumps(line) for line in self.results()[name]])
            return Reply("\n".join(lines), content_type="application/octet-stream")
        if request.path == "/v1/batches":
            self.asked = request.body
        else:
            self.looks -= 1
        return Reply(json.dumps(self.batch(ended=self.looks < 0)))

    def batch(self, ended):
        files = {f"{kind}_file_id": kind for kind in self.results()} if ended else {}
        fate = self.fate if ended else {"status": "in_progress"}
        return {"id": "batch_01", "object": "batch", **files, **fate}

    def results(self):
        """List what ended well, and what did not, in a file each."""
        found = {"output": [], "error": []}
        for i, asked in enumerate(self.requests):
            body = json.loads(OPENAI.answer(Recorded("", {}, asked["body"])).body)
            told = {"response": {"status_code": 200, "body": body}, "error": None}
            line = {"custom_id": asked["custom_id"], **self.spoil.get(i, told)}
            found["error" if i in self.spoil else "output"].append(line)
        return {kind: lines for kind, lines in found.items() if lines}
