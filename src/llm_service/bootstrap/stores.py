"""What a process keeps for as long as it lives, whatever its settings become: state, and the ways to it."""

import random
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from llm_service.admission import Arrears, Gate, Lost, Pulse
from llm_service.bootstrap.live import Live, build_live, tell_of_providers, tell_of_stores
from llm_service.bootstrap.metering import Known, Metering, build_metering
from llm_service.bootstrap.semantic import SemanticHome
from llm_service.cache import CacheOptions
from llm_service.domain import Limit, Secret, span_at
from llm_service.ledger import Ledger, LedgerOptions
from llm_service.observability import Arena, LevelOverride, Log, MetricsSource, Redaction
from llm_service.routing import Breakers, BreakerSharing, Fleet, HedgeOptions, Hedging
from llm_service.runtime import Clock, Pressure, RandomIds, Tasks
from llm_service.services import (
    HashKeys,
    IssuedKeys,
    KeyChanges,
    Keys,
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
    MemoryCache,
    MemoryLimits,
    ProcessBulletin,
    StoreOptions,
    StoreUnavailable,
    ValkeyBreakers,
    ValkeyBulletin,
    ValkeyCache,
    ValkeyClient,
    ValkeyLimits,
    ValkeyStreams,
    open_database,
    parse_store_url,
)
from llm_service.streams import CANCEL_TOPIC, SharedStreams, StreamOptions, Streams, Vitals
from llm_service.tokens import Tokenizers

SECOND_S: Final = 1
LONGEST_S: Final = 3600.0
"""Longer than a request lasts under the usual settings."""
SHARE_OF_COPIES: Final = 4
"""Beside a shared cache each process keeps copies, in this part of its size."""


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What opening the stores needs besides their settings. ``redis_url`` stands in for the configured one.

    ``level_override``: the one that all logs of this process go by; ``redaction``: what keeps secrets out of what it
    tells. ``arena``: where the processes of this machine keep their figures; ``None``: this one is alone.
    ``worker``: the number of the process among several. ``metrics``: where the figures of all of them are read.
    """

    data_dir: Path
    clock: Clock
    dice: random.Random
    log: Log
    redis_url: Secret | None = None
    arena: Arena | None = None
    level_override: LevelOverride = field(default_factory=LevelOverride)
    redaction: Redaction = field(default_factory=Redaction)
    worker: int | None = None
    metrics: MetricsSource | None = None


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
        shared, limits, bulletin = await self._shared(store)
        records = self._ledger(database, limits, ledger)
        arrears = Arrears(limits, clock=around.clock, tasks=self._tasks)
        gate = self._gate(database, limits, records, arrears, shared)
        self._held.push_async_callback(self._tasks.aclose)
        records.start()
        issued, keys = self._keys(database, hashes, bulletin)
        breakers = self._breakers(store, shared, bulletin)
        fleet = Fleet(breaker_of=breakers.of, workers=lambda: gate.workers, clock=around.clock, dice=around.dice)
        vitals = Vitals(limits, holder=self._holder, clock=around.clock)
        kept = self._cache(store, cache, shared)
        found = self._streams(store, streams, vitals, shared, bulletin, longest_s)
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
        )

    def _on_fallback(self, fault: Exception) -> None:
        self._around.log.warning("tokens are estimated", cause=str(fault))

    def _on_failure(self, work: str, failure: BaseException) -> None:
        self._around.log.error("background work failed", work=work, exc_info=failure)

    async def _shared(self, store: StoreOptions) -> tuple[ValkeyClient | None, LimitStore, Bulletin]:
        """Limits and messages: in this process, or on the Valkey that several share."""
        around = self._around
        url = store.redis_url or around.redis_url
        if url is None:
            return None, MemoryLimits(around.clock, life=self._holder), ProcessBulletin(self._on_failure)
        client = ValkeyClient(
            parse_store_url(url.reveal()),
            prefix=store.redis_prefix,
            clock=around.clock,
            source=around.dice,
            on_failure=self._on_failure,
            deadline_s=store.redis_timeout_s,
        )
        self._held.push_async_callback(client.aclose)
        await client.start()
        limits = ValkeyLimits(
            client,
            prefix=store.redis_prefix,
            holder=self._holder,
            clock=around.clock,
            reach="machine" if store.redis_url is None else "cluster",
        )
        bulletin = ValkeyBulletin(
            client, prefix=store.redis_prefix, clock=around.clock, source=around.dice, on_failure=self._on_failure
        )
        self._held.push_async_callback(bulletin.aclose)
        return client, limits, bulletin

    def _cache(self, store: StoreOptions, options: CacheOptions, shared: ValkeyClient | None) -> CacheStore:
        """Answers in this process; where there is a shared store, it has them for all."""
        around = self._around
        here = MemoryCache(
            around.clock,
            max_bytes=options.max_bytes if shared is None else options.max_bytes // SHARE_OF_COPIES,
            max_entry_bytes=options.max_entry_bytes,
            eviction=options.eviction,
        )
        self._held.push_async_callback(here.aclose)
        if shared is None:
            return here
        return ValkeyCache(
            shared,
            prefix=store.redis_prefix,
            clock=around.clock,
            max_bytes=options.max_bytes,
            max_entry_bytes=options.max_entry_bytes,
            eviction=options.eviction,
            here=here,
            reach="machine" if store.redis_url is None else "cluster",
        )

    def _breakers(self, store: StoreOptions, client: ValkeyClient | None, bulletin: Bulletin) -> Breakers:
        """The breakers of all deployments; where there is a shared store, what one process learns holds for all."""
        around, sharing = self._around, None
        if client is not None:
            shared = ValkeyBreakers(
                client,
                prefix=store.redis_prefix,
                holder=self._holder,
                reach="machine" if store.redis_url is None else "cluster",
            )
            sharing = BreakerSharing(
                shared,
                bulletin=bulletin,
                clock=around.clock,
                dice=around.dice,
                tasks=self._tasks,
                log=around.log,
            )
        breakers = Breakers(clock=around.clock, log=around.log, sharing=sharing)
        breakers.start()
        return breakers

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

    def _streams(
        self,
        store: StoreOptions,
        options: StreamOptions,
        vitals: Vitals,
        client: ValkeyClient | None,
        bulletin: Bulletin,
        longest_s: float,
    ) -> Streams:
        """The streams of this process; where there is a shared store, all processes find each other's."""
        around, shared = self._around, None
        if client is not None:
            logs = ValkeyStreams(
                client,
                prefix=store.redis_prefix,
                holder=self._holder,
                retention_s=options.retention_s,
                max_bytes=options.max_bytes,
                total_bytes=options.total_bytes,
                running_s=longest_s,
                reach="machine" if store.redis_url is None else "cluster",
            )
            shared = SharedStreams(
                logs,
                holder=self._holder,
                lives=vitals.lives,
                bulletin=bulletin,
                max_bytes=options.max_bytes,
                clock=around.clock,
                tasks=self._tasks,
                log=around.log,
            )
        streams = Streams(around.clock, retention_s=options.retention_s, total_bytes=options.total_bytes, shared=shared)
        if client is not None:
            bulletin.listen(CANCEL_TOPIC, streams.hear_cancelled)
        self._held.callback(streams.aclose)
        return streams

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
