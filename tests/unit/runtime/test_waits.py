"""Waits of one length behind one timer: everybody is called back at the moment that is theirs, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.runtime import Waits
from tests.support.clock import ManualClock

WAIT_S = 10.0
steps = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.floats(0.1, 12.0)),
        st.tuples(st.sampled_from(("begin", "end")), st.integers(0, 5)),
    ),
    max_size=40,
)


@given(steps)
def test_everybody_is_called_back_in_time_and_once(steps: list[tuple[str, float]]) -> None:
    """Against a model: who waits, and since when."""
    clock, due, called = ManualClock(), dict[float, float](), list[float]()
    waits = Waits[float](clock, WAIT_S, called.append)
    expected = list[float]()
    for word, value in steps:
        if word == "pass":
            clock.advance(value)
            passed = [who for who, at in due.items() if at <= clock.monotonic() + 1e-6]
            for who in passed:
                del due[who]
            expected += passed
        elif word == "begin" and value not in due:
            waits.begin(value)
            due[value] = clock.monotonic() + WAIT_S
        elif word == "end":
            waits.end(value)
            due.pop(value, None)
        assert called == expected
        assert clock.timers <= 1
    clock.advance(2 * WAIT_S)
    assert called == expected + list(due)
    assert clock.timers == 0


def test_who_is_called_back_may_wait_again() -> None:
    clock, called = ManualClock(), list[float]()

    def again(who: str) -> None:
        called.append(clock.monotonic())
        if len(called) < 3:
            waits.begin(who)

    waits = Waits[str](clock, WAIT_S, again)
    waits.begin("a")
    begun = clock.monotonic()
    clock.advance(100)
    assert [at - begun for at in called] == [10, 20, 30]


def test_who_waits_again_keeps_nobody_else_waiting() -> None:
    clock, called = ManualClock(), list[tuple[str, float]]()

    def again(who: str) -> None:
        called.append((who, clock.monotonic() - begun))
        waits.begin(f"{who}'")

    waits, begun = Waits[str](clock, WAIT_S, again), clock.monotonic()
    waits.begin("a")
    clock.advance(1)
    waits.begin("b")
    clock.advance(11)
    assert called == [("a", 10), ("b", 11)]
    assert clock.timers == 1


def test_what_a_call_back_raises_keeps_nobody_else_waiting() -> None:
    clock, called = ManualClock(), list[str]()

    def fails(who: str) -> None:
        called.append(who)
        raise ValueError(who)

    waits = Waits[str](clock, WAIT_S, fails)
    for who in ("a", "b"):
        waits.begin(who)
    clock.advance(1)
    waits.begin("c")
    for passes_s, who in ((9, "a"), (0, "b"), (1, "c")):
        with pytest.raises(ValueError, match=who):
            clock.advance(passes_s)
    assert called == ["a", "b", "c"]
    assert clock.timers == 0


def test_the_end_is_for_those_who_wait() -> None:
    clock, called = ManualClock(), list[str]()
    waits = Waits[str](clock, WAIT_S, called.append)
    waits.begin("a")
    waits.begin("b")
    waits.end("a")
    waits.close()
    clock.advance(WAIT_S)
    assert called == ["b"]
    waits.begin("c")
    waits.end("c")
    waits.close()
    assert clock.timers == 0
