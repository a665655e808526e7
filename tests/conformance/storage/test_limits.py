"""Every clause of the port LimitStore, on both stores."""

from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import pytest

from llm_service.domain import Ask, Claim, Lease, Limit, LimitKind, LimitState, Refused, Settlement, Unknown
from llm_service.storage import LimitStore, MemoryLimits, StoreUnavailable, ValkeyLimits
from tests.support.clock import ManualClock
from tests.support.direct_valkey import DirectRunner, valkey_socket

__all__ = ["valkey_socket"]

NOTHING = Settlement(tokens=0, nano_usd=0)
MOST = 2**53 - 1


def limit(kind: LimitKind, amount: int, key: str = "", *, ends_at: int | None = None) -> Limit:
    period = None if kind != "money" else "total" if ends_at is None else "day"
    return Limit(key=key or kind, scope="key", subject="a", kind=kind, amount=amount, period=period, ends_at=ends_at)


def ask(lease_id: str, *callers: Claim, candidates: Sequence[Sequence[Claim]] = ((),)) -> Ask:
    return Ask(lease_id=lease_id, callers=callers, candidates=candidates)


async def granted(store: LimitStore, request: Ask) -> Lease:
    decision = await store.admit(request)
    assert isinstance(decision, Lease), decision
    return decision


async def refused(store: LimitStore, request: Ask) -> Refused:
    decision = await store.admit(request)
    assert isinstance(decision, Refused), decision
    return decision


async def stands(store: LimitStore, *limits: Limit) -> list[tuple[int | None, int | None]]:
    """Used and reserved."""
    return [(state.used, state.reserved) for state in await store.read(limits)]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "valkey"])
async def store(request: pytest.FixtureRequest, clock: ManualClock) -> AsyncIterator[LimitStore]:
    if request.param == "memory":
        yield MemoryLimits(clock)
        return
    runner = DirectRunner(request.getfixturevalue("valkey_socket"))
    yield shared(runner, clock, prefix=f"{uuid4().hex}:")
    await runner.aclose()


def shared(runner: DirectRunner, clock: ManualClock, *, prefix: str, holder: str = "one") -> ValkeyLimits:
    return ValkeyLimits(runner, prefix=prefix, holder=holder, clock=clock, now=clock.time)


async def test_what_was_last_heard_of_a_limit_is_known_without_asking(store: LimitStore, clock: ManualClock) -> None:
    requests, tokens = limit("requests", 1), limit("tokens", 50)
    assert store.seen(requests) is None
    await granted(store, ask("1", Claim(requests, 1), Claim(tokens, 20)))
    await refused(store, ask("2", Claim(requests, 1), Claim(tokens, 20)))
    assert (store.seen(requests), store.seen(tokens)) == (1, 20)
    if isinstance(store, ValkeyLimits):
        clock.advance(61)
        assert store.seen(requests) is None  # others may have used it since, and what was known is over


# -- windows


async def test_window_admits_its_amount_and_then_nothing(store: LimitStore) -> None:
    requests = limit("requests", 3)
    for number in range(3):
        assert (await granted(store, ask(f"{number}", Claim(requests, 1)))).used == [number + 1]
    no = await refused(store, ask("3", Claim(requests, 1)))
    assert no == Refused(limit=requests, used=3, reserved=0, wait_s=61)


async def test_permit_comes_back_after_its_second_has_left_the_window(store: LimitStore, clock: ManualClock) -> None:
    requests = limit("requests", 1)
    await granted(store, ask("a", Claim(requests, 1)))
    clock.advance(60.9)
    assert (await refused(store, ask("b", Claim(requests, 1)))).wait_s == 1
    clock.advance(0.1)
    await granted(store, ask("b", Claim(requests, 1)))


async def test_wait_is_until_enough_has_left(store: LimitStore, clock: ManualClock) -> None:
    tokens = limit("tokens", 100)
    await granted(store, ask("a", Claim(tokens, 30)))
    clock.advance(10)
    await granted(store, ask("b", Claim(tokens, 70)))
    assert (await refused(store, ask("c", Claim(tokens, 30)))).wait_s == 51
    assert (await refused(store, ask("c", Claim(tokens, 31)))).wait_s == 61


