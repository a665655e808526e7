"""Listeners to a service's events and figures, at each of its doors."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any

import orjson

from tests.support.graphql import ADDRESS, EVENTS, socket_to
from tests.support.rest import Connection, connected

Told = AsyncGenerator[tuple[str, Any], None]
EVENT_FIELDS = "{ kind at worker dropped data }"
FIGURE_FIELDS = """{ at intervalS windowS requestsPerS errorsPerS errorRatio latencyP50S latencyP95S latencyP99S
    firstChunkP50S firstChunkP95S inputTokensPerS outputTokensPerS costUsdPerH hitRatio inFlight workers
    byProvider { name requestsPerS errorRatio latencyP95S } byModel { name requestsPerS errorRatio latencyP95S } }"""
LISTEN = f"subscription ($kinds: [EventKind!]) {{ events(kinds: $kinds) {EVENT_FIELDS} }}"
WATCH = f"subscription ($every: Float) {{ metrics(intervalS: $every) {FIGURE_FIELDS} }}"


async def blocks_of(connection: Connection) -> AsyncGenerator[list[str], None]:
    """The lines of each server-sent event, and of each comment, as they come."""
    lines: list[str] = []
    rest = b""
    async for piece in connection.pieces():
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            if line.startswith(b":"):
                yield [line.decode()]
            elif line:
                lines.append(line.decode())
            elif lines:
                yield lines
                lines = []


async def events_of(connection: Connection) -> Told:
    """The events of REST as kind and data."""
    async for block in blocks_of(connection):
        fields = dict(line.split(":", 1) for line in block if not line.startswith(":"))
        if "event" in fields:
            yield fields["event"].strip(), orjson.loads(fields["data"] or "null")


@asynccontextmanager
async def rest(address: str, *kinds: str, key: str | None = None) -> AsyncIterator[Told]:
    """Events by REST, once the service listens for us."""
    async with connected(address) as connection:
        query = f"?kinds={','.join(kinds)}" if kinds else ""
        connection.send("GET", f"/admin/events{query}", **_keyed(key))
        assert (await connection.head())[0] == 200
        told = events_of(connection)
        async with aclosing(told):
            yield told


@asynccontextmanager
async def graphql_sse(address: str, *kinds: str, key: str | None = None) -> AsyncIterator[Told]:
    """The same by GraphQL as server-sent events."""
    async with connected(address) as connection:
        body = orjson.dumps({"query": LISTEN, "variables": _named(kinds)})
        connection.send("POST", ADDRESS, body, Accept=EVENTS, **_keyed(key))
        assert (await connection.head())[0] == 200

        async def told() -> Told:
            async for kind, data in events_of(connection):
                if kind == "next":
                    yield _read(data)

        listening = told()
        async with aclosing(listening):
            yield listening


@asynccontextmanager
async def graphql_ws(address: str, *kinds: str, key: str | None = None) -> AsyncIterator[Told]:
    """The same by GraphQL over a WebSocket."""
    async with socket_to(address, **_keyed(key)) as socket:
        await socket.begin()
        await socket.subscribe(LISTEN, _named(kinds))

        async def told() -> Told:
            while (message := await socket.receive())["type"] != "complete":
                payload = message["payload"]
                yield _read(payload if message["type"] == "next" else {"errors": payload})

        listening = told()
        async with aclosing(listening):
            yield listening


DOORS: dict[str, Callable[..., AbstractAsyncContextManager[Told]]] = {
    "rest": rest,
    "graphql_sse": graphql_sse,
    "graphql_ws": graphql_ws,
}


async def heard(told: Told, kind: str, *, within_s: float = 5) -> Any:
    """The next event of this kind."""
    async with asyncio.timeout(within_s):
        async for one, data in told:
            if one == kind:
                return data
    raise AssertionError(f"the stream ended without {kind}")


def _named(kinds: tuple[str, ...]) -> dict[str, Any]:
    return {"kinds": [kind.upper() for kind in kinds]} if kinds else {}


def _keyed(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def _read(result: Any) -> tuple[str, Any]:
    if result.get("errors"):
        return "error", {"error": {"code": result["errors"][0]["extensions"]["code"]}}
    event = result["data"]["events"]
    return event["kind"].lower(), {"at": event["at"], "worker": event["worker"], **event["data"]}
