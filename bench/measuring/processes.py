"""Processes that a measurement starts: their CPU, their memory, their end. Linux alone: it is read from /proc."""

import http.client
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

PROC: Final = Path("/proc")
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
ENDED_WITHIN_S: Final = 10.0
FUTEX: Final = {"x86_64": "202", "aarch64": "98"}
"""The kernel's call by which threads wait for each other, by processor."""


class Cpu(NamedTuple):
    """Seconds of CPU: of the program itself, and of the kernel on its behalf."""

    user_s: float
    kernel_s: float

    @property
    def total_s(self) -> float:
        return self.user_s + self.kernel_s

    def since(self, earlier: "Cpu") -> "Cpu":
        return Cpu(self.user_s - earlier.user_s, self.kernel_s - earlier.kernel_s)


class Stat(NamedTuple):
    """What /proc says of a process or thread."""

    parent: int
    session: int
    cpu: Cpu


def stat_of(text: str, *, children: bool) -> Stat:
    """Reads a ``stat`` file (proc(5)); ``children``: with the CPU of children that have ended."""
    fields = text.rpartition(")")[2].split()
    user, kernel = int(fields[11]), int(fields[12])
    if children:
        user, kernel = user + int(fields[13]), kernel + int(fields[14])
    return Stat(parent=int(fields[1]), session=int(fields[3]), cpu=Cpu(user / TICKS_PER_S, kernel / TICKS_PER_S))


def members(root: int, stats: Mapping[int, Stat]) -> set[int]:
    """A process, what descends from it, and what is in its session."""
    found = {pid for pid, stat in stats.items() if root in (pid, stat.session)}
    while more := {pid for pid, stat in stats.items() if stat.parent in found} - found:
        found |= more
    return found


def all_stats() -> dict[int, Stat]:
    stats = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has ended
                stats[int(entry.name)] = stat_of((entry / "stat").read_text(), children=True)
    return stats


def cpu_of_tree(root: int) -> Cpu:
    """Of a process, its descendants, and those of them that have ended and were waited for."""
    stats = all_stats()
    mine = [stats[pid].cpu for pid in members(root, stats)]
    return Cpu(sum(cpu.user_s for cpu in mine), sum(cpu.kernel_s for cpu in mine))


def cpu_of_threads(pid: int) -> dict[int, Cpu]:
    """Of each thread of a process, by its number in the kernel."""
    found = {}
    for entry in (PROC / str(pid) / "task").iterdir():
        with suppress(OSError):
            found[int(entry.name)] = stat_of((entry / "stat").read_text(), children=False).cpu
    return found


def until_idle(pid: int, *, within_s: float = 10.0) -> None:
    """Return when the process's first thread waits for something to happen, and not for a lock."""
    task = PROC / str(pid) / "task" / str(pid)
    begun = time.monotonic()
    while time.monotonic() - begun < within_s:
        sleeps = (task / "stat").read_text().rpartition(")")[2].split()[0] == "S"
        if sleeps and (task / "syscall").read_text().split()[0] not in {"running", FUTEX.get(platform.machine())}:
            return
        time.sleep(0)
    raise RuntimeError(f"process {pid} is never idle")


def memory_mb_of_tree(root: int) -> float:
    """Megabytes of memory, pages that several processes share divided among them (Pss)."""
    kilobytes = 0
    for pid in members(root, all_stats()):
        with suppress(OSError):
            lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
            kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return round(kilobytes / 1024, 1)


def free_port() -> int:
    """A port of the loopback interface that nobody has now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def pinned(command: Sequence[str], cpu: int | None) -> Sequence[str]:
    """The command, on one processor alone; as it is where there is no ``taskset``."""
    if cpu is None or shutil.which("taskset") is None:
        return command
    return ("taskset", "-c", str(cpu), *command)


def processors() -> tuple[int | None, int | None]:
    """One for what is measured, another for load and upstream; none of either where there is but one."""
    available = sorted(os.sched_getaffinity(0))
    return (available[1], available[0]) if len(available) > 1 else (None, None)


@contextmanager
def started(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    log: Path | None = None,
    cpu: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own for as long as the block runs; then it is ended, with what descends from it."""
    with open(log or os.devnull, "ab") as output:  # noqa: PTH123 - os.devnull is a text
        process = subprocess.Popen(  # noqa: S603 - the caller's command
            pinned(command, cpu),
            env=None if environment is None else dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then SIGKILL to it and to what descends from it."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(ENDED_WITHIN_S)
    stats = all_stats()
    for pid in members(process.pid, stats):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def ask(
    port: int, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Status and body of one request. Raises OSError where there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET" if body is None else "POST", path, body, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP: {error!r}") from error
    finally:
        connection.close()


def until_well(ask_once: Any, process: subprocess.Popen[bytes], *, within_s: float) -> float:
    """Seconds until ``ask_once()`` is true. Raises RuntimeError where the process ends before, or takes too long."""
    begun = time.monotonic()
    while (waited := time.monotonic() - begun) < within_s:
        if process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode}")
        with suppress(OSError):
            if ask_once():
                return waited
        time.sleep(0.01)
    raise RuntimeError(f"no good answer in {within_s:.0f} s")


def run_load(command: Sequence[str], *, cpu: int | None = None, **switches: Any) -> dict[str, Any]:
    """What a load came to. Raises RuntimeError where it says nothing, with what it said instead."""
    named = [part for name, value in switches.items() for part in switch(name, value)]
    done = subprocess.run(  # noqa: S603 - our own load
        (*pinned(command, cpu), *named), capture_output=True, text=True, check=False
    )
    try:
        result: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(f"the load failed: {(done.stderr or done.stdout)[-500:]}") from None
    return result


def switch(name: str, value: Any) -> Iterator[str]:
    values = value if isinstance(value, list | tuple) else [value]
    for each in values:
        yield from (f"--{name.replace('_', '-')}", str(int(each) if isinstance(each, bool) else each))
