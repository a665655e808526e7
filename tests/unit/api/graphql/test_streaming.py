"""What subscribers get of a stream that ends badly, and what becomes of one that cannot be read."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from llm_service.api.graphql import streaming
from llm_service.api.graphql.chat_inputs import ChatInput, MessageInput
from llm_service.api.graphql.enums import MessageRole
from llm_service.api.graphql.failures import Failed
from llm_service.api.graphql.streaming import resumed_chunks, started_chunks
from llm_service.domain import Event, Head, Outcome, Reply, Sink, StreamInterrupted, Subscription
from llm_service.streams import Stream

BROKEN = StreamInterrupted("The upstream broke off.")
LAST = Event(2, orjson.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}), "finish")
FIRST = Event(1, orjson.dumps({"choices": [{"index": 0, "delta": {"content": "Hello"}}]}))


class Written(Reply):
    """Sends its events at once, and the end; without events it cannot be read."""

    def __init__(self, events: Sequence[Event], outcome: Outcome) -> None:
        self.head = Head(provider="plain", model="m", upstream_model="m")
        self.whole = None
        self.outcome = outcome
        self.given_up = False
        self._events = events

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        if not self._events:
            raise ValueError("not to be read")
        sink.write(self._events)
        sink.end(self.outcome or Outcome(status="ok"))
        return SimpleNamespace(pause=lambda: None, resume=lambda: None, detach=lambda: False)

    async def aclose(self) -> None:
        self.given_up = True


def a_stream() -> Stream:
    return Stream(id="str_1", request_id="req_1", owner="k", include_usage=False)


def context_of(reply: Reply) -> Any:
    resumed = SimpleNamespace(stream=a_stream(), after=0, generation=SimpleNamespace(reply=lambda: reply))

    async def at(*_: Any, owner: str) -> Any:
        return resumed

    async def begun(_: Any) -> None:
        pass

    return SimpleNamespace(
        parts=SimpleNamespace(resuming=SimpleNamespace(at=at, begun=begun)),
        caller=SimpleNamespace(key_id="k"),
        client=SimpleNamespace(reads=lambda *_: None),
        next_request_id=lambda: "req_1",
    )


@pytest.mark.parametrize(
    ("events", "outcome"),
    [
        ([FIRST, LAST, Event(3, b"", "error", error=BROKEN)], Outcome(status="error", error=BROKEN)),
        ([FIRST, LAST], Outcome(status="interrupted", error=BROKEN)),
    ],
)
async def test_a_chunk_that_is_held_back_comes_before_the_error(events: list[Event], outcome: Outcome) -> None:
    chunks = resumed_chunks(context_of(Written(events, outcome)), "str_1.0")
    assert [(await anext(chunks)).seq, (await anext(chunks)).seq] == [1, 2]
    with pytest.raises(Failed) as failed:
        await anext(chunks)
    assert failed.value.error.code == BROKEN.code


async def test_a_reply_that_cannot_be_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    reply = Written([], Outcome(status="ok"))

    async def reply_to(*_: Any) -> Reply:
        return reply

    monkeypatch.setattr(streaming, "reply_to", reply_to)
    monkeypatch.setattr(streaming, "exchange_for", lambda *_: SimpleNamespace(stream=a_stream()))
    asked = ChatInput(model="m", messages=[MessageInput(role=MessageRole.USER, content="Hello")])
    with pytest.raises(ValueError, match="not to be read"):
        await anext(started_chunks(context_of(reply), asked))
    assert reply.given_up
