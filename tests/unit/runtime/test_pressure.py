"""How hard the process is pressed: lag, memory, descriptors, disk, and the limit of its control group."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from llm_service.runtime import Pressure, SystemClock
from llm_service.runtime import pressure as module
from llm_service.runtime.control_group import memory_limit
from llm_service.runtime.loop_lag import LoopLag
from tests.support.clock import ManualClock
from tests.support.waiting import until

MB = 1024 * 1024


# -- lag


def lag_of(*late_s: float) -> LoopLag:
    """A loop whose ticks came so late, one after the other."""
    lag, now = LoopLag(), 100.0
    for one in late_s:
        now += 0.1 + one
        lag.note(one, now=now)
    return lag


def test_a_loop_that_keeps_time_has_no_lag() -> None:
    assert (LoopLag().mean_s, LoopLag().steady_s, LoopLag().worst_s) == (0, 0, 0)
    lag = lag_of(*[0.0] * 20)
    assert (lag.mean_s, lag.steady_s, lag.worst_s) == (0, 0, 0)


def test_the_mean_is_that_of_the_last_second_and_the_worst_that_of_the_last_minute() -> None:
    lag = lag_of(0.4, *[0.1] * 10)
    assert lag.mean_s == pytest.approx(0.1)
    assert lag.worst_s == 0.4
    lag = lag_of(0.4, *[0.1] * 295, 0.05)
    assert lag.worst_s == 0.4
    lag = lag_of(0.4, *[0.1] * 301)
    assert lag.worst_s == 0.1


def test_one_halt_is_no_steady_lag_and_several_in_a_row_are() -> None:
    assert lag_of(0, 0, 0, 30.0).steady_s == 0
    assert lag_of(0, 0, 0, 30.0, 0).steady_s == 0
    assert lag_of(0, 0, 0, 2.0, 2.0).steady_s == pytest.approx(1.0)
    assert lag_of(0, 0, 0, 2.0, 2.0, 2.0).steady_s == pytest.approx(2.0)


async def test_a_loop_that_is_kept_busy_is_late(tmp_path: Path) -> None:
    pressure = Pressure(tmp_path, clock=SystemClock())
    pressure.start()
    await until(lambda: pressure.measured)
    free_at = time.monotonic() + 0.3
    while time.monotonic() < free_at:
        pass
    await until(lambda: pressure.lag.worst_s >= 0.15)
    pressure.close()


# -- what else is measured


def test_it_measures_ten_times_a_second_until_it_is_closed(tmp_path: Path) -> None:
    clock = ManualClock()
    pressure = Pressure(tmp_path, clock=clock)
    pressure.start()
    clock.advance(2.05)
    assert pressure.measured == 20
    assert pressure.lag.worst_s == pytest.approx(0, abs=1e-6)
    pressure.close()
    pressure.close()
    clock.advance(1)
    assert (pressure.measured, clock.timers) == (20, 0)


def test_memory_is_the_resident_one_and_looked_at_once_a_second(tmp_path: Path) -> None:
    clock = ManualClock()
    pressure = Pressure(tmp_path, clock=clock)
    pressure.start()
    before = pressure.memory_bytes or 0
    assert pressure.memory_at_start_bytes == before > 20 * MB
    taken = b"x" * (192 * MB)  # far more than the system may take of an idle process meanwhile
    clock.advance(0.9)
    assert pressure.memory_bytes == before
    clock.advance(0.2)
    assert (pressure.memory_bytes or 0) - before > 50 * MB
    pressure.close()
    assert len(taken) == 192 * MB


def test_descriptors_and_disk_are_looked_at_once_a_second_at_most(tmp_path: Path) -> None:
    clock = ManualClock()
    pressure = Pressure(tmp_path, clock=clock)
    before = pressure.figures()
    opened = [os.open(tmp_path, os.O_RDONLY) for _ in range(10)]
    assert pressure.figures() is before
    clock.advance(1)
    after = pressure.figures()
    for descriptor in opened:
        os.close(descriptor)
    assert (after.descriptors or 0) - (before.descriptors or 0) == 10
    assert (after.descriptors_limit or 0) >= (after.descriptors or 0)
    assert (after.disk_free_bytes or 0) > 0


def test_what_the_system_does_not_tell_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STATM", tmp_path / "none")
    monkeypatch.setattr(module, "DESCRIPTORS", tmp_path / "none")
    monkeypatch.setattr(module, "memory_limit", lambda: memory_limit(tmp_path))
    pressure = Pressure(tmp_path / "none", clock=ManualClock())
    pressure.start()
    figures = pressure.figures()
    assert (pressure.memory_bytes, pressure.memory_limit_bytes) == (None, None)
    assert (figures.descriptors, figures.disk_free_bytes) == (None, None)
    pressure.close()


# -- control groups


def system_with(root: Path, *, groups: str, mounts: str, limits: dict[str, str]) -> Path:
    """The files in which the kernel tells of control groups."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    (root / "proc/self/mountinfo").write_text(mounts)
    for path, said in limits.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(said)
    return root


ROOT_DISK = "22 1 254:0 / / rw,relatime - ext4 /dev/root rw\n"
VERSION_2 = ROOT_DISK + "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
VERSION_1 = (
    ROOT_DISK
    + "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
    + "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    + "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
)
UNLIMITED_1 = "9223372036854771712\n"


