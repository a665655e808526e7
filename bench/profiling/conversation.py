"""A client and an upstream in one, which speak in turns: each piece is sent when the service waits for it.

So what the service does for a request, and in how many reads, is the same each time, and its calls can be counted.
"""

import selectors
import socket
from collections.abc import Sequence
from types import TracebackType
from typing import Final

from bench.measuring import our_service
from bench.measuring.processes import until_idle
from bench.traffic.http import Message
from bench.traffic.messages import (
    Wanted,
    closing_events,
    content_event,
    places,
    request_body,
    wanted,
    whole_answer,
)
from bench.traffic.upstream import HEAD, STREAM_HEAD

PATIENCE_S: Final = 20.0


class Client:
    """One kept connection to the service."""

    def __init__(self, port: int, key: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\nAccept: */*\r\nContent-Length: %d\r\n\r\n"
        ).encode()
        self._answer = Message()

    def ask(self, body: bytes) -> None:
        self._answer = Message()
        self._socket.sendall(self._head % len(body) + body)

    def answer(self, *, status: int = 200) -> bytes:
        """The body of the whole answer."""
        while not self._answer.complete:
            self._read()
        if self._answer.status != status:
            raise RuntimeError(f"{self._answer.status} in place of {status}: {bytes(self._answer.body[:300])!r}")
        return bytes(self._answer.body)

    def until_chunk(self, place: int) -> None:
        """Return when this chunk is there."""
        seen = 0
        while True:
            text = bytes(self._answer.body[max(0, seen - 60) :])
            if any(found == place for found, _ in places(text)):
                return
            seen = len(self._answer.body)
            self._read()

    def close(self) -> None:
        self._socket.close()

    def _read(self) -> None:
        data = self._socket.recv(262_144)
        if not data:
            raise RuntimeError("the service closed the connection")
        self._answer.feed(data)


class Upstream:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._messages: dict[socket.socket, Message] = {}

    def asked(self) -> tuple[socket.socket, Wanted]:
        """The next request for a chat, and the connection over which it came. What else is asked for is answered."""
        while True:
            ready = self._selector.select(PATIENCE_S)
            if not ready:
                raise RuntimeError("the service asks its upstream for nothing")
            for key, _ in ready:
                if key.fileobj is self._listener:
                    self._accept()
                elif (found := self._hear(key.fileobj)) is not None:  # type: ignore[arg-type]
                    return found

    def close(self) -> None:
        for connection in (*self._messages, self._listener):
            connection.close()
        self._selector.close()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(PATIENCE_S)
        self._messages[connection] = Message()
        self._selector.register(connection, selectors.EVENT_READ)

    def _hear(self, connection: socket.socket) -> tuple[socket.socket, Wanted] | None:
        data = connection.recv(262_144)
        if not data:
            self._selector.unregister(connection)
            del self._messages[connection]
            connection.close()
            return None
        message = self._messages[connection]
        message.feed(data)
        if not message.complete:
            return None
        self._messages[connection] = Message()
        if message.path.endswith(b"/chat/completions"):
            return connection, wanted(bytes(message.body))
        body = b'{"object":"list","data":[]}'
        connection.sendall(HEAD % len(body) + body)
        return None


class Conversation:
    """Requests of each kind, one after the other, each a request of its own."""

    def __init__(self, upstream: Upstream, *, pid: int, port: int, keys: Sequence[str]) -> None:
        self._upstream = upstream
        self._pid = pid
        self._client, self._refused = (Client(port, key) for key in keys)
        self._count = 0

    def __enter__(self) -> "Conversation":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()
        self._refused.close()

    def whole(self, identity: str = "") -> None:
        """A whole answer, from the upstream."""
        self._whole(self._client, identity)

    def hit(self) -> None:
        """The answer of a request that ``whole("kept")`` made before; the upstream would not give another."""
        self._ask(self._client, self._request("kept"))
        self._client.answer()

    def exhaust(self) -> None:
        """Use up what the refused key may ask for."""
        self._whole(self._refused, "")

    def refusal(self) -> None:
        self._ask(self._refused, self._request(""))
        self._refused.answer(status=429)

    def stream(self, chunks: int) -> None:
        """A stream whose chunks come one by one, each when the one before it has come through."""
        self._ask(self._client, self._request("", chunks))
        connection, asked = self._upstream.asked()
        head = STREAM_HEAD
        for place in range(chunks):
            self._send(connection, head + framed(content_event(asked.id, place, 0)))
            self._client.until_chunk(place)
            head = b""
        self._send(connection, framed(closing_events(asked)) + b"0\r\n\r\n")
        if b"[DONE]" not in self._client.answer():
            raise RuntimeError("the stream has no end")

    def _whole(self, client: Client, identity: str) -> None:
        self._ask(client, self._request(identity))
        connection, asked = self._upstream.asked()
        body = whole_answer(asked.id)
        self._send(connection, HEAD % len(body) + body)
        if f"id={asked.id} ".encode() not in client.answer():
            raise RuntimeError("this is another's answer")

    def _ask(self, client: Client, body: bytes) -> None:
        until_idle(self._pid)
        client.ask(body)

    def _send(self, connection: socket.socket, data: bytes) -> None:
        until_idle(self._pid)
        connection.sendall(data)

    def _request(self, identity: str, chunks: int = 0) -> bytes:
        """Requests without an identity have one of their own each, and are misses therefore."""
        self._count += 1
        return request_body(identity or f"{self._count:06}", model=our_service.MODEL, prompt_bytes=1024, chunks=chunks)


def framed(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)
