"""When a line was written."""

from datetime import UTC, datetime
from typing import Final

from llm_service.runtime import Clock

_ENDS: Final = tuple(f".{rest:03d}Z" for rest in range(1000))


class Stamps:
    """The wall clock as RFC 3339 text in milliseconds; the part down to the second is made once a second."""

    __slots__ = ("_clock", "_second", "_text")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second = -1
        self._text = ""

    def now(self) -> str:
        milliseconds = int(self._clock.time() * 1000)
        second, rest = divmod(milliseconds, 1000)
        if second != self._second:
            self._second = second
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return self._text + _ENDS[rest]
