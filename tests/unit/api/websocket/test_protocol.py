"""The transport under every WebSocket: real clients against small ASGI applications on loopback."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from llm_service.api import HttpServer, listen
from llm_service.api import unread as unread_module
from llm_service.api.http_request import Receive, Scope, Send
from llm_service.api.websocket import protocol as protocol_module
from llm_service.api.websocket.wire import Wire, text_frame, wire_of
from llm_service.domain import InvalidRequest
from tests.support.raw_socket import CONT, HANDSHAKE, PING, TEXT, frame, raw_socket
from tests.support.waiting import until

App = Callable[[Scope, Receive, Send], Awaitable[None]]


def refused(error: InvalidRequest) -> str:
    return "req_1"


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[str]:
    listening = listen("127.0.0.1", 0)
    server = HttpServer(app, refused=refused)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    await server.listening.wait()
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listening.close()


class Echo:
    """Sends back what it gets, until the client leaves; keeps all it was told."""

    def __init__(self, **accept: Any) -> None:
        self.told: list[Any] = []
        self.scope: Scope = {}
        self.accept = accept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept", **self.accept})
        while (message := await receive())["type"] != "websocket.disconnect":
            self.told.append(message)
            with suppress(OSError):
                await send({**message, "type": "websocket.send"})
        self.told.append(message)


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def address(echo: Echo) -> AsyncIterator[str]:
    async with serving(echo) as at:
        yield at


async def closed_with(client: ClientConnection) -> int:
    """The code with which the service closes the socket."""
    async with asyncio.timeout(5):
        with suppress(ConnectionClosed):
            async for _ in client:
                pass
    return client.close_code or 0


async def test_messages_come_and_go_as_they_are(address: str, echo: Echo) -> None:
    sizes = (0, 1, 125, 126, 65535, 65536, 200_000)
    async with connect(f"ws://{address}/any?x=1", max_size=None) as client:
        for size in sizes:
            await client.send("ä" * size)
            assert await client.recv() == "ä" * size
        await client.send(b"\x00\xff")
        assert await client.recv() == b"\x00\xff"
    assert (echo.scope["path"], echo.scope["query_string"]) == ("/any", b"x=1")


async def test_the_client_s_close_reaches_the_application(address: str, echo: Echo) -> None:
    async with connect(f"ws://{address}/") as client:
        await client.close(4000, "enough")
    assert client.close_code == 4000
    assert await until(lambda: echo.told) == [{"type": "websocket.disconnect", "code": 4000, "reason": "enough"}]


async def test_a_client_that_vanishes_is_noticed_at_once(address: str, echo: Echo) -> None:
    async with connect(f"ws://{address}/") as client:
        client.transport.abort()
        assert (await until(lambda: echo.told, within_s=1))[0]["code"] == 1006


async def test_a_subprotocol_is_offered_and_agreed() -> None:
    echo = Echo(subprotocol="second")
    async with (
        serving(echo) as address,
        connect(f"ws://{address}/", subprotocols=["first", "second"]) as client,  # type: ignore[list-item]
    ):
        assert client.subprotocol == "second"
    assert echo.scope["subprotocols"] == ["first", "second"]


async def test_nothing_is_compressed(address: str) -> None:
    async with connect(f"ws://{address}/", compression="deflate") as client:
        assert client.protocol.extensions == []


# -- refused handshakes


async def test_an_application_may_refuse_with_a_response() -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.http.response.start", "status": 418, "headers": [(b"x-why", b"teapot")]})
        await send({"type": "websocket.http.response.body", "body": b"short and ", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"stout"})

    async with serving(refuse) as address:
        with pytest.raises(InvalidStatus) as refusal:
            await connect(f"ws://{address}/")
    response = refusal.value.response
    assert (response.status_code, response.headers["x-why"], response.body) == (418, "teapot", b"short and stout")


async def test_a_close_before_it_is_open_and_a_defect_refuse_the_handshake() -> None:
    async def close(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.close"})

    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    for app, status in ((close, 403), (nothing, 500)):
        async with serving(app) as address:
            with pytest.raises(InvalidStatus) as refusal:
                await connect(f"ws://{address}/")
        assert refusal.value.response.status_code == status


@pytest.mark.parametrize(
    "fields",
    [
        b"Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhl",
    ],
)
async def test_a_malformed_handshake_is_refused_as_a_request(address: str, fields: bytes) -> None:
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%b\r\n\r\n" % fields)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"invalid_value"' in answer


# -- what a client may cost


async def raw(client: ClientConnection, *frames: Frame) -> None:
    """Send frames as they are, behind the client's back."""
    client.transport.write(b"".join(frame.serialize(mask=True) for frame in frames))


async def test_a_message_in_pieces_is_one(address: str) -> None:
    async with connect(f"ws://{address}/") as client:
        await client.send(["one ", "and ", "two"])
        assert await client.recv() == "one and two"