async def test_waiting_is_no_use_for_a_claim_beyond_the_limit(store: LimitStore) -> None:
    for kind in ("tokens", "concurrency"):
        assert (await refused(store, ask("a", Claim(limit(kind, 5), 6)))).wait_s is None


async def test_clock_set_back_frees_nothing_early(store: LimitStore, clock: ManualClock) -> None:
    requests = limit("requests", 1)
    await granted(store, ask("a", Claim(requests, 1)))
    clock.set_back(30)
    assert (await refused(store, ask("b", Claim(requests, 1)))).wait_s == 91
    clock.advance(90)
    await refused(store, ask("b", Claim(requests, 1)))
    clock.advance(1)
    await granted(store, ask("b", Claim(requests, 1)))


async def test_clock_set_back_far_frees_after_a_window(store: LimitStore, clock: ManualClock) -> None:
    tokens = limit("tokens", 10)
    lease = await granted(store, ask("a", Claim(tokens, 10)))
    clock.set_back(3600)
    assert (await refused(store, ask("b", Claim(tokens, 1)))).wait_s == 61
    await store.settle(lease, NOTHING)  # the bucket of its second is none of now
    assert await stands(store, tokens) == [(10, 0)]
    clock.advance(61)
    await granted(store, ask("b", Claim(tokens, 10)))


async def test_refund_does_not_touch_what_came_after_the_clock_was_set_back_far(
    store: LimitStore, clock: ManualClock
) -> None:
    tokens = limit("tokens", 20)
    lease = await granted(store, ask("a", Claim(tokens, 10)))
    clock.set_back(3600)
    await stands(store, tokens)
    clock.advance(3600)  # its second comes a second time
    await granted(store, ask("b", Claim(tokens, 10)))
    await store.settle(lease, NOTHING)
    assert await stands(store, tokens) == [(0, 10)]


async def test_refund_does_not_touch_what_came_after_the_window_was_empty(
    store: LimitStore, clock: ManualClock
) -> None:
    tokens = limit("tokens", 100)
    lease = await granted(store, ask("a", Claim(tokens, 10)))
    clock.advance(61)
    assert await stands(store, tokens) == [(0, 0)]
    clock.set_back(61)
    await granted(store, ask("b", Claim(tokens, 20)))
    await store.settle(lease, NOTHING)
    assert await stands(store, tokens) == [(0, 20)]


async def test_refund_does_not_touch_what_came_after_the_window_was_forgotten(
    clock: ManualClock, valkey_socket: str
) -> None:
    runner, prefix = DirectRunner(valkey_socket), f"{uuid4().hex}:"
    store, tokens = shared(runner, clock, prefix=prefix), limit("tokens", 100)
    lease = await granted(store, ask("a", Claim(tokens, 10)))
    (window,) = [name async for name in runner.client.scan_iter(f"{prefix}*:w:*")]
    assert 60 < await runner.client.ttl(window) <= 180
    await runner.client.delete(window)  # as at its expiry
    await granted(store, ask("b", Claim(tokens, 20)))
    await store.settle(lease, NOTHING)
    assert await stands(store, tokens) == [(0, 20)]
    await runner.aclose()


async def test_window_is_no_more_when_all_has_left_it(clock: ManualClock, valkey_socket: str) -> None:
    runner, prefix = DirectRunner(valkey_socket), f"{uuid4().hex}:"
    store, windows = shared(runner, clock, prefix=prefix), [limit("requests", 9), limit("tokens", 9)]
    await granted(store, ask("a", *(Claim(one, 1) for one in windows)))
    for passed_s, left in ((30, 2), (30, 2), (1, 0)):
        clock.advance(passed_s)
        await stands(store, *windows)
        assert len([name async for name in runner.client.scan_iter(f"{prefix}*:w:*")]) == left
    await runner.aclose()


