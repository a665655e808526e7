"""The store in memory forgets what is unused."""

from llm_service.domain import Ask, Claim, Lease, Limit, LimitKind, Settlement
from llm_service.storage import MemoryLimits
from tests.support.clock import ManualClock

USED = Settlement(tokens=1, nano_usd=1)


def limits_of(user: int) -> list[Limit]:
    kinds: tuple[LimitKind, ...] = ("requests", "tokens", "concurrency")
    return [Limit(key=f"{user}:{kind}", scope="user", subject="", kind=kind, amount=9) for kind in kinds]


async def one_request(store: MemoryLimits, user: int) -> None:
    claims = [Claim(limit, 1) for limit in limits_of(user)]
    lease = await store.admit(Ask(lease_id=f"{user}", callers=claims, candidates=[()]))
    assert isinstance(lease, Lease)
    assert lease.used == [1, 1, 1]
    await store.settle(lease, USED)


async def test_counters_of_users_who_left_are_dropped() -> None:
    clock = ManualClock()
    store = MemoryLimits(clock)
    for user in range(2_000):
        await one_request(store, user)
        clock.advance(1)
    assert len(store._counters) < 2_500


async def test_beats_drop_what_is_unused_without_any_request() -> None:
    clock = ManualClock()
    store = MemoryLimits(clock)
    for user in range(1_000):
        await one_request(store, user)
    clock.advance(200)
    for _ in range(10):
        await store.beat()
    assert not store._counters


async def test_what_a_lease_stands_in_is_not_dropped() -> None:
    clock = ManualClock()
    store = MemoryLimits(clock)
    place = Limit(key="p", scope="key", subject="", kind="concurrency", amount=1)
    money = Limit(key="m", scope="key", subject="", kind="money", amount=9, period="hour", ends_at=int(clock.time()))
    await store.seed(money, used=3, mark=0)
    await store.admit(Ask(lease_id="a", callers=[Claim(place, 1)], candidates=[()]))
    clock.advance(3_600)
    await store.beat()
    states = await store.read([place, money])
    assert [state.used for state in states] == [1, 3]
    clock.advance(1)
    await store.beat()
    assert (await store.read([money]))[0].used is None
