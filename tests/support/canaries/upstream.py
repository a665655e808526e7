"""A provider that gives everything away: it fails in every way, and repeats whatever it has been told."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from tests.support.canaries.marks import Canaries
from tests.support.raw_server import read_request, serving

ECHOES: Final[Mapping[str, int]] = {
    **{f"status-{status}": status for status in (302, 400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503)},
    "names-the-key": 400,
    "shortens-the-key": 400,
    "error-in-200": 200,
    "not-json": 200,
    "html": 200,
    "error-in-stream": 200,
    "late-error": 200,
    "cut": 200,
    "no-http": 0,
}
"""Ways to fail by their names, which models have, and their statuses."""
ANSWERS: Final = "answers"
KEPT: Final = "kept"
"""Answers as well, with canaries of their own: for answers that are to be found in other places."""
HANGS: Final = "hangs"
"""A stream that begins, and says no more."""


@dataclass
class Giver:
    """``heard``: every request, whole."""

    canaries: Canaries
    address: str = ""
    heard: list[bytes] = field(default_factory=list)
    hanging: int = 0
    answers: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request for each connection."""
        request = await read_request(reader)
        self.heard.append(request)
        body = request.partition(b"\r\n\r\n")[2]
        asked = orjson.loads(body) if body else {}
        way = asked.get("model", "status-404")
        if way == HANGS:
            await self._hang(writer)
        elif way in ECHOES:
            writer.write(self._failure(way, request.decode()))
        elif "input" in asked:
            writer.write(self._response(200, self._embeddings(asked)))
        elif "messages" in asked or "prompt" in asked:
            writer.write(self._answer(asked))
        else:
            writer.write(self._failure("status-404", request.decode()))
        await writer.drain()

    async def _hang(self, writer: asyncio.StreamWriter) -> None:
        writer.write(self._head(200, kind="text/event-stream") + b"\r\n")
        for number in range(3):
            writer.write(
                self._event({"delta": {"role": "assistant", "content": self._text(f"{number} of a hanging one")}})
            )
        self.hanging += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.hanging -= 1

    def _failure(self, way: str, request: str) -> bytes:
        said = f"{request}: {self._text('in errors')}"
        if way.endswith("-the-key"):  # and nothing of what was asked
            key = request.lower().partition("authorization: bearer ")[0]
            key = request[len(key) + 22 :].split(maxsplit=1)[0]
            said = f"refused for {key if way.startswith('names') else key[-12:]}"
        whole = orjson.dumps({"error": {"message": said, "code": said, "type": said, "param": said, "metadata": said}})
        event = b"data: %b\n\n" % whole
        status = ECHOES[way]
        if way == "no-http":
            return said.encode()
        if way == "not-json":
            whole = said.encode()
        if way == "html":
            whole = f"<html><title>{said}</title><body>{said}</body></html>".encode()
        if way == "error-in-stream":
            return self._response(status, event, kind="text/event-stream")
        if way == "late-error":
            begun = self._event({"delta": {"content": self._text("before an error")}})
            return self._response(status, begun + event, kind="text/event-stream")
        return self._response(status, whole, short_by=100 if way == "cut" else 0)

    def _answer(self, asked: Mapping[str, Any]) -> bytes:
        if asked.get("stream"):
            message = self._message("in a stream", asked["model"])
            events = [self._event({"delta": {name: value}}) for name, value in message.items()]
            events.append(self._event({"delta": {}, "finish_reason": "stop"}))
            return self._response(200, b"".join((*events, b"data: [DONE]\n\n")), kind="text/event-stream")
        message = self._message("whole", asked["model"])
        form = {"message": message} if "messages" in asked else {"text": message["content"]}
        return self._response(200, self._object({"index": 0, "finish_reason": "stop", **form}))

    def _message(self, where: str, model: str) -> dict[str, Any]:
        group = "kept answer" if model == KEPT else "answer"
        texts = {
            name: self.canaries.text(f"{group}: {name} {where}")
            for name in ("content", "reasoning_content", "arguments", "unknown")
        }
        call = {"name": "look_up", "arguments": orjson.dumps({"for": texts["arguments"]}).decode()}
        return {
            "role": "assistant",
            "content": texts["content"],
            "reasoning_content": texts["reasoning_content"],
            "tool_calls": [{"id": "call_1", "index": 0, "type": "function", "function": call}],
            "unheard_of": texts["unknown"],
        }

    def _object(self, choice: Mapping[str, Any]) -> bytes:
        self.answers += 1
        return orjson.dumps(
            {
                "id": f"gen-{self.canaries.mark('upstream id')}-{self.answers}",
                "object": "chat.completion",
                "model": ANSWERS,
                "choices": [choice],
                "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
            }
        )

    def _event(self, choice: Mapping[str, Any]) -> bytes:
        return b"data: %b\n\n" % self._object({"index": 0, **choice}).replace(
            b"chat.completion", b"chat.completion.chunk"
        )

    def _embeddings(self, asked: Mapping[str, Any]) -> bytes:
        vectors = [{"object": "embedding", "index": at, "embedding": [0.5, 0.5]} for at, _ in enumerate(asked["input"])]
        usage = {"prompt_tokens": 3, "total_tokens": 3, "said": self._text("usage")}
        return orjson.dumps({"object": "list", "data": vectors, "model": ANSWERS, "usage": usage})

    def _text(self, where: str) -> str:
        return self.canaries.text(f"answer: {where}")

    def _head(self, status: int, *, kind: str) -> bytes:
        """All that a provider might say there, of which nothing is passed on."""
        told = self.canaries.mark("answer: header")
        fields = {
            "content-type": kind,
            "x-request-id": told,
            "openai-organization": told,
            "set-cookie": f"session={told}",
            "x-echo": told,
            "location": f"http://{told}.invalid/{told}",
            "connection": "close",
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"HTTP/1.1 {status} {told}\r\n{head}".encode()

    def _response(self, status: int, body: bytes, *, kind: str = "application/json", short_by: int = 0) -> bytes:
        return self._head(status, kind=kind) + b"content-length: %d\r\n\r\n" % (len(body) + short_by) + body


@asynccontextmanager
async def giving(canaries: Canaries) -> AsyncIterator[Giver]:
    """The provider on a free port, until the block ends."""
    giver = Giver(canaries)
    async with serving(giver.handle) as giver.address:
        yield giver