async def test_time_passes_where_a_swapped_lease_stood(store: LimitStore, clock: ManualClock) -> None:
    tokens = limit("tokens", 100)
    lease = await granted(store, ask("a", candidates=[[Claim(tokens, 10)]]))
    clock.set_back(61)
    assert await stands(store, tokens) == [(10, 0)]  # of no lease any more
    clock.advance(62)
    await store.swap(lease, ask("a", candidates=[[]]), called=False)
    clock.set_back(60)
    assert await stands(store, tokens) == [(0, 0)]


async def test_refund_after_a_clock_was_set_back_goes_where_it_was_taken(store: LimitStore, clock: ManualClock) -> None:
    tokens = limit("tokens", 100)
    await granted(store, ask("a", Claim(tokens, 10)))
    clock.set_back(5)
    lease = await granted(store, ask("b", Claim(tokens, 50)))
    await store.settle(lease, Settlement(tokens=1, nano_usd=0))
    assert await stands(store, tokens) == [(1, 10)]


# -- what settling does


async def test_real_tokens_stand_in_place_of_held_ones(store: LimitStore) -> None:
    tokens = limit("tokens", 100)
    lease = await granted(store, ask("a", Claim(tokens, 60)))
    assert await stands(store, tokens) == [(0, 60)]
    assert await store.settle(lease, Settlement(tokens=25, nano_usd=0))
    assert await stands(store, tokens) == [(25, 0)]


async def test_refund_goes_into_the_second_of_the_grant(store: LimitStore, clock: ManualClock) -> None:
    tokens = limit("tokens", 100)
    lease = await granted(store, ask("a", Claim(tokens, 60)))
    clock.advance(30)
    await granted(store, ask("b", Claim(tokens, 40)))
    await store.settle(lease, Settlement(tokens=20, nano_usd=0))
    assert await stands(store, tokens) == [(20, 40)]
    clock.advance(31)
    assert await stands(store, tokens) == [(0, 40)]


async def test_refund_after_its_second_has_left_changes_nothing(store: LimitStore, clock: ManualClock) -> None:
    tokens = limit("tokens", 100)
    lease = await granted(store, ask("a", Claim(tokens, 60)))
    clock.advance(61)
    await granted(store, ask("b", Claim(tokens, 40)))
    assert await store.settle(lease, NOTHING)
    assert await stands(store, tokens) == [(0, 40)]


async def test_overrun_is_counted(store: LimitStore) -> None:
    tokens, money = limit("tokens", 100), limit("money", 100)
    await store.seed(money, used=0, mark=0)
    lease = await granted(store, ask("a", Claim(tokens, 60), Claim(money, 60)))
    await store.settle(lease, Settlement(tokens=130, nano_usd=140))
    assert await stands(store, tokens, money) == [(130, 0), (140, 0)]
    await refused(store, ask("b", Claim(tokens, 1)))


async def test_request_permits_are_kept_and_places_given_back(store: LimitStore) -> None:
    requests, places = limit("requests", 9), limit("concurrency", 1)
    lease = await granted(store, ask("a", Claim(requests, 1), Claim(places, 1)))
    no = await refused(store, ask("b", Claim(requests, 1), Claim(places, 1)))
    assert (no.limit, no.used, no.wait_s) == (places, 1, 1)
    await store.settle(lease, NOTHING)
    assert await stands(store, requests, places) == [(1, 0), (0, 0)]


async def test_none_gives_all_back(store: LimitStore) -> None:
    limits = [limit("requests", 9), limit("tokens", 9), limit("concurrency", 9), limit("money", 9)]
    await store.seed(limits[3], used=2, mark=0)
    claims = [Claim(one, 1) for one in limits]
    lease = await granted(store, ask("a", *claims[:2], candidates=[claims[2:]]))
    await store.settle(lease, None)
    assert await stands(store, *limits) == [(0, 0), (0, 0), (0, 0), (2, 0)]


@pytest.mark.parametrize(("called", "left"), [(True, [(1, 0), (7, 0), (0, 0)]), (False, [(0, 0), (0, 0), (0, 0)])])
async def test_provider_part_is_given_back_when_it_was_not_called(
    store: LimitStore, called: bool, left: list[tuple[int, int]]
) -> None:
    requests, tokens = limit("requests", 9), limit("tokens", 9, "key")
    own = [limit("requests", 9, "p:r"), limit("tokens", 9, "p:t"), limit("concurrency", 9)]
    lease = await granted(
        store, ask("a", Claim(requests, 1), Claim(tokens, 9), candidates=[[Claim(one, 1) for one in own]])
    )
    await store.settle(lease, Settlement(tokens=7, nano_usd=0, provider=called))
    assert await stands(store, requests, tokens) == [(1, 0), (7, 0)]
    assert await stands(store, *own) == left


