"""No schedule of requests, verdicts and time makes a breaker do other than a plain model that forgets nothing."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from llm_service.domain import Candidate
from llm_service.routing import Breaker, BreakerOptions
from tests.support.clock import ManualClock

OPTIONS = BreakerOptions(failures=4, error_ratio=0.5, min_requests=6, window_s=10, open_s=1, open_max_s=4)
BUCKETS = 10
MOST_LIMITED_S = 30.0
times = st.sampled_from((0.0, 0.25, 0.5, 1.0, 1.5, 3.0, 4.0, 9.5, 31.0))


@dataclass
class Request:
    """``era``: the openings and closings before it; ``probe``: which of its era's probes it is, 0 for none."""

    permit: int
    era: int
    probe: int
    began: float


@dataclass
class Plain:
    """What the docstring of `Breaker` says, without any thrift."""

    era: int = 0
    is_open: bool = False
    until: float = 0.0
    pause: float = 0.0
    probes: int = 0
    probing: bool = False
    verdicts: list[tuple[float, bool]] = field(default_factory=list)  # of this era: when, and whether it failed

    def permits(self, now: float) -> bool:
        if now < self.until:
            return False
        if self.is_open:
            self.probes, self.probing, self.until = self.probes + 1, True, now + OPTIONS.open_max_s
        return True

    def verdict(self, now: float, request: Request, *, failed: bool) -> None:
        if request.era != self.era:
            return
        if self.is_open and not failed:
            self.turn(is_open=False)
        elif self.is_open and self.is_probe(request):
            self.rest(now, min(2 * self.pause, OPTIONS.open_max_s))
        elif not self.is_open:
            self.verdicts.append((now, failed))
            if failed and (self.in_row() or self.by_ratio(now)):
                self.turn(is_open=True)
                self.rest(now, OPTIONS.open_s)

    def is_probe(self, request: Request) -> bool:
        return self.probing and request.era == self.era and request.probe == self.probes

    def turn(self, *, is_open: bool) -> None:
        self.era, self.is_open, self.probes, self.probing, self.until, self.verdicts = (
            self.era + 1, is_open, 0, False, 0.0, [],
        )  # fmt: skip

    def rest(self, now: float, pause: float) -> None:
        self.pause, self.until, self.probing = pause, now + pause, False

    def in_row(self) -> bool:
        last = [failed for _, failed in self.verdicts[-OPTIONS.failures :]]
        return len(last) == OPTIONS.failures and all(last)

    def by_ratio(self, now: float) -> bool:
        width = OPTIONS.window_s / BUCKETS
        seen = [failed for at, failed in self.verdicts if now // width - at // width < BUCKETS]
        return len(seen) >= OPTIONS.min_requests and sum(seen) >= OPTIONS.error_ratio * len(seen)


class Schedule(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.plain = Plain()
        self.told: list[str] = []
        self.running: list[Request] = []
        candidate = Candidate(provider="p", upstream_model="m")
        tell = lambda breaker, change: self.told.append(change)  # noqa: E731
        self.breaker = Breaker(candidate, OPTIONS, time=self.clock.time, tell=tell)

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    @rule(seconds=times)
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def request(self) -> None:
        was_ready = self.breaker.ready(self.now)
        permit = self.breaker.permits(self.now)
        assert was_ready == bool(permit) == self.plain.permits(self.now)
        if permit:
            self.running.append(Request(permit, self.plain.era, self.plain.probes, self.now))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), failed=st.booleans())
    def verdict(self, data: st.DataObject, failed: bool) -> None:
        request = self.pick(data)
        if failed:
            self.breaker.failed(self.now, request.permit, "it is down")
        else:
            self.breaker.succeeded(self.now, request.permit)
        self.plain.verdict(self.now, request, failed=failed)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def client_leaves(self, data: st.DataObject) -> None:
        request = self.pick(data)
        self.breaker.abandoned(self.now, request.permit)
        if self.plain.is_open and self.plain.is_probe(request):
            self.plain.probing, self.plain.until = False, self.now

    @precondition(lambda self: self.running)
    @rule(data=st.data(), wait_s=st.sampled_from((None, 0.0, 2.0, 1000.0)))
    def too_much_to_do(self, data: st.DataObject, wait_s: float | None) -> None:
        request, plain = self.pick(data), self.plain
        self.breaker.limited(self.now, request.permit, wait_s)
        if plain.is_open and plain.is_probe(request):
            plain.rest(self.now, max(plain.pause, min(wait_s or 0.0, MOST_LIMITED_S)))
        elif wait_s and (plain.is_open or request.era == plain.era):
            plain.until = max(plain.until, self.now + min(wait_s, MOST_LIMITED_S))

    def pick(self, data: st.DataObject) -> Request:
        return self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))

    @invariant()
    def is_as_the_model_is(self) -> None:
        breaker, plain = self.breaker, self.plain
        assert breaker.broken == plain.is_open
        assert breaker.ready(self.now) == (self.now >= plain.until)
        expected = ("half_open" if plain.probing or self.now >= plain.until else "open") if plain.is_open else (
            "limited" if self.now < plain.until else "closed"
        )  # fmt: skip
        assert breaker.state(self.now) == expected

    @invariant()
    def one_request_at_a_time_tries(self) -> None:
        """But for one that has been silent for the longest time between two tries."""
        era = self.plain.era
        if self.plain.is_open:
            trying = [one for one in self.running if one.era == era and self.now - one.began < OPTIONS.open_max_s]
            assert len(trying) <= 1

    def teardown(self) -> None:
        """Whatever happened, it recovers within the longest time of all: a request is let through, and closes it."""
        self.clock.advance(MOST_LIMITED_S)
        permit = self.breaker.permits(self.now)
        assert permit
        self.breaker.succeeded(self.now, permit)
        assert self.breaker.state(self.now) == "closed"
        assert self.breaker.closed


def test_breaker_does_what_the_model_does() -> None:
    run_state_machine_as_test(Schedule)


@given(st.lists(st.tuples(times, st.booleans()), max_size=80))
def test_nothing_is_sent_while_it_is_open(steps: list[tuple[float, bool]]) -> None:
    now, breaker = 0.0, Breaker(Candidate(provider="p", upstream_model="m"), OPTIONS, time=lambda: 0.0)
    for wait_s, failed in steps:
        now += wait_s
        was_open, until = breaker.broken, breaker.open_until
        permit = breaker.permits(now)
        assert bool(permit) == (not was_open or now >= until)
        if permit and failed:
            breaker.failed(now, permit, "it is down")
        elif permit:
            breaker.succeeded(now, permit)
