"""Afterwards: what clients were told beside what the ledger holds, and whether limits were what they say."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal

from llm_service.domain import Secret, nano_usd
from llm_service.ledger import verify
from llm_service.storage import LedgerRow, open_database
from tests.support.crash_audit import rows_of
from tests.support.crash_site import held_in
from tests.support.soak.load import Sent
from tests.support.soak.site import AT_ONCE, REQUESTS_PER_MINUTE, WORKERS, Site
from tests.support.waiting import until_answered

SETTLED_WITHIN_S = 60.0
"""What a killed worker left is taken over within seconds, where there is a core for it."""
MINUTE_S = 60.0
BUCKET_S = 1.0
"""Windows slide in such steps, so that a request counts for up to so much longer."""

Rows = Mapping[str, Sequence[LedgerRow]]


async def records(site: Site, sent: Sequence[Sent]) -> tuple[Rows, list[str]]:
    """All records by the request that they are of, once those are there that must be; what is wrong with the chains."""
    acknowledged = {one.ref for one in sent if one.ending == "ok"}
    database = await open_database(Secret(site.database_url), data_dir=site.house.folder / "audit", connections=1)
    of_ref: dict[str, list[LedgerRow]] = defaultdict(list)
    try:

        async def arrived() -> bool:
            of_ref.clear()
            for row in await rows_of(database):
                of_ref[row.record.tags.get("ref", row.record.request_id)].append(row)
            return acknowledged <= of_ref.keys()

        with suppress(TimeoutError):  # what is missing is told one by one
            await until_answered(arrived, within_s=SETTLED_WITHIN_S)
        faults = [f"chain of {fault.writer}: {fault.text}" for fault in (await verify(database.ledger)).faults]
        return of_ref, [*faults, *await database.check()]
    finally:
        await database.aclose()


def lost_or_wrong(sent: Sequence[Sent], of_ref: Rows) -> list[str]:
    """What the ledger has otherwise than the clients: nothing, where no record is lost, doubled or wrong."""
    known = {one.ref for one in sent}
    faults = [f"{ref}: {len(rows)} records" for ref, rows in of_ref.items() if len(rows) > 1]
    faults += [f"{ref}: a record of a request that nobody made" for ref in of_ref.keys() - known]
    for one in sent:
        rows = of_ref.get(one.ref, ())
        if one.ending == "ok":
            faults += [f"{one.ref} ({one.sort}, {one.door}): {fault}" for fault in of_acknowledged(one, rows)]
        elif one.ending == "limited" and rows:
            faults.append(f"{one.ref}: refused by a limit, and there is a record of it")
    return faults


def of_acknowledged(one: Sent, rows: Sequence[LedgerRow]) -> list[str]:
    if not rows:
        return ["acknowledged, and there is no record"]
    record = rows[0].record
    told = (one.cache, None if one.cost_usd is None else nano_usd(Decimal(one.cost_usd)))
    kept = (record.cache, record.nano_usd)
    if record.status != "ok":
        return [f"acknowledged, and its record says {record.status}"]
    return [] if told == kept else [f"the client was told {told}, the record has {kept}"]


# -- limits


def minute_faults(sent: Sequence[Sent], alone: Sequence[tuple[float, float]]) -> tuple[list[str], int]:
    """Windows that let too many pass, refusals that had no need to be; the most that surely passed in a minute.

    A request that was answered surely counts in a window that holds its beginning and its end, and any that was not
    refused may count in one that it touches: who was cut off may have been cut off before or after it was let pass.
    ``alone``: when workers counted by themselves. From then until a minute after their store's return each of them
    may let as many pass as the limit says, and the empty store so many once more.
    """
    in_order = sorted(sent, key=lambda one: one.begun_at)
    answered = [one for one in in_order if one.ending in ("ok", "wrong", "of provider")]
    passed = [one for one in in_order if one.ending != "limited"]
    faults, most = [], 0
    for first, one in enumerate(answered):
        ends_at = one.begun_at + MINUTE_S
        surely = sum(other.ended_at < ends_at for other in begun_before(answered, first, ends_at))
        most = max(most, surely)
        allowed = REQUESTS_PER_MINUTE * ((WORKERS + 1) if touches(one.begun_at, ends_at, alone) else 1)
        if surely > allowed:
            faults.append(f"{surely} requests passed in the minute from {one.ref} on, {allowed} may")
    for one in sent:
        if one.ending == "limited" and not touches(one.begun_at, one.ended_at, alone):
            begin = one.begun_at - MINUTE_S - BUCKET_S
            perhaps = sum(begin <= other.ended_at and other.begun_at <= one.ended_at for other in passed)
            if perhaps < REQUESTS_PER_MINUTE:
                faults.append(f"{one.ref} was refused when at most {perhaps} had passed")
    return faults, most


def begun_before(passed: Sequence[Sent], first: int, ends_at: float) -> list[Sent]:
    found = []
    for one in passed[first:]:
        if one.begun_at >= ends_at:
            break
        found.append(one)
    return found


def touches(begin: float, end: float, spans: Sequence[tuple[float, float]]) -> bool:
    """Whether it was, or had been within a minute, one of these times."""
    return any(begin <= span_end + MINUTE_S + BUCKET_S and span_begin <= end for span_begin, span_end in spans)


def at_once_faults(rows: Sequence[LedgerRow], away: Sequence[tuple[float, float]]) -> tuple[list[str], int]:
    """The most that surely ran at once by the service's own clock: from their first content to the end of their record.

    ``away``: Unix seconds in which each worker counted by itself.
    """
    changes = []
    for row in rows:
        record = row.record
        if record.status != "ok" or record.first_chunk_ms is None or record.duration_ms is None:
            continue
        at = record.at.timestamp()
        begin, end = at + record.first_chunk_ms / 1000, at + record.duration_ms / 1000
        allowed = AT_ONCE * (WORKERS if any(begin <= last and first <= end for first, last in away) else 1)
        changes += [(begin, 1, allowed), (end, -1, allowed)]
    running = most = 0
    faults = []
    for _, change, allowed in sorted(changes):
        running += change
        most = max(most, running)
        if running > allowed:
            faults.append(f"{running} ran at once, {allowed} may")
    return faults, most


async def budget_faults(site: Site, rows: Sequence[LedgerRow], *, budget_usd: str) -> tuple[list[str], int]:
    """The budget at the end: nothing is reserved, what counts as used is what the records add up to, and it is kept."""
    spent = sum(row.record.nano_usd for row in rows)
    stands: tuple[int, int] = (-1, -1)

    async def agree() -> bool:
        nonlocal stands
        for one in await site.limits_of("poor"):
            if one["kind"] == "money":
                stands = nano_usd(Decimal(one["used"])), nano_usd(Decimal(one["reserved"]))
        return stands == (spent, 0)

    try:
        await until_answered(agree, within_s=SETTLED_WITHIN_S)
    except TimeoutError:
        return [f"the budget says {stands} of used and reserved, the records add up to {spent}"], spent
    return ([f"{spent} of {budget_usd} USD were spent"] if spent > nano_usd(Decimal(budget_usd)) else []), spent


async def still_held(site: Site) -> list[str]:
    """Leases, and places of requests at once, that somebody has when nothing runs any more."""
    found: list[str] = []

    async def none_are() -> bool:
        found[:] = await asyncio.to_thread(held_in, site.valkey)
        return not found

    with suppress(TimeoutError):
        await until_answered(none_are, within_s=SETTLED_WITHIN_S)
    return [f"still held: {name}" for name in found]