async def test_settling_counts_once(store: LimitStore) -> None:
    places = limit("concurrency", 9)
    lease = await granted(store, ask("a", Claim(places, 1)))
    await granted(store, ask("b", Claim(places, 1)))
    assert await store.settle(lease, NOTHING)
    assert not await store.settle(lease, NOTHING)
    assert not await store.settle(lease, None)
    assert not await store.settle_lost("one", "a", NOTHING)
    assert await stands(store, places) == [(1, 0)]


async def test_lost_lease_is_settled_by_its_id(store: LimitStore) -> None:
    tokens, money = limit("tokens", 100), limit("money", 100)
    await store.seed(money, used=0, mark=0)
    await granted(store, ask("a", Claim(tokens, 60), candidates=[[Claim(money, 50)]]))
    assert await store.settle_lost("one", "a", Settlement(tokens=5, nano_usd=6))
    assert await stands(store, tokens, money) == [(5, 0), (6, 0)]
    assert not await store.settle_lost("one", "a", Settlement(tokens=5, nano_usd=6))
    assert await stands(store, tokens, money) == [(5, 0), (6, 0)]


# -- one decision


async def test_refusal_consumes_nothing(store: LimitStore) -> None:
    requests, tokens, full = limit("requests", 9), limit("tokens", 9), limit("concurrency", 0)
    await refused(store, ask("a", Claim(requests, 1), Claim(tokens, 1), Claim(full, 1)))
    await refused(store, ask("b", Claim(requests, 1), candidates=[[Claim(tokens, 1), Claim(full, 1)]]))
    assert await stands(store, requests, tokens, full) == [(0, 0), (0, 0), (0, 0)]


async def test_callers_refusal_names_the_longest_wait(store: LimitStore, clock: ManualClock) -> None:
    early, late, places = limit("requests", 1, "early"), limit("requests", 1, "late"), limit("concurrency", 1)
    await granted(store, ask("a", Claim(early, 1), Claim(places, 1)))
    clock.advance(5)
    await granted(store, ask("b", Claim(late, 1)))
    claims = [Claim(early, 1), Claim(late, 1), Claim(places, 1)]
    no = await refused(store, ask("c", *claims))
    assert (no.limit, no.wait_s) == (late, 61)
    assert (await refused(store, ask("c", *claims, Claim(limit("tokens", 1), 2)))).wait_s is None


async def test_first_candidate_with_room_is_taken_alone(store: LimitStore) -> None:
    one, two, three = (limit("requests", 1, name) for name in ("one", "two", "three"))
    candidates = [[Claim(one, 1)], [Claim(two, 1)], [Claim(three, 1)]]
    await granted(store, ask("a", candidates=candidates))
    lease = await granted(store, ask("b", candidates=candidates))
    assert (lease.candidate, lease.provider) == (1, [Claim(two, 1)])
    assert await stands(store, one, two, three) == [(1, 0), (1, 0), (0, 0)]


async def test_candidate_without_limits_has_room(store: LimitStore) -> None:
    full = limit("requests", 0)
    lease = await granted(store, ask("a", candidates=[[Claim(full, 1)], []]))
    assert (lease.candidate, list(lease.provider)) == (1, [])


async def test_candidates_refusal_names_who_frees_soonest(store: LimitStore, clock: ManualClock) -> None:
    late, early, never = limit("requests", 1, "late"), limit("requests", 1, "early"), limit("requests", 0, "never")
    await granted(store, ask("a", candidates=[[Claim(early, 1)]]))
    clock.advance(7)
    await granted(store, ask("b", candidates=[[Claim(late, 1)]]))
    no = await refused(store, ask("c", candidates=[[Claim(late, 1)], [Claim(early, 1)], [Claim(never, 1)]]))
    assert (no.limit, no.wait_s) == (early, 54)


