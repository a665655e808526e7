"""Looking at a service of several workers from outside: who answers, who lives, what the log says of them."""

from collections.abc import Iterable
from typing import Any

import orjson
import psutil

from tests.support.process import Serving
from tests.support.rest import ask
from tests.support.waiting import until, until_answered


def log_of(service: Serving) -> list[dict[str, Any]]:
    """The lines of the log so far, without a last one that is still on its way."""
    whole, _, _ = service.child.err.text.rpartition("\n")
    return [orjson.loads(line) for line in whole.splitlines()]


async def said(service: Serving, event: str, *, times: int = 1) -> dict[str, Any]:
    """The last line of an event, once it has been said so often."""

    def lines() -> list[dict[str, Any]]:
        found = [line for line in log_of(service) if line["event"] == event]
        return found if len(found) >= times else []

    return (await until(lines, within_s=20))[-1]


def workers_of(service: Serving) -> dict[int, int]:
    """The process ids of the workers that are ready and live, by their numbers, of a service that serves."""
    service.child.err.until_said('"serving"')  # the banner comes by another stream, and may be read before
    ready = {line["pid"]: line["worker"] for line in log_of(service) if line["event"] == "worker ready"}
    children = psutil.Process(service.pid).children()
    return {ready[one.pid]: one.pid for one in children if one.pid in ready and is_alive(one.pid)}


async def healths(service: Serving, *, workers: int) -> dict[int, Any]:
    """The report of every worker by its number, each asked for on a connection of its own."""
    reports: dict[int, Any] = {}

    async def asked_all() -> bool:
        report = (await ask(service.address, "GET", "/health")).json()
        reports[report.get("worker", 1)] = report
        return len(reports) == workers

    await until_answered(asked_all, within_s=20)
    return reports


async def generations(service: Serving, *, workers: int) -> list[int]:
    """By which settings each of the workers goes."""
    reports = await healths(service, workers=workers)
    return [report["config"]["generation"] for report in reports.values()]


async def gone(pids: Iterable[int], *, within_s: float = 5.0) -> None:
    """Wait until none of these processes lives."""
    await until(lambda: not any(is_alive(pid) for pid in pids), within_s=within_s)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
