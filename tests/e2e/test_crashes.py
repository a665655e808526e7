"""kill -9 under load: every acknowledged request has its one record, every interrupted one too; no budget is off."""

import asyncio
import random
import shutil
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.crash_audit import Audit
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


SITES: dict[str, tuple[Callable[..., Any], Sequence[Kill]]] = {
    "one worker, SQLite": (alone, (Site.kill_worker,)),
    "two workers, SQLite, the private Valkey": (
        together,
        (Site.kill_worker, Site.kill_valkey, Site.kill_all, Site.kill_worker_and_valkey),
    ),
    "two workers, PostgreSQL, Valkey": (
        with_servers,
        (
            Site.kill_worker,
            Site.kill_valkey,
            Site.kill_postgres,
            Site.kill_worker_and_valkey,
            Site.kill_worker_under_frozen_valkey,
            Site.kill_worker_without_postgres,
        ),
    ),
}


async def crashed(made: Site, load: Load, kill: Kill, dice: random.Random) -> None:
    """One run: load, a kill at a random moment, and load again on what came back."""
    load.start(clients=CLIENTS)
    try:
        await asyncio.sleep(dice.uniform(0.05, KILL_WITHIN_S))
        await kill(made, dice)
        await asyncio.sleep(GO_ON_S)
    finally:
        await load.stop()


async def survived(folder: Path, kind: str, *, seed: int, runs: int) -> Audit:
    """So many kills of everything that can be killed there, each with its audit."""
    make, kills = SITES[kind]
    dice = random.Random(f"{kind} {seed}")
    with make(folder) as made:
        await made.issue_keys()
        audit = Audit(made)
        for run in range(runs):
            load = Load(made.address, made.payers, dice)
            kill = kills[run % len(kills)]
            await crashed(made, load, kill, dice)
            faults = await audit.after(load.calls)
            assert not faults, f"{kind}, seed {seed}, run {run}, {kill.__name__}:\n" + "\n".join(faults[:20])
    return audit


@pytest.mark.parametrize("kind", SITES)
async def test_nothing_is_lost_or_counted_twice_when_processes_are_killed(tmp_path: Path, kind: str) -> None:
    audit = await survived(tmp_path, kind, seed=0, runs={"one worker, SQLite": 4}.get(kind, 3))
    assert audit.tally.acknowledged > 20


@pytest.mark.full
@pytest.mark.parametrize("seed", range(1, 11))
@pytest.mark.parametrize("kind", SITES)
async def test_two_hundred_kills(tmp_path: Path, kind: str, seed: int, evidence: Evidence) -> None:
    runs = {"one worker, SQLite": 6}.get(kind, 7)
    audit = await survived(tmp_path, kind, seed=seed, runs=runs)
    evidence.record(
        f"crashes-{seed}-{kind.replace(' ', '-').replace(',', '')}", title="Kills", figures=audit.tally.figures()
    )
    shutil.rmtree(tmp_path, ignore_errors=True)
