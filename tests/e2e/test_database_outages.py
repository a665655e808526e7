"""The database goes away under load: requests go on, known keys work, and no record is lost."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.deployment import (
    Deployment,
    Load,
    body,
    codes,
    flood,
    lasting,
    machines,
    new_key,
    one_service,
    served_by,
)
from tests.support.postgres import PostgresServer
from tests.support.rest import ask
from tests.support.timed import within
from tests.support.valkey import Server
from tests.support.waiting import until_answered

CLIENTS = 12
BACK_WITHIN_S = 5.0
MODELS = {"quick": served_by("tokens-5+pace-0ms")}
AMPLE = {"global": {"budget_usd": "1000", "budget_period": "total", "requests_per_minute": 10**6}}


@pytest.fixture
async def deployment(tmp_path: Path, valkey: Server, postgres_server: PostgresServer) -> AsyncIterator[Deployment]:
    """Two machines on one PostgreSQL, which is there again afterwards."""
    url = await postgres_server.new_database()
    with machines(tmp_path, store_url=valkey.url, database_url=url, models=MODELS, limits=AMPLE) as made:
        yield made


OUTAGES = {
    "killed": (PostgresServer.kill, PostgresServer.start),
    "frozen": (PostgresServer.freeze, PostgresServer.thaw),
}


@pytest.mark.timed
@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", OUTAGES)
async def test_requests_go_on_with_known_keys_and_nothing_is_lost(
    deployment: Deployment, postgres_server: PostgresServer, how: str
) -> None:
    begin, end = OUTAGES[how]
    (_, known), (_, unknown) = [await new_key(deployment.addresses[0]) for _ in range(2)]
    meanwhile: list[int] = []
    async with Load(deployment.addresses, body("quick", max_tokens=50), clients=CLIENTS, key=known) as load:
        await lasting(1)
        begun_at = time.monotonic()
        await asyncio.to_thread(begin, postgres_server)
        while time.monotonic() < begun_at + 2.5:
            (one,) = await flood(deployment.addresses[:1], [body("quick")], key=unknown)
            meanwhile.append(one.status)
            health = await ask(deployment.addresses[0], "GET", "/health/live")
            assert health.status == 200
        await asyncio.to_thread(end, postgres_server)
        back_s = await back_after(deployment, unknown)
        await lasting(0.5)
    print({"how": how, "requests": len(load.answers), "back_s": back_s, "unknown": len(meanwhile)})
    assert codes(load.answers) == {"200": len(load.answers)}
    assert set(meanwhile) == {503}
    within(back_s, BACK_WITHIN_S)
    _, nano_usd = await deployment.sums(requests=len(load.answers) + 1)
    await deployment.settled(deployment.limit("money"), nano_usd=nano_usd)


async def back_after(deployment: Deployment, key: str) -> float:
    """Seconds until an unknown key is looked up again; that one request is served."""
    begun_at = time.monotonic()

    async def served() -> bool:
        (one,) = await flood(deployment.addresses[:1], [body("quick")], key=key)
        return one.status == 200

    await until_answered(served, within_s=20)
    return time.monotonic() - begun_at


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process's write lock on a SQLite database, as far as SQLite can tell."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.timeout(120)
async def test_a_write_lock_of_another_process_loses_nothing(tmp_path: Path) -> None:
    with one_service(tmp_path, models=MODELS, limits=AMPLE) as deployment:
        async with Load(deployment.addresses, body("quick", max_tokens=50), clients=CLIENTS) as load:
            await lasting(0.5)
            with locked(tmp_path / "data0" / "llm-service.db"):
                await lasting(4)
            await lasting(0.5)
        assert codes(load.answers) == {"200": len(load.answers)}
        _, nano_usd = await deployment.sums(requests=len(load.answers))
        await deployment.settled(deployment.limit("money"), nano_usd=nano_usd)
