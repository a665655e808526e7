from hypothesis import given
from hypothesis import strategies as st

from llm_service.supervisor.restarts import LONGEST_PAUSE_S, STEADY_S, Restarts

LIVES = st.lists(st.floats(min_value=0, max_value=STEADY_S * 2), max_size=40)


def test_who_dies_at_once_again_and_again_waits_ever_longer() -> None:
    restarts = Restarts()
    pauses = [restarts.pause_s(0.1) for _ in range(12)]
    assert pauses[:5] == [0.0, 0.25, 0.5, 1.0, 2.0]
    assert pauses[-1] == LONGEST_PAUSE_S


def test_who_has_lived_for_a_while_is_replaced_at_once() -> None:
    restarts = Restarts()
    for _ in range(5):
        restarts.pause_s(0)
    assert [restarts.pause_s(STEADY_S), restarts.pause_s(0)] == [0.0, 0.25]


@given(LIVES)
def test_pauses_are_bounded_and_grow_while_nobody_stays_alive(lives: list[float]) -> None:
    restarts = Restarts()
    before = 0.0
    for lived_s in lives:
        pause_s = restarts.pause_s(lived_s)
        assert 0.0 <= pause_s <= LONGEST_PAUSE_S
        assert pause_s == 0.0 if lived_s >= STEADY_S else pause_s >= before
        before = pause_s
