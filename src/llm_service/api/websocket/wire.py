"""One WebSocket as a door sees it past ASGI's messages, and the frames that are written to it."""

from collections.abc import Callable
from struct import pack
from typing import Any, Final, Protocol

EXTENSION: Final = "llm_service.wire"
"""The ASGI extension under which the server offers it."""
MAX_MESSAGE_BYTES: Final = 1024 * 1024
"""Of what a client sends, unless the settings say otherwise."""
SMALL_BYTES: Final = 126
LARGE_BYTES: Final = 65536


class Wire(Protocol):
    """What the client is written to. ``max_message_bytes``: of what it sends; a larger message ends the socket (1009).

    ``on_flow`` is called whenever ``full`` changes.
    """

    max_message_bytes: int
    on_flow: Callable[[], None]

    @property
    def full(self) -> bool:
        """The client does not take what is written to it: what is written now waits in memory."""

    @property
    def waiting_bytes(self) -> int:
        """What waits in memory for the client."""

    def write(self, frames: bytes) -> None:
        """Send whole frames, such as ``text_frame`` makes; nothing happens when the socket is closed."""

    def hold(self) -> None:
        """Take nothing of what the client sends until ``hear``; what came already is kept."""

    def hear(self, *, first_bytes: int | None = None) -> None:
        """Take what the client sends, as at the beginning.

        ``first_bytes``: one message only, which ends the socket (1009) when so much of it has come and more is to, and
        nothing behind it until this is called again. That is for a client that is not known yet.
        """

    def close(self, code: int, reason: str) -> None:
        """End the socket; idempotent. A reason has at most 123 bytes."""

    def mind_silence(self, ping_s: float) -> None:
        """From now on, ask a client that was silent for so long whether it is there; 1011 when no answer comes."""


def wire_of(scope: Any) -> Wire:
    """The wire of a WebSocket's scope."""
    wire: Wire = scope["extensions"][EXTENSION]
    return wire


def text_frame(payload: bytes) -> bytes:
    """A whole text frame of a server (RFC 6455, 5.2)."""
    return _frame(0x81, payload)


def binary_frame(payload: bytes) -> bytes:
    """A whole binary frame of a server."""
    return _frame(0x82, payload)


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < SMALL_BYTES:
        return bytes((first, size)) + payload
    if size < LARGE_BYTES:
        return pack("!BBH", first, 126, size) + payload
    return pack("!BBQ", first, 127, size) + payload
