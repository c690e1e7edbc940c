"""The message batches of the API, for a server on the loopback interface."""

from __future__ import annotations

import json

from tests.loopback import Recorded, Reply, answer

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
