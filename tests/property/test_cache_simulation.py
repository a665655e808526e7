"""The simulation of the cache against one that asks each question anew, in the plainest words."""

from dataclasses import dataclass
from itertools import count

from hypothesis import example, given
from hypothesis import strategies as st

from llm_service.cache import PastRequest, TenantScope, Traffic, Trial, simulate
from llm_service.cache.simulate import ANSWER_BYTES, answer_bytes
from tests.unit.cache.past import past

REQUESTS = st.lists(
    st.builds(
        past,
        at=st.integers(0, 40),
        cache_key=st.sampled_from(["a", "b", "c", "d", None]),
        key_id=st.sampled_from(["k1", "k1", "k1", "k2"]),
        user=st.sampled_from([None, None, "ann"]),
        status=st.sampled_from(["ok", "ok", "ok", "error"]),
        cache=st.sampled_from(["miss", "hit", "bypass", "replay"]),
        streamed=st.booleans(),
        output_tokens=st.sampled_from([0, 0, 1, 4]),
        worth_nano_usd=st.integers(0, 9),
        duration_s=st.sampled_from([0, 0, 1, 12]),
    ),
    max_size=40,
)
TRIALS = st.builds(
    Trial,
    ttl_s=st.integers(1, 50),
    max_bytes=st.sampled_from([1_000, 3_300, 5_000, 9_000]),
    scope=st.sampled_from(["key", "user", "global"]),
    coalescing=st.booleans(),
    max_entry_bytes=st.sampled_from([2_000, 100_000]),
)


@dataclass
class Call:
    name: object
    begun: float
    ends: float
    request: PastRequest
    used: float = -1
    gone: bool = False


def name_of(one: PastRequest, scope: TenantScope, recorded: TenantScope) -> object:
    tenants = {"key": one.key_id, "user": None if recorded == "user" else (one.key_id, one.user), "global": None}
    return one.cache_key, tenants[scope]


class PlainCache:
    """All calls that there ever were, and what became of their answers."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.calls: list[Call] = []
        self.evictions = 0
        self.ticks = count()

    def fresh(self, now: float) -> list[Call]:
        return [one for one in self.calls if one.used >= 0 and not one.gone and now < one.ends + self.trial.ttl_s]

    def keep_until(self, now: float) -> None:
        ended = [call for call in self.calls if call.ends <= now and call.used < 0 and not call.gone]
        for call in sorted(ended, key=lambda call: call.ends):
            self.keep(call, call.ends)

    def keep(self, call: Call, now: float) -> None:
        size = answer_bytes(call.request)
        if size > self.trial.max_bytes or size > self.trial.max_entry_bytes:
            call.gone = True
            return
        for other in self.fresh(now):
            other.gone = other.name == call.name
        while sum(answer_bytes(other.request) for other in self.fresh(now)) + size > self.trial.max_bytes:
            min(self.fresh(now), key=lambda other: other.used).gone = True
            self.evictions += 1
        call.used = next(self.ticks)


def plainly(traffic: Traffic, trial: Trial) -> tuple[int, int, int, int]:
    """Hits, coalesced, saved, evictions."""
    cache = PlainCache(trial)
    hits = joined = saved = 0
    for one in traffic.requests:
        cache.keep_until(one.at)
        name = name_of(one, trial.scope, traffic.recorded_scope)
        kept = [call for call in cache.fresh(one.at) if call.name == name]
        running = [call for call in cache.calls if call.name == name and one.at < call.ends and trial.coalescing]
        if kept:
            kept[0].used = next(cache.ticks)
            hits, saved = hits + 1, saved + kept[0].request.worth_nano_usd
        elif running:
            joined, saved = joined + 1, saved + running[-1].request.worth_nano_usd
        elif one.status == "ok":
            cache.calls.append(Call(name, one.at, one.at + one.duration_s, one))
    cache.keep_until(float("inf"))
    return hits, joined, saved, cache.evictions


def asked(at: int, name: str, *, duration_s: int) -> PastRequest:
    return PastRequest(
        at=at,
        cache_key=name,
        key_id="k1",
        user=None,
        status="ok",
        cache="miss",
        streamed=False,
        output_tokens=0,
        worth_nano_usd=0,
        duration_s=duration_s,
    )


@example(
    requests=[asked(0, "a", duration_s=12), asked(0, "b", duration_s=1)],
    trial=Trial(ttl_s=11, max_bytes=3300, scope="key", coalescing=False, max_entry_bytes=100_000),
)
@given(requests=REQUESTS, trial=TRIALS)
def test_the_simulation_agrees_with_the_plain_one(requests: list[PastRequest], trial: Trial) -> None:
    traffic = Traffic(requests)
    found = simulate(traffic, trial)
    assert (found.hits, found.coalesced, found.saved_nano_usd, found.evictions) == plainly(traffic, trial)
    assert found.peak_bytes <= trial.max_bytes
    assert found.lookups == sum(one.cache_key is not None and one.cache != "replay" for one in requests)


@given(names=st.lists(st.sampled_from("abcd"), min_size=10, max_size=60), room=st.integers(1, 4))
def test_what_was_least_recently_used_makes_room(names: list[str], room: int) -> None:
    trial = Trial(ttl_s=1_000, max_bytes=room * ANSWER_BYTES)
    traffic = Traffic([past(at=second, cache_key=name) for second, name in enumerate(names)])
    found = simulate(traffic, trial)
    assert (found.hits, found.coalesced, found.saved_nano_usd, found.evictions) == plainly(traffic, trial)


@given(requests=REQUESTS, ttl_s=st.integers(1, 20))
def test_the_more_is_shared_and_the_longer_it_is_kept_the_fewer_are_the_calls(
    requests: list[PastRequest], ttl_s: int
) -> None:
    at_once = [past(at=one.at, cache_key=one.cache_key, key_id=one.key_id, user=one.user) for one in requests]
    traffic = Traffic(at_once)

    def hits(scope: TenantScope, ttl_s: float) -> int:
        return simulate(traffic, Trial(ttl_s=ttl_s, max_bytes=10**9, scope=scope)).hits

    assert hits("key", ttl_s) <= hits("global", ttl_s) >= hits("user", ttl_s)
    assert hits("key", ttl_s) <= hits("key", ttl_s + 1)
