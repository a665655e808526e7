"""Builds what counts in one process, what reads the figures of all of them, and who is asked for the rest."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from llm_service import __version__
from llm_service.domain import fact
from llm_service.ledger import Ledger
from llm_service.observability import (
    EVICTIONS_AT,
    EVICTIONS_TOLD_AT,
    Arena,
    Availability,
    HttpMeter,
    Log,
    Meters,
    MetricsSource,
    ProcessFigures,
    Reading,
    Sampler,
    Scrape,
    SharedTotal,
    SlowSource,
    Source,
    Whole,
    catalog,
)
from llm_service.runtime import Clock, OnFailure, Pressure
from llm_service.services import DatabaseHealth
from llm_service.storage import CacheStore, Database, StoreUnavailable, ValkeyClient
from llm_service.streams import Streams


@fact
class Metering:
    """The figures of one process, through all generations of its settings. ``whole``: those of this machine."""

    meters: Meters
    whole: MetricsSource
    sampler: Sampler
    http: HttpMeter
    scrape: Scrape

    def resumed(self, outcome: str) -> None:
        """A client came back for its stream."""
        self.meters.counter(catalog.RESUMES, outcome).add()


@fact
class Known:
    """Whom the process-wide sources ask."""

    pressure: Pressure
    ledger: Ledger
    database: Database
    shared: ValkeyClient | None
    cache: CacheStore
    streams: Streams


def build_metering(arena: Arena, known: Known, *, clock: Clock, log: Log, on_failure: OnFailure) -> Metering:
    """All of it. ``arena``: the memory that the processes of this machine share; alone in it, one of its own."""
    cells = arena.enter()
    if cells is None:  # more processes than have ever been meant to be here
        log.warning("figures of this process are not part of the whole", slots=len(arena.slots))
        cells = Arena.alone().enter()
        if cells is None:
            raise MemoryError("no memory for figures")
    meters = Meters(cells)
    availability = Availability(arena, clock=clock)
    whole = Whole(arena, clock=clock, more=availability.readings)
    sampler = Sampler(
        meters,
        sources=[ProcessFigures(meters, known.pressure, version=__version__, clock=clock), _ours(known)],
        slow=[_Stores(known, arena, meters, clock), _notes(availability, whole)],
        clock=clock,
        on_failure=on_failure,
    )
    return Metering(
        meters=meters,
        whole=whole,
        sampler=sampler,
        http=HttpMeter(meters),
        scrape=Scrape(whole, meters, clock=clock),
    )


def _ours(known: Known) -> Source:
    """What this process knows at once."""

    def readings() -> Sequence[Reading]:
        ledger, shared = known.ledger.state, known.shared
        up = 1.0 if shared is None or shared.state.up else 0.0
        return [
            (catalog.STREAMS_OPEN, (), float(known.streams.kept)),
            (catalog.LEDGER_BACKLOG, (), float(ledger.unshipped_records)),
            (catalog.LEDGER_BACKLOG_AGE, (), ledger.oldest_unshipped_s or 0.0),
            (catalog.STORE_UP, ("limits",), up),
            (catalog.STORE_UP, ("cache",), up),
        ]

    return readings


class _Stores:
    """What the stores say when they are asked."""

    def __init__(self, known: Known, arena: Arena, meters: Meters, clock: Clock) -> None:
        self._cache = known.cache
        self._database = DatabaseHealth(known.database, clock)
        self._clock = clock
        self._evictions = SharedTotal(
            arena, meters.counter(catalog.CACHE_EVICTIONS), place=EVICTIONS_AT, told_place=EVICTIONS_TOLD_AT
        )

    async def __call__(self) -> Iterable[Reading]:
        up = (await self._database.report())["up"]
        found: list[Reading] = [(catalog.STORE_UP, ("database",), float(up))]
        with suppress(StoreUnavailable):  # which llm_store_up tells
            asked_at = self._clock.monotonic()
            sizes = await self._cache.sizes()
            self._evictions.at(sizes.evictions, asked_at=asked_at, now=self._clock.monotonic())
            found.append((catalog.CACHE_BYTES, (), float(sizes.bytes)))
            found.append((catalog.CACHE_ENTRIES, (), float(sizes.entries)))
        return found


def _notes(availability: Availability, whole: Whole) -> SlowSource:
    """Once a minute one process of all notes how many requests were answered."""

    async def note() -> Iterable[Reading]:
        if availability.is_due:
            availability.note(await whole.read())
        return ()

    return note
