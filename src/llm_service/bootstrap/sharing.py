"""Builds the stages that give an answer again: the cache, generations that others join, idempotency keys."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from llm_service.bootstrap.ground import Ground
from llm_service.bootstrap.stores import LONGEST_S, Stores
from llm_service.cache import Address, CachePolicy
from llm_service.config import Settings
from llm_service.domain import Candidate
from llm_service.pipeline import Alike, Promises, Remember, Share
from llm_service.providers import ProviderOptions, base_url_for
from llm_service.runtime import Tally

CALLS: Final = 4
"""So many calls a request waits for at most: three of others that it joins and that fail, and its own."""


def build_remember(ground: Ground, *, alike: Alike | None, unsettled: Tally) -> Remember:
    """What looks an answer up, and keeps it."""
    return Remember(
        policy=build_cache_policy(ground.settings, sandbox=ground.sandbox),
        store=ground.stores.cache,
        streams=ground.stores.streams,
        max_entry_bytes=ground.settings.cache.max_entry_bytes,
        clock=ground.clock,
        unsettled=unsettled,
        alike=alike,
    )


def build_cache_policy(settings: Settings, *, sandbox: bool) -> CachePolicy:
    """What the cache may do for requests under these settings.

    In sandbox mode each worker has simulated providers of its own, which all answer alike: their addresses say nothing.
    """
    bases = {name: "sandbox" if sandbox else base_url_for(name, one) for name, one in settings.providers.items()}

    def address(candidate: Candidate) -> Address:
        return candidate.provider, bases[candidate.provider], candidate.upstream_model

    own = {name: model.cache_ttl_s for name, model in settings.models.items() if model.cache_ttl_s is not None}
    return CachePolicy(settings.cache, ttls_s=own, address=address)


def build_alike(ground: Ground) -> Alike | None:
    """What looks for questions in other words, where the settings want that."""
    stores = ground.stores
    semantic = stores.semantic.under(ground.settings.cache.semantic)
    if semantic is None:
        return None
    return Alike(semantic, store=stores.cache, streams=stores.streams, clock=ground.clock, tasks=ground.tasks)


def build_share(ground: Ground, *, alike: Alike | None) -> Share:
    """What gives a kept answer, joins a generation, or leads one."""
    return Share(
        store=ground.stores.cache,
        streams=ground.stores.streams,
        max_bytes=ground.settings.streams.max_bytes,
        clock=ground.clock,
        alike=alike,
    )


def build_promises(ground: Ground) -> Promises:
    """What keeps the answers under idempotency keys."""
    stores = ground.stores
    return Promises(
        store=stores.database.replays,
        streams=stores.streams,
        holder=stores.holder,
        lives=build_lives(stores),
        retention_s=ground.settings.idempotency.retention_s,
        clock=ground.clock,
        log=ground.log,
        tasks=ground.tasks,
        promised_s=longest_s(ground.settings.providers),
    )


def longest_s(providers: Mapping[str, ProviderOptions]) -> float:
    """Longer than any request lasts: so long what it holds stands without news of it, unless its process is dead."""
    return max(LONGEST_S, CALLS * max((one.timeouts.total_s for one in providers.values()), default=0))


def build_lives(stores: Stores) -> Callable[[str], Awaitable[bool]]:
    """Whether a process that holds an ``Idempotency-Key`` may live: taken over from the living, it would be paid twice.

    Machines that share a database see each other only through a store that they share as well; without one, whoever is
    not this process may live.
    """
    sees_all = stores.database.reach != "cluster" or stores.limits.reach == "cluster"

    async def unseen(holder: str) -> bool:
        return holder != stores.holder or await stores.vitals.lives(holder)

    return stores.vitals.lives if sees_all else unseen