async def test_a_message_in_very_many_pieces_is_refused(address: str) -> None:
    async with connect(f"ws://{address}/") as client:
        await raw(client, Frame(Opcode.TEXT, b"", fin=False), *[Frame(Opcode.CONT, b"", fin=False)] * 5000)
        assert await closed_with(client) == 1009


async def test_too_large_a_message_is_refused_by_its_announced_length(address: str, echo: Echo) -> None:
    async with connect(f"ws://{address}/") as client:
        client.transport.write(b"\x81\xff" + (100_000_000).to_bytes(8, "big") + b"\x00" * 4)
        assert await closed_with(client) == 1009
    assert [message["type"] for message in echo.told] == ["websocket.disconnect"]


async def test_too_large_a_message_is_refused_by_the_sum_of_its_pieces(address: str) -> None:
    piece = b"x" * 300_000
    async with connect(f"ws://{address}/") as client:
        await raw(client, Frame(Opcode.TEXT, piece, fin=False), *[Frame(Opcode.CONT, piece, fin=False)] * 4)
        assert await closed_with(client) == 1009


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x81\x01x", 1002),  # not masked
        (b"\xc1\x80\x00\x00\x00\x00", 1002),  # compressed, which was not agreed
        (b"\x83\x80\x00\x00\x00\x00", 1002),  # no such opcode
        (b"\x80\x80\x00\x00\x00\x00", 1002),  # goes on with nothing
        (b"\x81\x81\x00\x00\x00\x00\xff", 1007),  # not UTF-8
        (b"\x88\x81\x00\x00\x00\x00\x01", 1002),  # half a close code
    ],
)
async def test_what_is_no_frame_ends_the_socket(address: str, sent: bytes, code: int) -> None:
    async with connect(f"ws://{address}/") as client:
        client.transport.write(sent)
        assert await closed_with(client) == code


async def test_a_flood_of_pings_ends_the_socket(address: str) -> None:
    async with connect(f"ws://{address}/") as client:
        await raw(client, *[Frame(Opcode.PING, b"")] * 500)
        assert await closed_with(client) == 4429


async def test_pings_among_messages_are_answered(address: str) -> None:
    async with connect(f"ws://{address}/") as client:
        for _ in range(4):
            for _ in range(40):
                await (await client.ping())
            await client.send("on")
            assert await client.recv() == "on"


async def test_a_client_that_does_not_read_pauses_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    flow: list[bool] = []
    sent = 0

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await receive()
        wire = wire_of(scope)
        wire.on_flow = lambda: flow.append(wire.full)
        await send({"type": "websocket.accept"})
        for _ in range(1000):
            await send({"type": "websocket.send", "text": "x" * 50_000})
            sent += 1
        await send({"type": "websocket.close"})

    async with serving(flood) as address, connect(f"ws://{address}/", max_queue=1) as client:
        await until(lambda: flow)
        held = sent
        assert held < 900
        count = 0
        async for _ in client:
            count += 1
        assert (count, client.close_code) == (1000, 1000)
    assert flow[:2] == [True, False]


async def test_a_client_that_reads_nothing_for_long_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread_module, "UNREAD_S", 0.1)
    told: list[Any] = []

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        wire_of(scope).write(text_frame(b"x" * 50_000_000))
        told.append(await receive())

    async with serving(flood) as address, connect(f"ws://{address}/", max_queue=1, max_size=None) as client:
        client.transport.pause_reading()
        assert (await until(lambda: told))[0]["code"] == 1006
        client.transport.abort()


