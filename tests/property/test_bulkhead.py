"""Whoever comes, leaves, is cancelled or waits too long, in whichever order: no bound is passed, no place lost."""

import asyncio
import random
from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import DeadlineExceeded, Overloaded
from llm_service.routing import Bulkhead, Places
from tests.support.clock import ManualClock
from tests.support.waiting import loop_turns

MAX_WAIT_S = 5.0
STEPS: Mapping[str, tuple[Sequence[float | None], int]] = {
    "comes": ((None, None, 1.0, 3.0), 8),
    "tries": ((None,), 2),
    "leaves": (range(10), 5),
    "is cancelled": (range(10), 2),
    "time passes": ((0.5, 1.0, 2.5), 1),
    "bound": ((1, 2, 3, 4), 1),
    "turn": ((None,), 3),
}
"""What may happen, with what, and how often."""
WALK = 300


class Client:
    def __init__(self, number: int) -> None:
        self.number = number
        self.task: asyncio.Task[None] | None = None
        self.is_inside = False


class Schedule:
    """A bulkhead, those who come to it, and the order in which they were let in."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.most = 2
        self.bulkhead = Bulkhead("p", self._places(), clock=self.clock, dice=random.Random(1))
        self.clients: list[Client] = []
        self.let_in: list[int] = []

    def _places(self) -> Places:
        return Places(max_concurrency=self.most, max_waiting=3, max_wait_s=MAX_WAIT_S)

    def inside(self) -> list[Client]:
        return [client for client in self.clients if client.is_inside]

    def waiting(self) -> list[Client]:
        return [client for client in self.clients if client.task is not None and not client.task.done()]

    async def do(self, what: str, how: float | None) -> None:
        if what == "comes":
            client = self._client()
            client.task = asyncio.create_task(self._enter(client, how))
        elif what == "tries":
            if self.bulkhead.try_enter():
                self._client().is_inside = True
        elif what == "leaves" and self.inside():
            self._leave(self.inside()[int(how or 0) % len(self.inside())])
        elif what == "is cancelled" and self.waiting():
            task = self.waiting()[int(how or 0) % len(self.waiting())].task
            assert task is not None
            task.cancel()
        elif what == "time passes":
            self.clock.advance(how or 0)
        elif what == "bound":
            self.most = int(how or 1)
            self.bulkhead.hold_to(self._places())
        elif what == "turn":
            await loop_turns(4)
            waiting = [client.number for client in self.waiting()]
            assert not waiting or max(self.let_in, default=-1) < min(waiting)  # they are numbered as they come

    def _client(self) -> Client:
        client = Client(len(self.clients))
        self.clients.append(client)
        return client

    async def _enter(self, client: Client, within_s: float | None) -> None:
        try:
            await self.bulkhead.enter(None if within_s is None else self.clock.monotonic() + within_s)
        except (Overloaded, DeadlineExceeded):
            return
        client.is_inside = True
        self.let_in.append(client.number)

    def _leave(self, client: Client) -> None:
        client.is_inside = False
        self.bulkhead.leave()


async def play(steps: Sequence[tuple[str, float | None]]) -> None:
    schedule = Schedule()
    bulkhead, highest = schedule.bulkhead, schedule.most
    for what, how in steps:
        before = bulkhead.inside
        await schedule.do(what, how)
        highest = max(highest, schedule.most)
        assert bulkhead.inside <= max(schedule.most, before)  # a bound that was lowered sends nobody out
        assert len(schedule.inside()) <= bulkhead.inside <= highest
    await loop_turns(4)
    assert bulkhead.inside == len(schedule.inside())
    assert bulkhead.waiting == len(schedule.waiting())
    assert not schedule.waiting() or bulkhead.inside >= schedule.most  # nobody waits beside a free place
    while schedule.inside() or schedule.waiting():
        if schedule.inside():
            schedule._leave(schedule.inside()[0])
        await schedule.do("turn", None)
    assert (bulkhead.inside, bulkhead.waiting, schedule.clock.timers) == (0, 0, 0)


@given(st.integers(0, 2**32))
def test_no_bound_is_passed_no_place_is_lost_and_the_first_come_is_served_first(seed: int) -> None:
    dice = random.Random(seed)
    steps = dice.choices([*STEPS], [often for _, often in STEPS.values()], k=WALK)
    asyncio.run(play([(step, dice.choice(STEPS[step][0])) for step in steps]))
