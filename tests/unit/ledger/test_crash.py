"""Processes that are killed: nothing that was acknowledged is lost, and nothing is there twice."""

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llm_service.ledger import verify
from llm_service.storage import UsageFilter
from tests.support.clock import ManualClock
from tests.support.evidence import Evidence
from tests.support.ledger_entries import a_ledger, an_intent, what_is_closed
from tests.support.memory_ledger import FileLedger

CHECKOUT = Path(__file__).parents[3]
PROGRAM = CHECKOUT / "tests" / "support" / "ledger_child.py"
WORKERS = 2

Process = subprocess.Popen[str]


@contextmanager
def children() -> Iterator[Callable[..., Process]]:
    """Starts children; all have ended when the block ends."""
    started = list[Process]()

    def start(*arguments: object) -> Process:
        environment = {**os.environ, "PYTHONPATH": f"{CHECKOUT / 'src'}:{CHECKOUT}"}
        command = [sys.executable, str(PROGRAM), *map(str, arguments)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def lines(process: Process, count: int) -> list[str]:
    """What it says, up to so many lines."""
    assert process.stdout is not None
    return [line for _, line in zip(range(count), process.stdout, strict=False)]


def kill(process: Process) -> list[str]:
    """What it said before it was dead."""
    process.send_signal(signal.SIGKILL)
    assert process.stdout is not None
    said = process.stdout.readlines()
    process.wait()
    return said


def said_of(text: list[str], word: str) -> set[str]:
    return {line.split()[1] for line in text if line.endswith("\n") and line.startswith(f"{word} ")}


def number_of(request_id: str) -> int:
    return int(request_id.removeprefix("req_"))


async def check(folder: Path, said: list[str]) -> FileLedger:
    """After adoption: each acknowledged record as it was, each open request interrupted, and nothing else."""
    store = FileLedger(folder / "store")
    rows = await store.find("nobody")
    assert rows == []
    records = {row.record.request_id: row.record for row in store.rows}
    assert Counter(store.ids()).most_common(1)[0][1] == 1
    closed, opened = said_of(said, "close"), said_of(said, "open")
    assert closed | opened <= records.keys()
    for request_id, record in records.items():
        number = number_of(request_id)
        if request_id in closed or record.status == "ok":
            assert record == what_is_closed(number)
        else:
            assert (record.status, record.nano_usd) == ("interrupted", an_intent(number).nano_usd)
    verification = await verify(store)
    assert verification.faults == []
    assert verification.records == len(records)
    (total,) = await store.sums(UsageFilter(), by=[])
    assert total.wasted_nano_usd == sum(one.nano_usd for record in records.values() for one in record.tries)
    return store


async def adopt(folder: Path) -> None:
    living = a_ledger(folder, store=FileLedger(folder / "store"), clock=ManualClock())
    await living.adopt()
    await living.aclose()
    assert list((folder / "journal").iterdir()) == []


async def round_of(folder: Path, dice: random.Random, fsync: str) -> int:
    """Several processes at work, killed at a random moment each; how many records were acknowledged."""
    said = list[str]()
    with children() as start:
        workers = [start("work", folder, f"w{number}", number, fsync) for number in range(1, WORKERS + 1)]
        for worker in workers:
            said += lines(worker, dice.randrange(1, 2000 if fsync == "interval" else 200))
            said += kill(worker)
    await adopt(folder)
    await check(folder, said)
    return len(said_of(said, "close"))


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("fsync", "rounds"), [("interval", 7), ("always", 3)])
async def test_a_kill_at_any_moment_loses_and_doubles_nothing(tmp_path: Path, fsync: str, rounds: int) -> None:
    dice = random.Random()
    acknowledged = 0
    for number in range(rounds):
        folder = tmp_path / str(number)
        folder.mkdir()
        acknowledged += await round_of(folder, dice, fsync)
    assert acknowledged > 100


@pytest.mark.full
@pytest.mark.timeout(3600)
async def test_two_hundred_kills_lose_and_double_nothing(tmp_path: Path, evidence: Evidence) -> None:
    dice = random.Random()
    acknowledged = 0
    for number in range(200):
        folder = tmp_path / str(number)
        folder.mkdir()
        acknowledged += await round_of(folder, dice, "always" if number % 4 == 0 else "interval")
    figures = {"rounds": 200, "processes_killed": 200 * WORKERS, "records_acknowledged": acknowledged, "lost": 0}
    evidence.record("ledger-crash", title="Processes of the ledger, killed at random moments", figures=figures)


@pytest.mark.timeout(120)
async def test_adopters_that_are_killed_leave_their_work_to_the_next(tmp_path: Path) -> None:
    dice = random.Random()
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        said = list[str]()
        with children() as start:
            for worker in [start("work", folder, f"w{number}", number, "interval") for number in range(1, 3)]:
                said += lines(worker, 1500) + kill(worker)
            adopters = [start("adopt", folder, f"a{number}", 0) for number in range(2)]
            for adopter in adopters:
                lines(adopter, dice.randrange(1, 3))
                kill(adopter)
        await adopt(folder)
        await check(folder, said)


@pytest.mark.timeout(60)
async def test_on_a_full_disk_whoever_was_let_in_closes(tmp_path: Path) -> None:
    with children() as start:
        process = start("fill", tmp_path, "full", 450_000)
        assert process.stdout is not None
        said = process.stdout.readlines()
        assert process.wait() == 0
    assert said[-1] == "end filled\n"
    opened, closed = said_of(said, "open"), said_of(said, "close")
    assert opened == closed
    assert len(opened) > 100
    assert "File_too_large" in "".join(said_of(said, "refused"))
    await adopt(tmp_path)
    store = await check(tmp_path, said)
    assert {row.record.status for row in store.rows} == {"ok"}
