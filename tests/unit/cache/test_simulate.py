"""What a cache under other settings would have done with recorded requests."""

from typing import Any

import pytest

from llm_service.cache import PastRequest, TenantScope, Traffic, Trial, TrialResult, simulate
from llm_service.cache.simulate import ANSWER_BYTES, _Call, _Store, answer_bytes
from tests.unit.cache.past import past


def played(*requests: PastRequest, recorded: TenantScope = "key", **trial: Any) -> TrialResult:
    return simulate(Traffic(requests, recorded_scope=recorded), Trial(**{"ttl_s": 60, "max_bytes": 10**6, **trial}))


def test_an_answer_is_given_again_until_its_time_is_over() -> None:
    found = played(past(0, duration_s=10), past(69.9), past(70), past(71))
    assert (found.lookups, found.hits, found.hit_ratio, found.saved_nano_usd) == (4, 2, 0.5, 10)


def test_who_asks_while_the_call_runs_joins_it() -> None:
    traffic = (past(0, duration_s=10), past(5), past(9.9), past(10))
    together, alone = played(*traffic), played(*traffic, coalescing=False)
    assert (together.coalesced, together.hits, together.coalesced_ratio) == (2, 1, 0.5)
    assert (alone.coalesced, alone.hits) == (0, 2)


def test_a_failure_is_neither_kept_nor_joined() -> None:
    found = played(past(0, status="error", duration_s=10), past(5, status="aborted"), past(20))
    assert (found.hits, found.coalesced) == (0, 0)


def test_what_could_not_be_cached_or_was_replayed_is_no_lookup() -> None:
    traffic = Traffic([past(0, cache_key=None, cache="bypass"), past(1, cache="replay"), past(2)])
    assert (traffic.count, len(traffic.requests)) == (3, 1)
    assert simulate(traffic, Trial(ttl_s=1, max_bytes=10**6)).hit_ratio == 0


def test_the_least_recently_used_answer_makes_room() -> None:
    names = "abacab"
    found = played(*(past(second, name) for second, name in enumerate(names)), max_bytes=2 * ANSWER_BYTES)
    assert (found.hits, found.evictions, found.peak_entries) == (2, 2, 2)
    assert found.peak_bytes == 2 * ANSWER_BYTES


def test_an_answer_that_is_too_large_is_not_kept() -> None:
    long = past(0, streamed=True, output_tokens=4_000)
    assert answer_bytes(long) > 1_048_576
    assert played(long, past(1), max_bytes=10**9).hits == 0
    assert played(long, past(1), max_bytes=10**9, max_entry_bytes=10**7).hits == 1


def test_the_log_may_come_newest_first() -> None:
    assert played(past(5), past(0, duration_s=1, worth_nano_usd=7)).saved_nano_usd == 7


def test_a_recorded_hit_takes_as_long_as_the_longest_call_for_its_key() -> None:
    hit = past(0, cache="hit", duration_s=0.001)
    found = played(hit, past(5), past(100, duration_s=10), past(200, duration_s=3))
    assert found.coalesced == 1


@pytest.mark.parametrize(
    ("said", "requests", "shown"),
    [
        ("key", [past(key_id="k1"), past(key_id="k1", user="ann")], "key"),
        ("user", [past(key_id="k1", user="ann"), past(key_id="k2", user="ann")], "user"),
        ("key", [past(key_id="k1", user="ann"), past(key_id="k2", user="ann")], "user"),
        ("key", [past(key_id="k1"), past(key_id="k2")], "global"),
        ("user", [past(key_id="k1", user="ann"), past(key_id="k1", user="bob")], "key"),
        ("global", [past()], "global"),
    ],
)
def test_the_log_shows_who_shared_where_it_contradicts(
    said: TenantScope, requests: list[PastRequest], shown: TenantScope
) -> None:
    assert Traffic(requests, recorded_scope=said).recorded_scope == shown


def test_from_keys_that_all_shared_every_scope_is_told_but_for_users_across_keys() -> None:
    traffic = [past(0, key_id="k1", user="ann"), past(1, key_id="k2", user="ann"), past(2, key_id="k2", user="bob")]
    traffic.append(past(3, key_id="k2", user="bob"))
    found = {scope: played(*traffic, recorded="global", scope=scope) for scope in ("key", "user", "global")}
    assert {scope: (one.hits, one.at_least) for scope, one in found.items()} == {
        "key": (2, False),
        "user": (1, True),
        "global": (3, False),
    }


def test_from_keys_with_a_tenant_wider_scopes_are_told_at_least() -> None:
    traffic = [past(0, "a1", key_id="k1"), past(1, "a2", key_id="k2"), past(2, "a1", key_id="k1")]
    found = played(*traffic, scope="global")
    assert (found.hits, found.at_least) == (1, True)


def test_what_was_recorded_is_told_for_comparison() -> None:
    traffic = Traffic([past(0), past(1, cache="hit", worth_nano_usd=9), past(2, cache="bypass")])
    assert (traffic.recorded_hits, traffic.recorded_saved_nano_usd) == (1, 9)
    assert (traffic.first_at, traffic.last_at) == (0, 2)


def test_an_empty_log_is_no_mistake() -> None:
    assert played().hit_ratio == 0


def test_calls_that_have_ended_are_forgotten() -> None:
    store = _Store(Trial(ttl_s=60, max_bytes=10**6))
    for second in range(100):
        store.advance(second)
        store.expect(_Call(f"question {second}", past(second, duration_s=2)))
    assert len(store.running) == 2
