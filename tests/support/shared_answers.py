"""Clients of a service that shares answers: what they ask for, what they get, and what the upstream heard of it."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from llm_service.api import AuthOptions, ServerOptions
from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.runtime import SystemClock
from llm_service.sandbox import Sandbox
from tests.support.oracle import client_seen
from tests.support.rest import ASKED, Answer, Connection, ask, connected
from tests.support.service import Running, simulated
from tests.support.waiting import until

CHAT = "/v1/chat/completions"
PRICED = "openrouter/openai/gpt-4o-mini"
ADMIN_KEY = "sk-test-admin-of-shared-answers-0123456"
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
BLOCK = re.compile(rb"(?:: keep-alive\n)*id: (str_[0-9a-f]{26})\.(\d+)\ndata: ([^\n]+)\n\n")


class TurnedClock(SystemClock):
    """The clock of this machine, its wall turned forward by hand."""

    __slots__ = ("ahead_s",)

    def __init__(self) -> None:
        super().__init__()
        self.ahead_s = 0.0
        self.time = lambda: time.time() + self.ahead_s

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)


PATIENCE_S = 30.0
"""How long a test waits for what happens at once on a machine that has nothing else to do."""


def settings_for(
    sandbox: Sandbox, *, guarded: bool = False, keep_alive_s: float = 2 * PATIENCE_S, **other: Any
) -> Settings:
    """Settings of a service that waits longer for its upstream than any test; ``guarded``: everybody needs a key."""
    auth = AuthOptions(admin_key=Secret(ADMIN_KEY), required="always") if guarded else AuthOptions()
    longest_s = 2 * PATIENCE_S
    providers = simulated(
        sandbox.address, connect_s=longest_s, first_chunk_s=longest_s, idle_s=longest_s, total_s=longest_s
    )
    server = ServerOptions(keep_alive_s=keep_alive_s)
    return Settings(**{"server": server, "auth": auth, "providers": providers, **other})


# -- asking


async def a_key(service: Running, **fields: Any) -> dict[str, str]:
    """How an issued key is presented."""
    answer = await ask(service.address, "POST", "/admin/keys", orjson.dumps({"name": "of a test", **fields}), **ADMIN)
    assert answer.status == 200, answer.body
    return {"Authorization": f"Bearer {answer.json()['key']}"}


def body_of(model: str = "plain/sandbox/chat", **other: Any) -> bytes:
    return orjson.dumps({"model": model, "messages": ASKED, **other})


async def ask_chat(service: Running, model: str = "plain/sandbox/chat", *, by: Any = None, **other: Any) -> Answer:
    """One chat; ``by``: its headers."""
    return await ask(service.address, "POST", CHAT, body_of(model, **other), **(by or {}))


def asking(
    service: Running, count: int, *, streams: Sequence[bool] = (True, False), **asked: Any
) -> "asyncio.Future[list[Answer]]":
    """So many clients at once, streaming and not, each on a connection of its own."""
    forms = [streams[number % len(streams)] for number in range(count)]
    return asyncio.gather(*(ask_chat(service, PRICED, stream=stream, **asked) for stream in forms))


async def called(sandbox: Sandbox, times: int = 1) -> None:
    """Wait until the upstream has been asked so often."""
    await until(lambda: len(calls(sandbox)) == times, within_s=PATIENCE_S)


def sharers(service: Running) -> int:
    """How many requests wait for the generations in flight, or read them."""
    return sum(one._holds + len(one._readings) for one in service.stores.streams.flights.values())


async def shared_by(service: Running, count: int) -> None:
    """Wait until so many do."""
    await until(lambda: sharers(service) == count, within_s=PATIENCE_S)


@asynccontextmanager
async def leading(service: Running, upstream: Sandbox, *, by: Any = None, **asked: Any) -> AsyncIterator[Connection]:
    """A client whose request is the first that has reached the upstream; it leaves at the end of the block."""
    async with connected(service.address) as connection:
        connection.send("POST", CHAT, body_of(PRICED, **asked), **(by or {}))
        await called(upstream)
        yield connection


async def record_of(service: Running, request_id: str, by: Any = None) -> dict[str, Any]:
    """The record of a request."""
    found = await ask(service.address, "GET", f"/v1/generations/{request_id}", **(by or {}))
    assert found.status == 200, found.body
    record: dict[str, Any] = found.json()
    return record


async def record(service: Running, answer: Answer, by: Any = None) -> dict[str, Any]:
    """The record of the request that was answered so."""
    return await record_of(service, answer.headers["x-request-id"], by)


async def all_records(service: Running, by: Any = None) -> list[dict[str, Any]]:
    """Those of all accepted requests, once all are closed."""
    await until(lambda: service.stores.ledger.state.open_requests == 0, within_s=PATIENCE_S)
    await service.stores.ledger.flush()
    found: list[dict[str, Any]] = (await ask(service.address, "GET", "/admin/usage?limit=200", **(by or {}))).json()[
        "data"
    ]
    return found


def calls(sandbox: Sandbox, state: str | None = None) -> list[dict[str, Any]]:
    """The generations that the upstream was asked for, by its own journal."""
    asked = [entry for entry in sandbox.requests() if entry["method"] == "POST"]
    return [entry for entry in asked if state is None or entry["state"] == state]


# -- reading


@dataclass(frozen=True)
class Choice:
    """What one choice of an answer says, in whichever form it came."""

    content: str
    reasoning: str
    calls: Sequence[tuple[str, str, str]]
    finish_reason: str


def is_stream(answer: Answer) -> bool:
    return answer.headers["content-type"].startswith("text/event-stream")


def said(answer: Answer) -> dict[int, Choice]:
    """What an answer says, by the number of the choice."""
    assert answer.status == 200, answer.body
    return _streamed(answer.body) if is_stream(answer) else _whole(answer.json())


def _streamed(body: bytes) -> dict[int, Choice]:
    assert body.endswith(b"\n\ndata: [DONE]\n\n"), body[-300:]
    seen = client_seen(data for _, _, data in BLOCK.findall(body))
    return {
        index: Choice(
            seen.text("content", index),
            seen.text("reasoning", index),
            [(call["id"], call["name"], call["arguments"]) for call in seen.calls.get(index, [])],
            reason,
        )
        for index, reason in seen.finishes.items()
    }


def _whole(body: Any) -> dict[int, Choice]:
    found = {}
    for choice in body["choices"]:
        message = choice.get("message") or {"content": choice["text"]}
        functions = [(call["id"], call["function"]) for call in message.get("tool_calls") or []]
        found[choice["index"]] = Choice(
            message.get("content") or "",
            message.get("reasoning") or message.get("reasoning_content") or "",
            [(call_id, function["name"], function["arguments"]) for call_id, function in functions],
            choice["finish_reason"],
        )
    return found


def events(body: bytes) -> list[tuple[int, Any]]:
    """Number and JSON of each event; what our own ``llm`` object says is left out."""
    found = [(int(seq), orjson.loads(data)) for _, seq, data in BLOCK.findall(body)]
    return [(seq, {name: value for name, value in data.items() if name != "llm"}) for seq, data in found]


def facts(body: bytes) -> Any:
    """The ``llm`` object of a stream's last chunk."""
    return orjson.loads(BLOCK.findall(body)[-1][2])["llm"]


def error_in(answer: Answer) -> str | None:
    """The code of the error that an answer, or its last event, is."""
    if answer.status != 200:
        return str(answer.json()["error"]["code"])
    if not is_stream(answer):
        return None
    ended = BLOCK.findall(answer.body)
    last = orjson.loads(ended[-1][2]) if ended else {}
    return str(last["error"]["code"]) if "error" in last else None


async def first_events(pieces: AsyncIterator[bytes], count: int) -> bytes:
    """The first so many events of a stream that has begun, comments left out; nothing of what came with them."""
    read = b""
    while len(found := [match[0] for match in BLOCK.finditer(read)]) < count:
        read += await anext(pieces)
    return b"".join(found[:count])


def same_ids(body: bytes) -> bytes:
    """A stream with the ids that are its own replaced, so that it can be compared to another with the same answer."""
    for pattern in (rb"str_[0-9a-f]{26}", rb"req_[0-9a-f]{26}", rb'"id":"[^"]*"', rb'"created":\d+'):
        body = re.sub(pattern, b"#", body)
    return body
