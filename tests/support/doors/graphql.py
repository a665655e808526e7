"""GraphQL: the mutation, and the subscription over graphql-transport-ws and over server-sent events."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.support.doors.asked import NOTHING, Body, Options, chat_input
from tests.support.doors.closing import closed_by
from tests.support.doors.reading import Reading
from tests.support.doors.rest import bearer
from tests.support.doors.told import Choice, Failure, Piece, Tokens, Told, call_in, failure_in
from tests.support.rest import Answer, Connection, ask, connected

ADDRESS = "/graphql"
FACTS = """requestId streamId choices { index content reasoning finishReason toolCalls { index id function {
    name arguments } } } usage { inputTokens outputTokens cachedInputTokens reasoningTokens }
    cost costSource provider model cache attempts raw"""
CHAT = f"mutation ($input: ChatInput!) {{ chat(input: $input) {{ {FACTS} }} }}"
STREAM = f"""subscription ($input: ChatInput, $after: String) {{
    chatStream(input: $input, after: $after) {{ seq cursor {FACTS} }} }}"""


class GraphqlMutation:
    name = "graphql-mutation"
    surface = "graphql"

    async def ask(self, address: str, body: Body, *, key: str | None = None, options: Options = NOTHING) -> Told:
        asked = orjson.dumps({"query": CHAT, "variables": {"input": chat_input(body, options)}})
        answer = await ask(address, "POST", ADDRESS, asked, **bearer(key))
        result = answer.json()
        if "error" in result:  # refused before it was known to be GraphQL's
            return Told(failure=failure_in(result))
        if "errors" in result:
            return _failed(result["errors"])
        return _told(result["data"]["chat"])


class _Subscription:
    """What both transports of subscriptions share."""

    surface = "graphql"

    async def ask(self, address: str, body: Body, *, key: str | None = None, options: Options = NOTHING) -> Told:
        async with self.stream(address, body, key=key, options=options) as reading:
            return await reading.told()

    @asynccontextmanager
    async def stream(
        self, address: str, body: Body, *, key: str | None = None, options: Options = NOTHING
    ) -> AsyncIterator[Reading]:
        async with aclosing(_pieces(self.results(address, {"input": chat_input(body, options)}, key))) as pieces:
            yield Reading(pieces)

    @asynccontextmanager
    async def resume(self, address: str, cursor: str, *, key: str | None = None) -> AsyncIterator[Reading]:
        async with aclosing(_pieces(self.results(address, {"after": cursor}, key))) as pieces:
            yield Reading(pieces)

    def results(self, address: str, variables: Any, key: str | None) -> AsyncGenerator[Any, None]:
        """The results of the subscription, ``None`` when it is complete."""
        raise NotImplementedError


class GraphqlEvents(_Subscription):
    name = "graphql-sse"

    async def results(self, address: str, variables: Any, key: str | None) -> AsyncGenerator[Any, None]:
        asked = orjson.dumps({"query": STREAM, "variables": variables})
        async with connected(address) as connection:
            connection.send("POST", ADDRESS, asked, Accept="text/event-stream", **bearer(key))
            status, head = await connection.head()
            if status != 200:
                body = await connection.reader.readexactly(int(head["content-length"]))
                yield Answer(status, head, body).json()
                return
            async with aclosing(_blocks(connection)) as blocks:
                async for event, data in blocks:
                    yield orjson.loads(data) if event == "next" else None


class GraphqlSocket(_Subscription):
    name = "graphql-ws"

    async def results(self, address: str, variables: Any, key: str | None) -> AsyncGenerator[Any, None]:
        url = f"{address.replace('http', 'ws', 1)}{ADDRESS}"
        try:
            async with connect(
                url, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None, max_size=None
            ) as socket:
                await _send(socket, type="connection_init", payload={"authorization": f"Bearer {key}"} if key else {})
                payload = {"query": STREAM, "variables": variables}
                assert orjson.loads(await socket.recv()) == {"type": "connection_ack"}
                await _send(socket, type="subscribe", id="1", payload=payload)
                async for text in socket:
                    message = orjson.loads(text)
                    assert message["id"] == "1"
                    said = message.get("payload")
                    yield {"errors": said} if message["type"] == "error" else said
        except ConnectionClosed as closed:
            yield {"errors": [closed_by(closed)]}


async def _send(socket: ClientConnection, **message: Any) -> None:
    await socket.send(orjson.dumps(message).decode())


async def _blocks(connection: Connection) -> AsyncGenerator[tuple[str, str], None]:
    """Name and data of each event."""
    unread = ""
    async for piece in connection.pieces():
        *blocks, unread = (unread + piece.decode()).split("\n\n")
        for block in blocks:
            if not block.startswith(":"):
                name, data = block.split("\n")
                yield name.removeprefix("event: "), data.removeprefix("data:").strip()


async def _pieces(results: AsyncGenerator[Any, None]) -> AsyncGenerator[Piece | Told, None]:
    """The chunks of a subscription, and how it ended."""
    last: Any = {}
    async with aclosing(results) as told:
        async for result in told:
            if result is None:
                yield _told({**last, "choices": []})
                return
            if "error" in result:  # as above
                yield Told(failure=failure_in(result))
                return
            if "errors" in result:
                yield _failed(result["errors"])
                return
            last = result["data"]["chatStream"]
            yield Piece(seq=last["seq"], cursor=last["cursor"], raw=last["raw"], choices=_choices(last))


def _told(said: Mapping[str, Any]) -> Told:
    usage, source, cache = said.get("usage"), said.get("costSource"), said.get("cache")
    return Told(
        choices=_choices(said),
        usage=Tokens(*(usage[f"{name}Tokens"] for name in ("input", "output", "cachedInput", "reasoning")))
        if usage
        else None,
        cost_usd=said.get("cost"),
        cost_source=source and source.lower(),
        cache=cache and cache.lower(),
        provider=said.get("provider"),
        model=said.get("model"),
        attempts=said.get("attempts"),
        request_id=said.get("requestId"),
        stream_id=said.get("streamId"),
    )


def _choices(said: Mapping[str, Any]) -> dict[int, Choice]:
    return {
        choice["index"]: Choice(
            text=choice["content"] or "",
            reasoning=choice["reasoning"] or "",
            calls={call["index"]: call_in(call) for call in choice["toolCalls"]},
            finish_reason=choice["finishReason"],
        )
        for choice in said["choices"]
    }


def _failed(errors: Any) -> Told:
    (error,) = errors
    if isinstance(error, Failure):
        return Told(failure=error)
    said = error["extensions"]
    failure = Failure(
        code=said["code"],
        type=said["type"],
        param=said["param"],
        provider=said["provider"],
        retryable=said["retryable"],
        limit=said.get("limit"),
        retry_after_s=said.get("retryAfterS"),
        message=error["message"],
    )
    return Told(request_id=said["requestId"], attempts=said.get("attempts"), failure=failure)