async def test_no_candidates_is_no_obstacle(store: LimitStore) -> None:
    lease = await granted(store, ask("a", Claim(limit("requests", 1), 1), candidates=()))
    assert (lease.candidate, list(lease.provider)) == (-1, [])


async def test_asking_again_gets_the_first_answer(store: LimitStore, clock: ManualClock) -> None:
    requests, own = limit("requests", 5), limit("requests", 1, "own")
    first = await granted(store, ask("a", Claim(requests, 1), candidates=[[Claim(own, 1)], []]))
    clock.advance(3)
    again = await granted(store, ask("a", Claim(requests, 1), candidates=[[Claim(own, 1)], []]))
    assert (again.candidate, again.second, again.used) == (first.candidate, first.second, first.used)
    assert await stands(store, requests, own) == [(1, 0), (1, 0)]


async def test_lease_tells_the_second_and_what_stands(store: LimitStore, clock: ManualClock) -> None:
    tokens, money = limit("tokens", 100), limit("money", 100)
    await store.seed(money, used=10, mark=0)
    await granted(store, ask("a", Claim(tokens, 20), Claim(money, 5)))
    lease = await granted(store, ask("b", Claim(tokens, 30), Claim(money, 6)))
    assert (lease.second, lease.used, lease.local) == (int(clock.time()), [50, 21], False)


# -- fallback


async def test_swap_takes_the_new_part_and_gives_back_the_old(store: LimitStore) -> None:
    key, old, new = limit("requests", 9), limit("concurrency", 1, "old"), limit("tokens", 9, "new")
    lease = await granted(store, ask("a", Claim(key, 1), candidates=[[Claim(old, 1)]]))
    swapped = await store.swap(
        lease, ask("a", candidates=[[Claim(limit("requests", 0, "no"), 1)], [Claim(new, 4)]]), called=False
    )
    assert isinstance(swapped, Lease)
    assert (swapped.id, swapped.candidate, swapped.callers, swapped.used) == ("a", 1, lease.callers, lease.used)
    assert await stands(store, key, old, new) == [(1, 0), (0, 0), (0, 4)]
    assert await store.settle(swapped, Settlement(tokens=2, nano_usd=0))
    assert await stands(store, key, old, new) == [(1, 0), (0, 0), (2, 0)]


async def test_permit_of_a_request_that_was_called_stays_taken(store: LimitStore, clock: ManualClock) -> None:
    requests, places = limit("requests", 2), limit("concurrency", 1)
    part = [Claim(requests, 1), Claim(places, 1)]
    lease = await granted(store, ask("a", candidates=[part]))
    again = await store.swap(lease, ask("a", candidates=[part]), called=True)
    assert isinstance(again, Lease)
    assert await stands(store, requests, places) == [(2, 0), (1, 0)]
    no = await store.swap(again, ask("a", candidates=[part]), called=True)
    assert isinstance(no, Refused)
    assert (no.limit, no.used) == (requests, 2)
    assert await store.settle(again, None)
    assert await stands(store, requests, places) == [(1, 0), (0, 0)]
    clock.advance(61)
    assert await stands(store, requests, places) == [(0, 0), (0, 0)]


async def test_swap_within_a_full_provider_needs_the_difference_alone(store: LimitStore, clock: ManualClock) -> None:
    places, requests, tokens = limit("concurrency", 1), limit("requests", 1), limit("tokens", 10)
    before, after = [Claim(places, 1), Claim(requests, 1), Claim(tokens, 8)], [Claim(places, 1), Claim(tokens, 10)]
    lease = await granted(store, ask("a", candidates=[before]))
    clock.advance(3)
    swapped = await store.swap(
        lease, ask("a", candidates=[[Claim(tokens, 11)], [*after, Claim(requests, 1)]]), called=False
    )
    assert isinstance(swapped, Lease)
    assert (swapped.candidate, swapped.second) == (1, lease.second + 3)
    assert await stands(store, places, requests, tokens) == [(1, 0), (1, 0), (0, 10)]


