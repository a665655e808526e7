"""Callers of the GraphQL door: over HTTP, by events, and over a WebSocket with the protocol spelled out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect

from tests.support.rest import Answer, ask, connected

ADDRESS = "/graphql"
EVENTS = "text/event-stream"
JSON = "application/json"
PLAIN = "plain/sandbox/chat"
PRICED = "openrouter/openai/gpt-4o-mini"
QUESTION = "What is the capital of France?"
CHAT = """mutation Ask($input: ChatInput!) { chat(input: $input) {
    id requestId streamId content reasoning toolCalls { id function { name arguments } } finishReason
    choices { index content finishReason } usage { inputTokens outputTokens cachedInputTokens reasoningTokens }
    cost costSource provider model cache attempts raw } }"""
STREAM = """subscription Listen($input: ChatInput, $after: String) { chatStream(input: $input, after: $after) {
    requestId streamId cursor seq content finishReason choices { index content }
    usage { inputTokens outputTokens } cost costSource provider model cache attempts raw } }"""


def chat_input(model: str = PLAIN, **other: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "USER", "content": QUESTION}], **other}


async def post(address: str, query: str, variables: Any = None, *, path: str = ADDRESS, **headers: str) -> Answer:
    """One operation over HTTP."""
    return await ask(address, "POST", path, orjson.dumps({"query": query, "variables": variables}), **headers)


async def data_of(address: str, query: str, variables: Any = None, **headers: str) -> Any:
    """What an operation gives that has no errors."""
    answer = await post(address, query, variables, **headers)
    assert answer.status == 200, answer.body
    assert "errors" not in answer.json(), answer.body
    return answer.json()["data"]


async def error_of(address: str, query: str, variables: Any = None, **headers: str) -> Any:
    """The one error of an operation."""
    answer = await post(address, query, variables, **headers)
    (error,) = answer.json()["errors"]
    return error


def results_in(stream: bytes) -> list[Any]:
    """The results of a stream of events that came to its end."""
    *events, last, rest = stream.decode().split("\n\n")
    assert (last, rest) == ("event: complete\ndata:", "")
    told = [event.removeprefix("event: next\ndata: ") for event in events if event != ":"]
    return [orjson.loads(text) for text in told]


async def chunks_of(address: str, variables: Any, **headers: str) -> list[Any]:
    """The chunks of a stream that has no errors, by events."""
    answer = await post(address, STREAM, variables, Accept=EVENTS, **headers)
    assert answer.status == 200, answer.body
    return [result["data"]["chatStream"] for result in results_in(answer.body)]


def said_in(chunks: list[Any]) -> str:
    return "".join(chunk["content"] or "" for chunk in chunks)


async def first_chunks(address: str, count: int, variables: Any, **headers: str) -> list[Any]:
    """So many chunks of a stream, whose client leaves then."""
    body = orjson.dumps({"query": STREAM, "variables": variables})
    seen = b""
    async with connected(address) as connection:
        connection.send("POST", ADDRESS, body, Accept=EVENTS, **headers)
        assert (await connection.head())[0] == 200
        async for piece in connection.pieces():
            seen += piece
            whole = [text for text in seen.decode().split("\n\n")[:-1] if text.startswith("event: next")]
            if len(whole) >= count:
                results = [orjson.loads(text.partition("data: ")[2]) for text in whole[:count]]
                return [result["data"]["chatStream"] for result in results]
    raise AssertionError("the stream ended before")


class Socket:
    """A client of graphql-transport-ws."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, **message: Any) -> None:
        await self.connection.send(orjson.dumps(message).decode())

    async def receive(self) -> Any:
        async with asyncio.timeout(30):  # whoever waits longer waits in vain
            return orjson.loads(await self.connection.recv())

    async def begin(self, **payload: Any) -> None:
        await self.send(type="connection_init", payload=payload)
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(self, query: str, variables: Any = None, *, name: str = "1") -> None:
        await self.send(id=name, type="subscribe", payload={"query": query, "variables": variables})

    async def to_the_end(self, name: str = "1") -> list[Any]:
        """Every message of an operation, the last one included."""
        messages = []
        while not messages or messages[-1]["type"] not in ("complete", "error"):
            message = await self.receive()
            if message.get("id") == name:
                messages.append(message)
        return messages

    async def close_code(self) -> int | None:
        async with asyncio.timeout(10):
            await self.connection.wait_closed()
        return self.connection.close_code


@asynccontextmanager
async def socket_to(address: str, *, protocol: str = "graphql-transport-ws", **headers: str) -> AsyncIterator[Socket]:
    url = f"{address.replace('http', 'ws', 1)}{ADDRESS}"
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    origin: Any = fields.pop("Origin", None)
    async with connect(
        url, subprotocols=[protocol], additional_headers=fields, origin=origin, proxy=None, max_size=None
    ) as connection:
        yield Socket(connection)
