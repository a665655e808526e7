"""A provider fails in every way while clients ask at a steady rate: they do not notice, and it is not stormed."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.support.chaos.certificates import Certificates, make_certificates
from tests.support.chaos.faults import FAULTS, Fault, Happening
from tests.support.chaos.house import House, house
from tests.support.chaos.load import Asked, Steady, endings, examples
from tests.support.evidence import Evidence
from tests.support.rest import connected
from tests.support.timed import within
from tests.support.waiting import until

RATE_PER_S = 60
FAULT_S, LONG_FAULT_S = 9.0, 60.0
AT_ONCE = 4
"""So many services suffer at the same time in the long run, each under a load of its own."""
WELL_S = 0.7
RECOVERS_WITHIN_S = 5.0
MOST_ERRORS = 0.001
BROKE_OFF = ("stream_interrupted", "upstream_timeout")
MOST_CALLS = 1.2
LEAST_REQUESTS = 500


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates | None:
    """None where there is no openssl."""
    return make_certificates(tmp_path_factory.mktemp("tls")) if shutil.which("openssl") else None


@dataclass(frozen=True, slots=True)
class Told:
    """What clients and providers saw of a fault."""

    requests: Sequence[Asked]
    """Those that began while it lasted."""
    calls: int
    """Of providers in that time: those that they heard of, or those that were answered or failed, whichever is more."""
    recovered_s: float
    load: Steady

    broken: Sequence[Asked]
    """Streams that the fault ended after content: nobody can hide it."""

    @property
    def errors(self) -> list[Asked]:
        """All others that did not end well."""
        return [one for one in self.load.all if one.ending != "ok" and one not in self.broken]

    @property
    def amplification(self) -> float:
        """Calls of providers per request."""
        return self.calls / len(self.requests)

    def figures(self) -> dict[str, object]:
        took = sorted(one.took_s for one in self.requests)
        return {
            "requests": len(self.requests),
            "errors": dict(endings(self.errors)),
            "streams_that_broke_off": dict(endings(self.broken)),
            "calls_per_request": round(self.amplification, 3),
            "recovered_s": round(self.recovered_s, 2),
            "p50_s": round(took[len(took) // 2], 3),
            "p99_s": round(took[int(len(took) * 0.99)], 3),
            "longest_s": round(took[-1], 3),
        }

    def in_words(self) -> str:
        """For a table."""
        figures = self.figures()
        failed, broken = len(self.errors), len(self.broken)
        return (
            f"{failed} of {len(self.load.all)} requests failed; {figures['calls_per_request']} calls a request; well "
            f"again after {figures['recovered_s']} s; p99 {figures['p99_s']} s; {broken} streams broke off"
        )

    def problems(self) -> list[str]:
        """Which of the promises are not kept."""
        kept = {
            "errors": len(self.errors) <= MOST_ERRORS * len(self.load.all),
            "too few requests": len(self.requests) >= LEAST_REQUESTS,
            "calls per request": self.amplification < MOST_CALLS,
            "recovery": self.recovered_s < RECOVERS_WITHIN_S,
        }
        return [f"{name}: {self.figures()}" for name, is_kept in kept.items() if not is_kept]


async def told_of(made: House, fault: Fault, *, lasts_s: float) -> Told:
    """A steady load with the fault in its middle."""
    loop = asyncio.get_running_loop()
    async with made.load(RATE_PER_S) as load:
        await asyncio.sleep(1.0)
        async with fault.happening(made):
            begun_at, before, failed = loop.time(), await made.calls(), made.failed_attempts()
            await asyncio.sleep(lasts_s)
            ended_at, after, failed = loop.time(), await made.calls(), made.failed_attempts() - failed
        well_at = loop.time()
        await until(lambda: is_well(load, well_at), within_s=2 * RECOVERS_WITHIN_S)
    strangers = [one.begun_at for one in load.between(well_at) if one.provider != "first"]
    requests = load.between(begun_at, ended_at)
    return Told(
        requests=requests,
        calls=max((after - before).total(), failed + sum(one.provider != "" for one in requests)),
        recovered_s=max(strangers, default=well_at) - well_at,  # too long where it never did
        load=load,
        broken=[
            one
            for one in load.all
            if one.ending == "failed" and one.code in BROKE_OFF and (fault.after_content or one.begun_at < begun_at)
        ],
    )


def is_well(load: Steady, well_at: float) -> bool:
    """Whether all that were begun a moment ago have good answers of the first provider."""
    now = asyncio.get_running_loop().time()
    late = load.between(max(well_at, now - 2 * WELL_S), now - WELL_S)
    return len(late) > RATE_PER_S * WELL_S / 2 and all((one.ending, one.provider) == ("ok", "first") for one in late)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if not fault.variant])
async def test_clients_do_not_notice(tmp_path: Path, name: str, certificates: Certificates | None) -> None:
    """By one worker or by two, in turn; all by both, and variants of them, in the full suite."""
    fault, workers = FAULTS[name], 1 + [*FAULTS].index(name) % 2
    if fault.tls and certificates is None:
        pytest.skip("openssl is not installed")
    async with house(tmp_path, workers=workers, certificates=certificates if fault.tls else None) as made:
        told = await told_of(made, fault, lasts_s=FAULT_S)
    print(name, workers, told.figures())
    assert told.problems() == [], examples(told.errors, lambda _: True)
    assert not fault.after_content or told.broken


@pytest.mark.full
@pytest.mark.timeout(2 * len(FAULTS) * 100 // AT_ONCE)
async def test_nor_do_they_over_a_minute_of_any_fault(
    tmp_path: Path, certificates: Certificates | None, evidence: Evidence
) -> None:
    if certificates is None:
        pytest.skip("openssl is not installed")
    figures: dict[str, object] = {"requests_per_s": RATE_PER_S, "fault_lasts_s": LONG_FAULT_S, "at_once": AT_ONCE}
    problems: list[str] = []
    turns = asyncio.Semaphore(AT_ONCE)

    async def suffer(name: str, workers: int) -> None:
        fault = FAULTS[name]
        folder = tmp_path / f"{name} {workers}"
        async with turns, house(folder, workers=workers, certificates=certificates if fault.tls else None) as made:
            told = await told_of(made, fault, lasts_s=LONG_FAULT_S)
        print(name, workers, told.figures())
        figures[f"{name}, {workers} worker{'s' * (workers - 1)}"] = told.in_words()
        problems.extend(f"{name}, {workers}: {problem}" for problem in told.problems())

    await asyncio.gather(*(suffer(name, workers) for workers in (1, 2) for name in FAULTS))
    evidence.record("chaos", title="A provider fails for a minute under a steady load", figures=figures)
    assert problems == []


# -- nobody is left to ask


@asynccontextmanager
async def refusing(made: House) -> AsyncIterator[None]:
    for name in PAIR:
        await made.lines[name].refuse()
    yield
    for name in PAIR:
        await made.lines[name].mend()


@asynccontextmanager
async def failing(made: House) -> AsyncIterator[None]:
    for name in PAIR:
        await made.behave(name, "error-503")
    yield
    await made.behave("first", None)


@asynccontextmanager
async def swallowing(made: House) -> AsyncIterator[None]:
    for name in PAIR:
        await made.lines[name].swallow()
    yield
    for name in PAIR:
        await made.lines[name].mend()


PAIR = ("first", "second")
DEADLINE_S = 2.0
BREAKERS_OPEN_AFTER_S = 3.0
CLEAR = {"upstream_error", "upstream_timeout", "upstream_overloaded", "no_deployment_available", "deadline_exceeded"}


@pytest.mark.timed
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("happening", "workers"), [(refusing, 1), (failing, 2), (swallowing, 2)], ids=["refusing", "failing", "swallowing"]
)
async def test_with_every_provider_down_answers_are_clear_soon_and_cheap(
    tmp_path: Path, happening: Happening, workers: int, evidence: Evidence
) -> None:
    loop = asyncio.get_running_loop()
    async with house(tmp_path, workers=workers) as made:
        load = made.load(RATE_PER_S, "main", timeout_s=DEADLINE_S)
        beside = made.load(10, "spare")
        async with load, beside, live(made) as liveness:
            await asyncio.sleep(1.0)
            async with happening(made):
                begun_at, before, attempts = loop.time(), await made.calls(), made.failed_attempts()
                await asyncio.sleep(BREAKERS_OPEN_AFTER_S)
                settled_bytes = resident_bytes(made)
                await asyncio.sleep(FAULT_S - BREAKERS_OPEN_AFTER_S)
                grown_bytes = resident_bytes(made) - settled_bytes
                ended_at, after, attempts = loop.time(), await made.calls(), made.failed_attempts() - attempts
            well_at = loop.time()
            await until(lambda: is_well(load, well_at), within_s=2 * RECOVERS_WITHIN_S)
    failed = load.between(begun_at, ended_at)
    late = load.between(begun_at + BREAKERS_OPEN_AFTER_S, ended_at)
    unwell = [one.begun_at for one in load.between(well_at) if one.ending != "ok"]
    calls = (after - before)["first"] + (after - before)["second"]
    figures = {
        "requests": len(failed),
        "answers": dict(endings(failed)),
        "calls_per_request": round(max(calls, attempts) / len(failed), 3),
        "longest_s": round(max(one.took_s for one in failed), 3),
        "with_open_breakers_p95_s": round(share_of(0.95, [one.took_s for one in late]), 3),
        "grown_mb": round(grown_bytes / 1e6, 1),
        "recovered_s": round(max(unwell, default=well_at) - well_at, 2),
        "other_provider_p90_s": round(share_of(0.9, [one.took_s for one in beside.all]), 3),
        "liveness_p90_s": round(share_of(0.9, liveness), 3),
    }
    print(happening.__name__, workers, figures)
    assert {one.ending for one in failed} <= {"refused", "failed"}
    assert {one.code for one in failed} <= CLEAR
    assert len(failed) >= LEAST_REQUESTS
    assert figures["calls_per_request"] <= MOST_CALLS
    within(figures["longest_s"], DEADLINE_S + 1.5)
    within(figures["with_open_breakers_p95_s"], 0.25)
    assert grown_bytes < 8_000_000
    within(figures["recovered_s"], RECOVERS_WITHIN_S)
    assert endings(beside.all) == {"ok": len(beside.all)}
    within(figures["other_provider_p90_s"], 0.5)
    within(figures["liveness_p90_s"], 0.25)


@asynccontextmanager
async def live(made: House) -> AsyncIterator[list[float]]:
    """How long liveness takes, again and again."""
    took: list[float] = []

    async def look() -> None:
        async with connected(made.service.address) as connection:
            while True:
                begun_at = time.monotonic()
                assert (await connection.ask("GET", "/health/live")).status == 200
                took.append(time.monotonic() - begun_at)
                await asyncio.sleep(0.1)

    looking = asyncio.create_task(look())
    yield took
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)


def resident_bytes(made: House) -> int:
    """Of all processes of the service."""
    service = psutil.Process(made.service.pid)
    return sum(one.memory_info().rss for one in (service, *service.children()))


def share_of(share: float, values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
