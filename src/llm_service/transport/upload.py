"""A request body that comes in pieces: sent in chunks, no faster than the upstream reads."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from typing import Final

LAST_CHUNK: Final = b"0\r\n\r\n"


class Upload:
    """Sends the pieces of one body, in a task of its own; empty ones are left out. RFC 9112, section 7.1."""

    __slots__ = ("_complete", "_on_failure", "_pieces", "_room", "_transport", "task")

    def __init__(
        self,
        pieces: AsyncIterable[bytes],
        transport: asyncio.WriteTransport,
        loop: asyncio.AbstractEventLoop,
        on_failure: Callable[[Exception], None],
    ) -> None:
        """``on_failure``: told what the giver of the pieces raised."""
        self._pieces = pieces
        self._transport = transport
        self._on_failure = on_failure
        self._complete = False
        self._room = asyncio.Event()
        self._room.set()
        self.task = loop.create_task(self._send())

    def pause(self) -> None:
        """Ask for no further piece."""
        self._room.clear()

    def resume(self) -> None:
        """Go on."""
        self._room.set()

    def end(self) -> bool:
        """Send nothing more. Returns whether all was sent."""
        if not self.task.done() and self.task is not asyncio.current_task():
            self.task.cancel()
        return self._complete

    async def _send(self) -> None:
        try:
            async for piece in self._pieces:
                if piece:
                    self._transport.writelines((b"%x\r\n" % len(piece), piece, b"\r\n"))
                    await self._room.wait()
        except Exception as error:  # noqa: BLE001 - the call hears of it
            self._on_failure(error)
        else:
            self._transport.write(LAST_CHUNK)
            self._complete = True
        finally:
            if isinstance(self._pieces, AsyncGenerator):
                await self._pieces.aclose()


__all__ = ["Upload"]