async def test_a_client_that_reads_the_answers_before_its_handshake_slowly_is_not_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither by the clock of the connection before it, nor is it taken for one that reads."""
    monkeypatch.setattr(unread_module, "UNREAD_S", 0.2)
    fullness: list[bool] = []
    answered: list[bool] = []
    told: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5000000")]})
            await send({"type": "http.response.body", "body": b"x" * 5_000_000})
            answered.append(True)
            return
        fullness.append(wire_of(scope).full)
        await receive()
        await send({"type": "websocket.accept"})
        fullness.append(wire_of(scope).full)
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": message["text"]})
        told.append(message)

    async with serving(app) as address:
        host, _, port = address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=65536)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: answered)
        writer.write(HANDSHAKE % (b"a", b""))
        await until(lambda: fullness)
        received = b""
        async with asyncio.timeout(5):
            while b" 101 " not in received or not received.endswith(b"\r\n\r\n"):
                received = received[-1000:] + await reader.read(65536)
            end = time.monotonic() + 0.7  # more than the clock of the connection before would allow
            while time.monotonic() < end:
                writer.write(frame(b"still here"))
                assert (await reader.readexactly(12))[2:] == b"still here"
        writer.transport.abort()
        await until(lambda: told)
    assert fullness == [True, False]


async def test_a_silent_client_is_pinged_and_closed_when_it_does_not_answer() -> None:
    told: list[Any] = []

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        wire_of(scope).mind_silence(0.05)
        await send({"type": "websocket.accept"})
        told.append(await receive())

    async with serving(wait) as address:
        host, _, port = address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        assert (await reader.readexactly(5)) == b"\x89\x03llm"
        assert (await reader.readexactly(4))[2:] == (1011).to_bytes(2, "big")
        assert (await until(lambda: told))[0]["code"] == 1011
        writer.close()


@pytest.mark.parametrize(
    "begun", [b"\x81", b"\x81\xff" + (1_000_000).to_bytes(8, "big") + bytes(5), frame(b"half", fin=False)]
)
async def test_a_message_that_does_not_come_to_its_end_is_given_up(
    address: str, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(protocol_module, "RECEIVE_S", 0.05)
    async with raw_socket(f"http://{address}") as client:
        await client.send(begun)
        assert await client.close_code(within_s=3) == 1008


@pytest.mark.parametrize("among", [b"", frame(b"", PING)])
async def test_what_drips_is_given_up_too(address: str, monkeypatch: pytest.MonkeyPatch, among: bytes) -> None:
    monkeypatch.setattr(protocol_module, "RECEIVE_S", 0.1)
    async with raw_socket(f"http://{address}") as client:
        await client.send(frame(b"a", fin=False))
        closing = asyncio.create_task(client.close_code(within_s=5))
        while not closing.done():
            await client.send(frame(b"b", CONT, fin=False) + among)
            await asyncio.wait({closing}, timeout=0.02)
        assert closing.result() == 1008


@pytest.mark.parametrize("by_the_pings", [True, False])
async def test_a_client_that_is_always_in_the_middle_of_a_message_stays_while_they_end(
    echo: Echo, monkeypatch: pytest.MonkeyPatch, by_the_pings: bool
) -> None:
    if not by_the_pings:
        monkeypatch.setattr(protocol_module, "RECEIVE_S", 0.05)

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        wire_of(scope).mind_silence(0.05)
        await echo(scope, receive, send)

    async with serving(wait) as address, raw_socket(f"http://{address}") as client:
        end, half, other = time.monotonic() + 0.4, frame(b"x" * 100)[:50], frame(b"x" * 100)[50:]
        await client.send(half)
        while time.monotonic() < end:
            await client.send(other + half)
            opcode, data = await client.frame()
            assert (opcode, data) in ((TEXT, b"x" * 100), (PING, b"llm"))


async def test_what_is_held_is_kept_and_its_client_not_taken_for_a_silent_one(echo: Echo) -> None:
    """The answer to a ping waits behind what is held."""
    wires: list[Wire] = []

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        wires.append(wire_of(scope))
        wires[0].hold()
        wires[0].mind_silence(0.02)
        await echo(scope, receive, send)

    async with serving(wait) as address, connect(f"ws://{address}/", ping_interval=None) as client:
        await client.send("first")
        await client.send("second")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.recv()
        assert echo.told == []
        wires[0].hear(first_bytes=100)
        assert await client.recv() == "first"
        wires[0].hear()
        assert await client.recv() == "second"


async def test_a_client_that_answers_pings_stays(echo: Echo) -> None:
    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        wire_of(scope).mind_silence(0.01)
        await echo(scope, receive, send)

    async with serving(wait) as address, connect(f"ws://{address}/", ping_interval=None) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.recv()
        await client.send("still here")
        assert await client.recv() == "still here"


async def test_the_end_of_the_server_closes_with_1012(echo: Echo) -> None:
    async with serving(echo) as address:
        client = await connect(f"ws://{address}/")
    await client.wait_closed()
    assert client.close_code == websockets.CloseCode.SERVICE_RESTART


async def test_what_came_with_the_message_for_which_the_socket_was_closed_is_not_heard() -> None:
    told: list[Any] = []

    async def close_at_once(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        told.append(await receive())
        wire_of(scope).close(4409, "not understood")
        told.append(await receive())

    async with serving(close_at_once) as address, connect(f"ws://{address}/") as client:
        await raw(client, *[Frame(Opcode.TEXT, b"%d" % number) for number in range(20)])
        assert await closed_with(client) == 4409
    first, second = await until(lambda: told if len(told) == 2 else None)
    assert first["text"] == "0"
    assert (second["type"], second["code"]) == ("websocket.disconnect", 4409)


async def test_what_came_before_the_client_s_own_close_is_heard(address: str, echo: Echo) -> None:
    async with connect(f"ws://{address}/") as client:
        close = Frame(Opcode.CLOSE, (1000).to_bytes(2, "big"))
        await raw(client, *[Frame(Opcode.TEXT, b"%d" % number) for number in range(3)], close)
        told = await until(lambda: echo.told if len(echo.told) == 4 else None)
    assert [message.get("text") for message in told] == ["0", "1", "2", None]


async def test_to_send_after_the_client_has_left_fails_and_to_close_does_not() -> None:
    outcomes: list[object] = []

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await send({"type": "websocket.close"})
        try:
            await send({"type": "websocket.send", "text": "x"})
        except OSError as error:
            outcomes.append(error)

    async with serving(late) as address:
        async with connect(f"ws://{address}/") as client:
            await client.close(1000)
        await until(lambda: outcomes)
