"""REST, whole and streamed, by hand over a socket."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import orjson

from tests.support.doors.asked import NOTHING, Body, Options
from tests.support.doors.reading import Reading
from tests.support.doors.told import Piece, Told, choices_in, failure_in, tokens_in
from tests.support.rest import Answer, Connection, ask, connected

CHAT = "/v1/chat/completions"


def bearer(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


class RestWhole:
    name = "rest-whole"
    surface = "rest"

    async def ask(self, address: str, body: Body, *, key: str | None = None, options: Options = NOTHING) -> Told:
        answer = await ask(address, "POST", CHAT, orjson.dumps(body), **bearer(key), **options.headers)
        return told_whole(answer)


class RestStreamed:
    name = "rest-streamed"
    surface = "rest"

    async def ask(self, address: str, body: Body, *, key: str | None = None, options: Options = NOTHING) -> Told:
        async with self.stream(address, body, key=key, options=options) as reading:
            return await reading.told()

    @asynccontextmanager
    async def stream(
        self, address: str, body: Body, *, key: str | None = None, options: Options = NOTHING
    ) -> AsyncIterator[Reading]:
        asked = orjson.dumps({**body, "stream": True, "stream_options": {"include_usage": True}})
        async with connected(address) as connection:
            connection.send("POST", CHAT, asked, **bearer(key), **options.headers)
            async with aclosing(_events(connection)) as events:
                yield Reading(events)

    @asynccontextmanager
    async def resume(self, address: str, cursor: str, *, key: str | None = None) -> AsyncIterator[Reading]:
        async with connected(address) as connection:
            connection.send("GET", f"/v1/streams/{cursor.partition('.')[0]}?after={cursor}", b"", **bearer(key))
            async with aclosing(_events(connection)) as events:
                yield Reading(events)


def told_whole(answer: Answer) -> Told:
    """What an answer that came whole tells."""
    if answer.status != 200:
        return _refused(answer)
    body, head = answer.json(), answer.headers
    return Told(
        choices=choices_in(body, "message"),
        usage=tokens_in(body.get("usage")),
        cost_usd=head.get("x-llm-cost-usd"),
        cost_source=head.get("x-llm-cost-source"),
        cache=head["x-llm-cache"],
        provider=head["x-llm-provider"],
        model=head["x-llm-model"],
        attempts=int(head["x-llm-attempts"]),
        request_id=head["x-request-id"],
    )


def _refused(answer: Answer) -> Told:
    after_ms = answer.headers.get("retry-after-ms")
    failure = failure_in(answer.json(), retry_after_s=None if after_ms is None else int(after_ms) / 1000)
    attempts = answer.headers.get("x-llm-attempts")
    return Told(
        request_id=answer.headers["x-request-id"], attempts=None if attempts is None else int(attempts), failure=failure
    )


async def _events(connection: Connection) -> AsyncGenerator[Piece | Told, None]:
    """The events of a stream, and how it ended."""
    status, head = await connection.head()
    if status != 200:
        yield _refused(Answer(status, head, await connection.reader.readexactly(int(head["content-length"]))))
        return
    usage: Any = None
    facts: Mapping[str, Any] = {}
    async for event_id, data in _blocks(connection):
        if data == b"[DONE]":
            yield _ended(usage, facts)
            return
        chunk = orjson.loads(data)
        if "error" in chunk:
            attempts = chunk.get("attempts") or head.get("x-llm-attempts")
            yield Told(
                request_id=chunk["request_id"],
                stream_id=event_id.partition(".")[0],
                attempts=None if attempts is None else int(attempts),
                failure=failure_in(chunk),
            )
            return
        usage = chunk.get("usage") or usage
        facts = chunk.pop("llm", facts)
        yield Piece(seq=int(event_id.partition(".")[2]), cursor=event_id, raw=chunk, choices=choices_in(chunk, "delta"))


async def _blocks(connection: Connection) -> AsyncIterator[tuple[str, bytes]]:
    """Id and data of each event."""
    unread = b""
    async for piece in connection.pieces():
        *blocks, unread = (unread + piece).split(b"\n\n")
        for block in blocks:
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":"))
            yield fields.get(b"id", b"").decode(), fields[b"data"]


def _ended(usage: Any, facts: Mapping[str, Any]) -> Told:
    return Told(
        usage=tokens_in(usage),
        cost_usd=facts.get("cost_usd"),
        cost_source=facts.get("cost_source"),
        cache=facts.get("cache"),
        provider=facts.get("provider"),
        model=facts.get("model"),
        attempts=facts.get("attempts"),
        request_id=facts.get("request_id"),
        stream_id=facts.get("stream_id"),
    )
