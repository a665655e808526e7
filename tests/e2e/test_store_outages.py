"""The shared store goes wrong under load, in every way: no request fails for it, and limits come back exact."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.deployment import (
    Deployment,
    Load,
    body,
    codes,
    machines,
    percentile,
    served_by,
)
from tests.support.evidence import Evidence
from tests.support.postgres import PostgresServer
from tests.support.process import Serving
from tests.support.valkey import Server, SlowLine
from tests.support.waiting import until_answered
from tests.support.workers import log_of

CLIENTS = 16
ALONE, SHARED = "limits are kept by this process alone", "limits are shared again"
BACK_WITHIN_S = 2.0
BUDGET_USD = "50"
LIMIT = 10
MODELS = {name: served_by("tokens-20+pace-0ms") for name in ("free", "scarce", "paid")}


@dataclass(frozen=True, kw_only=True)
class Outage:
    """What is done to the server, what undoes it, and for how long it is so."""

    begin: Callable[[Server, SlowLine], Any]
    end: Callable[[Server, SlowLine], Any]
    lasts_s: float = 1.5


def slow(_: Server, line: SlowLine) -> None:
    line.delay_s = 0.3


def fast(_: Server, line: SlowLine) -> None:
    line.delay_s = 0.0


def nothing(_: Server, __: SlowLine) -> None:
    """It is over by itself."""


OUTAGES = {
    "killed": Outage(begin=lambda server, _: server.kill(), end=lambda server, _: server.restart()),
    "frozen": Outage(begin=lambda server, _: server.freeze(), end=lambda server, _: server.thaw(), lasts_s=3.0),
    "full": Outage(begin=lambda server, _: server.fill(), end=lambda server, _: server.set("maxmemory", "0")),
    "read-only": Outage(
        begin=lambda server, _: server.make_read_only(), end=lambda server, _: server.set("min-replicas-to-write", "0")
    ),
    "slow": Outage(begin=slow, end=fast),
    "flushed": Outage(begin=lambda server, _: server.flush(), end=nothing, lasts_s=0.2),
    "restarted empty": Outage(begin=lambda server, _: server.restart(), end=nothing, lasts_s=0.2),
}
FORGETS = {"killed", "flushed", "restarted empty"}


@pytest.fixture
async def line(valkey: Server) -> AsyncIterator[SlowLine]:
    """The way of the services to the server."""
    async with SlowLine(valkey.port) as line:
        yield line
    valkey.restore()


@pytest.fixture
async def start(
    tmp_path: Path, line: SlowLine, postgres_server: PostgresServer
) -> Callable[[], Awaitable[AsyncIterator[Deployment]]]:
    """Two machines on one store and one database."""

    @asynccontextmanager
    async def started(**limits: Any) -> AsyncIterator[Deployment]:
        url = await postgres_server.new_database()
        settings = {"models": MODELS, "limits": limits}
        # In a thread: the line to the store is in this one's event loop, and the services look for the store at once.
        opening = machines(tmp_path, store_url=line.url, database_url=url, **settings)
        deployment = await asyncio.to_thread(opening.__enter__)
        try:
            yield deployment
        finally:
            await asyncio.to_thread(opening.__exit__, None, None, None)

    return started


PAID = {"global": {"budget_usd": BUDGET_USD, "budget_period": "total", "requests_per_minute": 10**6}}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", OUTAGES)
async def test_no_request_fails_for_it_and_the_budget_is_right_afterwards(
    start: Any, valkey: Server, line: SlowLine, how: str, evidence: Evidence
) -> None:
    outage = OUTAGES[how]
    async with start(**PAID) as deployment:
        async with Load(deployment.addresses, body("paid", max_tokens=100), clients=CLIENTS) as load:
            await load.lasting(0.7)
            begun_at = time.monotonic()
            await asyncio.to_thread(outage.begin, valkey, line)
            await load.lasting(outage.lasts_s)
            await asyncio.to_thread(outage.end, valkey, line)
            ended_at = time.monotonic()
            await shared_again(deployment)
            back_s = time.monotonic() - ended_at
            await load.lasting(0.7)
        meanwhile = [one.took_s for one in load.answers if one.ended_at >= begun_at]
        assert codes(load.answers) == {"200": len(load.answers)}
        _, nano_usd = await deployment.sums(requests=len(load.answers))
        budget = deployment.limit("money")
        await deployment.settled(budget, nano_usd=nano_usd)
    p99_s = percentile(meanwhile, 0.99)
    print({"how": how, "requests": len(load.answers), "p99_s": p99_s, "back_s": back_s})
    assert p99_s < 0.5
    assert back_s < BACK_WITHIN_S


async def shared_again(deployment: Deployment, *, within_s: float = 10) -> None:
    """Wait until no process keeps the limits by itself any more, by what the logs say."""

    async def all_are() -> bool:
        return all(standing_alone(service) is False for service in deployment.services)

    await until_answered(all_are, within_s=within_s)


def standing_alone(service: Serving) -> bool:
    said = [line["event"] for line in log_of(service) if line["event"] in (ALONE, SHARED)]
    return said[-1:] == [ALONE]
