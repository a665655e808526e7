"""Whatever a receiver does and whenever notices come: each comes to one end, in order, in its time."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import example, given
from hypothesis import strategies as st

from llm_service.alerts import Notice, NoticeFailed
from llm_service.alerts.notices.retry import BACKOFF_MAX_S, BACKOFF_S, Outbox, backoff_s
from tests.support.clock import ManualClock
from tests.support.notices import AT, a_notice
from tests.support.waiting import loop_turns

RETRY_FOR_S = 100.0
ENDS = ("delivered", "failed", "replaced")

answers = st.sampled_from(("ok", "down", "down", "lasting", "wait 7", "wait 400", "defect"))
durations = st.sampled_from((0.0, 0.0, 0.5, 12.0))
steps = st.one_of(
    st.tuples(st.just("notice"), st.sampled_from("abc")),
    st.tuples(st.just("pass"), st.sampled_from((0.25, 1.0, 5.0, 40.0))),
)


@dataclass
class Receiver:
    """Answers as the example says, then always well; notes each attempt, and when it was asked to be left alone."""

    clock: ManualClock
    script: list[tuple[str, float]]
    attempts: list[tuple[Notice, float, float]] = field(default_factory=list)
    wrongs: list[str] = field(default_factory=list)
    at_once: int = 0
    quiet_until: float = 0.0

    async def deliver(self, notice: Notice) -> None:
        began = self.clock.monotonic()
        self.wrongs += ["more than one at a time"] * self.at_once
        self.wrongs += ["it had asked to be left alone"] * (began < self.quiet_until)
        self.at_once += 1
        try:
            answer, takes_s = self.script.pop(0) if self.script else ("ok", 0.0)
            if takes_s:
                await self.clock.sleep(takes_s)
        finally:
            self.at_once -= 1
            self.attempts.append((notice, began, self.clock.monotonic()))
        self.say(answer)

    def say(self, answer: str) -> None:
        if answer == "defect":
            raise KeyError(answer)
        if answer == "lasting":
            raise NoticeFailed(answer, lasting=True)
        if answer == "down":
            raise NoticeFailed(answer)
        if answer.startswith("wait"):
            asked_s = float(answer[5:])
            self.quiet_until = self.clock.monotonic() + min(asked_s, RETRY_FOR_S)
            raise NoticeFailed(answer, retry_after_s=asked_s)


async def happened(script: list[tuple[str, float]], moves: list[tuple[str, object]], seed: int):
    """What was sent, when; what was told; the attempts."""
    clock = ManualClock()
    receiver = Receiver(clock, list(script))
    told: list[tuple[Notice, str]] = []
    defects: list[BaseException] = []
    outbox = Outbox(
        "ops",
        receiver,
        retry_for_s=RETRY_FOR_S,
        clock=clock,
        dice=random.Random(seed),
        told=lambda _, notice, outcome, __: told.append((notice, outcome)),
        on_failure=lambda _, defect: defects.append(defect),
    )
    sent: list[tuple[Notice, float]] = []
    for what, how in moves:
        if what == "notice":
            notice = a_notice(group=str(how), instance=f"n{len(sent)}", at=AT)
            sent.append((notice, clock.monotonic()))
            await outbox.deliver(notice)
            await loop_turns(4)
        else:
            await passing(clock, float(str(how)))
    await passing(clock, 3 * RETRY_FOR_S)
    assert (len(outbox), clock.timers) == (0, 0), "nothing is left"
    await outbox.aclose()
    assert receiver.wrongs == []
    assert [defect for defect in defects if not isinstance(defect, KeyError)] == []
    return sent, told, receiver.attempts


async def passing(clock: ManualClock, seconds: float) -> None:
    for _ in range(int(seconds / 0.25)):
        clock.advance(0.25)
        await loop_turns(4)


@given(
    script=st.lists(st.tuples(answers, durations), max_size=12), moves=st.lists(steps, max_size=12), seed=st.integers()
)
@example(script=[("wait 7", 0.0)], moves=[("notice", "a"), ("notice", "b")], seed=0)
@example(script=[("down", 12.0)], moves=[("notice", "a"), ("pass", 1.0), ("notice", "a")], seed=0)
@example(script=[("down", 0.0), ("wait 100", 0.0)], moves=[("notice", "a"), ("pass", 0.25), ("notice", "b")], seed=0)
@example(script=[("down", 0.0)] * 12, moves=[("notice", "a")], seed=0)
def test_every_notice_comes_to_one_end_in_time(script, moves, seed) -> None:
    sent, told, attempts = asyncio.run(happened(script, moves, seed))

    ends = Counter(notice.instance for notice, outcome in told if outcome in ENDS)
    assert ends == Counter(notice.instance for notice, _ in sent), "one end for each"
    latest = {notice.group: notice for notice, _ in sent}
    replaced = [notice for notice, outcome in told if outcome == "replaced"]
    assert not [notice for notice in replaced if notice in latest.values()], "the newest is never replaced"

    for group in latest:
        order = [notice.instance for notice, _, _ in attempts if notice.group == group]
        assert order == sorted(order, key=lambda name: int(name[1:])), "never an older one after a newer one"

    for notice, sent_s in sent:
        mine = [(began, ended) for tried, began, ended in attempts if tried is notice]
        delayed = sum(tried is notice and outcome == "delayed" for tried, outcome in told)
        assert len(mine) <= delayed + 1, "each attempt is told"
        assert all(began <= sent_s + RETRY_FOR_S for began, _ in mine[1:]), "no further try after its time"


@given(attempts=st.integers(min_value=1, max_value=1_000), seed=st.integers())
def test_a_pause_is_random_and_bounded(attempts: int, seed: int) -> None:
    assert 0 <= backoff_s(attempts, random.Random(seed)) <= min(BACKOFF_S * 2.0 ** (attempts - 1), BACKOFF_MAX_S)
