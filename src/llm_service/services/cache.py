"""The response cache for whoever administrates it: how full it is, what it saved, and what it is to forget."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from llm_service.cache import SemanticCache, SemanticCounts, SemanticMode, TenantScope
from llm_service.domain import (
    CACHE_HITS,
    CacheUnavailable,
    InvalidRequest,
    InvalidValue,
    MissingParameter,
    fact,
    usd_text,
)
from llm_service.runtime import Clock
from llm_service.services.moments import moment_text
from llm_service.services.usage import Usage
from llm_service.services.usage_fields import CACHE_STATUSES, read_filter, read_groups, unknown_name
from llm_service.storage import CacheSizes, CacheStore, Reach, StoreUnavailable, UsageGroup, UsageSum

STATS_NAMES: Final = ("since", "until", "by")
STATS_GROUPS: Final[Sequence[UsageGroup]] = ("model", "key", "hour", "day")
SELECTORS: Final = ("key_id", "user", "model", "tag", "digest", "all")
OLDER_THAN: Final = "older_than_s"
PERIOD: Final = timedelta(days=1)
MOST_OLDER_S: Final = 366 * 24 * 3600
_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


@fact
class CacheFigures:
    """What the cache did for the requests of one group; ``group`` has a value for each asked-for name."""

    group: Mapping[str, str | None]
    by_status: Mapping[str, int]
    saved_nano_usd: int

    @property
    def requests(self) -> int:
        """All of them, also those that the cache had nothing to do with."""
        return sum(self.by_status.values())

    @property
    def hits(self) -> int:
        """Those that were answered without a call of their own."""
        return sum(self.by_status[status] for status in CACHE_HITS)

    @property
    def hit_ratio(self) -> float | None:
        """Hits among the requests that looked an answer up (hits and misses); ``None``: nobody did."""
        looked_up = self.hits + self.by_status["miss"]
        return self.hits / looked_up if looked_up else None


_NOTHING: Final = CacheFigures(group={}, by_status=dict.fromkeys(CACHE_STATUSES, 0), saved_nano_usd=0)


@fact
class SemanticStats:
    """The semantic cache of the process that is asked, since it began: how it is set, how many questions it knows."""

    mode: SemanticMode
    threshold: float
    entries: int
    counts: SemanticCounts


@fact
class CacheStats:
    """How full the cache is (``sizes`` is ``None`` while its store is away), and what it did in a period.

    ``semantic`` is ``None`` where the semantic cache is off.
    """

    sizes: CacheSizes | None
    semantic: SemanticStats | None
    reach: Reach
    since: datetime
    until: datetime | None
    by: Sequence[UsageGroup]
    total: CacheFigures
    groups: Sequence[CacheFigures]


class CacheAdmin:
    """Reads and purges the cache. ``scope``: who shares answers, under the settings in force."""

    def __init__(
        self,
        store: CacheStore,
        usage: Usage,
        *,
        semantic: SemanticCache | None = None,
        scope: TenantScope,
        clock: Clock,
    ) -> None:
        self._store = store
        self._usage = usage
        self._semantic = semantic
        self._scope = scope
        self._clock = clock

    async def stats(self, given: Mapping[str, str]) -> CacheStats:
        """From texts by name: ``since`` (inclusive), ``until`` (exclusive), ``by``. The last 24 hours unless given.

        Raises InvalidValue, and LedgerUnavailable where the database does not answer.
        """
        for name in given:
            if name not in STATS_NAMES:
                raise unknown_name(name, STATS_NAMES)
        which = read_filter({name: text for name, text in given.items() if name != "by"})
        by = read_groups(given.get("by", ""), among=STATS_GROUPS)
        since = which.since or (which.until or self._clock.now()) - PERIOD
        period = replace(which, since=since)
        counted = await self._usage.summary(period, by=(*by, "cache"))
        total = await self._usage.summary(period, by=("cache",)) if by else counted
        return CacheStats(
            sizes=await self._sizes(),
            semantic=self._likeness(),
            reach=self._store.reach,
            since=since,
            until=which.until,
            by=by,
            total=(_figures(total, ()) or [_NOTHING])[0],
            groups=_figures(counted, by) if by else (),
        )

    async def purge(self, given: Mapping[str, str]) -> int:
        """Forget answers, from texts by name: exactly one of ``SELECTORS``, and ``older_than_s``. How many went.

        No look-up that begins afterwards finds one of them, in any process; with ``older_than_s`` they go in a while.
        Raises InvalidRequest, and CacheUnavailable where the shared store does not answer.
        """
        name = _selector(given)
        older_s = _older_s(given.get(OLDER_THAN))
        if name == "digest" and older_s is not None:
            raise InvalidRequest(f"'{OLDER_THAN}' does not go with 'digest', which names one answer.", param=OLDER_THAN)
        try:
            if name == "digest":
                return await self._store.remove(_digest(given[name]))
            before = None if older_s is None else self._clock.time() - older_s
            return await self._store.purge(self._group(name, given[name]), stored_before=before)
        except StoreUnavailable as away:
            said = "The cache's shared store does not answer: it is not certain that anything was purged. Try again."
            raise CacheUnavailable(said, retry_after_s=1.0) from away

    async def _sizes(self) -> CacheSizes | None:
        with suppress(StoreUnavailable):  # the answer says that they are not known
            return await self._store.sizes()
        return None

    def _likeness(self) -> SemanticStats | None:
        semantic = self._semantic
        if semantic is None:
            return None
        options = semantic.options
        return SemanticStats(
            mode=options.mode, threshold=options.threshold, entries=len(semantic), counts=semantic.counts
        )

    def _group(self, name: str, text: str) -> str:
        """The group of answers that a selector names."""
        if name == "all":
            if text != "true":
                raise InvalidValue("'all' must be 'true': it purges every answer.", param="all")
            return "all"
        which = read_filter({name: text})
        if name == "model":
            return f"model:{which.model}"
        if which.tag is not None:
            return "tag:{}={}".format(*which.tag)
        self._must_be_apart(name)
        return f"tenant:key:{which.key_id}" if name == "key_id" else f"tenant:user:{which.user}"

    def _must_be_apart(self, name: str) -> None:
        """Who shares answers with others has none to be purged alone; to say 0 would look as if there were none."""
        if self._scope == "global":
            said = "Answers are shared by all callers (cache.scope is 'global'): purge by 'model', 'tag' or 'all'."
        elif name == "user" and self._scope == "key":
            said = "Answers belong to api keys (cache.scope is 'key'), not to users: purge by 'key_id' of each key."
        else:
            return
        raise InvalidValue(said, param=name)


def stats_object(stats: CacheStats) -> dict[str, Any]:
    """The state of the cache as the interface shows it."""
    sizes = stats.sizes
    store = sizes and {
        "entries": sizes.entries,
        "bytes": sizes.bytes,
        "max_bytes": sizes.max_bytes,
        "evictions": sizes.evictions,
        "too_large": sizes.too_large,
    }
    return {
        "store": store,
        "semantic": stats.semantic and _semantic_object(stats.semantic),
        "reach": stats.reach,
        "since": moment_text(stats.since),
        "until": moment_text(stats.until),
        "by": stats.by,
        "total": _figures_object(stats.total),
        "data": [_figures_object(figures) for figures in stats.groups],
    }


def _semantic_object(stats: SemanticStats) -> dict[str, Any]:
    counts = stats.counts
    ratio = counts.false_hit_ratio
    return {
        "mode": stats.mode,
        "threshold": stats.threshold,
        "entries": stats.entries,
        "searched": counts.searched,
        "skipped": counts.skipped,
        "alike": counts.alike,
        "guarded": counts.guarded,
        "would_be": counts.would_be,
        "served": counts.served,
        "judged": counts.judged,
        "false_hits": counts.false_hits,
        "false_hit_ratio": None if ratio is None else round(ratio, 6),
    }


def _figures_object(figures: CacheFigures) -> dict[str, Any]:
    ratio = figures.hit_ratio
    return {
        **figures.group,
        "requests": figures.requests,
        "hits": figures.hits,
        "hit_ratio": None if ratio is None else round(ratio, 6),
        "by_status": figures.by_status,
        "saved_usd": usd_text(figures.saved_nano_usd),
    }


def _figures(sums: Sequence[UsageSum], by: Sequence[UsageGroup]) -> list[CacheFigures]:
    """One for each group, from sums that are grouped by what the cache did besides."""
    counts: dict[tuple[str | None, ...], dict[str, int]] = {}
    saved: dict[tuple[str | None, ...], int] = {}
    for one in sums:
        group = tuple(one.group[name] for name in by)
        counted = counts.setdefault(group, dict.fromkeys(CACHE_STATUSES, 0))
        counted[one.group["cache"] or "bypass"] += one.requests
        saved[group] = saved.get(group, 0) + one.saved_nano_usd
    return [
        CacheFigures(group=dict(zip(by, group, strict=True)), by_status=counted, saved_nano_usd=saved[group])
        for group, counted in counts.items()
    ]


def _selector(given: Mapping[str, str]) -> str:
    for name in given:
        if name not in (*SELECTORS, OLDER_THAN):
            raise unknown_name(name, (*SELECTORS, OLDER_THAN))
    named = [name for name in SELECTORS if name in given]
    if not named:
        said = f"Say what to purge: one of {', '.join(SELECTORS[:-1])}, or all=true for every answer."
        raise MissingParameter(said)
    if len(named) > 1:
        said = f"Only one of {', '.join(SELECTORS)} may be given; there are {' and '.join(named)}. Purge one by one."
        raise InvalidRequest(said, param=named[1])
    return named[0]


def _older_s(text: str | None) -> float | None:
    if text is None:
        return None
    if not _SECONDS.fullmatch(text) or float(text) > MOST_OLDER_S:
        said = f"'{OLDER_THAN}' must be a number of seconds, at most {MOST_OLDER_S}."
        raise InvalidValue(said, param=OLDER_THAN)
    return float(text)


def _digest(text: str) -> bytes:
    if not _DIGEST.fullmatch(text):
        said = "'digest' must be the 64 hexadecimal digits of an answer's digest; `cache_key` of a record has but half."
        raise InvalidValue(said, param="digest")
    return bytes.fromhex(text)
