"""What the processes of a service have in common: on the Valkey that they share, or in the only one there is."""

from contextlib import AsyncExitStack
from typing import Final

from llm_service.bootstrap.around import Surroundings
from llm_service.cache import CacheOptions
from llm_service.domain import fact
from llm_service.routing import Breakers, BreakerSharing
from llm_service.runtime import OnFailure, Tasks
from llm_service.storage import (
    Bulletin,
    CacheStore,
    LimitStore,
    MemoryCache,
    MemoryLimits,
    ProcessBulletin,
    Reach,
    StoreOptions,
    ValkeyBreakers,
    ValkeyBulletin,
    ValkeyCache,
    ValkeyClient,
    ValkeyLimits,
    ValkeyStreams,
    parse_store_url,
)
from llm_service.streams import CANCEL_TOPIC, SharedStreams, StreamOptions, Streams, Vitals

SHARE_OF_COPIES: Final = 4
"""Beside a shared cache each process keeps copies, in this part of its size."""


@fact
class Commons:
    """Limits and messages, and the way to the store that is shared, where there is one.

    ``holder`` names this process to the others; ``prefix``: what the names of all keys in the store begin with;
    ``reach``: who shares it.
    """

    holder: str
    prefix: str
    reach: Reach
    client: ValkeyClient | None
    limits: LimitStore
    bulletin: Bulletin
    around: Surroundings
    tasks: Tasks
    held: AsyncExitStack


async def open_commons(
    held: AsyncExitStack, around: Surroundings, store: StoreOptions, *, holder: str, tasks: Tasks, on_failure: OnFailure
) -> Commons:
    """Find the shared store, if one is configured; ``held`` lets go of it. Raises AddressError."""
    reach: Reach = "machine" if store.redis_url is None else "cluster"
    url, prefix = store.redis_url or around.redis_url, store.redis_prefix
    client: ValkeyClient | None = None
    limits: LimitStore = MemoryLimits(around.clock, life=holder)
    bulletin: Bulletin = ProcessBulletin(on_failure)
    if url is not None:
        client = ValkeyClient(
            parse_store_url(url.reveal()),
            prefix=prefix,
            clock=around.clock,
            source=around.dice,
            on_failure=on_failure,
            deadline_s=store.redis_timeout_s,
        )
        held.push_async_callback(client.aclose)
        await client.start()
        limits = ValkeyLimits(client, prefix=prefix, holder=holder, clock=around.clock, reach=reach)
        bulletin = shared = ValkeyBulletin(
            client, prefix=prefix, clock=around.clock, source=around.dice, on_failure=on_failure
        )
        held.push_async_callback(shared.aclose)
    return Commons(
        holder=holder,
        prefix=prefix,
        reach=reach,
        client=client,
        limits=limits,
        bulletin=bulletin,
        around=around,
        tasks=tasks,
        held=held,
    )


def build_cache(commons: Commons, options: CacheOptions) -> CacheStore:
    """Answers in this process; where there is a shared store, it has them for all."""
    clock, client = commons.around.clock, commons.client
    here = MemoryCache(
        clock,
        max_bytes=options.max_bytes if client is None else options.max_bytes // SHARE_OF_COPIES,
        max_entry_bytes=options.max_entry_bytes,
        eviction=options.eviction,
    )
    commons.held.push_async_callback(here.aclose)
    if client is None:
        return here
    return ValkeyCache(
        client,
        prefix=commons.prefix,
        clock=clock,
        max_bytes=options.max_bytes,
        max_entry_bytes=options.max_entry_bytes,
        eviction=options.eviction,
        here=here,
        reach=commons.reach,
    )


def build_breakers(commons: Commons) -> Breakers:
    """The breakers of all deployments; where there is a shared store, what one process learns holds for all."""
    around, sharing = commons.around, None
    if commons.client is not None:
        shared = ValkeyBreakers(commons.client, prefix=commons.prefix, holder=commons.holder, reach=commons.reach)
        sharing = BreakerSharing(
            shared,
            bulletin=commons.bulletin,
            clock=around.clock,
            dice=around.dice,
            tasks=commons.tasks,
            log=around.log,
        )
    breakers = Breakers(clock=around.clock, log=around.log, sharing=sharing)
    breakers.start()
    return breakers


def build_streams(commons: Commons, options: StreamOptions, vitals: Vitals, *, longest_s: float) -> Streams:
    """The streams of this process; where there is a shared store, all processes find each other's.

    ``longest_s``: longer than a request lasts.
    """
    around, client, shared = commons.around, commons.client, None
    if client is not None:
        logs = ValkeyStreams(
            client,
            prefix=commons.prefix,
            holder=commons.holder,
            retention_s=options.retention_s,
            max_bytes=options.max_bytes,
            total_bytes=options.total_bytes,
            running_s=longest_s,
            reach=commons.reach,
        )
        shared = SharedStreams(
            logs,
            holder=commons.holder,
            lives=vitals.lives,
            bulletin=commons.bulletin,
            max_bytes=options.max_bytes,
            clock=around.clock,
            tasks=commons.tasks,
            log=around.log,
        )
    streams = Streams(around.clock, retention_s=options.retention_s, total_bytes=options.total_bytes, shared=shared)
    if client is not None:
        commons.bulletin.listen(CANCEL_TOPIC, streams.hear_cancelled)
    commons.held.callback(streams.aclose)
    return streams
