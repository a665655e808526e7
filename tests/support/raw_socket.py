"""A client of WebSockets that sends whatever bytes it is given, and minds no rule."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import orjson

TEXT, BINARY, CONT, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA
HANDSHAKE = (
    b"GET /v1/ws HTTP/1.1\r\nHost: %b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%b\r\n"
)


def frame(data: bytes, opcode: int = TEXT, *, fin: bool = True, flags: int = 0, masked: bool = True) -> bytes:
    """One frame; the mask is of zeros, so that the data goes out as it is."""
    first = bytes([(0x80 if fin else 0) | flags | opcode])
    size, mask = len(data), 0x80 if masked else 0
    if size < 126:
        length = bytes([mask | size])
    elif size < 65536:
        length = bytes([mask | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([mask | 127]) + size.to_bytes(8, "big")
    return first + length + (bytes(4) if masked else b"") + data


def said(kind: str, **fields: object) -> bytes:
    """A frame of the door's own protocol."""
    return frame(orjson.dumps({"type": kind, **fields}))


class RawSocket:
    """An open socket by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, *pieces: bytes) -> None:
        """Write, as far as the service takes it before it closes."""
        with suppress(ConnectionError):
            for piece in pieces:
                self.writer.write(piece)
                await self.writer.drain()

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: its opcode and data."""
        first, size = await self.reader.readexactly(2)
        if size == 126:
            size = int.from_bytes(await self.reader.readexactly(2), "big")
        elif size == 127:
            size = int.from_bytes(await self.reader.readexactly(8), "big")
        return first & 0x0F, await self.reader.readexactly(size)

    async def close_code(self, *, within_s: float = 10.0) -> int | None:
        """The code with which the service closes; ``None`` for a connection that ends without one."""
        async with asyncio.timeout(within_s):
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    opcode, data = await self.frame()
                    if opcode == CLOSE:
                        return int.from_bytes(data[:2], "big")
        return None


@asynccontextmanager
async def raw_socket(address: str, *fields: bytes) -> AsyncIterator[RawSocket]:
    """A socket whose handshake has these further header fields."""
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**24)
    try:
        writer.write(HANDSHAKE % (parts.netloc.encode(), b"".join(b"%b\r\n" % field for field in fields)))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        yield RawSocket(reader, writer)
    finally:
        writer.transport.abort()
