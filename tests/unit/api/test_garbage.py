"""A request leaves nothing for the garbage collector: what it held is free as soon as it is answered."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, cast

import orjson
import pytest

from llm_service import bootstrap
from llm_service.api.leaving import Leaving
from llm_service.api.rest.hang_up import PATIENCE_S, HangUpWatch
from llm_service.config import Settings
from llm_service.providers import ProviderOptions
from llm_service.runtime import Tasks
from llm_service.transport import HttpHead, HttpRequest, Receiver
from tests.support.clock import ManualClock
from tests.support.graphql import CHAT, EVENTS, JSON, STREAM, chat_input
from tests.support.rest import chat_body
from tests.support.service import LogLines, stores_in
from tests.support.waiting import loop_turns

ENVELOPE = {"id": "c1", "created": 1, "model": "m"}
WHOLE = {
    **ENVELOPE,
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5},
}


def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {**ENVELOPE, "object": "chat.completion.chunk", "choices": [choice]}
    return b"data: %b\n\n" % orjson.dumps(body)


CHUNKS = [
    chunk({"role": "assistant", "content": "Hel"}),
    chunk({"content": "lo"}),
    chunk({}, "stop"),
    b"data: [DONE]\n\n",
]


class Transport:
    """Answers from the event loop, as a socket would."""

    status = 200

    def __init__(self, **_: object) -> None:
        self._loop = asyncio.get_running_loop()

    def send(self, request: HttpRequest, receiver: Receiver) -> "Transport":
        pieces = CHUNKS if b'"stream":true' in (request.body or b"") else [orjson.dumps(WHOLE)]
        self._loop.call_soon(receiver.on_head, HttpHead(self.status, {}))
        for piece in pieces:
            self._loop.call_soon(receiver.on_body, piece)
        self._loop.call_soon(receiver.on_end)
        return self

    def abort(self) -> None:
        """Nothing to abort."""

    async def aclose(self) -> None:
        """Nothing to close."""


class Outage(Transport):
    """Answers what nobody can use."""

    status = 503


class Silence(Transport):
    """Answers nothing."""

    def send(self, request: HttpRequest, receiver: Receiver) -> Transport:
        return self


@pytest.fixture
async def held() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as held:
        yield held


@dataclass(frozen=True)
class Asked:
    """A request, and what its answer ends with."""

    path: str
    accept: str
    body: bytes
    ends: bytes


def graphql(query: str, accept: str, ends: bytes) -> Asked:
    body = orjson.dumps({"query": query, "variables": {"input": chat_input("p/m")}})
    return Asked("/graphql", accept, body, ends)


ASKED = {
    "whole": Asked("/v1/chat/completions", JSON, chat_body("p/m"), b"}"),
    "stream": Asked("/v1/chat/completions", EVENTS, chat_body("p/m", stream=True), b"data: [DONE]\n\n"),
    "mutation": graphql(CHAT, JSON, b"}"),
    "subscription": graphql(STREAM, EVENTS, b"event: complete\ndata:\n\n"),
}


REFUSED = {
    "of another model": Asked("/v1/chat/completions", JSON, chat_body("p2/m"), b"}"),
    "of wrong fields": Asked("/v1/chat/completions", JSON, chat_body("p/m", temperature="warm"), b"}"),
    "of wrong variables": Asked(
        "/graphql", JSON, orjson.dumps({"query": CHAT, "variables": {"input": {"model": 1}}}), b"}"
    ),
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
async def test_a_request_leaves_no_reference_cycle(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, held: AsyncExitStack
) -> None:
    answer, garbage = await asked_often(asked, Transport, monkeypatch, held)
    assert answer.endswith(asked.ends), answer
    assert b'"errors"' not in answer
    assert garbage == 0


@pytest.mark.parametrize("asked", [*ASKED.values(), *REFUSED.values()], ids=[*ASKED, *REFUSED])
async def test_neither_does_one_that_fails(asked: Asked, monkeypatch: pytest.MonkeyPatch, held: AsyncExitStack) -> None:
    """In an outage it would be the better part of all requests, each with what it asked."""
    answer, garbage = await asked_often(asked, Outage, monkeypatch, held)
    assert b'"error' in answer
    assert garbage == 0


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
async def test_nor_one_whose_client_leaves(asked: Asked, monkeypatch: pytest.MonkeyPatch, held: AsyncExitStack) -> None:
    answer, garbage = await asked_often(asked, Silence, monkeypatch, held, times=3)
    assert answer == b""
    assert garbage == 0


async def asked_often(
    asked: Asked, client: type[Transport], monkeypatch: pytest.MonkeyPatch, held: AsyncExitStack, *, times: int = 20
) -> tuple[bytes, int]:
    """The first answer, and what is left of more. Who gets none leaves."""
    monkeypatch.setattr(bootstrap.providers, "CLIENTS", {"own": client})
    provider = ProviderOptions(kind="openai_compatible", base_url="http://127.0.0.1:1/v1", max_retries=0)
    settings, log = Settings(providers={"p": provider}), LogLines()
    service = bootstrap.build_service(settings, await stores_in(held, settings, log=log), log=log)
    scope = {
        "type": "http",
        "method": "POST",
        "path": asked.path,
        "query_string": b"",
        "client": ("127.0.0.1", 1),
        "headers": [
            (b"host", b"127.0.0.1"),
            (b"content-type", b"application/json"),
            (b"accept", asked.accept.encode()),
        ],
    }

    async def ask() -> bytes:
        sent: list[bytes] = []
        answered = asyncio.Event()
        inbox: list[Any] = [{"type": "http.request", "body": asked.body}]

        async def receive() -> Any:
            if not inbox and client is not Silence:
                await answered.wait()
            return inbox.pop() if inbox else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message.get("body", b""))
            if "body" in message and not message.get("more_body"):
                answered.set()

        await service.app(scope, receive, send)
        return b"".join(sent)

    answer = await ask()
    await loop_turns()
    gc.collect()
    gc.disable()
    try:
        for _ in range(times):
            await ask()
        await loop_turns()
        return answer, gc.collect()
    finally:
        gc.enable()
        await service.aclose()


async def test_a_client_that_waits_long_for_its_answer_leaves_no_reference_cycle() -> None:
    clock, tasks = ManualClock(), Tasks(lambda *_: None)
    watch = HangUpWatch(clock=clock, tasks=tasks)

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def wait_long() -> None:
        leaving = Leaving(cast("asyncio.Task[None]", asyncio.current_task()), lambda _: False)
        hang_up = watch.over(receive, leaving.leave)
        clock.advance(2 * PATIENCE_S)
        await loop_turns()
        assert len(tasks) == 1
        hang_up.stop()
        await loop_turns(3)
        assert len(tasks) == 0

    await wait_long()
    gc.collect()
    gc.disable()
    try:
        await wait_long()
        assert gc.collect() == 0
    finally:
        gc.enable()
