"""The private server of a machine's workers: nobody else reaches it, it ends with its starter, and is started again."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_service.runtime import SystemClock
from llm_service.storage import PrivateValkey, PrivateValkeyError, private_valkey
from tests.support.clock import ManualClock
from tests.support.process import SOURCE
from tests.support.valkey import Server, is_alive
from tests.support.waiting import wait_until
from tests.unit.storage.conftest import Connect
from tests.unit.storage.test_valkey_client import count

Run = Callable[..., PrivateValkey]

STARTER = """
import re, socket, sys, time
from pathlib import Path
from llm_service.runtime import SystemClock
from llm_service.storage import PrivateValkey, private_valkey
if sys.argv[2] == "pipe":
    private_valkey._KEEPER = private_valkey._BY_PIPE
private = PrivateValkey(Path(sys.argv[1]), print, clock=SystemClock())
private.start()
line = socket.socket(socket.AF_UNIX)
line.connect(private.url.removeprefix("unix://"))
line.sendall(b"INFO server\\r\\n")
print(re.search(r"process_id:(\\d+)", line.recv(65536).decode())[1], flush=True)
time.sleep(60)  # until it is killed; should the test die before that, not for ever
"""


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def run(said: list[str]) -> Iterator[Run]:
    """Starts a private server in a folder."""
    started: list[PrivateValkey] = []

    def run(folder: Path, clock: ManualClock | None = None) -> PrivateValkey:
        private = PrivateValkey(folder, said.append, clock=clock or SystemClock())
        started.append(private)
        private.start()
        return private

    yield run
    for private in started:
        private.close()


def asked(private: PrivateValkey, *command: str) -> Any:
    path = private.url.removeprefix("unix://").replace("%20", " ")
    return Server(Path(), socket_path=Path(path)).ask(*command)


def pid_of(private: PrivateValkey) -> int:
    assert private.pid is not None
    return private.pid


def kill(private: PrivateValkey) -> None:
    """With signal 9, and wait until it has ended, without taking its exit code away."""
    os.kill(pid_of(private), signal.SIGKILL)
    os.waitid(os.P_PID, pid_of(private), os.WEXITED | os.WNOWAIT)


async def test_it_runs_scripts_on_a_socket_of_its_own(tmp_path: Path, run: Run, connect: Connect) -> None:
    private = run(tmp_path / "a folder")
    client = await connect(private.url)
    assert await count(client) == 1
    assert client.state.warning is None


def test_nobody_else_reaches_it(tmp_path: Path, run: Run) -> None:
    private = run(tmp_path / "v")
    path = Path(private.url.removeprefix("unix://"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(file.stat().st_mode) & 0o077 == 0 for file in (tmp_path / "v").rglob("*"))
    assert asked(private, "CONFIG", "GET", "port") == [b"port", b"0"]


def test_it_keeps_everything_and_writes_no_dump(tmp_path: Path, run: Run) -> None:
    private = run(tmp_path / "v")
    found = [
        asked(private, "CONFIG", "GET", name) for name in ("appendonly", "appendfsync", "maxmemory-policy", "save")
    ]
    expected = (("appendonly", "yes"), ("appendfsync", "everysec"), ("maxmemory-policy", "noeviction"), ("save", ""))
    assert found == [[name.encode(), value.encode()] for name, value in expected]


def test_a_second_start_on_the_same_folder_finds_the_data(tmp_path: Path, run: Run) -> None:
    first = run(tmp_path / "v")
    asked(first, "SET", "a", "1")
    first.close()
    assert first.pid is None
    assert asked(run(tmp_path / "v"), "GET", "a") == b"1"


def test_a_server_that_is_still_there_is_ended_first(tmp_path: Path, run: Run) -> None:
    first = run(tmp_path / "v")
    asked(first, "SET", "a", "1")
    pid = pid_of(first)
    assert asked(run(tmp_path / "v"), "GET", "a") == b"1"
    wait_until(lambda: not is_alive(pid))


@pytest.mark.parametrize("keeper", ["kernel", "pipe"])
def test_it_ends_with_its_starter_even_by_kill_9(tmp_path: Path, run: Run, keeper: str) -> None:
    words = [sys.executable, "-P", "-c", STARTER, str(tmp_path / "v"), keeper]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(SOURCE)}) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert is_alive(pid)
        starter.kill()
    try:
        wait_until(lambda: not is_alive(pid), within_s=5)
    except AssertionError:
        os.kill(pid, signal.SIGKILL)  # or it would stay behind
        raise
    assert asked(run(tmp_path / "v"), "PING") == b"PONG"


def test_it_is_started_again_when_it_dies(tmp_path: Path, run: Run, said: list[str]) -> None:
    private = run(tmp_path / "v")
    asked(private, "SET", "a", "1")
    kill(private)
    assert private.poll()
    wait_until(lambda: answers(private))
    assert asked(private, "GET", "a") == b"1"
    assert said == ["the private Valkey ended (signal 9); it is started again"]


def answers(private: PrivateValkey) -> bool:
    try:
        return asked(private, "PING") == b"PONG"
    except (OSError, RuntimeError):
        return False


def test_one_that_dies_again_and_again_is_started_ever_more_seldom(tmp_path: Path, run: Run, said: list[str]) -> None:
    clock = ManualClock()
    private = run(tmp_path / "v", clock)
    pauses = []
    for _ in range(7):
        kill(private)
        waited = 0.0
        while not private.poll():
            clock.advance(0.25)
            waited += 0.25
        pauses.append(waited)
    assert pauses == [0, 0.5, 1, 2, 4, 8, 10]
    assert said[2] == "the private Valkey ended (signal 9); it is started again in 1 s"


def test_one_that_ran_for_long_is_started_again_at_once(tmp_path: Path, run: Run) -> None:
    clock = ManualClock()
    private = run(tmp_path / "v", clock)
    for _ in range(2):
        clock.advance(61)
        kill(private)
        assert private.poll()


def test_a_long_path_gets_a_short_socket_that_is_private_and_goes_with_it(tmp_path: Path, run: Run) -> None:
    private = run(tmp_path / ("long" * 30))
    path = Path(private.url.removeprefix("unix://"))
    assert len(str(path)) <= 100
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert asked(private, "PING") == b"PONG"
    private.close()
    assert not path.parent.exists()


def test_a_folder_of_others_is_refused(tmp_path: Path, run: Run) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v").chmod(0o755)
    with pytest.raises(PrivateValkeyError, match="chmod 700"):
        run(tmp_path / "v")


def test_a_server_that_cannot_start_says_why(tmp_path: Path, run: Run) -> None:
    (tmp_path / "v" / "appendonlydir").mkdir(0o700, parents=True)
    (tmp_path / "v").chmod(0o700)
    (tmp_path / "v" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(PrivateValkeyError, match=r"ended at once: .*[Mm]anifest"):
        run(tmp_path / "v")


def test_a_system_without_the_program_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_valkey, "find_spec", lambda _: None)
    with pytest.raises(PrivateValkeyError, match=r"set store\.redis_url .* or server\.workers to 1"):
        private_valkey.server_binary()


def test_closing_again_does_nothing(tmp_path: Path, run: Run) -> None:
    private = run(tmp_path / "v")
    path = private.url.removeprefix("unix://")
    private.close()
    private.close()
    with socket.socket(socket.AF_UNIX) as line, pytest.raises(FileNotFoundError):
        line.connect(path)
    assert not private.poll()
