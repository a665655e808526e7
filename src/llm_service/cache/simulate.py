"""What a cache under other settings would have done with recorded requests: they are played through it, in memory."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from typing import Final

from llm_service.cache.options import CacheOptions, TenantScope
from llm_service.domain import CACHE_HITS, fact

ANSWER_BYTES: Final = 2_400
"""What an answer takes beside its tokens: its place in the store, its names, and the JSON around its text."""
WHOLE_TOKEN_BYTES: Final = 5
STREAMED_TOKEN_BYTES: Final = 316
"""A chunk is kept as it came, and most providers send a token in each (200 to 260 bytes, and its place)."""


@fact
class PastRequest:
    """A recorded request, in the words of its record. ``at``: Unix seconds, when it came in.

    ``worth_nano_usd``: what its answer cost when it was made, whoever paid. ``cache_key`` is ``None`` where it could
    not be cached.
    """

    at: float
    cache_key: str | None
    key_id: str
    user: str | None
    status: str
    cache: str
    streamed: bool
    output_tokens: int
    worth_nano_usd: int
    duration_s: float


@fact
class Trial:
    """Settings to try: how long answers are fresh, how much is kept (least recently used goes first), who shares."""

    ttl_s: float
    max_bytes: int
    scope: TenantScope = "key"
    coalescing: bool = True
    max_entry_bytes: int = CacheOptions().max_entry_bytes


@fact
class TrialResult:
    """What a cache under these settings would have done.

    ``lookups``: requests that it would have had to do with; ``hits``, ``coalesced`` among them were not paid.
    ``at_least``: the log cannot tell all hits of this scope, because its keys are of another one.
    """

    trial: Trial
    lookups: int
    hits: int
    coalesced: int
    saved_nano_usd: int
    peak_entries: int
    peak_bytes: int
    evictions: int
    at_least: bool

    @property
    def hit_ratio(self) -> float:
        """Requests without a call of their own, coalesced ones among them, of 1."""
        return (self.hits + self.coalesced) / self.lookups if self.lookups else 0.0

    @property
    def coalesced_ratio(self) -> float:
        """Requests that joined another one's call, of 1."""
        return self.coalesced / self.lookups if self.lookups else 0.0


class Traffic:
    """Recorded requests, in the order in which they came, made ready to be played again and again.

    ``recorded_scope``: who shared answers while they were recorded. A record's ``cache_key`` holds the tenant: whoever
    shared with all can be told apart afterwards, and nobody can be brought together. Where the log shows that it cannot
    be the scope that is said, another one is taken.

    A request that was answered by the cache tells neither how long its answer took nor how it came: the longest call of
    the same key stands for it.
    """

    def __init__(self, requests: Iterable[PastRequest], *, recorded_scope: TenantScope = "key") -> None:
        ordered = sorted(requests, key=lambda one: one.at)
        self.count = len(ordered)
        self.first_at = ordered[0].at if ordered else None
        self.last_at = ordered[-1].at if ordered else None
        looked_up = [one for one in ordered if one.cache_key is not None and one.cache != "replay"]
        self.requests: Sequence[PastRequest] = _with_calls(looked_up)
        self.recorded_scope = _recorded_scope(looked_up, recorded_scope)

    @property
    def exact_scopes(self) -> Sequence[TenantScope]:
        """The scopes whose hits the log can tell, all of them."""
        return ("key", "global") if self.recorded_scope == "global" else (self.recorded_scope,)

    @property
    def recorded_hits(self) -> int:
        """How many were answered without a call of their own at the time."""
        return sum(one.cache in CACHE_HITS for one in self.requests)

    @property
    def recorded_saved_nano_usd(self) -> int:
        """What these hits saved at the time."""
        return sum(one.worth_nano_usd for one in self.requests if one.cache in CACHE_HITS)


def simulate(traffic: Traffic, trial: Trial) -> TrialResult:
    """Play the traffic through an empty cache.

    An answer is kept when its call has ended, and fresh for ``ttl_s`` from then on; with coalescing, who asks for the
    same meanwhile joins the call. Calls that failed are neither kept nor joined. Takes time in the order of n log n.
    """
    store = _Store(trial)
    hits = coalesced = saved = 0
    for one in traffic.requests:
        store.advance(one.at)
        name = _shared_name(one, trial.scope, traffic.recorded_scope)
        kept = store.get(name)
        call = store.running.get(name) if trial.coalescing else None
        if kept is not None:
            hits += 1
            saved += kept.worth
        elif call is not None:
            coalesced += 1
            saved += call.worth
        elif one.status == "ok":
            store.expect(_Call(name, one))
    if traffic.last_at is not None:
        store.advance(float("inf"))
    return TrialResult(
        trial=trial,
        lookups=len(traffic.requests),
        hits=hits,
        coalesced=coalesced,
        saved_nano_usd=saved,
        peak_entries=store.peak_entries,
        peak_bytes=store.peak_bytes,
        evictions=store.evictions,
        at_least=trial.scope not in traffic.exact_scopes,
    )


