"""A reply while it arrives, its upstream and its clock driven by hand."""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from llm_service.domain import Candidate, Event, Head, LLMServiceError, Outcome, Secret, chat_request
from llm_service.providers import ProviderKind, ProviderOptions, TimeoutOptions, UpstreamCall, dialect_for
from llm_service.providers.deadlines import TimeOuts
from llm_service.providers.live import MAX_UNREAD_EVENTS, LiveReply
from llm_service.transport import HttpHead
from tests.support.clock import ManualClock
from tests.support.waiting import loop_turns

CREDENTIAL = "test-4f81d0c2b7a9e653"
TIMEOUTS = TimeoutOptions(connect_s=1, first_chunk_s=10, idle_s=5, total_s=100)


class Flow:
    """What the reply does to its upstream."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def pause(self) -> None:
        self.done.append("pause")

    def resume(self) -> None:
        self.done.append("resume")

    def abort(self) -> None:
        self.done.append("abort")


class Kept:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.outcome: Outcome | None = None

    def write(self, batch: Sequence[Event]) -> None:
        self.events += batch

    def end(self, outcome: Outcome) -> None:
        self.outcome = outcome

    @property
    def text(self) -> str:
        choices = [choice for event in self.events if event.raw for choice in event.chunk["choices"]]
        return "".join(choice["delta"].get("content") or "" for choice in choices)

    @property
    def error(self) -> LLMServiceError | None:
        return self.events[-1].error


class Upstream:
    """One call in flight, driven by hand."""

    def __init__(
        self,
        *,
        kind: ProviderKind = "openai_compatible",
        timeouts: TimeoutOptions = TIMEOUTS,
        stream: bool = True,
        deadline_s: float | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.flow = Flow()
        body = {"model": "p/m", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
        call = UpstreamCall(
            request=chat_request(body),
            candidate=Candidate(provider="p", upstream_model="m"),
            deadline_s=deadline_s,
            request_id="req_1",
        )
        options = ProviderOptions(kind=kind, base_url="http://127.0.0.1:1/v1")
        self.time_outs = TimeOuts(self.clock, timeouts)
        self.reply = LiveReply(
            call,
            dialect_for("p", options, self.clock),
            Head(provider="p", model="p/m", upstream_model="m"),
            self.time_outs,
            Secret(CREDENTIAL),
        )
        self.started = asyncio.ensure_future(self.reply.started(self.flow))

    async def head(self, status: int = 200) -> None:
        await loop_turns()
        self.reply.on_head(HttpHead(status, {}))

    async def begin(self) -> Kept:
        """A stream whose first content has come, and its reader."""
        await self.head()
        self.say(chunk("Hel"))
        await self.started
        kept = Kept()
        self.reply.attach(kept)
        return kept

    async def begin_without_content(self) -> Kept:
        """A stream that has begun because so many chunks have come, though none has content; and its reader."""
        await self.head()
        self.say(*[chunk("")] * (MAX_UNREAD_EVENTS + 1))
        await self.started
        kept = Kept()
        self.reply.attach(kept)
        return kept

    def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.reply.on_body(piece)


def chunk(content: str | None = None, finish: str | None = None) -> bytes:
    delta: dict[str, Any] = {} if content is None else {"role": "assistant", "content": content}
    return sse({**ENVELOPE, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def sse(value: object) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(value)


ENVELOPE = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
DONE = b"data: [DONE]\n\n"
WHOLE = {
    **ENVELOPE,
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5},
}
