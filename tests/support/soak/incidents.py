"""What goes wrong during the soak, and when."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Literal

from bench.measuring.timelines import Mark

from tests.support.chaos.faults import FAULTS
from tests.support.soak.site import Site

AWAY_S: Final = 3.0
STILL_BLAMED_S: Final = 2.0
"""So long after a provider's fault an error may be of it: requests that it met are answered by then."""


@dataclass(frozen=True, kw_only=True)
class Incident:
    """``at``: after which part of the whole time. ``act`` makes it happen, and returns when it is over."""

    name: str
    at: float
    act: Callable[[Site, float], Awaitable[None]]
    hits: Literal["provider", "limits", "workers", "records"]


def provider(fault: str) -> Callable[[Site, float], Awaitable[None]]:
    """The first provider fails so for as long as is given."""

    async def act(site: Site, lasts_s: float) -> None:
        happening: AbstractAsyncContextManager[None] = FAULTS[fault].happening(site.house)
        async with happening:
            await asyncio.sleep(lasts_s)

    return act


async def valkey_restarts(site: Site, _: float) -> None:
    """kill -9, and after a while an empty one."""
    site.valkey.kill()
    await asyncio.sleep(AWAY_S)
    await asyncio.to_thread(site.valkey.start)


async def postgres_restarts(site: Site, _: float) -> None:
    site.postgres.kill()
    await asyncio.sleep(AWAY_S)
    await asyncio.to_thread(site.postgres.start)


async def postgres_freezes(site: Site, _: float) -> None:
    site.postgres.freeze()
    await asyncio.sleep(AWAY_S)
    site.postgres.thaw()


async def worker_dies(site: Site, _: float) -> None:
    await site.kill_worker()


async def workers_are_renewed(site: Site, _: float) -> None:
    await site.renew_workers()


LONG: Final[Sequence[Incident]] = (
    Incident(name="worker killed", at=0.03, act=worker_dies, hits="workers"),
    Incident(name="rolling restart", at=0.06, act=workers_are_renewed, hits="workers"),
    Incident(name="one of ten calls fails", at=0.10, act=provider("failing one in ten"), hits="provider"),
    Incident(name="provider down", at=0.15, act=provider("down"), hits="provider"),
    Incident(name="Valkey killed, back empty", at=0.20, act=valkey_restarts, hits="limits"),
    Incident(name="PostgreSQL killed", at=0.25, act=postgres_restarts, hits="records"),
    Incident(name="streams cut after content", at=0.29, act=provider("cutting after content"), hits="provider"),
    Incident(name="provider limits us", at=0.34, act=provider("limiting"), hits="provider"),
    Incident(name="PostgreSQL frozen", at=0.39, act=postgres_freezes, hits="records"),
    Incident(name="one of ten calls fails", at=0.48, act=provider("failing one in ten"), hits="provider"),
    Incident(name="provider limits us", at=0.53, act=provider("limiting"), hits="provider"),
    Incident(name="provider down", at=0.61, act=provider("down"), hits="provider"),
    Incident(name="Valkey killed, back empty", at=0.71, act=valkey_restarts, hits="limits"),
    Incident(name="PostgreSQL killed", at=0.76, act=postgres_restarts, hits="records"),
    Incident(name="PostgreSQL frozen", at=0.81, act=postgres_freezes, hits="records"),
    Incident(name="streams cut after content", at=0.88, act=provider("cutting after content"), hits="provider"),
)
STEADY_FROM: Final = 0.45
"""From then on the workers are the same, are warm, and have met each sort of outage once: memory is looked at,
and each comes again."""
SHORT: Final[Sequence[Incident]] = (
    Incident(name="provider down", at=0.1, act=provider("down"), hits="provider"),
    Incident(name="worker killed", at=0.25, act=worker_dies, hits="workers"),
    Incident(name="Valkey killed, back empty", at=0.45, act=valkey_restarts, hits="limits"),
    Incident(name="rolling restart", at=0.7, act=workers_are_renewed, hits="workers"),
)


async def happen(site: Site, incidents: Sequence[Incident], *, whole_s: float, lasts_s: float) -> list[Mark]:
    """All of them in their time; when each began and ended, in seconds of the event loop."""
    loop = asyncio.get_running_loop()
    began_at, marks = loop.time(), []
    for incident in incidents:
        await asyncio.sleep(max(0.0, began_at + incident.at * whole_s - loop.time()))
        begin = loop.time()
        await incident.act(site, lasts_s)
        marks.append(Mark(incident.name, begin, loop.time()))
    await asyncio.sleep(max(0.0, began_at + whole_s - loop.time()))
    return marks


def of(marks: Sequence[Mark], incidents: Sequence[Incident], hits: str) -> list[tuple[float, float]]:
    """When those were that hit this."""
    return [
        (mark.begin, mark.end + STILL_BLAMED_S)
        for mark, incident in zip(marks, incidents, strict=True)
        if incident.hits == hits
    ]
