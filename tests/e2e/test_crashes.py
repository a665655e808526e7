"""kill -9 under load: every acknowledged request has its one record, every interrupted one too; no budget is off."""

import asyncio
import random
import shutil
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.crash_audit import Audit, Tally
from tests.support.crash_load import Load
from tests.support.crash_site import Site, site
from tests.support.evidence import Evidence
from tests.support.postgres import CannotRun, PostgresServer
from tests.support.valkey import single

CLIENTS = 12
KILL_WITHIN_S = 0.6
GO_ON_S = 0.25

Kill = Callable[[Site, random.Random], Coroutine[Any, Any, None]]


@contextmanager
def alone(folder: Path) -> Iterator[Site]:
    with site(folder, workers=1) as made:
        yield made


@contextmanager
def together(folder: Path) -> Iterator[Site]:
    with site(folder, workers=2) as made:
        yield made


@contextmanager
def with_servers(folder: Path) -> Iterator[Site]:
    postgres = PostgresServer()
    try:
        postgres.create()
    except CannotRun as reason:
        pytest.skip(str(reason))
    try:
        with (
            single(folder / "valkey") as valkey,
            site(folder, workers=2, postgres=postgres, valkey=valkey, url=postgres.url()) as made,
        ):
            yield made
    finally:
        postgres.remove()


@dataclass(frozen=True)
class Sort:
    """What is killed in a sort of deployment. ``runs`` of a bounded test; of a full one ``seeds * long_runs``."""

    make: Callable[[Path], AbstractContextManager[Site]]
    kills: tuple[Kill, ...]
    runs: int
    seeds: int
    long_runs: int


SORTS = {
    "one worker, SQLite": Sort(alone, (Site.kill_worker,), runs=3, seeds=10, long_runs=7),
    "two workers, SQLite, the private Valkey": Sort(
        together,
        (Site.kill_worker, Site.kill_valkey, Site.kill_all, Site.kill_worker_and_valkey),
        runs=4,
        seeds=8,
        long_runs=8,
    ),
    "two workers, PostgreSQL, Valkey": Sort(
        with_servers,
        (
            Site.kill_postgres,
            Site.kill_worker,
            Site.kill_valkey,
            Site.kill_worker_and_valkey,
            Site.kill_worker_under_frozen_valkey,
            Site.kill_worker_without_postgres,
        ),
        runs=3,
        seeds=6,
        long_runs=12,
    ),
}


async def crashed(made: Site, load: Load, kill: Kill, dice: random.Random) -> None:
    """One run: load, a kill at a random moment, and load again on what came back."""
    load.start(clients=CLIENTS)
    try:
        await asyncio.sleep(dice.uniform(0.05, KILL_WITHIN_S))  # anywhere in the work of the service
        await kill(made, dice)
        await asyncio.sleep(GO_ON_S)  # under load, so that what came back meets what the kill left
    finally:
        await load.stop()


async def survived(folder: Path, name: str, *, seed: int, runs: int) -> Tally:
    """So many kills of everything that can be killed there, each with its audit."""
    sort, dice = SORTS[name], random.Random(f"{name} {seed}")
    with sort.make(folder) as made:
        await made.issue_keys()
        audit = Audit(made)
        for run in range(runs):
            load = Load(made.address, made.payers, dice)
            kill = sort.kills[run % len(sort.kills)]
            await crashed(made, load, kill, dice)
            faults = await audit.after(load.calls)
            assert not faults, f"{name}, seed {seed}, run {run}, {kill.__name__}:\n" + "\n".join(faults[:20])
    return audit.tally


@pytest.mark.parametrize("name", SORTS)
async def test_nothing_is_lost_or_counted_twice_when_processes_are_killed(tmp_path: Path, name: str) -> None:
    tally = await survived(tmp_path, name, seed=0, runs=SORTS[name].runs)
    assert tally.acknowledged > 20


@pytest.mark.full
@pytest.mark.parametrize("name", SORTS)
async def test_nor_by_two_hundred_kills(tmp_path: Path, name: str, evidence: Evidence) -> None:
    sort, whole = SORTS[name], Tally()
    for seed in range(1, sort.seeds + 1):
        folder = tmp_path / str(seed)
        folder.mkdir()
        whole.add(await survived(folder, name, seed=seed, runs=sort.long_runs))
        shutil.rmtree(folder)
    evidence.record(f"crashes-{sort.make.__name__}", title=f"Killed under load: {name}", figures=whole.figures())
    assert whole.interrupted > sort.seeds
