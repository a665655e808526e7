"""Everything at once for half an hour: nothing is lost, no limit is wrong, memory stays, hardly anybody notices."""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from bench.measuring.timelines import Mark

from tests.support.evidence import Evidence
from tests.support.postgres import PostgresServer
from tests.support.soak.audit import (
    at_once_faults,
    budget_faults,
    lost_or_wrong,
    minute_faults,
    records,
    still_held,
)
from tests.support.soak.incidents import LONG, SHORT, STEADY_FROM, Incident, happen, of
from tests.support.soak.load import Load, Sent, as_ours
from tests.support.soak.outcome import ABOUT, Outcome
from tests.support.soak.site import Site, site
from tests.support.soak.watch import Watch
from tests.support.valkey import Server

LONG_S = float(os.environ.get("LLM_SERVICE_TEST_SOAK_S", "1800"))
LONG_RATE_PER_S = float(os.environ.get("LLM_SERVICE_TEST_SOAK_RATE", "40"))
SHORT_S, SHORT_RATE_PER_S = 12.0, 10.0
REQUEST_USD = 0.00018
"""Of one that spends; so many a second that half of the time uses the budget up."""


async def soaked(made: Site, incidents: Sequence[Incident], *, seconds: float, rate_per_s: float) -> Outcome:
    """Load, incidents and watching for so long, and the audit of it."""
    budget_usd = f"{seconds / 2 * REQUEST_USD:.6f}"
    await made.issue_keys(budget_usd=budget_usd)
    loop = asyncio.get_running_loop()
    began_at, began_unix = loop.time(), time.time()
    load, watch = Load(made, rate_per_s), Watch(made, every_s=max(0.5, seconds / 900))
    async with watch.looking():
        async with load.running():
            marks = await happen(made, incidents, whole_s=seconds, lasts_s=max(1.0, seconds / 40))
        seconds = loop.time() - began_at
    made.log.read()

    sent, away = load.all, of(marks, incidents, "limits")
    held = await still_held(made)
    of_ref, faults = await records(made, sent)
    faults += lost_or_wrong(sent, of_ref)
    of_sort = {sort: [row for one in sent if one.sort == sort for row in of_ref.get(one.ref, ())] for sort in made.keys}
    in_minute, most_in_minute = minute_faults([one for one in sent if one.sort == "minute"], away)
    unix_away = [(begin - began_at + began_unix, end - began_at + began_unix) for begin, end in away]
    at_once, most_at_once = at_once_faults(of_sort["at once"], unix_away)
    overspent, _ = await budget_faults(made, of_sort["poor"], budget_usd=budget_usd)

    def since(one: Sent) -> Sent:
        return replace(one, begun_at=one.begun_at - began_at, ended_at=one.ended_at - began_at)

    return Outcome(
        seconds=seconds,
        steady_from_s=seconds * STEADY_FROM,
        rate_per_s=rate_per_s,
        sent=[*map(since, sent)],
        ours=[*map(since, as_ours(sent, of(marks, incidents, "provider")))],
        account=load.account,
        marks=[Mark(one.name, one.begin - began_at, one.end - began_at) for one in marks],
        samples=[one._replace(at=one.at - began_at) for one in watch.samples],
        whole_bytes=[(at - began_at, size) for at, size in watch.whole_bytes],
        readiness=watch.readiness,
        records=sum(map(len, of_ref.values())),
        lost_or_wrong=faults,
        wrong_limits=[*in_minute, *at_once, *overspent, *watch.overspent, *held],
        most_in_a_minute=most_in_minute,
        most_at_once=most_at_once,
        log_lines=made.log.lines,
        log_bytes=made.log.bytes,
    )


@pytest.mark.timeout(240)
async def test_nothing_is_lost_and_no_limit_is_wrong(
    tmp_path: Path, valkey: Server, postgres_server: PostgresServer
) -> None:
    async with site(tmp_path, valkey=valkey, postgres=postgres_server) as made:
        outcome = await soaked(made, SHORT, seconds=SHORT_S, rate_per_s=SHORT_RATE_PER_S)
    print(outcome.figures())
    assert outcome.problems() == []
    assert [one for one in outcome.sent if one.ending in ("wrong", "open")] == []


@pytest.mark.full
@pytest.mark.timeout(LONG_S + 300)
async def test_nor_in_half_an_hour_of_everything_at_once(
    tmp_path: Path, valkey: Server, postgres_server: PostgresServer, evidence: Evidence
) -> None:
    async with site(tmp_path, valkey=valkey, postgres=postgres_server) as made:
        outcome = await soaked(made, LONG, seconds=LONG_S, rate_per_s=LONG_RATE_PER_S)
    figures = outcome.figures()
    print(*(f"{name}: {value}" for name, value in figures.items()), sep="\n")
    print(*outcome.ours[:50], sep="\n")
    title, plots = "Half an hour of everything at once", {"soak": outcome.plot()}
    evidence.record("soak", title=title, figures=figures, about=ABOUT, plots=plots)
    assert outcome.problems() == []
    assert outcome.long_problems() == []
