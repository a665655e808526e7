"""Log files that were put aside: named by the moment, so many kept, compressed beside the service's work."""

import fcntl
import gzip
import os
import re
import shutil
import stat
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

PIECE_BYTES: Final = 256 * 1024
FAST: Final = 3
"""Logs hold the same words again and again: more work saves little more."""
AGAIN_AFTER: Final = timedelta(seconds=60)


class LogArchive:
    """The files beside the log file at ``path``: ``<path>.20261126T124501123Z``, and ``.gz`` once compressed.

    A name never changes its file, so that nobody is in the way of another process that compresses one. Files that are
    named otherwise are not ours, and left alone.
    """

    def __init__(self, path: Path, *, keep: int, compress: bool, now: Callable[[], datetime]) -> None:
        self._path = path.absolute()
        self._ours = re.compile(re.escape(path.name) + r"\.(?P<stamp>\d{8}T\d{9}Z)(?:-(?P<number>\d+))?(?P<gz>\.gz)?")
        self._keep = keep
        self._compress = compress
        self._now = now
        self._working = threading.Lock()
        self._due = threading.Event()
        self._trouble: str | None = None
        self._rest_until: datetime | None = None

    def take_trouble(self) -> str | None:
        """What went wrong since the last time, once."""
        trouble, self._trouble = self._trouble, None
        return trouble

    def put_aside(self) -> bool:
        """Give the log file another name; whether that was done. Only for who has the lock on it.

        Where it cannot be done, it is tried again after a while: the file grows meanwhile, and no line is lost.
        """
        now = self._now()
        if self._rest_until is not None and now < self._rest_until:
            return False
        try:
            self._path.rename(self._free_name(now))
        except OSError as error:
            self._rest_until = now + AGAIN_AFTER
            self._tell(error)
            return False
        self._rest_until = None
        return True

    def tidy(self) -> None:
        """Remove what is too much, and have the rest compressed."""
        try:
            kept = self._files()
            while len(kept) > self._keep:
                for name in kept.pop(0):
                    self._path.with_name(name).unlink(missing_ok=True)  # another process may have been there before
        except OSError as error:
            self._tell(error)
            return
        if self._compress and any(len(names) > 1 or not names[0].endswith(".gz") for names in kept):
            self._due.set()
            if not self._working.locked():
                threading.Thread(target=self._work, name="log archive", daemon=True).start()

    def _tell(self, error: OSError) -> None:
        self._trouble = error.strerror or str(error)

    def _free_name(self, now: datetime) -> Path:
        """One behind all that there are, also within a millisecond, and when the clock was put back."""
        stamp, number = f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}Z", 0
        newest = max(self._found(), default=("", 0))
        if newest >= (stamp, number):
            stamp, number = newest[0], newest[1] + 1
        return self._path.with_name(f"{self._path.name}.{stamp}" + (f"-{number}" if number else ""))

    def _files(self) -> list[list[str]]:
        """What was put aside, the oldest first; of one that is just being replaced by its compressed copy, both."""
        return [names for _, names in sorted(self._found().items())]

    def _found(self) -> dict[tuple[str, int], list[str]]:
        found: dict[tuple[str, int], list[str]] = {}
        for name in sorted(place.name for place in self._path.parent.iterdir()):
            match = self._ours.fullmatch(name)
            if match is not None:
                found.setdefault((match["stamp"], int(match["number"] or 0)), []).append(name)
        return found

    # -- in a thread

    def _work(self) -> None:
        """Look again after each time: what comes at the very end of one starts no other thread."""
        while self._due.is_set() and self._working.acquire(blocking=False):
            try:
                self._due.clear()
                for name in (names[0] for names in self._files()):
                    if not name.endswith(".gz"):
                        _compress(self._path.with_name(name))
            except OSError as error:
                self._tell(error)
            finally:
                self._working.release()


def packed_name(place: Path) -> Path:
    """Of the compressed copy."""
    return place.with_name(f"{place.name}.gz")


def _compress(place: Path) -> None:
    """Put a compressed copy in the place of a file, unless another process does. Raises OSError."""
    try:
        plain = place.open("rb")
    except FileNotFoundError:
        return
    with plain:
        try:
            fcntl.flock(plain, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of this opening: no other closing lets it go
        except BlockingIOError:
            return
        if not place.exists():  # done while we opened it
            return
        unfinished = place.with_name(f"{place.name}.gz.part")
        try:
            unfinished.unlink(missing_ok=True)
            with (
                open(unfinished, "xb", opener=_for_ourselves_alone) as raw,
                gzip.GzipFile(place.name, "wb", FAST, raw) as packed,
            ):
                shutil.copyfileobj(plain, packed, PIECE_BYTES)
            unfinished.chmod(stat.S_IMODE(os.fstat(plain.fileno()).st_mode))
            if not place.exists():  # one too many by now
                unfinished.unlink()
                return
            unfinished.rename(packed_name(place))
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        place.unlink(missing_ok=True)


def _for_ourselves_alone(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
