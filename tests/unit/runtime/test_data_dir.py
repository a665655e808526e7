"""The data directory is private, is checked before use, and belongs to one process at a time."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_service.runtime import DataDirError, data_dir, default_data_dir, open_data_dir

HOLD = """
import sys
from pathlib import Path
from llm_service.runtime import open_data_dir

held = open_data_dir(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""

Hold = Callable[[Path], "subprocess.Popen[str]"]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Starts a process that holds a data directory until its input ends."""
    started: list[subprocess.Popen[str]] = []

    def start(path: Path) -> "subprocess.Popen[str]":
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def names(path: Path) -> list[str]:
    return [entry.name for entry in path.iterdir()]


def pretend_owner(monkeypatch: pytest.MonkeyPatch, *, owner: int, us: int) -> None:
    """Every path belongs to `owner`, and this process runs as `us`."""
    real = Path.stat

    def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = list(real(path, follow_symlinks=follow_symlinks))
        return os.stat_result([*found[:4], owner, *found[5:]])

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr(os, "geteuid", lambda: us)


def test_missing_directories_are_created_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "llm-service"
    with open_data_dir(path) as held:
        assert held.path == path
        assert [mode(path.parent), mode(path), mode(path / "lock")] == [0o700, 0o700, 0o600]
        assert names(path) == ["lock"]


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_data_dir(Path("data")) as held:
        assert held.path == tmp_path / "data"


def test_lock_names_the_process_that_holds_it(tmp_path: Path) -> None:
    with open_data_dir(tmp_path / "data"):
        assert (tmp_path / "data" / "lock").read_text() == f"{os.getpid()}\n"


def test_second_service_is_refused_and_told_who_is_there(tmp_path: Path, hold: Hold) -> None:
    other = hold(tmp_path / "data")
    with pytest.raises(DataDirError, match=f"in use by the service with process id {other.pid}: stop that one, or set"):
        open_data_dir(tmp_path / "data")


def test_a_refused_service_leaves_the_holder_untouched(tmp_path: Path, hold: Hold) -> None:
    other = hold(tmp_path / "data")
    for _ in range(2):
        with pytest.raises(DataDirError, match="in use"):
            open_data_dir(tmp_path / "data")
    assert (tmp_path / "data" / "lock").read_text() == f"{other.pid}\n"


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_lock_ends_with_the_process_however_it_ends(tmp_path: Path, hold: Hold, end: signal.Signals) -> None:
    other = hold(tmp_path / "data")
    other.send_signal(end)
    other.wait()
    open_data_dir(tmp_path / "data").close()


def test_of_many_processes_at_the_same_moment_one_gets_in(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "data")]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    racers = [subprocess.Popen(command, env=environ, text=True, **pipes) for _ in range(4)]
    # Losers end by themselves; the winner waits for the end of its input, which comes after all have answered.
    losers = [racer for racer in racers if _first_word(racer) != "held\n"]
    for racer in racers:
        racer.communicate()
    assert len(losers) == 3
    assert all(racer.returncode != 0 for racer in losers)


def _first_word(racer: "subprocess.Popen[str]") -> str:
    assert racer.stdout is not None
    return racer.stdout.readline()


def test_closing_lets_the_next_one_in_and_may_be_repeated(tmp_path: Path) -> None:
    held = open_data_dir(tmp_path / "data")
    held.close()
    held.close()
    open_data_dir(tmp_path / "data").close()


def test_a_file_in_the_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(
        DataDirError, match=r"data cannot be used \(a file stands there\): set server.data_dir to another"
    ):
        open_data_dir(tmp_path / "data")


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(DataDirError, match="Not a directory"):
        open_data_dir(tmp_path / "state" / "data")


def test_a_path_that_is_none_is_refused() -> None:
    with pytest.raises(DataDirError, match="it is no path"):
        open_data_dir(Path("/tmp/a\0b"))


def test_own_open_directory_is_closed_to_others_when_it_is_empty(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with open_data_dir(tmp_path):
        assert mode(tmp_path) == 0o700


def test_own_data_directory_that_was_opened_is_closed_again(tmp_path: Path) -> None:
    open_data_dir(tmp_path / "data").close()
    (tmp_path / "data" / "more").write_text("")
    (tmp_path / "data").chmod(0o777)
    with open_data_dir(tmp_path / "data"):
        assert mode(tmp_path / "data") == 0o700


def test_open_directory_with_foreign_content_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_text("")
    tmp_path.chmod(0o755)
    with pytest.raises(DataDirError, match="open to others and not empty: chmod 700 it, or set"):
        open_data_dir(tmp_path)
    assert mode(tmp_path) == 0o755
    assert names(tmp_path) == ["holiday.jpg"]


def test_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_owner(monkeypatch, owner=4711, us=12345)
    with pytest.raises(DataDirError, match="belongs to user 4711, and this is user 12345"):
        open_data_dir(tmp_path)


def test_volume_of_root_is_used_when_only_our_group_may_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_owner(monkeypatch, owner=0, us=12345)
    tmp_path.chmod(0o2770)
    open_data_dir(tmp_path).close()


def test_volume_of_root_that_is_open_to_everybody_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_owner(monkeypatch, owner=0, us=12345)
    tmp_path.chmod(0o2777)
    with pytest.raises(DataDirError, match="belongs to root and is open to everybody: use a folder below it"):
        open_data_dir(tmp_path)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, r"Permission denied.*: let this user write there"),
        (errno.EROFS, r"Read-only file system.*: set server.data_dir to another path"),
        (errno.ENOLCK, r"No locks available.*: set server.data_dir to another path"),
    ],
)
def test_what_the_system_refuses_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(data_dir.fcntl, "flock", refuse)
    with pytest.raises(DataDirError, match=words):
        open_data_dir(tmp_path)


def test_full_disk_is_found_at_once_and_the_lock_is_free_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DataDirError, match=r"No space left.*: make room on that disk"):
        open_data_dir(tmp_path)
    monkeypatch.undo()
    assert names(tmp_path) == ["lock"]
    open_data_dir(tmp_path).close()


def test_process_that_may_write_no_more_bytes_is_told(tmp_path: Path) -> None:
    code = HOLD.replace(
        "import sys", "import sys, resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))", 1
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(tmp_path / "data")]
    done = subprocess.run(command, env=environ, text=True, capture_output=True, check=False, input="")
    assert "DataDirError: the data directory" in done.stderr
    assert "cannot be used (File too large)" in done.stderr


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "data").mkdir(0o700)
    (tmp_path / "data" / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(DataDirError):
        open_data_dir(tmp_path / "data")
    assert (tmp_path / "victim").read_text() == "precious"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"STATE_DIRECTORY": "/srv/state", "XDG_STATE_HOME": "/var/state", "HOME": "/home/ada"}, "/srv/state"),
        ({"STATE_DIRECTORY": "/srv/one:/srv/two", "HOME": "/home/ada"}, "/srv/one"),
        ({"STATE_DIRECTORY": "", "XDG_STATE_HOME": "/var/state"}, "/var/state/llm-service"),
        ({"XDG_STATE_HOME": "/var/state", "HOME": "/home/ada"}, "/var/state/llm-service"),
        ({"HOME": "/home/ada"}, "/home/ada/.local/state/llm-service"),
        ({"XDG_STATE_HOME": "", "HOME": "/home/ada"}, "/home/ada/.local/state/llm-service"),
        ({"XDG_STATE_HOME": "not/absolute", "HOME": "/home/ada"}, "/home/ada/.local/state/llm-service"),
    ],
)
def test_default_follows_the_xdg_specification(environ: dict[str, str], expected: str) -> None:
    assert default_data_dir(environ) == Path(expected)


def test_default_without_home_is_that_of_the_user() -> None:
    assert default_data_dir({}).parts[-3:] == (".local", "state", "llm-service")


def test_default_of_a_user_without_name_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 5)
    with pytest.raises(DataDirError, match=r"set server\.data_dir or XDG_STATE_HOME"):
        default_data_dir({})
