"""Server-sent events from bytes: every framing that the standard allows, split anywhere. No I/O, no text decoding.

Standard: WHATWG HTML, section 9.2 (event stream interpretation). ``id`` and ``retry`` mean nothing on these streams.
"""

from collections.abc import Sequence
from typing import Final

import orjson

from llm_service.domain import UpstreamInvalidResponse

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"


ServerEvent = tuple[bytes, bytes]
"""One dispatched event: its data, and its type where the stream names one (``b""``: a plain message)."""


class SseDecoder:
    """Feed it what a socket read gives; it returns the events that are complete by then.

    An event that grows beyond ``max_event_bytes`` raises UpstreamInvalidResponse. Time is linear in the bytes fed,
    however small the pieces.
    """

    __slots__ = ("_after_cr", "_at_start", "_held", "_max_event_bytes", "_parts")

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._parts: list[bytes] = []
        self._held = 0
        self._after_cr = False
        self._at_start = True

    def feed(self, data: bytes) -> Sequence[ServerEvent]:
        """The events completed by these bytes, in order."""
        if (
            data.startswith(b"data: ")
            and data.endswith(b"\n\n")
            and not (self._parts or self._at_start or self._after_cr)
        ):
            # What most reads of most streams are: whole events of one line, and mostly a single one.
            if data.find(b"\n") == len(data) - 2:
                if b"\r" not in data:
                    return ((data[6:-2], b""),)
            elif b"\r" not in data:
                told = data[6:-2].split(b"\n\ndata: ")
                if data.count(b"\n") == 2 * len(told):
                    return [(one, b"") for one in told]
        if self._at_start:
            data = self._without_bom(data)
        if self._after_cr or b"\r" in data:
            data = self._with_line_feeds(data)
        if not self._completes_an_event(data):
            self._hold(data)
            return ()
        if self._parts:
            self._parts.append(data)
            data = b"".join(self._parts)
            self._parts.clear()
        self._held = 0
        return self._events(data)

    def close(self) -> Sequence[ServerEvent]:
        """The stream has ended: the event whose closing blank line never came, if one is left that is not cut."""
        rest = b"".join(self._parts)
        self._parts.clear()
        event = event_of(rest)
        return () if event is None or _is_cut(event[0]) else (event,)

    def _completes_an_event(self, data: bytes) -> bool:
        """Whether a blank line is in these bytes, or on the seam; else they are put by unread: time stays linear."""
        return b"\n\n" in data or (data.startswith(b"\n") and bool(self._parts) and self._parts[-1].endswith(b"\n"))

    def _events(self, data: bytes) -> Sequence[ServerEvent]:
        events: list[ServerEvent] = []
        start = 0
        while (end := data.find(b"\n\n", start)) >= 0:
            block = data[start:end]
            start = end + 2
            if block.startswith(b"data: ") and b"\n" not in block:
                events.append((block[6:], b""))
            elif (event := event_of(block)) is not None:
                events.append(event)
        if start < len(data):
            self._hold(data[start:])
        return events

    def _hold(self, data: bytes) -> None:
        if not data:
            return
        self._parts.append(data)
        self._held += len(data)
        if self._held > self._max_event_bytes:
            raise UpstreamInvalidResponse(f"The upstream sent one event of more than {self._max_event_bytes} bytes.")

    def _without_bom(self, data: bytes) -> bytes:
        if self._parts:
            data = b"".join(self._parts) + data
            self._parts.clear()
            self._held = 0
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._hold(data)
            return b""
        self._at_start = False
        return data.removeprefix(_BOM)

    def _with_line_feeds(self, data: bytes) -> bytes:
        """CRLF, CR and LF all end a line; a CR at the end of a read may be half of a CRLF."""
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
            self._after_cr = False
        if data:
            self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _is_cut(data: bytes) -> bool:
    """Whether the data broke off in the middle: neither JSON nor the word of the end."""
    if data == b"[DONE]":
        return False
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return True
    return False


def event_of(block: bytes) -> ServerEvent | None:
    """The event in the lines of one block; ``None`` where it has no data (comments, a lone id)."""
    data: list[bytes] = []
    kind = b""
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        elif name == b"event":
            kind = value.removeprefix(b" ")
    return (b"\n".join(data), kind) if data else None