def answer_bytes(one: PastRequest) -> int:
    """About how much memory its answer takes: the log tells tokens alone."""
    return ANSWER_BYTES + one.output_tokens * (STREAMED_TOKEN_BYTES if one.streamed else WHOLE_TOKEN_BYTES)


class _Call:
    """A call of an upstream, and the answer that comes of it."""

    __slots__ = ("bytes", "ends_at", "name", "worth")

    def __init__(self, name: str, made_for: PastRequest) -> None:
        self.name = name
        self.ends_at = made_for.at + made_for.duration_s
        self.worth = made_for.worth_nano_usd
        self.bytes = answer_bytes(made_for)


class _Store:
    """Answers by name, the least recently used first, and what is to happen to them."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._kept: OrderedDict[str, _Call] = OrderedDict()
        self._bytes = 0
        self._coming: list[tuple[float, bool, int, _Call]] = []  # when; whether it is kept then, or forgotten; which
        self._count = 0
        self.running: dict[str, _Call] = {}
        self.peak_entries = 0
        self.peak_bytes = 0
        self.evictions = 0

    def get(self, name: str) -> _Call | None:
        kept = self._kept.get(name)
        if kept is not None:
            self._kept.move_to_end(name)
        return kept

    def expect(self, call: _Call) -> None:
        """It runs from now on, and its answer is kept when it ends."""
        self.running[call.name] = call
        self._plan(call.ends_at, call, over=False)

    def advance(self, now: float) -> None:
        """Keep and forget what has come and gone by now."""
        while self._coming and self._coming[0][0] <= now:
            _, ends, _, call = heappop(self._coming)
            if ends:
                if self.running.get(call.name) is call:
                    del self.running[call.name]
                self._keep(call)
            elif self._kept.get(call.name) is call:
                self._forget(call.name)

    def _plan(self, at: float, call: _Call, *, over: bool) -> None:
        """Of what comes at one moment, answers that are over go first: nobody has to make room for them."""
        self._count += 1
        heappush(self._coming, (at, not over, self._count, call))

    def _keep(self, call: _Call) -> None:
        if call.bytes > min(self._trial.max_bytes, self._trial.max_entry_bytes):
            return
        if call.name in self._kept:
            self._forget(call.name)
        while self._bytes + call.bytes > self._trial.max_bytes:
            self._forget(next(iter(self._kept)))
            self.evictions += 1
        self._kept[call.name] = call
        self._bytes += call.bytes
        self.peak_entries = max(self.peak_entries, len(self._kept))
        self.peak_bytes = max(self.peak_bytes, self._bytes)
        self._plan(call.ends_at + self._trial.ttl_s, call, over=True)

    def _forget(self, name: str) -> None:
        self._bytes -= self._kept.pop(name).bytes


def _shared_name(one: PastRequest, scope: TenantScope, recorded: TenantScope) -> str:
    """The same for requests that would get each other's answers, as far as the log tells.

    Users share across keys that name them as their own. That stands in a ``cache_key`` of this scope, and nowhere else.
    """
    if scope in ("global", recorded):
        return one.cache_key or ""
    return f"{one.cache_key} {one.key_id}" + (f" {one.user}" if scope == "user" and one.user is not None else "")


def _tenant(one: PastRequest, scope: TenantScope) -> str:
    if scope == "user" and one.user is not None:
        return f"user:{one.user}"
    return f"key:{one.key_id}"


def _recorded_scope(requests: Sequence[PastRequest], said: TenantScope) -> TenantScope:
    """The scope that is said, unless there are keys that it cannot have made; then the first that can."""
    tenants: dict[TenantScope, dict[str, str]] = {"key": {}, "user": {}}
    possible: dict[TenantScope, bool] = {"key": True, "user": True, "global": True}
    for one in requests:
        name = one.cache_key or ""
        for scope, found in tenants.items():
            tenant = _tenant(one, scope)
            if found.setdefault(name, tenant) != tenant:
                possible[scope] = False
    return said if possible[said] else next(scope for scope in possible if possible[scope])


def _with_calls(requests: Sequence[PastRequest]) -> Sequence[PastRequest]:
    """The same requests; those that the cache answered take as long as the longest call for the same key."""
    calls: dict[str | None, PastRequest] = {}
    for one in requests:
        if one.cache not in CACHE_HITS and one.status == "ok":
            known = calls.setdefault(one.cache_key, one)
            if one.duration_s > known.duration_s:
                calls[one.cache_key] = one
    return [_as_called(one, calls.get(one.cache_key)) for one in requests]


def _as_called(one: PastRequest, call: PastRequest | None) -> PastRequest:
    if call is None or one.cache not in CACHE_HITS:
        return one
    return replace(one, duration_s=call.duration_s, streamed=call.streamed)
