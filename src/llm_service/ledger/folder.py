"""The folder of the journals: how their files are named, and which of them have an owner that lives."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PRIVATE_DIR: Final = 0o700
_PRIVATE_FILE: Final = 0o600
_LOCK: Final = ".lock"
_DRAFT: Final = ".draft"
_SEGMENT: Final = ".journal"


def make_folder(folder: Path) -> None:
    """Create the folder, open to this user alone, where it is missing."""
    folder.mkdir(_PRIVATE_DIR, parents=True, exist_ok=True)


def writers_in(folder: Path) -> list[str]:
    """Whose files there are, those of living writers included; the oldest names first."""
    names = (Path(entry.name) for entry in os.scandir(folder))
    return sorted({_writer_of(name) for name in names if name.suffix in (_LOCK, _SEGMENT)})


def segments_of(folder: Path, writer: str) -> dict[int, Path]:
    """The segments of a writer by number, in order."""
    found = (path for path in folder.iterdir() if path.suffix == _SEGMENT and _writer_of(path) == writer)
    return dict(sorted((int(path.stem.rpartition(".")[2]), path) for path in found))


def segment_path(folder: Path, writer: str, number: int) -> Path:
    """Where a segment is."""
    return folder / f"{writer}.{number:08d}{_SEGMENT}"


def create(path: Path) -> int:
    """A new file for reading and writing, private, that no child process inherits."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, _PRIVATE_FILE)


def enter(folder: Path, writer: str) -> int:
    """Become the owner of a new writer's journal: an open, locked file. Raises OSError, FileExistsError if it is there.

    The file is locked before it has its name. Between two such steps an adopter would take it for that of a dead one.
    """
    draft = folder / f"{writer}{_DRAFT}"
    lock_fd = create(draft)
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.link(draft, folder / f"{writer}{_LOCK}")
    except OSError:
        os.close(lock_fd)
        raise
    finally:
        draft.unlink()
    return lock_fd


def take(folder: Path, writer: str) -> int | None:
    """Become the owner of a journal that somebody else began: an open, locked file, or ``None`` when its owner lives.

    The kernel lets the lock go when the process ends, however it ends.
    """
    path = folder / f"{writer}{_LOCK}"
    while True:
        lock_fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _PRIVATE_FILE)
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(path, lock_fd):
                return lock_fd
        except BlockingIOError:
            os.close(lock_fd)
            return None
        except OSError:
            os.close(lock_fd)
            raise
        os.close(lock_fd)  # the one before us has removed the file between our two steps


def let_go(folder: Path, writer: str, lock_fd: int, *, remove: bool) -> None:
    """Be the owner no more. ``remove``: nothing is left, and the lock file goes as well."""
    try:
        if remove:
            (folder / f"{writer}{_LOCK}").unlink(missing_ok=True)
    finally:
        os.close(lock_fd)


def pieces(path: Path, *, start: int, end: int | None, piece_bytes: int) -> Iterator[tuple[int, bytes]]:
    """The file from an offset on in pieces that end with whole lines, each with its offset.

    ``end``: offset to stop at; ``None``: the end of the file, whose last piece may be no whole line. Blocks.
    """
    with path.open("rb", buffering=0) as file:
        size = file.seek(0, os.SEEK_END) if end is None else end
        length = piece_bytes
        while start < size:
            piece = os.pread(file.fileno(), min(length, size - start), start)
            whole = piece.rfind(b"\n") + 1
            if start + len(piece) >= size or not piece:
                yield start, piece
                return
            if not whole:  # one line is longer than the piece
                length *= 2
                continue
            yield start, piece[:whole]
            start, length = start + whole, piece_bytes


def _writer_of(name: Path) -> str:
    return name.stem if name.suffix == _LOCK else name.stem.rpartition(".")[0]


def _is(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
