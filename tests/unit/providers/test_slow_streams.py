"""Streams that come too slowly: how much has to come of them in which time, and when it does not matter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import UpstreamTimeout
from llm_service.providers import ProviderKind, TimeoutOptions
from llm_service.providers.pace import LOOKS, Pace
from tests.support.clock import ManualClock
from tests.support.live import DONE, Kept, Upstream, chunk

LEAST = 100
WINDOW_S = 8.0
TIMEOUTS = TimeoutOptions(first_chunk_s=60, idle_s=60, total_s=600, min_bytes_per_s=LEAST, slow_after_s=WINDOW_S)
KINDS: tuple[ProviderKind, ...] = ("openrouter", "deepseek", "openai_compatible")
each_kind = pytest.mark.parametrize("kind", KINDS)


def guarded(kind: ProviderKind = "openai_compatible") -> Upstream:
    return Upstream(kind=kind, timeouts=TIMEOUTS)


def comment(count: int) -> bytes:
    """So many bytes that say nothing."""
    return b": %b\n\n" % (b"x" * (count - 4))


def drip(upstream: Upstream, piece: bytes, seconds: int) -> None:
    for _ in range(seconds):
        upstream.clock.advance(1)
        upstream.say(piece)


@each_kind
async def test_a_stream_that_drips_ends_with_an_error_that_says_the_figures(kind: ProviderKind) -> None:
    upstream = guarded(kind)
    kept = await upstream.begin()
    drip(upstream, comment(50), 20)
    assert kept.text == "Hel"
    assert isinstance(kept.error, UpstreamTimeout)
    assert kept.error.message == (
        "The provider's stream was too slow: 43.8 bytes/s (min_bytes_per_s: 100, slow_after_s: 8 s)."
    )
    assert (kept.error.provider, upstream.flow.done) == ("p", ["abort"])


@each_kind
async def test_a_stream_at_the_bound_goes_on(kind: ProviderKind) -> None:
    upstream = guarded(kind)
    kept = await upstream.begin()
    upstream.say(comment(LEAST))
    drip(upstream, comment(LEAST), 100)
    upstream.say(chunk(finish="stop"), DONE)
    assert kept.outcome is not None
    assert kept.outcome.status == "ok"


async def test_without_the_setting_a_stream_may_drip() -> None:
    upstream = Upstream(timeouts=TimeoutOptions(first_chunk_s=60, idle_s=60, total_s=600))
    kept = await upstream.begin()
    drip(upstream, comment(5), 300)
    assert kept.outcome is None


async def test_what_came_with_the_first_content_or_before_makes_no_stream_fast() -> None:
    upstream = guarded()
    await upstream.head()
    upstream.say(comment(100_000), chunk("x" * 100_000))
    await upstream.started
    kept = Kept()
    upstream.reply.attach(kept)
    upstream.clock.advance(WINDOW_S)
    assert isinstance(kept.error, UpstreamTimeout)


async def test_before_the_first_content_slowness_is_the_plain_time_out_and_is_raised() -> None:
    upstream = guarded()
    await upstream.head()
    drip(upstream, comment(5), 61)
    with pytest.raises(UpstreamTimeout, match="first_chunk_s: 60 s") as failed:
        await upstream.started
    assert failed.value.retryable


async def test_a_whole_answer_may_take_its_time() -> None:
    upstream = Upstream(stream=False, timeouts=TIMEOUTS)
    await upstream.head()
    upstream.say(b'{"id"')
    drip(upstream, b"\n", 500)
    assert not upstream.started.done()
    upstream.started.cancel()


async def test_time_in_which_the_reader_makes_us_pause_does_not_count() -> None:
    upstream = guarded()
    kept = await upstream.begin()
    for _ in range(5):
        drip(upstream, comment(2 * LEAST), 1)
        upstream.reply.pause()
        upstream.clock.advance(3 * WINDOW_S)
        upstream.reply.resume()
    assert kept.outcome is None
    upstream.clock.advance(2 * WINDOW_S)
    assert isinstance(kept.error, UpstreamTimeout)


async def test_a_first_content_that_comes_into_a_pause_starts_no_clock() -> None:
    upstream = guarded()
    await upstream.head()
    upstream.reply.pause()
    upstream.say(chunk("Hel"))
    upstream.clock.advance(3 * WINDOW_S)
    await upstream.started
    kept = Kept()
    upstream.reply.attach(kept)
    assert (kept.text, kept.outcome) == ("Hel", None)


async def test_a_stream_that_was_fast_for_long_is_found_out_a_quarter_of_a_window_later_at_most() -> None:
    upstream = guarded()
    kept = await upstream.begin()
    drip(upstream, comment(10_000), 60)
    upstream.clock.advance(WINDOW_S * (1 + 1 / LOOKS) + 0.1)
    assert isinstance(kept.error, UpstreamTimeout)


async def test_the_finish_reason_ends_a_slow_stream_well() -> None:
    upstream = guarded()
    kept = await upstream.begin()
    upstream.say(chunk(finish="stop"))
    upstream.clock.advance(3 * WINDOW_S)
    assert kept.outcome is not None
    assert kept.outcome.status == "ok"


async def test_no_timer_outlives_a_guarded_stream() -> None:
    upstream = guarded()
    await upstream.begin()
    upstream.say(chunk(finish="stop"), DONE)
    upstream.reply.on_end()
    upstream.time_outs.close()  # those that all answers of a provider share
    assert upstream.clock.timers == 0


steps = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.floats(0.01, 6.0)),
        st.tuples(st.just("bytes"), st.integers(0, 2000)),
        st.tuples(st.sampled_from(("pause", "resume")), st.just(0)),
    ),
    max_size=60,
)


@given(steps)
def test_a_stream_is_slow_exactly_when_too_little_came_in_a_window_of_reading(
    steps: list[tuple[str, float]],
) -> None:
    """Against a model: what had come at each quarter of a window, on a clock that stands still in pauses."""
    clock, told, marks = ManualClock(), list[float](), [0.0]
    read_s = came = 0.0
    paused = False
    pace = Pace(clock, LEAST, WINDOW_S, lambda: int(came), told.append)
    slow = False
    for word, amount in steps:
        if word == "pass":
            clock.advance(amount)
            read_s += 0.0 if paused else amount
            while len(marks) * WINDOW_S / LOOKS <= read_s + 1e-6 and not slow:
                marks.append(came)
                slow = len(marks) > LOOKS and came - marks[-1 - LOOKS] < LEAST * WINDOW_S
        elif word == "bytes" and not paused:
            came += amount
        elif word == "pause":
            pace.pause()
            paused = True
        elif word == "resume":
            pace.resume()
            paused = False
        assert bool(told) == slow
        if slow:
            break
    pace.stop()
    assert clock.timers == 0