@pytest.mark.parametrize(
    ("groups", "mounts", "limits", "expected"),
    [
        pytest.param(
            "0::/system.slice/llm.service\n",
            VERSION_2,
            {
                "sys/fs/cgroup/system.slice/memory.max": "2000000000\n",
                "sys/fs/cgroup/system.slice/llm.service/memory.max": "1000000000\n",
            },
            1_000_000_000,
            id="version 2",
        ),
        pytest.param(
            "0::/system.slice/llm.service\n",
            VERSION_2,
            {
                "sys/fs/cgroup/system.slice/memory.max": "500000000\n",
                "sys/fs/cgroup/system.slice/llm.service/memory.max": "max\n",
            },
            500_000_000,
            id="version 2, of the group around it",
        ),
        pytest.param("0::/\n", VERSION_2, {"sys/fs/cgroup/memory.max": "300000000\n"}, 300_000_000, id="container"),
        pytest.param("0::/a\n", VERSION_2, {"sys/fs/cgroup/a/memory.max": "max\n"}, None, id="version 2, no limit"),
        pytest.param(
            "5:cpu:/other\n4:memory:/a/b\n0::/\n",
            VERSION_1,
            {
                "sys/fs/cgroup/memory/memory.limit_in_bytes": UNLIMITED_1,
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes": UNLIMITED_1,
                "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "700000000\n",
                "sys/fs/cgroup/cpu/other/memory.limit_in_bytes": "1\n",
            },
            700_000_000,
            id="version 1",
        ),
        pytest.param(
            "4:memory:/\n",
            VERSION_1,
            {"sys/fs/cgroup/memory/memory.limit_in_bytes": UNLIMITED_1},
            None,
            id="version 1, no limit",
        ),
        pytest.param(
            "4:memory:/docker/0a1b\n",
            ROOT_DISK
            + "35 31 0:32 /docker/0a1b /sys/fs/cgroup/memory ro,relatime master:19 - cgroup cgroup rw,memory\n",
            {"sys/fs/cgroup/memory/memory.limit_in_bytes": "600000000\n"},
            600_000_000,
            id="version 1, container that sees the outer path",
        ),
        pytest.param(
            "4:memory:/docker/0a1b\n",
            VERSION_1,
            {"sys/fs/cgroup/memory/memory.limit_in_bytes": "600000000\n"},
            600_000_000,
            id="version 1, container whose mount hides the outer path",
        ),
        pytest.param(
            "4:memory:/docker/0a1b\n",
            ROOT_DISK + "35 31 0:32 /docker /sys/fs/cgroup/memory ro,relatime - cgroup cgroup rw,memory\n",
            {"sys/fs/cgroup/memory/0a1b/memory.limit_in_bytes": "600000000\n"},
            600_000_000,
            id="version 1, a mount of a group around it",
        ),
        pytest.param("", ROOT_DISK, {}, None, id="no control groups"),
    ],
)
def test_limit_is_the_least_of_the_group_and_those_around_it(
    tmp_path: Path, groups: str, mounts: str, limits: dict[str, str], expected: int | None
) -> None:
    assert memory_limit(system_with(tmp_path, groups=groups, mounts=mounts, limits=limits)) == expected


@pytest.mark.parametrize(
    "odd", [b"", b"nonsense", b"40 23 0:40 / /mnt/\xff rw - fuse  rw", b"41 23 0:41 / /mnt/\x0c rw - tmpfs"]
)
def test_a_line_that_makes_no_sense_hides_no_limit(tmp_path: Path, odd: bytes) -> None:
    system_with(tmp_path, groups="0::/a\n", mounts="", limits={"sys/fs/cgroup/a/memory.max": "1000\n"})
    (tmp_path / "proc/self/mountinfo").write_bytes(odd + b"\n" + VERSION_2.encode())
    (tmp_path / "proc/self/cgroup").write_bytes(odd + b"\n0::/a\n")
    assert memory_limit(tmp_path) == 1000


def test_a_mount_without_a_source_is_one(tmp_path: Path) -> None:
    mounts = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2  rw\n"
    system_with(tmp_path, groups="0::/\n", mounts=mounts, limits={"sys/fs/cgroup/memory.max": "1000\n"})
    assert memory_limit(tmp_path) == 1000


def test_a_measurement_that_fails_is_not_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    pressure = Pressure(tmp_path, clock=clock)
    pressure.start()
    with monkeypatch.context() as broken:
        broken.setattr(module, "memory_limit", lambda: 1 / 0)
        pressure._limit_at = 0.0
        with pytest.raises(ZeroDivisionError):
            clock.advance(1.05)
    before = pressure.measured
    clock.advance(2)
    assert pressure.measured >= before + 15
    pressure.close()


def test_limit_is_read_again_once_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "sys/fs/cgroup/memory.max"
    system_with(tmp_path, groups="0::/\n", mounts=VERSION_2, limits={"sys/fs/cgroup/memory.max": "1000\n"})
    monkeypatch.setattr(module, "memory_limit", lambda: memory_limit(tmp_path))
    clock = ManualClock()
    pressure = Pressure(tmp_path, clock=clock)
    pressure.start()
    limit.write_text("2000\n")
    clock.advance(59)
    assert pressure.memory_limit_bytes == 1000
    clock.advance(2)
    assert pressure.memory_limit_bytes == 2000
    pressure.close()


async def test_it_needs_no_task(tmp_path: Path) -> None:
    pressure = Pressure(tmp_path, clock=SystemClock())
    pressure.start()
    assert len(asyncio.all_tasks()) == 1
    pressure.close()
