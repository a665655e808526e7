"""What is PostgreSQL's alone: a server that is away, silent, restarted; its words at the start."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest

from llm_service.domain import Secret
from llm_service.storage import Database, DatabaseError, StoreUnavailable, UsageFilter, open_database
from llm_service.storage.sql import postgres_open
from llm_service.storage.sql.base import Session
from llm_service.storage.sql.database import SqlDatabase
from tests.conformance.storage.conftest import Place
from tests.support.postgres import PASSWORD, USER, PostgresServer
from tests.support.records import key, row, rows, secret
from tests.support.timed import within
from tests.support.waiting import loop_turns

Run = Callable[[Callable[[Session], Awaitable[None]]], Awaitable[None]]
"""Does work in a transaction: a driver's ``read``, or its ``write``."""


@pytest.fixture
def engine() -> str:
    return "postgres"


@contextmanager
def frozen(server: PostgresServer) -> Iterator[None]:
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


async def test_a_silent_server_costs_a_look_up_a_second_and_other_work_five(
    database: Database, postgres_server: PostgresServer
) -> None:
    await database.keys.insert(key(), secret())

    async def seconds(call: object) -> float:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="did not answer in time"):
            await call
        return time.monotonic() - began

    with frozen(postgres_server):
        calls = (database.keys.find("p"), database.ping(), database.ledger.append(rows(1)), database.facts.get("a"))
        took = await asyncio.gather(*map(seconds, calls))
    assert [round(each) for each in took] == [1, 1, 5, 5]
    assert await database.keys.find(secret().prefix) == (key(), secret())
    assert list(await database.ledger.append(rows(1))) == [1]


@pytest.mark.timed
async def test_a_silent_server_with_every_connection_in_use_keeps_nobody_longer(
    database: Database, postgres_server: PostgresServer
) -> None:
    await database.ping()
    with frozen(postgres_server):
        began = time.monotonic()
        calls = (database.keys.find("p") for _ in range(100))
        results = await asyncio.gather(*calls, return_exceptions=True)
        within(time.monotonic() - began, 2)
    assert {type(result) for result in results} == {StoreUnavailable}
    assert await database.keys.find("p") is None


async def test_the_database_is_reached_again_after_the_server_died(
    database: Database, postgres_server: PostgresServer
) -> None:
    await database.ledger.append(rows(2))
    postgres_server.kill()
    for call in (database.ping(), database.ledger.append(rows(3)), database.keys.find("p")):
        with pytest.raises(StoreUnavailable):
            await call
    postgres_server.start()
    assert list(await database.ledger.append(rows(3))) == [1, 2, 3]


async def test_connections_that_the_server_has_cut_are_replaced_unnoticed(
    database: Database, postgres_server: PostgresServer
) -> None:
    await asyncio.gather(*(database.facts.get("a") for _ in range(8)))
    await postgres_server.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'llm-service'"
    )
    assert await asyncio.gather(*(database.facts.get("a") for _ in range(20))) == [None] * 20


async def test_who_stops_waiting_leaves_no_transaction_open(
    database: Database, postgres_server: PostgresServer
) -> None:
    appending = [asyncio.create_task(database.ledger.append(rows(50, writer=f"w{n}"))) for n in range(8)]
    await loop_turns(20)
    for task in appending:
        task.cancel()
    await asyncio.gather(*appending, return_exceptions=True)
    async with asyncio.timeout(5):
        await database.ledger.append(rows(1))
    (left,) = await postgres_server.run(
        "SELECT count(*) AS open FROM pg_stat_activity "
        "WHERE application_name = 'llm-service' AND state LIKE 'idle in transaction%'"
    )
    assert left["open"] == 0


async def test_a_lock_whose_holder_went_silent_is_let_go_by_the_server(place: Place) -> None:
    silent, other = await place.open(), await place.open()
    assert isinstance(silent, SqlDatabase)
    held, going_on = asyncio.Event(), asyncio.Event()

    async def hold(session: Session) -> None:
        await session.rows("UPDATE marks SET newest = 0 WHERE name = 'ledger'")
        held.set()
        await going_on.wait()

    holding = asyncio.create_task(silent._driver.write(hold, timeout_s=60))
    await held.wait()
    with suppress(StoreUnavailable):  # both wait five seconds: this one may be a little too early
        await other.ledger.append(rows(1))
    assert list(await other.ledger.append(rows(1))) == [1]
    going_on.set()
    with pytest.raises(StoreUnavailable):
        await holding


@asynccontextmanager
async def a_transaction(run: Run, statement: str) -> AsyncIterator[None]:
    """One that has done this goes on until the block ends."""
    held, going_on = asyncio.Event(), asyncio.Event()

    async def work(session: Session) -> None:
        await session.rows(statement)
        held.set()
        await going_on.wait()

    running = asyncio.ensure_future(run(work))
    await held.wait()
    try:
        yield
    finally:
        going_on.set()
        await running


