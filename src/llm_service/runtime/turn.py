"""What is not urgent of what one turn of the event loop writes goes out together, at its end.

A write to a socket wakes whoever reads there. Written one by one between other work, each answer wakes a reader that
has just fallen asleep again, on the same machine at the cost of the writer; one behind the other they wake it once.
"""

import asyncio
from typing import Any, Final

MOST_HELD_BYTES: Final = 64 * 1024
"""Of one connection; more goes out at once, so that whoever writes hears in time that its socket is full."""


class Turn:
    """The end of the running turn of the event loop, for all connections of one side."""

    __slots__ = ("_joined",)

    def __init__(self) -> None:
        self._joined: list[TurnTransport] = []

    def join(self, transport: "TurnTransport") -> None:
        """Have it flushed when everything that is ready now has had its turn."""
        if not self._joined:
            asyncio.get_running_loop().call_soon(self._end)
        self._joined.append(transport)

    def _end(self) -> None:
        joined, self._joined = iter(self._joined), []
        try:
            for transport in joined:
                transport.flush()
        finally:
            for transport in joined:  # what one of them raises, which the loop reports, is not the others' fault
                self.join(transport)


class TurnTransport(asyncio.Transport):
    """A transport that can hold back what is written to it until the turn ends. The order of bytes stays what it is.

    ``close`` writes what is held before, ``abort`` drops it; all else is the transport's own.
    """

    __slots__ = ("_held", "_held_bytes", "_inner", "_turn", "is_closing", "pause_reading", "resume_reading")

    def __init__(self, inner: asyncio.Transport, turn: Turn) -> None:
        self._inner = inner
        self._turn = turn
        self._held: list[bytes] = []
        self._held_bytes = 0
        self.is_closing = inner.is_closing  # type: ignore[method-assign]  # asked often: no step in between
        self.pause_reading = inner.pause_reading  # type: ignore[method-assign]
        self.resume_reading = inner.resume_reading  # type: ignore[method-assign]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write now, together with what is held: for pieces of streams, of which many connections get some at once."""
        if self._held:
            self._held.append(bytes(data))
            self.flush()
        else:
            self._inner.write(data)

    def write_later(self, data: bytes) -> None:
        """Write at the end of the turn."""
        held = self._held
        held.append(data)
        self._held_bytes += len(data)
        if len(held) == 1:
            self._turn.join(self)
        if self._held_bytes > MOST_HELD_BYTES:
            self.flush()

    def writelines(self, list_of_data: Any) -> None:
        """Write several pieces at once, without making one of them."""
        self.flush()
        if not self._inner.is_closing():
            self._inner.writelines(list_of_data)

    def flush(self) -> None:
        """Write what is held; nothing to a transport that is closing: nobody is there."""
        held = self._held
        if held:
            self._held, self._held_bytes = [], 0
            if not self._inner.is_closing():
                try:
                    self._inner.write(held[0] if len(held) == 1 else b"".join(held))
                except BaseException:  # whoever wrote is not there to hear of it: nothing may follow what is missing
                    self._inner.abort()
                    raise

    def close(self) -> None:
        """Write what is held, and close when it has gone out."""
        self.flush()
        self._inner.close()

    def abort(self) -> None:
        """Close at once."""
        self._held.clear()
        self._held_bytes = 0
        self._inner.abort()

    def write_eof(self) -> None:
        """Nothing more will be written."""
        self.flush()
        self._inner.write_eof()

    def can_write_eof(self) -> bool:
        return self._inner.can_write_eof()

    def get_write_buffer_size(self) -> int:
        """Bytes that have not gone out, those that are held among them."""
        return self._inner.get_write_buffer_size() + self._held_bytes

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._inner.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._inner.set_write_buffer_limits(high, low)

    def is_reading(self) -> bool:
        return self._inner.is_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._inner.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._inner.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._inner.get_protocol()
