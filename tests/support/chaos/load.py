"""Clients that ask at a steady rate, whatever becomes of their requests, and look closely at every answer."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import orjson

from tests.support.rest import Connection, events_of

CHAT: Final = "/v1/chat/completions"
PATIENCE_S: Final = 20.0
DONE: Final = "[DONE]"

Ending = Literal["open", "ok", "refused", "failed", "broken", "wrong"]
"""``ok``: the whole content, in order, and one end. ``refused``: an error as an HTTP status. ``failed``: a stream that
ends with an error event after content. ``broken``: a connection that ended. ``wrong``: everything else."""


@dataclass(slots=True)
class Asked:
    """One request and what became of it; times are of the event loop."""

    number: int
    model: str
    stream: bool
    begun_at: float
    first_at: float | None = None
    """When the first content was there."""
    ended_at: float = 0.0
    ending: Ending = "open"
    status: int = 0
    code: str = ""
    """Of an error; or what is wrong."""
    provider: str = ""
    attempts: int = 0

    @property
    def text(self) -> str:
        """What the answer has to say."""
        return f"answer {self.number} of one two three four five six seven"

    @property
    def took_s(self) -> float:
        return self.ended_at - self.begun_at

    def body(self) -> bytes:
        messages = [{"role": "user", "content": f"echo: {self.text}"}]
        return orjson.dumps({"model": self.model, "messages": messages, "stream": self.stream})


@dataclass
class Steady:
    """An open loop: requests begin at their times, also while earlier ones wait. Every other one is a stream.

    Connections are kept and used again, as clients do; a kept one that fails is no excuse.
    """

    address: str
    models: Sequence[str]
    rate_per_s: float
    key: str
    timeout_s: float | None = None
    """``X-LLM-Timeout-S`` of each request."""
    all: list[Asked] = field(default_factory=list)
    _idle: list[Connection] = field(default_factory=list)
    _running: set["asyncio.Task[None]"] = field(default_factory=set)
    _beginning: "asyncio.Task[None] | None" = None

    async def __aenter__(self) -> "Steady":
        self._beginning = asyncio.create_task(self._begin())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Begin nothing more, and wait for what runs; idempotent."""
        beginning, self._beginning = self._beginning, None
        if beginning is not None:
            beginning.cancel()
            await asyncio.gather(beginning, return_exceptions=True)
        await asyncio.gather(*self._running)
        for connection in self._idle:
            connection.writer.close()
        self._idle.clear()

    def between(self, begun_at: float, ended_at: float = float("inf")) -> list[Asked]:
        """The requests that began then."""
        return [one for one in self.all if begun_at <= one.begun_at < ended_at]

    async def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        first_at = loop.time()
        for number in count():
            await asyncio.sleep(first_at + number / self.rate_per_s - loop.time())
            model = self.models[number // 2 % len(self.models)]
            asked = Asked(number, model, stream=number % 2 == 0, begun_at=loop.time())
            self.all.append(asked)
            running = asyncio.create_task(self._ask(asked))
            self._running.add(running)
            running.add_done_callback(self._running.discard)

    async def _ask(self, asked: Asked) -> None:
        connection: Connection | None = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                connection = await self._connection()
                keep = await self._exchange(asked, connection)
        except TimeoutError:
            asked.ending, asked.code, keep = "broken", "no answer", False
        except (OSError, asyncio.IncompleteReadError) as failure:
            asked.ending, asked.code, keep = "broken", repr(failure), False
        asked.ended_at = asyncio.get_running_loop().time()
        if connection is not None:
            self._idle.append(connection) if keep else connection.writer.close()

    async def _connection(self) -> Connection:
        while self._idle:
            kept = self._idle.pop()
            if not kept.reader.at_eof() and not kept.writer.is_closing():
                return kept
            kept.writer.close()
        parts = urlsplit(self.address)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**20)
        return Connection(reader, writer, parts.netloc)

    async def _exchange(self, asked: Asked, connection: Connection) -> bool:
        """Ask, and judge the answer; whether the connection can be used again."""
        own = {} if self.timeout_s is None else {"X_LLM_Timeout_S": str(self.timeout_s)}
        connection.send("POST", CHAT, asked.body(), Authorization=f"Bearer {self.key}", **own)
        asked.status, headers = await connection.head()
        asked.provider = headers.get("x-llm-provider", "")
        asked.attempts = int(headers.get("x-llm-attempts", 0))
        if headers.get("transfer-encoding") == "chunked":
            pieces = []
            async for piece in connection.pieces():
                if asked.first_at is None and b'"content":"' in piece:
                    asked.first_at = asyncio.get_running_loop().time()
                pieces.append(piece)
            judge_stream(asked, events_of(b"".join(pieces)))
        else:
            body = await connection.reader.readexactly(int(headers["content-length"]))
            judge_whole(asked, orjson.loads(body))
        return headers.get("connection") != "close"


def judge_whole(asked: Asked, said: Any) -> None:
    """Whether a whole answer is what was asked for."""
    if asked.status != 200:
        asked.ending, asked.code = "refused", said["error"]["code"]
        return
    choices = [(one["message"]["content"], one["finish_reason"]) for one in said["choices"]]
    if choices == [(asked.text, "stop")]:
        asked.ending = "ok"
    else:
        asked.ending, asked.code = "wrong", repr(choices)


def judge_stream(asked: Asked, events: Sequence[Any]) -> None:
    """Whether a stream is what was asked for: from one upstream answer, in its order, with one end."""
    chunks = [event for event in events if event != DONE]
    told = chunks[-1].get("llm") or {} if chunks else {}
    asked.provider = asked.provider or told.get("provider", "")  # of a stream whose head went out early
    asked.attempts = asked.attempts or told.get("attempts", 0)
    if chunks and "error" in chunks[-1]:
        asked.ending, asked.code = "failed", chunks[-1]["error"]["code"]
        if DONE in events:
            asked.ending, asked.code = "wrong", "[DONE] behind an error"
        return
    deltas = [one for chunk in chunks for one in chunk["choices"]]
    text = "".join(one["delta"].get("content") or "" for one in deltas)
    finished = [one["finish_reason"] for one in deltas if one["finish_reason"] is not None]
    ids = {chunk["id"] for chunk in chunks}
    if (text, finished, len(ids), events.count(DONE), events[-1:]) == (asked.text, ["stop"], 1, 1, [DONE]):
        asked.ending = "ok"
    else:
        asked.ending, asked.code = "wrong", f"{text!r} {finished} {len(ids)} ids, {events.count(DONE)} ends"


def endings(asked: Sequence[Asked]) -> Counter[str]:
    """How they ended, with the code of what went wrong."""
    return Counter(one.ending if one.ending == "ok" else f"{one.ending} {one.code}" for one in asked)


def examples(asked: Sequence[Asked], fits: Callable[[Asked], bool]) -> str:
    """A few of them, for the message of an assertion."""
    return "\n".join(map(str, islice(filter(fits, asked), 5)))
