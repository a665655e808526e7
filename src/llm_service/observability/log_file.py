"""A log file of a bounded size that several processes write to: each line whole, none lost when a new file is begun."""

import fcntl
import io
import os
import stat
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from llm_service.observability.lines import Lines
from llm_service.observability.log_archive import LogArchive
from llm_service.observability.options import ObservabilityOptions
from llm_service.runtime import Clock

FILE_MODE: Final = 0o640


class LogFile(io.BufferedIOBase):
    """Keeps what is written until it is flushed, and appends it in one piece while no other process does.

    The lock is one on the file itself (POSIX ``fcntl``: it belongs to the process, and its end lets it go). Whoever has
    it looks whether the file still is the one at the path: if not, another process has put it aside, or an operator's
    tool has, and the one that is there now is opened. So nobody writes to a file that was put aside.

    A disk that is full costs lines, whole ones, and no exception; how many is written down as soon as that is possible.
    """

    def __init__(self, path: Path, archive: LogArchive, lines: Lines, *, max_bytes: int) -> None:
        """Raises OSError where the file cannot be written."""
        self._path = path
        self._archive = archive
        self._lines = lines
        self._max_bytes = max_bytes
        self._kept: list[bytes] = []
        self._lost = 0
        self._trouble: str | None = None
        self._one_at_a_time = threading.Lock()
        self._fd, self._is = _opened(path)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._fd

    def write(self, data: Any) -> int:
        """Keep the bytes until ``flush``."""
        with self._one_at_a_time:
            self._kept.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Append what is kept."""
        if self.closed:
            return
        with self._one_at_a_time:
            kept, self._kept = self._kept, []
            if kept:
                self._hand_on(b"".join(kept))

    def close(self) -> None:
        """Append what is kept, and let the file go."""
        if not self.closed:
            super().close()
            os.close(self._fd)

    # -- while no other process writes

    def _hand_on(self, data: bytes) -> None:
        told = self._told()
        left = told + data
        try:
            while left:
                first = left.find(b"\n") + 1 or len(left)
                size = self._lock(first)
                fits = max(left.rfind(b"\n", 0, max(self._max_bytes - size, 0)) + 1, first)
                unwritten = self._append(left[:fits], size)
                left = unwritten + left[fits:]
                if unwritten:
                    break
        except OSError:
            pass  # what is left is lost, and counted
        finally:
            with suppress(OSError):
                fcntl.lockf(self._fd, fcntl.LOCK_UN)
        self._count(left, told, data)

    def _count(self, left: bytes, told: bytes, data: bytes) -> None:
        """Lines that could not be written; those of before are settled where what was told of them is written."""
        if len(left) <= len(data):
            self._lost = left.count(b"\n")
            self._trouble = None if told else self._trouble
        else:
            self._lost += data.count(b"\n")

    def _told(self) -> bytes:
        """What has to be said of the log itself."""
        told = b""
        if self._lost:
            told += self._lines.of("warning", "log lines were lost", {"lines": self._lost, "pid": os.getpid()})
        trouble = self._trouble or self._archive.take_trouble()
        if trouble is not None:
            self._trouble = trouble
            told += self._lines.of("warning", "a log file was not put aside", {"cause": trouble, "pid": os.getpid()})
        return told

    def _lock(self, coming_bytes: int) -> int:
        """Lock the file at the path, a new one if this one would become too large; its size. Raises OSError."""
        while True:
            fcntl.lockf(self._fd, fcntl.LOCK_EX)
            size = self._size()
            if size is None:
                self._reopen()
            elif size and size + coming_bytes > self._max_bytes and self._archive.put_aside():
                self._reopen()
                self._archive.tidy()
            else:
                return size

    def _reopen(self) -> None:
        """Go over to the file at the path. Raises OSError, and stays with the former one."""
        former = self._fd
        self._fd, self._is = _opened(self._path)
        os.close(former)  # lets its lock go

    def _size(self) -> int | None:
        """Of the file, if it is still the one at the path."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_size if (found.st_dev, found.st_ino) == self._is else None

    def _append(self, data: bytes, size: int) -> bytes:
        """What could not be written: whole lines."""
        done = 0
        try:
            while done < len(data):
                done += os.write(self._fd, data[done:])
        except OSError:
            done = data.rfind(b"\n", 0, done) + 1
            os.ftruncate(self._fd, size + done)  # no line stays behind in part
        return data[done:]


def open_log_file(
    options: ObservabilityOptions, *, clock: Clock, worker: int | None = None, archives: bool = True
) -> io.TextIOWrapper:
    """The configured file as a stream for this process's log. Raises OSError where it cannot be written.

    ``archives``: compress what is put aside, in a thread of this process; another process does it otherwise.
    """
    path = options.log_file or Path(os.devnull)
    archive = LogArchive(path, keep=options.log_keep, compress=options.log_compress and archives, now=clock.now)
    lines = Lines(options, clock=clock, worker=worker)
    file: Any = LogFile(path, archive, lines, max_bytes=options.log_max_bytes)
    archive.tidy()
    return io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", write_through=True)


def _opened(path: Path) -> tuple[int, tuple[int, int]]:
    """The file, and which one it is. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, FILE_MODE)
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise OSError("it is no regular file")
    return fd, (found.st_dev, found.st_ino)
