"""One stream that several processes write their log lines to, each line whole."""

import fcntl
import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO


class WholeLines(io.BufferedIOBase):
    """Keeps what is written until it is flushed, and hands it on in one piece while no other process writes.

    A pipe takes 4096 bytes at once and no more, so that longer pieces of two processes would mix. ``guard`` is any file
    that these processes share: the lock on it belongs to the process (POSIX ``fcntl``), and its end lets it go.
    """

    def __init__(self, stream: io.TextIOBase | Any, guard: BinaryIO) -> None:
        self._stream = stream
        self._fd = stream.fileno()
        self._guard = guard
        self._kept: list[bytes] = []
        self._one_at_a_time = threading.Lock()  # each log of the process has an outlet of its own for this stream

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return bool(self._stream.isatty())

    def fileno(self) -> int:
        return int(self._fd)

    def write(self, data: Any) -> int:
        """Keep the bytes until ``flush``."""
        with self._one_at_a_time:
            self._kept.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Hand on what is kept. Raises OSError; what could not be written is lost."""
        with self._one_at_a_time:
            kept, self._kept = self._kept, []
            if kept:
                self._write(b"".join(kept))

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        with self._alone():
            while left:
                left = left[os.write(self._fd, left) :]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        fcntl.lockf(self._guard, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._guard, fcntl.LOCK_UN)


def share_stream(stream: Any, guard: BinaryIO) -> io.TextIOWrapper:
    """The stream as a text stream for this process's log, beside those of processes that have the same ``guard``."""
    lines: Any = WholeLines(stream, guard)
    return io.TextIOWrapper(lines, encoding="utf-8", errors="backslashreplace", write_through=True)
