"""A reply while it arrives: time-outs, the sink's pace, and every way to end."""

import asyncio
import gc
import tracemalloc

import orjson
import pytest

from llm_service.domain import (
    DeadlineExceeded,
    LLMServiceError,
    StreamInterrupted,
    UpstreamError,
    UpstreamInvalidResponse,
    UpstreamTimeout,
)
from llm_service.providers.live import MAX_UNREAD_EVENTS
from llm_service.transport import TransportError
from tests.support.live import CREDENTIAL, DONE, WHOLE, Kept, Upstream, chunk, sse
from tests.support.waiting import loop_turns

LARGE = 500_000
BROKEN = TransportError("disconnected", "the connection closed before the answer was complete", sent=True)


async def test_a_stream_begins_at_its_first_content() -> None:
    upstream = Upstream()
    await upstream.head()
    upstream.say(b": waiting\n\n", chunk(""))
    await loop_turns()
    assert not upstream.started.done()
    upstream.say(chunk("Hel"))
    assert await upstream.started is upstream.reply


async def test_what_came_before_the_sink_is_not_lost() -> None:
    upstream = Upstream()
    kept = await upstream.begin()
    upstream.say(chunk("lo"), chunk(finish="stop"), DONE)
    assert kept.text == "Hello"
    assert [event.kind for event in kept.events] == ["chunk", "chunk", "finish"]
    assert kept.outcome is not None
    assert (kept.outcome.status, kept.outcome.finish_reason) == ("ok", "stop")


async def test_a_sink_may_ask_for_what_follows_a_number() -> None:
    upstream = Upstream()
    await upstream.head()
    upstream.say(chunk("a"), chunk("b"), chunk("c"))
    await upstream.started
    kept = Kept()
    upstream.reply.attach(kept, after=2)
    assert kept.text == "c"


async def test_without_a_first_chunk_in_time_the_call_fails() -> None:
    upstream = Upstream()
    await upstream.head()
    upstream.clock.advance(9)
    upstream.say(b": still here\n\n")
    upstream.clock.advance(1.1)
    with pytest.raises(UpstreamTimeout, match=r"first_chunk_s: 10 s") as failed:
        await upstream.started
    assert failed.value.provider == "p"
    assert upstream.flow.done == ["abort"]


async def test_silence_after_the_first_chunk_is_an_error_and_comments_are_life() -> None:
    upstream = Upstream()
    kept = await upstream.begin()
    for _ in range(3):
        upstream.clock.advance(4)
        upstream.say(b": alive\n\n")
    assert kept.outcome is None
    upstream.clock.advance(5.1)
    assert isinstance(kept.error, UpstreamTimeout)
    assert "idle_s" in kept.error.message
    assert upstream.flow.done == ["abort"]


@pytest.mark.parametrize("pass_s", [5.1, 101])
async def test_a_time_out_after_the_finish_reason_is_an_end(pass_s: float) -> None:
    upstream = Upstream()
    kept = await upstream.begin()
    upstream.say(chunk(finish="stop"))
    upstream.clock.advance(pass_s)
    assert kept.outcome is not None
    assert (kept.outcome.status, kept.outcome.finish_reason) == ("ok", "stop")
    assert upstream.flow.done == ["abort"]


async def test_a_paused_stream_is_not_silent() -> None:
    upstream = Upstream()
    kept = await upstream.begin()
    upstream.reply.pause()
    upstream.clock.advance(20)
    assert kept.outcome is None
    upstream.reply.resume()
    upstream.clock.advance(4)
    assert kept.outcome is None
    assert upstream.flow.done == ["pause", "resume"]


async def test_the_total_time_is_absolute() -> None:
    upstream = Upstream()
    kept = await upstream.begin()
    for _ in range(25):
        upstream.clock.advance(4)
        upstream.say(chunk("a"))
    assert isinstance(kept.error, UpstreamTimeout)
    assert "total_s" in kept.error.message


async def test_whole_answers_are_bounded_by_the_total_time_alone() -> None:
    upstream = Upstream(stream=False)
    await upstream.head()
    upstream.clock.advance(99)
    upstream.say(b"\n")
    upstream.clock.advance(1.1)
    with pytest.raises(UpstreamTimeout, match="total_s"):
        await upstream.started


async def test_the_callers_deadline_counts_where_it_is_shorter() -> None:
    upstream = Upstream(deadline_s=3)
    await upstream.head()
    upstream.clock.advance(3)
    with pytest.raises(DeadlineExceeded) as passed:
        await upstream.started
    assert passed.value.provider is None


