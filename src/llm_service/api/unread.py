"""Clients that take nothing of what waits for them."""

import asyncio
from typing import Final

UNREAD_S: Final = 300.0


class Unread:
    """From its making until ``stop``: cuts off a client that takes nothing for ``UNREAD_S`` of what waits for it."""

    __slots__ = ("_timer", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._timer: asyncio.TimerHandle | None = None
        self._look_later()

    def stop(self) -> None:
        """The client takes what is sent to it, or is gone; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self) -> None:
        loop, unread_bytes = asyncio.get_running_loop(), self._transport.get_write_buffer_size()
        self._timer = loop.call_later(UNREAD_S, self._look, unread_bytes)

    def _look(self, before_bytes: int) -> None:
        if self._transport.get_write_buffer_size() == before_bytes:
            self._transport.abort()
        else:
            self._look_later()
