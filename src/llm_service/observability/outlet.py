"""Where log lines go: a stream that may be full, or whose reader may be gone."""

from typing import BinaryIO, TextIO


class Outlet:
    """A stream whose failure costs log lines, and never the request that they tell of.

    A disk that is full and a pipe that nobody reads leave no place where the failure could be told.
    """

    def __init__(self, stream: TextIO | BinaryIO) -> None:
        self._write = stream.write
        self._flush = stream.flush

    def write(self, line: str | bytes) -> None:
        """Write the line if that is possible; of the stream's own kind."""
        try:
            self._write(line)  # type: ignore[arg-type]
        except (OSError, ValueError):  # ValueError: closed
            return

    def flush(self) -> None:
        """Hand on what was written if that is possible."""
        try:
            self._flush()
        except (OSError, ValueError):
            return
