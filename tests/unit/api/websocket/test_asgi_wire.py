"""A wire over ASGI's messages does what that of our own connection does."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from llm_service.api.http_request import Message
from llm_service.api.websocket.asgi_wire import HIGH_BYTES, AsgiWire, GoneError, messages_in
from llm_service.api.websocket.wire import binary_frame, text_frame
from tests.support.waiting import until

ACCEPT = {"type": "websocket.accept", "subprotocol": None, "headers": [(b"X-A", b"b")]}


class Server:
    """What the server heard from the application; what it hears from the client comes when ``tell`` is called."""

    def __init__(self) -> None:
        self.said: list[Message] = []
        self.takes = asyncio.Event()
        self.takes.set()
        self.failure: Exception | None = None
        self._coming: asyncio.Queue[Message] = asyncio.Queue()

    def tell(self, kind: str, **fields: Any) -> None:
        self._coming.put_nowait({"type": f"websocket.{kind}", **fields})

    async def receive(self) -> Message:
        return await self._coming.get()

    async def send(self, message: Message) -> None:
        await self.takes.wait()
        if self.failure is not None:
            raise self.failure
        self.said.append(message)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def wire(server: Server) -> AsyncIterator[AsgiWire]:
    """After the handshake."""
    wire = AsgiWire({}, server.receive, server.send)
    server.tell("connect")
    assert await wire.receive() == {"type": "websocket.connect"}
    await wire.send(dict(ACCEPT))
    server.said.clear()
    yield wire
    await wire.aclose()


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_frames_are_messages(size: int) -> None:
    texts, data = "é" * (size // 2), b"\x00" * size
    written = text_frame(texts.encode()) + binary_frame(data) + text_frame(b"end")
    assert [*messages_in(written)] == [
        {"type": "websocket.send", "text": texts},
        {"type": "websocket.send", "bytes": data},
        {"type": "websocket.send", "text": "end"},
    ]


async def test_what_is_written_goes_out_in_order_and_the_close_behind_it(server: Server, wire: AsgiWire) -> None:
    wire.write(text_frame(b"1"))
    await wire.send({"type": "websocket.send", "text": "2"})
    wire.close(4401, "no key")
    wire.write(text_frame(b"too late"))
    await until(lambda: len(server.said) == 3)
    assert [message.get("text") for message in server.said[:2]] == ["1", "2"]
    assert server.said[2] == {"type": "websocket.close", "code": 4401, "reason": "no key"}
    assert (await wire.receive())["code"] == 4401


async def test_it_is_full_while_the_client_does_not_take_what_waits(server: Server, wire: AsgiWire) -> None:
    told: list[bool] = []
    wire.on_flow = lambda: told.append(wire.full)
    server.takes.clear()
    for _ in range(2):
        wire.write(binary_frame(b"x" * HIGH_BYTES))
    assert (wire.full, wire.waiting_bytes, told) == (True, 2 * HIGH_BYTES, [True])
    sending = asyncio.ensure_future(wire.send({"type": "websocket.send", "text": "behind"}))
    server.takes.set()
    await sending
    await until(lambda: len(server.said) == 3)
    assert (wire.full, told) == (False, [True, False])


async def test_a_message_that_is_too_large_ends_it(server: Server, wire: AsgiWire) -> None:
    wire.max_message_bytes = 4
    server.tell("receive", text="12345")
    assert (await wire.receive())["code"] == 1009
    await until(lambda: server.said)
    assert server.said[0]["code"] == 1009


async def test_a_client_that_is_not_known_says_one_thing_and_is_not_heard_further(
    server: Server, wire: AsgiWire
) -> None:
    wire.hold()
    wire.hear(first_bytes=10)
    server.tell("receive", text="key")
    server.tell("receive", text="something large behind it")
    assert (await wire.receive())["text"] == "key"
    behind = asyncio.ensure_future(wire.receive())
    await asyncio.sleep(0)
    assert not behind.done()
    wire.hear()
    assert (await behind)["text"] == "something large behind it"


async def test_a_client_that_left_is_told_to_the_application(server: Server, wire: AsgiWire) -> None:
    server.failure = OSError("gone")
    wire.write(text_frame(b"1"))
    assert (await wire.receive())["type"] == "websocket.disconnect"
    with pytest.raises(GoneError):
        await wire.send({"type": "websocket.send", "text": "2"})


async def test_a_defect_of_the_server_is_not_taken_for_a_client_that_left(server: Server) -> None:
    wire = AsgiWire({}, server.receive, server.send)
    await wire.send(dict(ACCEPT))
    server.failure = ValueError("a defect")
    wire.write(text_frame(b"1"))
    with pytest.raises(ValueError, match="a defect"):
        await wire.aclose()


async def test_nobody_waits_for_room_in_a_socket_that_has_failed(server: Server) -> None:
    wire = AsgiWire({}, server.receive, server.send)
    await wire.send(dict(ACCEPT))
    server.takes.clear()
    wire.write(binary_frame(b"x" * 2 * HIGH_BYTES))
    sending = asyncio.ensure_future(wire.send({"type": "websocket.send", "text": "behind"}))
    await asyncio.sleep(0)
    server.failure = ValueError("a defect")
    server.takes.set()
    with pytest.raises(GoneError):
        await sending
    assert (wire.full, (await wire.receive())["code"]) == (False, 1006)
    with pytest.raises(ValueError, match="a defect"):
        await wire.aclose()


async def test_nobody_waits_for_room_when_the_client_has_left(server: Server, wire: AsgiWire) -> None:
    server.takes.clear()
    wire.write(binary_frame(b"x" * 2 * HIGH_BYTES))
    sending = asyncio.ensure_future(wire.send({"type": "websocket.send", "text": "behind"}))
    server.tell("disconnect", code=1001)
    assert (await wire.receive())["code"] == 1001
    with pytest.raises(GoneError):
        await sending
    server.takes.set()


async def test_a_subprotocol_is_named_beside_the_headers(server: Server) -> None:
    wire = AsgiWire({}, server.receive, server.send)
    await wire.send({"type": "websocket.accept", "headers": [(b"Sec-WebSocket-Protocol", b"a"), (b"X-B", b"c")]})
    assert server.said == [{"type": "websocket.accept", "headers": [(b"x-b", b"c")], "subprotocol": "a"}]
    await wire.aclose()


@pytest.mark.parametrize("can_deny", [True, False])
async def test_a_handshake_is_refused_as_far_as_the_server_can(server: Server, can_deny: bool) -> None:
    scope = {"extensions": {"websocket.http.response": {}} if can_deny else {}}
    wire = AsgiWire(scope, server.receive, server.send)
    refusal = {"type": "websocket.http.response.start", "status": 404, "headers": []}
    await wire.send(dict(refusal))
    await wire.send({"type": "websocket.http.response.body", "body": b"why"})
    await wire.aclose()
    assert server.said[0] == (refusal if can_deny else {"type": "websocket.close"})
    assert len(server.said) == (2 if can_deny else 1)