async def test_timers_end_with_the_answer() -> None:
    upstream = Upstream()
    kept = await upstream.begin()
    upstream.say(chunk(finish="stop"), DONE)
    upstream.reply.on_end()
    upstream.clock.advance(1000)
    assert (len(kept.events), upstream.flow.done) == (2, [])


async def test_a_body_that_does_not_end_after_done_is_given_up() -> None:
    upstream = Upstream()
    await upstream.begin()
    upstream.say(chunk(finish="stop"), DONE)
    upstream.clock.advance(2)
    assert upstream.flow.done == ["abort"]


async def test_a_break_after_content_is_an_interruption() -> None:
    upstream = Upstream()
    kept = await upstream.begin()
    upstream.reply.on_error(BROKEN)
    assert isinstance(kept.error, StreamInterrupted)
    assert kept.events[-1].seq == kept.events[-2].seq + 1
    assert kept.outcome is not None
    assert kept.outcome.status == "error"


async def test_a_break_before_content_is_raised() -> None:
    upstream = Upstream()
    await upstream.head()
    upstream.say(chunk(""))
    upstream.reply.on_error(BROKEN)
    with pytest.raises(UpstreamError, match="connection failed") as failed:
        await upstream.started
    assert failed.value.retryable


async def test_a_break_after_the_finish_reason_is_an_end() -> None:
    upstream = Upstream()
    kept = await upstream.begin()
    upstream.say(chunk(finish="stop"))
    upstream.reply.on_error(BROKEN)
    assert kept.outcome is not None
    assert kept.outcome.status == "ok"


async def test_done_without_a_finish_reason_doubles_nothing_that_came_in_the_same_read() -> None:
    upstream = Upstream()
    kept = await upstream.begin()
    upstream.say(chunk("lo") + DONE)
    assert kept.text == "Hello"
    assert isinstance(kept.error, StreamInterrupted)
    assert [event.seq for event in kept.events] == [1, 2, 3]


@pytest.mark.parametrize("broken", [b"data: {\n\n", b"data: nonsense\n\n", b"data: 7\n\n"])
async def test_what_is_no_chunk_ends_the_stream_with_an_error(broken: bytes) -> None:
    upstream = Upstream()
    kept = await upstream.begin()
    upstream.say(broken, chunk("never seen"))
    assert kept.text == "Hel"
    assert isinstance(kept.error, UpstreamInvalidResponse)
    assert upstream.flow.done == ["abort"]


async def test_the_last_event_needs_no_blank_line() -> None:
    upstream = Upstream()
    kept = await upstream.begin()
    upstream.say(chunk(finish="stop").rstrip())
    upstream.reply.on_end()
    assert kept.outcome is not None
    assert kept.outcome.status == "ok"


async def test_nothing_is_told_after_the_reader_has_left() -> None:
    upstream = Upstream()
    kept = await upstream.begin()
    upstream.reply.detach()
    upstream.say(chunk("lo"))
    upstream.reply.on_end()
    assert (kept.text, upstream.flow.done) == ("Hel", ["abort"])
    assert upstream.reply.outcome is not None
    assert upstream.reply.outcome.status == "aborted"


async def test_cancelling_the_wait_aborts_the_upstream() -> None:
    upstream = Upstream()
    await upstream.head()
    upstream.started.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upstream.started
    assert upstream.flow.done == ["abort"]


async def test_what_nobody_reads_is_bounded() -> None:
    upstream = Upstream()
    await upstream.head()
    upstream.say(*[chunk("a")] * (MAX_UNREAD_EVENTS + 1))
    assert upstream.flow.done == ["pause"]
    kept = Kept()
    upstream.reply.attach(kept)
    assert (len(kept.events), upstream.flow.done) == (MAX_UNREAD_EVENTS + 1, ["pause", "resume"])


async def test_a_stream_is_known_as_one_however_many_blank_lines_come_first() -> None:
    upstream = Upstream()
    await upstream.head()
    upstream.say(*[b"\n"] * 1000)
    kept = await upstream.begin()
    assert kept.text == "Hel"


async def test_hundreds_of_chunks_without_content_begin_a_stream_that_goes_on() -> None:
    upstream = Upstream()
    kept = await upstream.begin_without_content()
    upstream.clock.advance(9)
    upstream.say(chunk("Hel"))
    upstream.clock.advance(4)
    assert (kept.text, kept.outcome, upstream.flow.done) == ("Hel", None, ["pause", "resume"])


