"""The folder where the service keeps what must outlive it: private, writable, and held by one service at a time."""

import errno
import fcntl
import os
import pwd
import stat
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

LOCK_NAME = "lock"

_PROBE_NAME = "probe"
_PROBE_BYTES = 64 * 1024
_PRIVATE_DIR = 0o700
_PRIVATE_FILE = 0o600
_ELSEWHERE = "set server.data_dir to another path"
_REMEDIES: Mapping[int, str] = {
    errno.EACCES: f"let this user write there, or {_ELSEWHERE}",
    errno.EPERM: f"let this user write there, or {_ELSEWHERE}",
    errno.ENOSPC: f"make room on that disk, or {_ELSEWHERE}",
    errno.EDQUOT: f"make room in the quota of this user, or {_ELSEWHERE}",
}


class DataDirError(Exception):
    """The data directory cannot be used; the message says why and what to do about it."""


class DataDir:
    """A data directory that this process holds until `close`, or until it ends in whatever way."""

    def __init__(self, path: Path, lock_fd: int) -> None:
        self.path = path
        self._lock_fd: int | None = lock_fd

    def close(self) -> None:
        """Lets go of the directory; idempotent. The lock file stays: deleting it would let two services in."""
        if self._lock_fd is not None:
            lock_fd, self._lock_fd = self._lock_fd, None
            os.close(lock_fd)

    def __enter__(self) -> "DataDir":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """`$STATE_DIRECTORY` (which systemd and `./serve` set), else `$XDG_STATE_HOME/llm-service`, else
    `~/.local/state/llm-service` (systemd.exec; XDG Base Directory Specification 0.8).

    Raises DataDirError when there is no home directory.
    """
    given = environ.get("STATE_DIRECTORY", "").partition(":")[0]  # systemd joins several by colons
    if given.startswith("/"):
        return Path(given)
    state = environ.get("XDG_STATE_HOME", "")
    if state.startswith("/"):  # a relative one is to be ignored, the specification says
        return Path(state, "llm-service")
    home = environ.get("HOME") or _home_of_user()
    if home is None:
        raise DataDirError("there is no home directory to keep data in: set server.data_dir or XDG_STATE_HOME")
    return Path(home, ".local", "state", "llm-service")


def prepare_data_dir(path: Path) -> None:
    """Creates the directory where it is missing (0700, parents too) and checks it, without taking its lock.

    For programs beside the service that only use what several may use. Raises DataDirError.
    """
    path = path.absolute()
    try:
        _create(path)
        _make_private(path)
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from error


def open_data_dir(path: Path) -> DataDir:
    """Creates the directory where it is missing (0700, parents too), checks it and takes its lock.

    Raises DataDirError when it is no directory, not private, not writable, full, or held by another service.
    """
    path = path.absolute()
    try:
        _create(path)
        _make_private(path)
        lock_fd = _take_lock(path)
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from error
    try:
        _probe(path)
        os.ftruncate(lock_fd, 0)
        os.pwrite(lock_fd, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        os.close(lock_fd)
        raise _unusable(path, error) from error
    return DataDir(path, lock_fd)


def has_been_served(path: Path) -> bool:
    """Whether a service has ever held this directory. Raises OSError where one may not look."""
    return (path / LOCK_NAME).exists()


def sync_folder(folder: Path) -> None:
    """Bring the names of new files to the disk. Blocks."""
    folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder_fd)
    finally:
        os.close(folder_fd)


def _home_of_user() -> str | None:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a container may run under a user id that has no name
        return None


def _create(path: Path) -> None:
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(_PRIVATE_DIR, exist_ok=True)


def _make_private(path: Path) -> None:
    found = path.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "a file stands there", str(path))
    user = os.geteuid()
    if found.st_uid == user:
        _close_to_others(path, found.st_mode)
    elif found.st_uid != 0:
        raise DataDirError(
            f"the data directory {path} belongs to user {found.st_uid}, and this is user {user}: {_ELSEWHERE}"
        )
    elif found.st_mode & stat.S_IRWXO:  # a mounted volume belongs to root and lets our group in: that is private enough
        raise DataDirError(f"the data directory {path} belongs to root and is open to everybody: use a folder below it")


def _close_to_others(path: Path, mode: int) -> None:
    """Takes the rights of others away, but never from a folder that may serve something else (/, /srv, a home)."""
    if not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return
    if any(path.iterdir()) and not (path / LOCK_NAME).exists():
        raise DataDirError(f"the data directory {path} is open to others and not empty: chmod 700 it, or {_ELSEWHERE}")
    path.chmod(_PRIVATE_DIR)


def _take_lock(path: Path) -> int:
    """An open, locked file. The kernel lets the lock go when the process ends, however it ends."""
    lock_fd = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _PRIVATE_FILE)
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock_fd, 32, 0).decode("ascii", "replace").strip()
        os.close(lock_fd)
        who = f"the service with process id {holder}" if holder.isdigit() else "another service"
        raise DataDirError(f"the data directory {path} is in use by {who}: stop that one, or {_ELSEWHERE}") from None
    except OSError:
        os.close(lock_fd)
        raise
    return lock_fd


def _probe(path: Path) -> None:
    """Writes a little, so that a full disk is found now and not with the first record."""
    probe = path / _PROBE_NAME
    try:
        with probe.open("wb") as file:
            probe.chmod(_PRIVATE_FILE)
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    finally:
        probe.unlink(missing_ok=True)


def _unusable(path: Path, error: OSError | ValueError) -> DataDirError:
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else "it is no path"
    remedy = _REMEDIES.get(error.errno or 0, _ELSEWHERE) if isinstance(error, OSError) else _ELSEWHERE
    return DataDirError(f"the data directory {path} cannot be used ({reason}): {remedy}")