async def test_refused_swap_leaves_the_lease(store: LimitStore) -> None:
    tokens = limit("tokens", 10)
    lease = await granted(store, ask("a", candidates=[[Claim(tokens, 8)]]))
    await granted(store, ask("b", candidates=[[Claim(tokens, 1)]]))
    no = await store.swap(lease, ask("a", candidates=[[Claim(tokens, 10)]]), called=False)
    assert isinstance(no, Refused)
    assert (no.used, no.reserved, no.wait_s) == (0, 1, 61)  # its own part is no obstacle
    assert await stands(store, tokens) == [(0, 9)]
    assert await store.settle(lease, NOTHING)
    assert await stands(store, tokens) == [(0, 1)]


async def test_lease_from_before_a_swap_settles_what_the_swap_took(store: LimitStore) -> None:
    """The swap's answer was lost: the caller holds the old lease still."""
    old, new = limit("concurrency", 1, "old"), limit("concurrency", 1, "new")
    lease = await granted(store, ask("a", candidates=[[Claim(old, 1)]]))
    await store.swap(lease, ask("a", candidates=[[Claim(new, 1)]]), called=False)
    assert await store.settle(lease, NOTHING)
    assert await stands(store, old, new) == [(0, 0), (0, 0)]


async def test_lease_that_is_not_known_cannot_be_swapped(store: LimitStore) -> None:
    lease = await granted(store, ask("a"))
    await store.settle(lease, None)
    with pytest.raises(StoreUnavailable):
        await store.swap(lease, ask("a", candidates=[[Claim(limit("concurrency", 1), 1)]]), called=False)
    assert await stands(store, limit("concurrency", 1)) == [(0, 0)]


# -- money


async def test_budget_is_unknown_until_it_is_seeded(store: LimitStore) -> None:
    requests, money = limit("requests", 9), limit("money", 100)
    request = ask("a", Claim(limit("tokens", 0), 1), Claim(money, 1), Claim(requests, 1))
    assert await store.admit(request) == Unknown(limit=money)
    assert await store.admit(ask("a", candidates=[[Claim(money, 1)]])) == Unknown(limit=money)
    assert await store.read([money]) == [LimitState(limit=money, used=None, reserved=None)]
    await store.seed(money, used=99, mark=7)
    assert await stands(store, money, requests) == [(99, 0), (0, 0)]
    await granted(store, ask("a", Claim(money, 1)))


async def test_first_seed_counts(store: LimitStore) -> None:
    money = limit("money", 100)
    await store.seed(money, used=10, mark=1)
    await store.seed(money, used=90, mark=9)
    await store.add(money, cost=5, mark=2)
    assert await stands(store, money) == [(15, 0)]


async def test_record_that_came_before_the_seed_is_added_if_that_did_not_hold_it(store: LimitStore) -> None:
    money = limit("money", 100)
    for mark in (6, 7, 9, 9):
        await store.add(money, cost=5, mark=mark)
    assert await stands(store, money) == [(None, None)]
    await store.seed(money, used=10, mark=7)
    await store.add(money, cost=5, mark=9)
    assert await stands(store, money) == [(15, 0)]


async def test_record_is_added_once_and_only_if_the_seed_did_not_hold_it(store: LimitStore) -> None:
    money = limit("money", 100)
    await store.seed(money, used=10, mark=7)
    for mark in (7, 8, 8, 6):
        await store.add(money, cost=5, mark=mark)
    assert await stands(store, money) == [(15, 0)]


async def test_reserved_money_can_be_waited_for_and_spent_money_cannot(store: LimitStore) -> None:
    money = limit("money", 100)
    await store.seed(money, used=40, mark=0)
    await granted(store, ask("a", Claim(money, 30)))
    assert await refused(store, ask("b", Claim(money, 60))) == Refused(limit=money, used=40, reserved=30, wait_s=1)
    assert await refused(store, ask("b", Claim(money, 61))) == Refused(limit=money, used=40, reserved=30, wait_s=None)


