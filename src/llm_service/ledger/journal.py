"""One process's journal: append-only segments that a record reaches by write(2) before its answer's last byte goes out.

Space is laid by ahead of what is written, so that the disk may fill up, and the requests that were let in still close.
"""

import errno
import os
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from llm_service.domain import Intent, UsageRecord
from llm_service.ledger.chain import START, Tip, canonical, follow
from llm_service.ledger.entries import close_line, head_line, intent_line
from llm_service.ledger.folder import create, enter, let_go, segment_path
from llm_service.storage import MOST_TRIES_BYTES, MOST_VERDICTS_BYTES, ChainLink

SEGMENT_BYTES: Final = 8 << 20
STEP_BYTES: Final = 1 << 20
"""How much space is laid by at a time; measured on ext4: 5 us a step, 0.3 ms at worst."""

CLOSE_MORE_BYTES: Final = 768 + MOST_TRIES_BYTES + MOST_VERDICTS_BYTES
"""How much longer than its intent a record's line is at most: hashes, durations, an upstream's id, tries, verdicts."""

_CANNOT_LAY_BY: Final = frozenset((errno.EINVAL, errno.ENODEV, errno.ENOSYS, errno.EOPNOTSUPP))

Retire = Callable[[int, int], None]
"""Takes over a file that is complete, open, and so many bytes long, and closes it."""


class Position(NamedTuple):
    """A place in a journal: the segment's number, and an offset in bytes."""

    segment: int
    offset: int


class Segment:
    """One file of a journal. ``last_seq``: of the newest record in it; ``open``: intents in it that are not closed."""

    __slots__ = ("capacity", "fd", "last_seq", "number", "open", "path", "size")

    def __init__(self, path: Path, number: int, fd: int) -> None:
        self.path = path
        self.number = number
        self.fd = fd
        self.size = 0
        self.capacity = 0
        self.last_seq = 0
        self.open = 0


_Held = tuple[Segment, int]
"""Where an intent stands, and how many bytes are laid by for its close."""