async def test_a_begun_stream_still_owes_its_first_content_in_time() -> None:
    upstream = Upstream()
    kept = await upstream.begin_without_content()
    upstream.clock.advance(10.1)
    assert isinstance(kept.error, UpstreamTimeout)
    assert "first_chunk_s" in kept.error.message


async def test_a_whole_answer_is_kept_verbatim() -> None:
    upstream = Upstream(stream=False)
    await upstream.head()
    raw = orjson.dumps(WHOLE)
    upstream.say(b"\n\n", raw[:20], raw[20:])
    upstream.reply.on_end()
    reply = await upstream.started
    assert reply.whole == raw
    assert reply.outcome is not None
    assert reply.outcome.usage is not None
    assert (reply.outcome.usage.input_tokens, reply.outcome.usage.output_tokens) == (2, 3)


async def test_a_whole_answer_to_a_stream_is_split() -> None:
    upstream = Upstream()
    await upstream.head()
    upstream.say(orjson.dumps(WHOLE))
    upstream.reply.on_end()
    await upstream.started
    kept = Kept()
    upstream.reply.attach(kept)
    assert kept.text == "Hello"
    assert [event.kind for event in kept.events] == ["chunk", "finish", "usage"]


async def test_a_stream_in_answer_to_a_whole_request_is_collected() -> None:
    upstream = Upstream(stream=False)
    await upstream.head()
    upstream.say(chunk("Hel"), chunk("lo"), chunk(finish="stop"), DONE)
    upstream.reply.on_end()
    reply = await upstream.started
    assert reply.whole is not None
    answer = orjson.loads(reply.whole)
    assert answer["choices"][0]["message"]["content"] == "Hello"
    assert answer["object"] == "chat.completion"


async def test_a_status_that_is_not_200_is_the_dialects_error() -> None:
    upstream = Upstream()
    await upstream.head(503)
    upstream.say(b'{"error": {"message": "overloaded"}}')
    upstream.reply.on_end()
    with pytest.raises(UpstreamError):
        await upstream.started


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("echoed", [CREDENTIAL, CREDENTIAL[-12:], CREDENTIAL[-8:]])
async def test_no_error_repeats_the_credential(echoed: str, streamed: bool) -> None:
    upstream = Upstream()
    complaint = {"error": {"message": f"no such user: {echoed}", "code": 400}}
    if streamed:
        kept = await upstream.begin()
        upstream.say(sse(complaint))
        error = kept.error
    else:
        await upstream.head(400)
        upstream.say(orjson.dumps(complaint))
        upstream.reply.on_end()
        with pytest.raises(LLMServiceError) as failed:
            await upstream.started
        error = failed.value
    assert str(error) == "no such user: ***"


async def test_an_error_body_without_end_is_cut_off() -> None:
    upstream = Upstream()
    await upstream.head(500)
    upstream.say(*[b"x" * 100_000] * 11)
    with pytest.raises(UpstreamInvalidResponse, match="more than"):
        await upstream.started
    assert upstream.flow.done == ["abort"]


@pytest.mark.parametrize(
    ("stream", "status", "said"),
    [
        (False, 200, b"{" + b"x" * LARGE),  # no JSON
        (False, 500, b"x" * LARGE),
        (True, 200, b"data: " + b"x" * LARGE + b"\n\n"),
    ],
)
async def test_an_error_that_is_kept_keeps_nothing_of_what_was_received(stream: bool, status: int, said: bytes) -> None:
    """The collector looks seldom: whatever an error and its reply hold of each other stays for long."""
    errors = list[LLMServiceError]()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(4):
            upstream = Upstream(stream=stream)
            await upstream.head(status)
            upstream.say(bytes(bytearray(said)))  # bytes of its own, as each read of a socket brings
            upstream.reply.on_end()
            with pytest.raises(LLMServiceError) as caught:
                await upstream.started
            errors.append(caught.value)
        del upstream
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert len(errors) == 4
    assert kept_bytes < LARGE


async def test_events_can_be_pulled_one_by_one() -> None:
    upstream = Upstream()
    await upstream.head()
    upstream.say(chunk("Hel"))
    await upstream.started
    pulled = []

    async def pull() -> None:
        async for event in upstream.reply:
            pulled.append(event.kind)  # noqa: PERF401 - it is seen while it comes

    reading = asyncio.ensure_future(pull())
    await loop_turns()
    upstream.say(chunk("lo"), chunk(finish="stop"), DONE)
    await reading
    assert pulled == ["chunk", "chunk", "finish"]
