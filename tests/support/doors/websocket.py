"""``/v1/ws``, one generation on a socket of its own."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.support.doors.asked import NOTHING, Body, Options
from tests.support.doors.closing import closed_by
from tests.support.doors.reading import Reading
from tests.support.doors.rest import bearer
from tests.support.doors.told import Piece, Told, choices_in, failure_in, tokens_in

ID = "a1"


class WebSocketDoor:
    name = "websocket"
    surface = "websocket"

    async def ask(self, address: str, body: Body, *, key: str | None = None, options: Options = NOTHING) -> Told:
        async with self.stream(address, body, key=key, options=options) as reading:
            return await reading.told()

    @asynccontextmanager
    async def stream(
        self, address: str, body: Body, *, key: str | None = None, options: Options = NOTHING
    ) -> AsyncIterator[Reading]:
        request = {**body, "stream_options": {"include_usage": True}}
        frame = {"type": "chat.create", "id": ID, "request": request, "options": options.frame}
        async with aclosing(_events(address, frame, key)) as events:
            yield Reading(events)

    @asynccontextmanager
    async def resume(self, address: str, cursor: str, *, key: str | None = None) -> AsyncIterator[Reading]:
        frame = {"type": "chat.resume", "id": ID, "stream_id": cursor.partition(".")[0], "after": cursor}
        async with aclosing(_events(address, frame, key)) as events:
            yield Reading(events)


async def _events(address: str, asked: Mapping[str, Any], key: str | None) -> AsyncGenerator[Piece | Told, None]:
    """The chunks of a generation, and how it ended."""
    url = f"{address.replace('http', 'ws', 1)}/v1/ws"
    started: Mapping[str, Any] = {}
    try:
        async with connect(url, additional_headers=bearer(key), proxy=None, max_size=None) as socket:
            await socket.send(orjson.dumps(asked).decode())
            async for text in socket:
                frame = orjson.loads(text)
                match frame["type"]:
                    case "chat.started":
                        started = frame
                    case "chat.chunk":
                        yield _piece(frame)
                    case "chat.done":
                        yield _ended(frame, started)
                    case "error":
                        yield _failed(frame)
                    case other:
                        raise AssertionError(f"a frame of type {other}")
    except ConnectionClosed as closed:
        yield Told(failure=closed_by(closed))


def _piece(frame: Mapping[str, Any]) -> Piece:
    assert frame["id"] == ID
    chunk = frame["chunk"]
    return Piece(seq=frame["seq"], cursor=frame["cursor"], raw=chunk, choices=choices_in(chunk, "delta"))


def _ended(done: Mapping[str, Any], started: Mapping[str, Any]) -> Told:
    assert (done["id"], started["id"]) == (ID, ID)
    return Told(
        usage=tokens_in(done["usage"]),
        cost_usd=done["cost_usd"],
        cost_source=done["cost_source"],
        cache=done["cache"],
        provider=done["provider"],
        model=started["model"],
        attempts=done["attempts"],
        request_id=done["request_id"],
        stream_id=done["stream_id"],
    )


def _failed(frame: Mapping[str, Any]) -> Told:
    failure = failure_in(frame, retry_after_s=frame.get("retry_after_s"))
    return Told(
        request_id=frame["request_id"],
        stream_id=frame.get("stream_id"),
        attempts=frame.get("attempts"),
        failure=failure,
    )
