"""Databases and disks that take nothing, clients that leave by the hundred: 200 or 503, and all records in the end."""

import asyncio
import random
import resource
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from llm_service.domain import UsageRecord
from tests.support.crash_audit import Audit, database_of, ref_of, rows_of
from tests.support.crash_load import Call, Load
from tests.support.crash_site import Site, site
from tests.support.evidence import Evidence
from tests.support.postgres import CannotRun, PostgresServer
from tests.support.rest import ask
from tests.support.timed import within
from tests.support.waiting import until, until_answered

CLIENTS = 12
LOCKED_S = 4.0
AWAY_S = 2.5
FULL_BYTES = 4096
ALIVE_WITHIN_S = 3.0  # beside the load, the simulator and other tests on two cores
BACK_WITHIN_S = 5.0
CANCELLED_WITHIN_S = 1.0


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, workers=1) as service:
        yield service


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.create()
    except CannotRun as reason:
        pytest.skip(str(reason))
    yield server
    server.remove()


def a_load(service: Site, **how: float) -> Load:
    """Calls that no limit refuses."""
    rich, _, _, somebody = service.payers
    return Load(service.address, [rich, somebody], random.Random(7), **how)  # type: ignore[arg-type]


async def under_way(load: Load) -> None:
    """The clients ask, and are answered."""
    load.start(clients=CLIENTS)
    await until(lambda: len(load.of("acknowledged")) >= CLIENTS)


async def alive_for(service: Site, seconds: float) -> None:
    """Liveness answers all the while."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        async with asyncio.timeout(ALIVE_WITHIN_S):
            assert (await ask(service.address, "GET", "/health/live")).status == 200
        await asyncio.sleep(0.1)  # ten times a second is often enough


async def answers_again(load: Load) -> None:
    """Calls that begin from now on are answered in full, soon."""
    begun_at = time.time()
    await until(lambda: [call for call in load.of("acknowledged") if call.began_at > begun_at], within_s=BACK_WITHIN_S)


def told(load: Load) -> set[int | str]:
    """The statuses of what was answered, and the codes of what failed on its way."""
    calls = [call for call in load.calls if call.behaviour != "error-503" and call.status]
    return {call.status for call in calls} | {call.code for call in calls if call.code}


# -- databases


async def test_a_database_that_is_locked_for_four_seconds_delays_and_loses_nothing(alone: Site) -> None:
    await alone.issue_keys()
    audit, load = Audit(alone), a_load(alone)
    await under_way(load)
    with closing(sqlite3.connect(alone.data_dir / "llm-service.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await alive_for(alone, LOCKED_S)
        other.execute("ROLLBACK")
    await answers_again(load)
    await load.stop()
    assert told(load) <= {200, 503, "ledger_unavailable"}
    assert await audit.after(load.calls) == []


@pytest.mark.parametrize("how", ["frozen", "killed"])
async def test_without_postgres_there_are_answers_and_503_and_nothing_is_lost(
    tmp_path: Path, postgres: PostgresServer, how: str
) -> None:
    with site(tmp_path, workers=1, postgres=postgres, url=postgres.url()) as service:
        await service.issue_keys()
        audit, load = Audit(service), a_load(service)
        await under_way(load)
        await asyncio.to_thread(postgres.freeze if how == "frozen" else postgres.kill)
        await alive_for(service, AWAY_S)
        await asyncio.to_thread(postgres.thaw if how == "frozen" else postgres.start)
        await answers_again(load)
        await load.stop()
        assert told(load) <= {200, 503, "ledger_unavailable"}
        assert await audit.after(load.calls) == []


# -- the disk


def limit_files(service: Site, most_bytes: int) -> None:
    """No process of the service may write beyond this place in any file: as if the disk were full."""
    assert service.service is not None
    _, hard = resource.prlimit(service.service.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(service.service.pid, resource.RLIMIT_FSIZE, (most_bytes, hard))


async def test_a_full_disk_is_said_and_forgotten_when_there_is_room_again(alone: Site) -> None:
    await alone.issue_keys()
    audit, load = Audit(alone), a_load(alone)
    await under_way(load)
    limit_files(alone, FULL_BYTES)
    await alive_for(alone, 1.0)
    limit_files(alone, resource.RLIM_INFINITY)
    await answers_again(load)
    await load.stop()
    refused = [call for call in load.calls if call.ending in {"refused", "failed"} and call.behaviour != "error-503"]
    assert {call.code for call in refused} == {"ledger_unavailable"}
    assert {call.status for call in refused if not call.stream} == {503}
    assert await audit.after(load.calls) == []


# -- money of many, and of those who leave


async def test_three_hundred_mixed_requests_cost_what_was_served_to_the_nano_dollar(alone: Site) -> None:
    await alone.issue_keys()
    audit, load = Audit(alone), a_load(alone, leaving=0.0, most_calls=300)
    load.start(clients=CLIENTS)
    await load.done()
    assert len(load.of("acknowledged")) > 250
    assert {call.ending for call in load.calls} == {"acknowledged", "failed"}
    assert await audit.after(load.calls) == []


@pytest.mark.timed
async def test_four_hundred_clients_that_leave_cost_what_they_used_and_hold_nothing(
    tmp_path: Path, evidence: Evidence
) -> None:
    with site(tmp_path, workers=2) as service:
        await service.issue_keys()
        audit, first = Audit(service), a_load(service, leaving=1.0, most_calls=60)
        first.start(clients=20)  # with the first estimates each worker loads its vocabularies, and does nothing else
        await first.done()
        await audit.after(first.calls)
        load = a_load(service, leaving=1.0, most_calls=560, streaming=0.8, most_pace_ms=60)
        load.dice.seed(8)
        load.start(clients=40)
        await load.done()
        begun = time.perf_counter()
        # by then the last upstream call must be over: what is not is counted as late
        await asyncio.sleep(max(0.0, CANCELLED_WITHIN_S - (time.time() - max(call.ended_at for call in load.calls))))
        served = await service.served()
        begun_upstream = {ref_of(entry) for entry in served}
        left = {call.ref: call for call in load.of("left") if call.ref in begun_upstream}

        async def all_have_records() -> bool:
            async with database_of(service) as database:
                rows[:] = [row.record for row in await rows_of(database) if row.record.tags.get("ref") in left]
                return len(rows) == len(left)

        rows: list[UsageRecord] = []
        await until_answered(all_have_records, within_s=5)
        took_s = time.perf_counter() - begun
        late = cancelled_late(served, left)
        faults = await audit.after(load.calls)
    figures = {
        "left": len(left),
        "upstream_cancelled_after_ms": round(late * 1000),
        "records_after_s": round(took_s, 2),
    }
    evidence.record("hang-ups", title="Clients that leave", figures=figures)
    print(figures)
    aborted = [record for record in rows if record.status == "aborted"]
    read_some = {ref for ref, call in left.items() if call.body}
    within(400 / len(left), 1.001)  # where there is no core to have, many leave before their upstream is called
    assert all(record.input_tokens > 0 for record in aborted)
    assert all(record.output_tokens > 0 for record in aborted if record.tags["ref"] in read_some)
    assert [entry for entry in served if entry["state"] == "open"] == []
    within(late, CANCELLED_WITHIN_S)
    assert faults == []


def cancelled_late(served: list[dict[str, object]], left: dict[str, Call]) -> float:
    """Seconds from a client's leaving to the end of its upstream, at most."""
    late = 0.0
    for entry in served:
        call = left.get(ref_of(entry))
        if call is not None and isinstance(entry["ended_at"], float):
            late = max(late, entry["ended_at"] - call.ended_at)
    return late
