"""How much nonsense is borne."""

from llm_service.api.websocket.abuse import IDLE_FRAMES, MISTAKES, WINDOW_S, Patience


def test_mistakes_are_borne_up_to_a_number_in_any_window() -> None:
    patience = Patience()
    assert not any(patience.ends_with_mistake(number * 0.1) for number in range(MISTAKES))
    assert patience.ends_with_mistake(3.0)


def test_mistakes_of_long_ago_do_not_count() -> None:
    patience = Patience()
    step_s = WINDOW_S / MISTAKES
    assert not any(patience.ends_with_mistake(number * step_s) for number in range(10 * MISTAKES))


def test_frames_that_ask_for_nothing_are_borne_up_to_a_number() -> None:
    patience = Patience()
    assert not any(patience.ends_with_frame(100.0) for _ in range(IDLE_FRAMES))
    assert patience.ends_with_frame(100.0)
    assert not patience.ends_with_frame(100.0 + WINDOW_S)