class Journal:
    """The journal of one writer, for the one process (and thread) that owns it.

    All methods that append raise OSError when the disk takes no more; nothing of the entry is in the file then, and
    the chain stands where it stood.
    """

    def __init__(
        self,
        folder: Path,
        writer: str,
        *,
        lock_fd: int,
        retire: Retire,
        tip: Tip = START,
        number: int = 1,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.folder = folder
        self.writer = writer
        self._end: Tip | ChainLink = tip
        self.written_bytes = 0
        self._lock_fd = lock_fd
        self._retire = retire
        self._segment_bytes = segment_bytes
        self._older = deque[Segment]()
        self._held = dict[str, _Held]()
        self._held_bytes = 0
        self._last_offset = 0
        self._segment = self._begin(number, room=0)

    @classmethod
    def create(cls, folder: Path, writer: str, *, retire: Retire, segment_bytes: int = SEGMENT_BYTES) -> "Journal":
        """A new writer's journal. Raises OSError, FileExistsError for a writer that there is already."""
        lock_fd = enter(folder, writer)
        try:
            return cls(folder, writer, lock_fd=lock_fd, retire=retire, segment_bytes=segment_bytes)
        except OSError:
            let_go(folder, writer, lock_fd, remove=False)
            raise

    @property
    def tip(self) -> Tip:
        """The end of the chain."""
        return Tip(self._end.seq, self._end.hash)

    @property
    def fd(self) -> int:
        """The file that is written now."""
        return self._segment.fd

    @property
    def position(self) -> Position:
        """The end of what is written."""
        return Position(self._segment.number, self._segment.size)

    def last(self) -> Position:
        """Where the newest entry is."""
        return Position(self._segment.number, self._last_offset)

    @property
    def open_requests(self) -> int:
        """Intents that are not closed."""
        return len(self._held)

    def open(self, intent: Intent) -> None:
        """Append an intent and lay by room for its close. A further one for the same request takes its place."""
        line, request_id = intent_line(intent), intent.request_id
        share = len(line) + CLOSE_MORE_BYTES
        self._make_room(len(line) + share)
        self._write(line)
        if request_id in self._held:
            self._release(request_id)
        segment = self._segment
        self._held[request_id] = segment, share
        self._held_bytes += share
        segment.open += 1

    def close(self, record: UsageRecord, *, called: bool | None = None, text: bytes | None = None) -> ChainLink:
        """Append a record at the end of the chain, with an intent before it or without one.

        ``called``: whether there was an intent, where another process wrote it. ``text``: the record's canonical JSON,
        where that is known.
        """
        request_id = record.request_id
        held = request_id in self._held
        text = canonical(record) if text is None else text
        link = follow(self._end, writer=self.writer, text=text)
        line = close_line(text, link, called=held if called is None else called)
        if not held:
            self._make_room(len(line))
        elif self._segment.size + len(line) > self._segment.capacity:
            with suppress(OSError):  # its room is used up by longer ones, but the disk may still take it
                self._make_room(len(line))
        self._write(line)
        if held:
            self._release(request_id)
        self._end = link
        self._segment.last_seq = link.seq
        return link

    def holds(self, request_id: str) -> bool:
        """Whether the request has an intent that is not closed."""
        return request_id in self._held

    def shipped(self, seq: int) -> Sequence[Path]:
        """Forget the segments that nobody needs when all records up to ``seq`` are shipped; these can be removed."""
        done = [segment for segment in self._older if segment.last_seq <= seq and not segment.open]
        for segment in done:
            self._older.remove(segment)
        return [segment.path for segment in done]

    def finish(self, *, remove: bool) -> None:
        """Write no more. ``remove``: everything is shipped, and the files go; else the next process adopts them.

        Blocks for as long as the disk takes.
        """
        os.fsync(self._segment.fd)
        self.leave()
        if remove:
            for segment in (*self._older, self._segment):
                segment.path.unlink(missing_ok=True)
        let_go(self.folder, self.writer, self._lock_fd, remove=remove)

    def leave(self) -> None:
        """Write no more, and leave files and ownership as they are."""
        fd, self._segment.fd = self._segment.fd, -1  # so that nothing ever reaches another file of the same number
        os.ftruncate(fd, self._segment.size)
        os.close(fd)

    def _release(self, request_id: str) -> None:
        segment, share = self._held.pop(request_id)
        self._held_bytes -= share
        segment.open -= 1

    def _write(self, line: bytes) -> None:
        segment = self._segment
        try:
            written = os.pwrite(segment.fd, line, segment.size)
        except OSError:
            self._cut_back()
            raise
        if written != len(line):
            self._cut_back()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._last_offset = segment.size
        segment.size += written
        self.written_bytes += written

    def _cut_back(self) -> None:
        """Take away what a failed write may have left, but not the space that was laid by.

        What stays in that space is a line's beginning without its end, which no reader takes for an entry.
        """
        segment = self._segment
        bounded = segment.capacity < sys.maxsize
        os.ftruncate(segment.fd, max(segment.size, segment.capacity) if bounded else segment.size)

    def _make_room(self, line_bytes: int) -> None:
        """Have space for these bytes beside what is held for open requests, in a new segment when this one is full."""
        segment = self._segment
        room = line_bytes + self._held_bytes
        if segment.size + room <= segment.capacity and segment.size < self._segment_bytes:
            return
        if segment.size >= self._segment_bytes:
            with suppress(OSError):  # no room for a new one: this one may grow beyond its measure
                self._segment = self._begin(segment.number + 1, room=room)
                self._older.append(segment)
                self._retire(segment.fd, segment.size)
                return
        _lay_by(segment, room)

    def _begin(self, number: int, *, room: int) -> Segment:
        path = segment_path(self.folder, self.writer, number)
        segment = Segment(path, number, create(path))
        line = head_line(self.writer, self.tip)
        try:
            _lay_by(segment, len(line) + room)
            if os.pwrite(segment.fd, line, 0) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.close(segment.fd)
            path.unlink()
            raise
        segment.size = len(line)
        segment.last_seq = self.tip.seq
        self.written_bytes += len(line)
        return segment


def _lay_by(segment: Segment, room: int) -> None:
    """Reserve space on the disk for so many bytes more, and for some beyond, where the disk has it."""
    wanted = segment.size + room
    if wanted <= segment.capacity:
        return
    try:
        segment.capacity = _reserve(segment.fd, wanted + STEP_BYTES)
    except OSError:
        segment.capacity = _reserve(segment.fd, wanted)


def _reserve(fd: int, size: int) -> int:
    """How far the file may be written now without meeting a full disk: ``size``, or no bound where none can be had."""
    try:
        os.posix_fallocate(fd, 0, size)
    except AttributeError:  # macOS has no such call
        return sys.maxsize
    except OSError as error:
        if error.errno in _CANNOT_LAY_BY:
            return sys.maxsize
        raise
    return size
