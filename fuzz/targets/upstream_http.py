"""Bytes of an upstream make one answer, whole or not, in whatever pieces they come; never a defect."""

import asyncio
from collections import deque
from collections.abc import Callable
from hashlib import sha256
from typing import Any, cast

from fuzz.cuts import pieces
from llm_service.runtime import Turn, TurnTransport
from llm_service.transport import HttpHead, TransportError
from llm_service.transport.call import Call
from llm_service.transport.connection import Connection
from llm_service.transport.request_head import Origin

_ORIGIN = Origin("upstream.test", 80, secure=False)


def one(data: bytes) -> None:
    """``data``: all that the upstream sends, before it closes."""
    expected = told([data])
    assert told(pieces(data)) == expected
    if data:  # a used connection that closes without a byte is replaced
        assert told([data], used=True) == expected


def told(cut: list[bytes], *, used: bool = False) -> object:
    """Status, length and digest of a whole answer; ``None`` where it was none. ``used``: it is not the first one."""
    loop, receiver, transport = Loop(), Receiver(), Transport()
    connection = Connection(Owner(), _ORIGIN, cast("asyncio.AbstractEventLoop", loop))
    connection.connection_made(cast("asyncio.Transport", transport))
    if used:
        connection.start(a_call(Receiver(), loop), loop.time())
        connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert not transport.is_closing()
    connection.start(a_call(receiver, loop), loop.time())
    for piece in cut:
        if transport.is_closing():
            break
        connection.data_received(piece)
        loop.run()
    connection.connection_lost(None)
    loop.run()
    assert receiver.ends == 1, "an answer ends once"
    return receiver.answer


def a_call(receiver: "Receiver", loop: "Loop") -> Call:
    given = cast("asyncio.AbstractEventLoop", loop)
    return Call(receiver, _ORIGIN, b"GET / HTTP/1.1\r\n\r\n", None, 1, fail, given, at_once=True)


def fail(what: str, defect: BaseException) -> None:
    raise AssertionError(what) from defect


class Receiver:
    """Keeps what it is told, bodies by their digest alone."""

    def __init__(self) -> None:
        self.ends = 0
        self.answer: object = None
        self._status = 0
        self._bytes = 0
        self._digest = sha256()

    def on_head(self, head: HttpHead) -> None:
        self._status = head.status
        assert all(isinstance(head.headers[name], str) for name in head.headers)

    def on_body(self, data: bytes) -> None:
        self._bytes += len(data)
        self._digest.update(data)

    def on_end(self) -> None:
        self.ends += 1
        self.answer = self._status, self._bytes, self._digest.hexdigest()

    def on_error(self, error: TransportError) -> None:
        self.ends += 1
        assert str(error)


class AtOnce(Turn):
    """Nothing is held back."""

    def join(self, transport: TurnTransport) -> None:
        transport.flush()


class Owner:
    """Keeps no connections."""

    def __init__(self) -> None:
        self.turn: Turn = AtOnce()

    def answered(self, connection: Connection) -> None: ...

    def free(self, connection: Connection) -> None: ...

    def lost(self, connection: Connection) -> None: ...

    def repeat(self, call: Call) -> None:
        raise AssertionError("a first connection is not repeated")


class Transport:
    """A socket that takes everything."""

    def __init__(self) -> None:
        self._closing = False

    def write(self, data: bytes) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self._closing

    def abort(self) -> None:
        self._closing = True


class Loop:
    """Runs what was called soon, when it is told to."""

    def __init__(self) -> None:
        self._soon = deque[tuple[Callable[..., object], Any]]()

    def time(self) -> float:
        return 0.0

    def call_soon(self, call: Callable[..., object], *arguments: Any) -> None:
        self._soon.append((call, arguments))

    def run(self) -> None:
        while self._soon:
            call, arguments = self._soon.popleft()
            call(*arguments)