async def test_large_amounts_are_exact(store: LimitStore) -> None:
    money, tokens = limit("money", MOST), limit("tokens", MOST)
    await store.seed(money, used=MOST - 10**15 - 3, mark=2**40)
    lease = await granted(store, ask("a", Claim(money, 10**15 + 1), Claim(tokens, 10**15 + 1)))
    assert lease.used == [MOST - 2, 10**15 + 1]
    await refused(store, ask("b", Claim(money, 3)))
    await granted(store, ask("b", Claim(money, 2), Claim(tokens, MOST - 10**15 - 1)))
    await store.settle(lease, Settlement(tokens=10**15, nano_usd=10**15))
    assert await stands(store, money, tokens) == [(MOST - 3, 2), (10**15, MOST - 10**15 - 1)]


async def test_budget_that_ended_long_ago_is_forgotten(clock: ManualClock, valkey_socket: str) -> None:
    runner = DirectRunner(valkey_socket)
    store = ValkeyLimits(runner, prefix=f"{uuid4().hex}:", holder="one", clock=clock)
    seconds, _ = await runner.client.time()
    over, recent = limit("money", 9, "over", ends_at=seconds - 90_000), limit("money", 9, "recent", ends_at=seconds)
    for one in (over, recent):
        await store.seed(one, used=1, mark=1)
    assert await stands(store, over, recent) == [(None, None), (1, 0)]
    await runner.aclose()


# -- holders


async def test_holder_counts_itself(store: LimitStore) -> None:
    assert await store.beat() == 1
    assert await store.reap(silent_s=0) == 0


async def test_silent_holders_leases_are_settled_as_used(clock: ManualClock, valkey_socket: str) -> None:
    runner, prefix = DirectRunner(valkey_socket), f"{uuid4().hex}:"
    living, dead = (shared(runner, clock, prefix=prefix, holder=name) for name in ("living", "dead"))
    limits = [limit("requests", 99), limit("tokens", 10**4), limit("concurrency", 99), limit("money", 10**4)]
    await living.seed(limits[3], used=0, mark=0)
    for number in range(70):  # more than one script settles; it never said that it lives
        await granted(dead, ask(f"{number}", *(Claim(one, 1) for one in limits)))
    mine = await granted(living, ask("mine", Claim(limits[2], 1)))
    for _ in range(3):
        assert await living.reap(silent_s=30) == 0
        clock.advance(10)
    assert await living.reap(silent_s=30) == 70
    assert await stands(living, *limits) == [(70, 0), (70, 0), (1, 0), (70, 0)]
    assert await living.settle(mine, NOTHING)
    assert await living.reap(silent_s=0) == 0
    await runner.aclose()


async def test_what_a_dead_holder_still_holds_can_be_given_back(clock: ManualClock, valkey_socket: str) -> None:
    runner, prefix = DirectRunner(valkey_socket), f"{uuid4().hex}:"
    living, dead = (shared(runner, clock, prefix=prefix, holder=name) for name in ("living", "dead"))
    limits = [limit("tokens", 10**4), limit("concurrency", 99), limit("money", 10**4)]
    await living.seed(limits[2], used=5, mark=0)
    for number in range(70):
        await granted(dead, ask(f"{number}", *(Claim(one, 1) for one in limits)))
    mine = await granted(living, ask("mine", Claim(limits[1], 1)))
    assert await living.release("dead") == 70
    assert await stands(living, *limits) == [(0, 0), (1, 0), (5, 0)]
    assert await living.release("dead") == 0
    assert await living.settle(mine, NOTHING)
    await runner.aclose()


async def test_beating_holder_is_left_alone_also_after_nobody_could_beat(
    clock: ManualClock, valkey_socket: str
) -> None:
    runner, prefix = DirectRunner(valkey_socket), f"{uuid4().hex}:"
    one, other = (shared(runner, clock, prefix=prefix, holder=name) for name in ("one", "other"))
    lease = await granted(other, ask("a", Claim(limit("concurrency", 1), 1)))
    for _ in range(5):
        await other.beat()
        assert await one.reap(silent_s=30) == 0
        clock.advance(10)
    clock.advance(300)  # the store was away
    assert await one.reap(silent_s=30) == 0
    assert await other.beat() == 1  # nobody else says that it lives
    assert await one.beat() == 2
    assert await other.settle(lease, NOTHING)
    await runner.aclose()


