"""Where a SQLite file may lie, and how it is opened: private, migrated, with words for what can be wrong."""

import errno
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from llm_service.storage.sql.base import DatabaseError
from llm_service.storage.sql.migrate import Migration, migrate_sqlite
from llm_service.storage.sql.sqlite import SqliteDriver, create_private
from llm_service.storage.sql.sqlite_lane import code_of, connect, is_damage, reason_of

_MOUNTS: Final = Path("/proc/self/mountinfo")
_REMOTE: Final = frozenset(
    """nfs nfs3 nfs4 cifs smb2 smb3 smbfs ncpfs afs ceph lustre gpfs beegfs ocfs2 fuse.sshfs fuse.glusterfs fuse.ceph
    fuse.s3fs fuse.rclone fuse.gcsfuse fuse.blobfuse fuse.goofys fuse.davfs""".split()
)
_LET_GO: Final = "end the program that holds it and start again"
_ELSEWHERE: Final = "set server.data_dir to a local disk, or store.database_url to a PostgreSQL server"


def begin_sqlite(path: Path) -> bool:
    """Makes the file (0600) where it is missing, and switches it to its write-ahead log, which it keeps; blocks.

    False while another process makes the switch: SQLite fails at once then, whatever its timeout. It calls no busy
    handler there, lest two wait for each other (sqlite.org/c3ref/busy_handler.html). Raises DatabaseError.
    """
    refuse_remote(path)
    with explained(path):
        with suppress(FileExistsError):
            create_private(path)
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        try:
            connect(path, writes=True).close()
        except sqlite3.OperationalError as error:
            if code_of(error) != sqlite3.SQLITE_BUSY:
                raise
            return False
    return True


def open_sqlite(path: Path, *, migrations: Sequence[Migration], program: str) -> SqliteDriver:
    """Opens a file that was begun, and brings its schema up to date; blocks. Raises DatabaseError."""
    with explained(path):
        with closing(connect(path, writes=True)) as connection:
            migrate_sqlite(connection, path, migrations=migrations, program=program)
        return SqliteDriver(path)


def held_by_another(path: Path) -> DatabaseError:
    """Somebody keeps the file locked, and does not let go."""
    return _cannot_open(path, "another process holds its lock", _LET_GO)


def refuse_remote(path: Path, *, mounts: Path = _MOUNTS) -> None:
    """Raises DatabaseError on a network file system, whose locks SQLite cannot trust (sqlite.org/faq.html, 5)."""
    kind = _file_system(path.absolute(), mounts)
    if kind in _REMOTE:
        raise DatabaseError(f"the database {path} would lie on a network file system ({kind}): {_ELSEWHERE}")


def _file_system(path: Path, mounts: Path) -> str | None:
    """The type of the file system that a path is on, by the longest mount point (proc_pid_mountinfo(5)); Linux only."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None  # other systems have no such list
    path = path.resolve()
    found, longest = None, -1
    for line in lines:
        mount, _, rest = line.partition(" - ")
        point = Path(mount.split(" ")[4].replace("\\040", " "))
        if (path == point or point in path.parents) and len(point.parts) >= longest:
            found, longest = rest.split(" ")[0], len(point.parts)
    return found


@contextmanager
def explained(path: Path, *, writes: Path | None = None) -> Iterator[None]:
    """Failures to work on a file as DatabaseError, with words for what to do.

    ``writes``: another file, which alone is written. What is wrong with that is an OSError that names it.
    """
    try:
        yield
    except OSError as error:
        if writes is not None:
            raise
        raise _cannot_open(path, error.strerror or str(error), _ELSEWHERE) from error
    except sqlite3.Error as error:
        if writes is not None and code_of(error) == sqlite3.SQLITE_FULL:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(writes)) from error
        raise _cannot_open(path, reason_of(error), _remedy(error)) from error


def _cannot_open(path: Path, reason: str, remedy: str) -> DatabaseError:
    return DatabaseError(f"the database {path} cannot be opened ({reason}): {remedy}")


def _remedy(error: sqlite3.Error) -> str:
    code = code_of(error)
    if is_damage(error):
        return "put a backup in its place, or move it away to begin anew"
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return _LET_GO
    if code == sqlite3.SQLITE_FULL:
        return f"make room on that disk, or {_ELSEWHERE}"
    return f"let this user write there, or {_ELSEWHERE}"
