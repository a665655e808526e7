"""What a process keeps for as long as it lives, whatever its settings become: state, and the ways to it."""

from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from llm_service.admission import Arrears, Gate, Lost, Pulse
from llm_service.bootstrap.around import Surroundings
from llm_service.bootstrap.commons import build_breakers, build_cache, build_streams, open_commons
from llm_service.bootstrap.live import Live, build_live, tell_of_providers, tell_of_stores
from llm_service.bootstrap.metering import Known, Metering, build_metering
from llm_service.bootstrap.semantic import SemanticHome
from llm_service.cache import CacheOptions
from llm_service.domain import Limit, Secret, fact, span_at
from llm_service.ledger import Ledger, LedgerOptions
from llm_service.observability import Arena, MetricsSource, Redaction
from llm_service.routing import Breakers, Fleet, HedgeOptions, Hedging
from llm_service.runtime import Pressure, RandomIds, Tasks
from llm_service.services import (
    AuditTrail,
    HashKeys,
    IssuedKeys,
    KeyChanges,
    Keys,
    KeyShelf,
    LogLevels,
    ProviderNews,
    ProviderOverrides,
    ProviderRunning,
    check_hash_keys,
    hash_keys_of,
)
from llm_service.storage import (
    Bulletin,
    CacheStore,
    Database,
    LimitStore,
    MemoryLimits,
    StoreOptions,
    StoreUnavailable,
    ValkeyClient,
    open_database,
)
from llm_service.streams import StreamOptions, Streams, Vitals
from llm_service.tokens import Tokenizers

SECOND_S: Final = 1
LONGEST_S: Final = 3600.0
"""Longer than a request lasts under the usual settings."""


@fact
class Stores:
    """The open stores of one process. ``holder`` names the process to the others: its journal, its leases."""

    holder: str
    data_dir: Path
    database: Database
    limits: LimitStore
    shared: ValkeyClient | None
    bulletin: Bulletin
    ledger: Ledger
    gate: Gate
    hash_keys: HashKeys
    issued_keys: IssuedKeys
    issuer_keys: KeyShelf
    keys: Keys
    overrides: ProviderOverrides
    log_levels: LogLevels
    news: ProviderNews
    running: ProviderRunning
    cache: CacheStore
    streams: Streams
    vitals: Vitals
    semantic: SemanticHome
    arrears: Arrears
    tokenizers: Tokenizers
    breakers: Breakers
    pressure: Pressure
    fleet: Fleet
    hedging: Hedging
    metering: Metering
    live: Live
    redaction: Redaction
    trail: AuditTrail


async def open_stores(
    held: AsyncExitStack,
    around: Surroundings,
    *,
    store: StoreOptions,
    ledger: LedgerOptions,
    cache: CacheOptions,
    streams: StreamOptions,
    hash_keys: tuple[Secret, ...] = (),
    longest_s: float = LONGEST_S,
) -> Stores:
    """Open everything; ``held`` closes it again, in reverse order. ``longest_s``: longer than a request lasts
    under any settings that this process will have.

    Raises DatabaseError, HashKeyError, AddressError and LedgerUnavailable, which say what to do. A shared store of
    limits that is not there is no obstacle: it is looked for in the background.
    """
    opening = _Opening(held, around)
    return await opening.all(
        store=store, ledger=ledger, cache=cache, streams=streams, hash_keys=hash_keys, longest_s=longest_s
    )