async def test_an_idempotency_key_that_is_begun_anew_is_not_removed(place: Place) -> None:
    """Whoever removes waits for whoever begins, and looks again."""
    beginning, removing = await place.open(), await place.open()
    assert isinstance(beginning, SqlDatabase)
    assert isinstance(removing, SqlDatabase)
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    held_by = {"fingerprint": b"f", "request_id": "a", "holder": "host-a"}
    await beginning.replays.begin("key:1", "k", **held_by, now=noon, expires_at=noon)
    async with a_transaction(beginning._driver.write, "UPDATE replays SET expires_at = expires_at + 1"):
        removal = asyncio.create_task(removing.replays.remove_expired(noon, 10))
        waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        while not await removing._driver.rows(waits):
            assert not removal.done()
    assert await removal == 0
    assert await removing.replays.remove_expired(noon + timedelta(seconds=1), 10) == 1


async def test_removing_hours_does_not_walk_over_those_that_were_removed_before(place: Place) -> None:
    """What a snapshot still sees stays in the index: a backup has one for as long as it takes."""
    seeing = await place.open()
    removing = await open_database(Secret(place.url or ""), data_dir=place.folder, connections=1)
    place.opened.append(removing)
    assert isinstance(seeing, SqlDatabase)
    assert isinstance(removing, SqlDatabase)
    began = datetime(2026, 11, 1, tzinfo=UTC)
    hours = 48
    await seeing.ledger.append([row(f"r{hour}", seq=hour, at=began + timedelta(hours=hour)) for hour in range(hours)])
    async with a_transaction(seeing._driver.read, "SELECT * FROM spendings"):
        removed = await removing.ledger.remove_hours(before=began + timedelta(hours=hours))
        await removing._driver.rows("SELECT pg_stat_force_next_flush()")
        (told,) = await removing._driver.rows(
            "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'spendings_pkey'"
        )
    assert removed == hours * (1 + 4)  # of the sums, and for everybody, key, model and provider
    assert told["idx_tup_read"] < 2 * 4 * hours


async def test_no_more_connections_than_configured(place: Place, postgres_server: PostgresServer) -> None:
    database = await open_database(Secret(place.url or ""), data_dir=place.folder, connections=2)
    place.opened.append(database)
    await asyncio.gather(*(database.facts.get("a") for _ in range(50)))
    (found,) = await postgres_server.run(
        f"SELECT count(*) AS open FROM pg_stat_activity WHERE datname = '{(place.url or '').rpartition('/')[2]}'"
    )
    assert found["open"] <= 2


async def test_a_user_is_replaced_by_another_one_of_the_same_owner(
    place: Place, postgres_server: PostgresServer
) -> None:
    """As docs/operations/rotation.md has it: two users by turns, the tables a third one's, who cannot log in."""
    url = place.url or ""
    name = url.rpartition("/")[2]
    await postgres_server.run("CREATE ROLE llm_owner NOLOGIN")
    await postgres_server.run(f"ALTER DATABASE {name} OWNER TO llm_owner")
    users = [f"{user}_{name}" for user in ("even", "odd")]
    for user in users:
        await postgres_server.run(f"CREATE ROLE {user} LOGIN PASSWORD '{user}' IN ROLE llm_owner")
        await postgres_server.run(f"ALTER ROLE {user} SET role = llm_owner")
    opened = [await Place(url.replace(f"{USER}:{PASSWORD}", f"{user}:{user}"), place.folder).open() for user in users]
    place.opened.extend(opened)
    first, second = opened
    await first.ledger.append(rows(2))
    await postgres_server.run(f"ALTER ROLE {users[0]} NOLOGIN")
    await first.ledger.append(rows(3))  # by a connection that is open
    await second.ledger.append(rows(4))
    assert len(await second.ledger.page(UsageFilter(), after=None, count=9)) == 4
    with pytest.raises(DatabaseError, match="its user or password is wrong"):
        await Place(url.replace(f"{USER}:{PASSWORD}", f"{users[0]}:{users[0]}"), place.folder).open()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def told(url: str, place: Place) -> str:
    with pytest.raises(DatabaseError) as caught:
        await open_database(Secret(url), data_dir=place.folder)
    assert PASSWORD not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    return str(caught.value)


async def test_what_is_wrong_at_the_start_is_said(place: Place, postgres_server: PostgresServer) -> None:
    server = postgres_server
    assert "user or password is wrong" in await told(server.url(password="hunter2"), place)
    assert "no database of that name" in await told(server.url("nowhere"), place)
    away = f"postgresql://me:hunter2@127.0.0.1:{free_port()}/x"
    assert "cannot be reached" in await told(away, place)
    assert "must look like" in await told("postgresql://me:hunter2@127.0.0.1:port/x", place)


async def test_a_user_who_may_not_create_tables_is_told(place: Place, postgres_server: PostgresServer) -> None:
    name = (place.url or "").rpartition("/")[2]
    await postgres_server.run(f"CREATE ROLE poor_{name} LOGIN PASSWORD 'hunter2'")
    poor = f"postgresql://poor_{name}:hunter2@127.0.0.1:{postgres_server.port}/{name}"
    assert "grant it CREATE" in await told(poor, place)


async def test_a_silent_server_is_told_at_the_start(
    place: Place, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_open, "WORK_S", 0.2)
    with frozen(postgres_server):
        assert "no answer in time" in await told(place.url or "", place)
