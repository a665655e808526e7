"""Clients of one service that know which of its workers they talk to, and what the upstream and the ledger say then."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson

from llm_service.domain import UsageRecord
from llm_service.storage import UsageFilter
from tests.support.deployment import CHAT, Deployment, new_key
from tests.support.rest import Answer, Connection, ask, connected, events_of
from tests.support.waiting import until_answered


def asked(behaviour: str, *, stream: bool, words: str) -> bytes:
    """A request for an answer of the sandbox; those with the same words are the same."""
    fields = {"model": f"plain/sandbox/{behaviour}", "messages": [{"role": "user", "content": words}]}
    return orjson.dumps({**fields, "stream": True} if stream else fields)


@asynccontextmanager
async def at_worker(address: str, number: int) -> AsyncIterator[Connection]:
    """A connection that a certain worker of the service has accepted."""
    async with AsyncExitStack() as held:

        async def found() -> Connection | None:
            connection = await held.enter_async_context(connected(address))
            report = (await connection.ask("GET", "/health")).json()
            return connection if report.get("worker", 1) == number else None

        yield await until_answered(found, within_s=20)


class Stream:
    """An answer that comes as events over a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._body = b""
        self._pieces: AsyncIterator[bytes] | None = None
        self.status = 0
        self.headers: dict[str, str] = {}

    async def begin(self) -> "Stream":
        """Wait for the head."""
        self.status, self.headers = await self._connection.head()
        self._pieces = self._connection.pieces()
        return self

    async def first(self, count: int = 1) -> "Stream":
        """Read until so many events are there."""
        assert self._pieces is not None
        while self._body.count(b"\ndata: ") < count:
            self._body += await anext(self._pieces)
        return self

    async def rest(self) -> bytes:
        """All of its bytes."""
        assert self._pieces is not None
        if self.headers.get("transfer-encoding") != "chunked":
            return await self._connection.reader.readexactly(int(self.headers["content-length"]))
        async for piece in self._pieces:
            self._body += piece
        return self._body

    @property
    def id(self) -> str:
        return self.headers["x-llm-stream-id"]

    def leave(self) -> None:
        self._connection.writer.transport.abort()


@dataclass
class Client:
    """One api key's owner, asking several workers the same words."""

    deployment: Deployment
    key_id: str
    key: str
    words: str

    @classmethod
    async def new(cls, deployment: Deployment) -> "Client":
        key_id, key = await new_key(deployment.addresses[0])
        return cls(deployment, key_id, key, f"Say {uuid4().hex}.")

    @property
    def authorization(self) -> str:
        return f"Bearer {self.key}"

    def send(self, to: Connection, behaviour: str, *, stream: bool = True, **headers: str) -> Stream:
        body = asked(behaviour, stream=stream, words=self.words)
        to.send("POST", CHAT, body, authorization=self.authorization, **headers)
        return Stream(to)

    def resume(self, to: Connection, stream_id: str, after: int) -> Stream:
        to.send("GET", f"/v1/streams/{stream_id}?after={after}", authorization=self.authorization)
        return Stream(to)

    async def cancel(self, to: Connection, stream_id: str) -> Any:
        answer = await to.ask("DELETE", f"/v1/streams/{stream_id}", authorization=self.authorization)
        return answer.json()

    async def upstream(self) -> list[dict[str, Any]]:
        """What the simulated upstream was asked with these words, from its own journal."""
        seen = (await ask(self.deployment.sandbox, "GET", "/_requests")).json()["data"]
        return [entry for entry in seen if self.words in orjson.dumps(entry).decode()]

    async def records(self, count: int) -> list[UsageRecord]:
        """The records of this key, once there are so many; fails where there are more in the end."""
        async with self.deployment.database() as database:

            async def shipped() -> list[UsageRecord] | None:
                rows = await database.ledger.page(UsageFilter(key_id=self.key_id), after=None, count=1000)
                return [row.record for row in rows] if len(rows) >= count else None

            found: list[UsageRecord] = await until_answered(shipped, within_s=25)
        assert len(found) == count, found
        return found


def text_of(answer: Answer) -> str:
    """The words of an answer, in whichever form it came."""
    if not answer.headers.get("content-type", "").startswith("text/event-stream"):
        return str(answer.json()["choices"][0]["message"]["content"])
    return words_of(answer.body)


def words_of(stream: bytes) -> str:
    """The words of a stream, complete or not."""
    events = [event for event in events_of(stream) if event != "[DONE]"]
    deltas = [choice["delta"] for event in events for choice in event.get("choices", ())]
    return "".join(delta.get("content") or "" for delta in deltas)


def error_of(stream: bytes) -> str:
    """The code of the error that is a stream's last event; that it is complete, or none, where it is not."""
    last = events_of(stream)[-1]
    return "complete" if last == "[DONE]" else str(last.get("error", {}).get("code"))


def charged(records: Sequence[UsageRecord]) -> list[int]:
    """What those cost that cost something, nano-USD."""
    return [record.nano_usd for record in records if record.nano_usd]


async def all_at_once(client: Client, behaviour: str, connections: Sequence[Connection]) -> list[Answer]:
    """The same request on all of them, every second one for a stream."""
    for number, connection in enumerate(connections):
        client.send(connection, behaviour, stream=number % 2 == 0)
    return list(await asyncio.gather(*(connection.answer() for connection in connections)))
