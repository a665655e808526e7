"""Large bodies are taken apart beside the event loop: it goes on answering others, and makes the same of them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import orjson
import pytest

from llm_service import bootstrap
from llm_service.admission import LimitsOptions
from llm_service.config import Settings
from llm_service.domain import LARGE_BYTES
from llm_service.providers import ProviderOptions
from llm_service.runtime.loop_lag import LoopLag
from llm_service.transport import HttpHead, HttpRequest, Receiver
from tests.support.service import LogLines, stores_in
from tests.support.timed import within

MOST_TURN_MS = 10
ROUNDS = 3
ENVELOPE = {"id": "c1", "created": 1, "model": "m", "object": "chat.completion"}
MESSAGE = {"role": "assistant", "content": "Hello"}
WHOLE = orjson.dumps({**ENVELOPE, "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}]})
CONVERSATION = [{"role": ("user", "assistant")[at % 2], "content": "word " * 50} for at in range(16_000)]


class Transport:
    """Answers from the event loop, as a socket would."""

    def __init__(self, **_: object) -> None:
        self._loop = asyncio.get_running_loop()

    def send(self, request: HttpRequest, receiver: Receiver) -> "Transport":
        assert request.body is not None
        self._loop.call_soon(receiver.on_head, HttpHead(200, {}))
        self._loop.call_soon(receiver.on_body, WHOLE)
        self._loop.call_soon(receiver.on_end)
        return self

    def abort(self) -> None:
        """Nothing to abort."""

    async def aclose(self) -> None:
        """Nothing to close."""


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    monkeypatch.setattr(bootstrap.providers, "CLIENTS", {"own": Transport})
    provider = ProviderOptions(kind="openai_compatible", base_url="http://127.0.0.1:1/v1")
    settings = Settings(providers={"p": provider}, limits=LimitsOptions(max_input_tokens=10**9))
    async with AsyncExitStack() as held:
        log = LogLines()
        service = bootstrap.build_service(settings, await stores_in(held, settings, log=log), log=log)
        yield service.app
        await service.aclose()


async def asked(app: Any, body: bytes) -> tuple[int, dict[str, Any]]:
    """The status and the body of an answer to what comes in pieces, as sockets are read."""
    pieces = [body[at : at + 65_536] for at in range(0, len(body), 65_536)] or [b""]
    ended, sent = asyncio.Event(), []

    async def receive() -> dict[str, Any]:
        if not pieces:
            await ended.wait()
            return {"type": "http.disconnect"}
        await asyncio.sleep(0)
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if "body" in message and not message.get("more_body"):
            ended.set()

    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": "/v1/chat/completions", "state": {}}
    await app({**scope, "client": ("127.0.0.1", 1), "headers": headers}, receive, send)
    status = next(message["status"] for message in sent if "status" in message)
    return status, orjson.loads(b"".join(message.get("body", b"") for message in sent))


def chat(messages: Any, **other: Any) -> bytes:
    return orjson.dumps({"model": "p/m", "messages": messages, **other})


@pytest.mark.timed
async def test_a_conversation_of_four_megabytes_keeps_nobody_waiting(app: Any) -> None:
    worst = [await _longest_turn_s(app, seed) for seed in range(ROUNDS)]
    within(min(worst) * 1000, MOST_TURN_MS)


async def _longest_turn_s(app: Any, seed: int) -> float:
    """What one turn of the loop takes at most, in CPU time, while a large request is answered and small ones beside it.

    On the clock it would be what neighbours take, too.
    """
    body, lag = chat(CONVERSATION, seed=seed), LoopLag()
    assert len(body) > 4_000_000

    async def note_turns() -> None:
        while True:
            begun = time.thread_time()
            await asyncio.sleep(0)
            lag.note(time.thread_time() - begun, now=time.monotonic())

    async def ask_small() -> None:
        while True:
            assert (await asked(app, chat([{"role": "user", "content": f"{seed}"}])))[0] == 200
            await asyncio.sleep(0.001)

    beside = [asyncio.create_task(note_turns()), asyncio.create_task(ask_small())]
    assert (await asked(app, body))[0] == 200
    for one in beside:
        one.cancel()
    await asyncio.wait(beside)
    return lag.worst_s


@pytest.mark.parametrize("filler", ["", "x" * LARGE_BYTES], ids=["small", "large"])
@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b'{"model": "p/m", "messages": [%b', 400, "not valid JSON"),
        (b'{"model": "p/m", "messages": 1, "user": "%b"}', 400, "'messages' must be a list"),
        (b'{"model": "nobody/m", "messages": [{"role": "user", "content": "%b"}]}', 404, "nobody"),
        (b'{"model": "p/m", "messages": [{"role": "user", "content": "%b"}]}', 200, "Hello"),
    ],
)
async def test_a_large_body_is_answered_as_a_small_one(
    app: Any, filler: str, body: bytes, status: int, said: str
) -> None:
    found, answer = await asked(app, body % filler.encode())
    assert found == status
    assert said in orjson.dumps(answer).decode()


async def test_a_large_request_is_found_in_the_cache(app: Any) -> None:
    body = chat([{"role": "user", "content": "x" * LARGE_BYTES}])
    first, again = await asked(app, body), await asked(app, body)
    assert first == again