async def test_any_holder_settles_anothers_lease(clock: ManualClock, valkey_socket: str) -> None:
    runner, prefix = DirectRunner(valkey_socket), f"{uuid4().hex}:"
    one, dead = (shared(runner, clock, prefix=prefix, holder=name) for name in ("one", "dead"))
    tokens = limit("tokens", 100)
    await granted(dead, ask("a", Claim(tokens, 60)))
    assert not await one.settle_lost("one", "a", NOTHING)
    assert await one.settle_lost("dead", "a", Settlement(tokens=7, nano_usd=0))
    assert await stands(one, tokens) == [(7, 0)]
    await runner.aclose()


async def test_ask_that_comes_after_it_was_given_back_is_granted_nothing(
    clock: ManualClock, valkey_socket: str
) -> None:
    """It lay in the socket of a server that hung, while its caller gave up."""
    runner = DirectRunner(valkey_socket)
    store, places = shared(runner, clock, prefix=f"{uuid4().hex}:"), limit("concurrency", 1)
    assert not await store.settle_lost("one", "a", None)
    with pytest.raises(StoreUnavailable):
        await store.admit(ask("a", Claim(places, 1)))
    assert await stands(store, places) == [(0, 0)]
    await granted(store, ask("b", Claim(places, 1)))
    await runner.aclose()


# -- another memory


async def test_another_memory_knows_windows_alone(clock: ManualClock, valkey_socket: str) -> None:
    runner = DirectRunner(valkey_socket)
    store = shared(runner, clock, prefix=f"{uuid4().hex}:")
    limits = [limit("requests", 1), limit("tokens", 9), limit("concurrency", 1), limit("money", 9)]
    await store.seed(limits[3], used=0, mark=0)
    lease = await granted(store, ask("a", *(Claim(one, 1) for one in limits)))
    before = store.life
    runner.run_id = "another"
    assert store.life != before
    assert await stands(store, *limits) == [(1, 0), (0, 1), (0, 0), (None, None)]
    assert not await store.settle(lease, NOTHING)
    await store.seed(limits[3], used=1, mark=1)
    await granted(store, ask("b", Claim(limits[2], 1), Claim(limits[3], 8)))
    await runner.aclose()


async def test_all_keys_share_one_hash_tag(clock: ManualClock, valkey_socket: str) -> None:
    runner, prefix = DirectRunner(valkey_socket), f"{uuid4().hex}:"
    store = shared(runner, clock, prefix=prefix)
    limits = [limit("requests", 9), limit("tokens", 9), limit("concurrency", 9), limit("money", 9)]
    await store.seed(limits[3], used=0, mark=0)
    await store.add(limits[3], cost=1, mark=1)
    await granted(store, ask("a", *(Claim(one, 1) for one in limits)))
    await store.beat()
    await store.settle_lost("one", "unknown", None)
    names = [name.decode() async for name in runner.client.scan_iter(f"{prefix}*")]
    assert len(names) == 8
    assert all(name.startswith(f"{prefix}{{adm}}:") for name in names)
    await runner.aclose()


async def test_what_is_foreseen_is_what_is_decided_and_takes_nothing(store: LimitStore) -> None:
    requests, tokens, places = limit("requests", 1), limit("tokens", 100), limit("concurrency", 1, "b")
    asked = ask("a", Claim(requests, 1), Claim(tokens, 60), candidates=[[Claim(places, 2)], [Claim(places, 1)]])
    assert [await store.foresee(asked) for _ in range(3)] == [1, 1, 1]
    assert await stands(store, requests, tokens, places) == [(0, 0), (0, 0), (0, 0)]
    assert (await granted(store, asked)).candidate == 1
    later = ask("b", Claim(requests, 1), Claim(tokens, 60))
    assert await store.foresee(later) == await refused(store, later)
    budget = limit("money", 5)
    assert await store.foresee(ask("c", Claim(budget, 1))) == Unknown(limit=budget)
    await store.seed(budget, used=4, mark=1)
    assert await store.foresee(ask("c", Claim(budget, 1), candidates=())) == -1