class _Opening:
    """One run from the settings to the open stores, in the order in which they need each other."""

    def __init__(self, held: AsyncExitStack, around: Surroundings) -> None:
        self._held = held
        self._around = around
        self._ids = RandomIds(around.clock, around.dice)
        self._holder = self._ids.new("proc")
        self._tasks = Tasks(self._on_failure)

    async def all(
        self,
        *,
        store: StoreOptions,
        ledger: LedgerOptions,
        cache: CacheOptions,
        streams: StreamOptions,
        hash_keys: tuple[Secret, ...],
        longest_s: float,
    ) -> Stores:
        around = self._around
        database = await open_database(store.database_url, data_dir=around.data_dir)
        self._held.push_async_callback(database.aclose)
        hashes = hash_keys_of(
            hash_keys,
            data_dir=around.data_dir,
            shared_database=store.database_url is not None,
            source=around.dice,
        )
        await check_hash_keys(database.facts, hashes)
        commons = await open_commons(
            self._held, around, store, holder=self._holder, tasks=self._tasks, on_failure=self._on_failure
        )
        shared, limits, bulletin = commons.client, commons.limits, commons.bulletin
        records = self._ledger(database, limits, ledger)
        arrears = Arrears(limits, clock=around.clock, tasks=self._tasks)
        gate = self._gate(database, limits, records, arrears, shared)
        trail = self._trail(database)
        self._held.push_async_callback(self._tasks.aclose)
        self._tasks.spawn(trail.run(), name="audit log")
        records.start()
        issued, keys = self._keys(database, hashes, bulletin)
        breakers = build_breakers(commons)
        fleet = Fleet(breaker_of=breakers.of, workers=lambda: gate.workers, clock=around.clock, dice=around.dice)
        vitals = Vitals(limits, holder=self._holder, clock=around.clock)
        kept = build_cache(commons, cache)
        found = build_streams(commons, streams, vitals, longest_s=longest_s)
        pressure = self._pressure()
        known = Known(pressure=pressure, ledger=records, database=database, shared=shared, cache=kept, streams=found)
        metering = self._metering(known)
        overrides = await self._overrides(database, bulletin)
        news = ProviderNews(bulletin=bulletin, clock=around.clock, log=around.log)
        live = self._live(around.metrics or metering.whole, None if shared is None else bulletin)
        live.events.redaction = around.redaction
        tell_of_stores(live.events, shared, overrides)
        tell_of_providers(live.events, breakers, news)
        return Stores(
            holder=self._holder,
            data_dir=around.data_dir,
            database=database,
            limits=limits,
            shared=shared,
            bulletin=bulletin,
            ledger=records,
            gate=gate,
            hash_keys=hashes,
            issued_keys=issued,
            issuer_keys=KeyShelf(),
            keys=keys,
            overrides=overrides,
            log_levels=await self._log_levels(database, bulletin),
            news=news,
            running=ProviderRunning(
                bulletin,
                holder=self._holder,
                alone=shared is None,
                clock=around.clock,
                log=around.log,
                sees_all=database.reach != "cluster" or limits.reach == "cluster",
            ),
            cache=kept,
            streams=found,
            vitals=vitals,
            semantic=self._semantic(),
            arrears=arrears,
            tokenizers=Tokenizers(on_fallback=self._on_fallback),
            pressure=pressure,
            breakers=breakers,
            fleet=fleet,
            hedging=Hedging(HedgeOptions()),
            metering=metering,
            live=live,
            redaction=around.redaction,
            trail=trail,
        )

    def _on_fallback(self, fault: Exception) -> None:
        self._around.log.warning("tokens are estimated", cause=str(fault))

    def _on_failure(self, work: str, failure: BaseException) -> None:
        self._around.log.error("background work failed", work=work, exc_info=failure)

    def _metering(self, known: Known) -> Metering:
        around = self._around
        metering = build_metering(
            around.arena or Arena.alone(), known, clock=around.clock, log=around.log, on_failure=self._on_failure
        )
        self._tasks.spawn(metering.sampler.run(), name="metrics")
        self._tasks.spawn(metering.sampler.run_slow(), name="metrics of the stores")
        return metering

    def _live(self, source: MetricsSource, bulletin: Bulletin | None) -> Live:
        around = self._around
        return build_live(
            source,
            bulletin=bulletin,
            process=self._holder,
            worker=around.worker,
            clock=around.clock,
            tasks=self._tasks,
            log=around.log,
        )

    def _semantic(self) -> SemanticHome:
        home = SemanticHome(self._around.clock, self._around.log)
        self._held.callback(home.close)
        return home

    def _pressure(self) -> Pressure:
        pressure = Pressure(self._around.data_dir, clock=self._around.clock)
        self._held.callback(pressure.close)
        pressure.start()
        return pressure

    def _ledger(self, database: Database, limits: LimitStore, options: LedgerOptions) -> Ledger:
        around = self._around
        ledger = Ledger(
            around.data_dir,
            writer=self._holder,
            store=database.ledger,
            options=options,
            clock=around.clock,
            dice=around.dice,
            log=around.log,
            on_lost=Lost(limits),
            on_failure=self._on_failure,
        )
        self._held.push_async_callback(ledger.aclose)
        return ledger

    def _trail(self, database: Database) -> AuditTrail:
        around = self._around
        trail = AuditTrail(
            database.audit, clock=around.clock, ids=self._ids, log=around.log, redaction=around.redaction
        )
        self._held.push_async_callback(trail.aclose)
        return trail

    def _gate(
        self, database: Database, limits: LimitStore, ledger: Ledger, arrears: Arrears, shared: ValkeyClient | None
    ) -> Gate:
        around = self._around

        async def spent(limit: Limit) -> tuple[int, int]:
            """What the ledger has of a budget's period, this process's own records shipped first."""
            await ledger.flush()
            since, until = span_of(limit)
            return await database.ledger.spent(limit.scope, limit.subject, since=since, until=until)

        gate = Gate(
            limits,
            here=lambda: MemoryLimits(around.clock, life=self._holder),
            spent=spent,
            when_shipped=ledger.when_shipped,
            arrears=arrears,
            holder=self._holder,
            log=around.log,
        )
        pulse = Pulse(limits, gate, clock=around.clock, log=around.log)
        self._tasks.spawn(pulse.run(), name="beat of the limit store")
        if shared is not None:
            shared.on_change(lambda up: gate.store_returned() if up else None)
        return gate

    async def _overrides(self, database: Database, bulletin: Bulletin) -> ProviderOverrides:
        """What was decided about providers, known before the first request."""
        around = self._around
        overrides = ProviderOverrides(
            database.facts, bulletin=bulletin, clock=around.clock, tasks=self._tasks, log=around.log
        )
        with suppress(StoreUnavailable):  # it went away just now; whoever follows tells it
            await overrides.catch_up()
        overrides.start()
        return overrides

    async def _log_levels(self, database: Database, bulletin: Bulletin) -> LogLevels:
        """What was decided about the level of the log, in force from the start."""
        around = self._around
        levels = LogLevels(
            database.facts,
            override=around.level_override,
            bulletin=bulletin,
            clock=around.clock,
            tasks=self._tasks,
            log=around.log,
        )
        with suppress(StoreUnavailable):  # it went away just now; whoever follows tells it
            await levels.catch_up()
        levels.start()
        return levels

    def _keys(self, database: Database, hashes: HashKeys, bulletin: Bulletin) -> tuple[IssuedKeys, Keys]:
        around = self._around
        issued = IssuedKeys(store=database.keys, hash_keys=hashes, clock=around.clock, log=around.log)
        changes = KeyChanges(
            store=database.keys,
            issued=issued,
            bulletin=bulletin,
            clock=around.clock,
            tasks=self._tasks,
            log=around.log,
        )
        changes.start()
        keys = Keys(
            store=database.keys,
            hash_keys=hashes,
            clock=around.clock,
            ids=self._ids,
            source=around.dice,
            announce=changes.announce,
        )
        return issued, keys


def span_of(limit: Limit) -> tuple[datetime | None, datetime | None]:
    """The first moment of a budget's period, and the first after it."""
    if limit.period is None or limit.ends_at is None:
        return None, None
    span = span_at(limit.period, datetime.fromtimestamp(limit.ends_at - SECOND_S, UTC))
    return span.since, span.until
