"""A client of ``/v1/ws``: frames as JSON, sorted by the generation that they are of."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.rest import ASKED

MODEL = "plain/sandbox/chat"
Frame = dict[str, Any]
LAST = ("chat.done", "error")


class SocketClient:
    """One socket. ``frames``: all that came and were read, in their order."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[Frame] = []

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(orjson.dumps({"type": kind, **fields}).decode())

    async def create(self, name: str = "a1", *, options: Any = None, model: str = MODEL, **asked: Any) -> None:
        request = {"model": model, "messages": ASKED, **asked}
        await self.send("chat.create", id=name, request=request, **({"options": options} if options else {}))

    async def next(self, *, within_s: float = 5.0) -> Frame:
        async with asyncio.timeout(within_s):
            frame: Frame = orjson.loads(await self.socket.recv())
        self.frames.append(frame)
        return frame

    async def until(self, kind: str, name: str | None = None, *, within_s: float = 10.0) -> Frame:
        """The next frame of this type, of this generation if one is named."""
        async with asyncio.timeout(within_s):
            while True:
                frame = await self.next(within_s=within_s)
                if frame["type"] == kind and name in (None, frame.get("id")):
                    return frame

    async def all_of(self, name: str = "a1", *, within_s: float = 10.0) -> list[Frame]:
        """The frames of one generation, from those that have come already to its last."""
        async with asyncio.timeout(within_s):
            while not (found := self.of(name)) or found[-1]["type"] not in LAST:
                await self.next(within_s=within_s)
        return found

    def of(self, name: str) -> list[Frame]:
        return [frame for frame in self.frames if frame.get("id") == name]

    async def closed(self, *, within_s: float = 10.0) -> int:
        """The code with which the service closes, once it has."""
        async with asyncio.timeout(within_s):
            with suppress(ConnectionClosed):
                while True:
                    self.frames.append(orjson.loads(await self.socket.recv()))
        return self.socket.close_code or 0


@asynccontextmanager
async def opened(address: str, by: Mapping[str, str] | None = None, **options: Any) -> AsyncIterator[SocketClient]:
    """An open socket; ``by``: headers of its handshake."""
    url = f"{address.replace('http://', 'ws://')}/v1/ws"
    given = {"max_size": None, "max_queue": None, "additional_headers": by, "proxy": None, **options}
    async with connect(url, **given) as socket:
        yield SocketClient(socket)


def chunks(frames: list[Frame]) -> list[tuple[int, Any]]:
    """Number and chunk of each ``chat.chunk``."""
    return [(frame["seq"], frame["chunk"]) for frame in frames if frame["type"] == "chat.chunk"]


def text_of(frames: list[Frame]) -> str:
    """The text that the chunks add up to."""
    return "".join(choice["delta"].get("content") or "" for _, chunk in chunks(frames) for choice in chunk["choices"])
