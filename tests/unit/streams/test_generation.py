"""The event log of one upstream call: who is told of its beginning, its pace, its bounds and its end."""

import asyncio
import gc
import tracemalloc

import orjson
import pytest

from llm_service.domain import Event, InternalError, Outcome, StreamCancelled, StreamInterrupted, UpstreamError
from llm_service.streams import Generation, ReadyReply
from llm_service.streams.broadcast import EVENT_BYTES
from tests.support.generations import GONE, HEAD, OK, Reader, ScriptedSource
from tests.support.waiting import loop_turns


class Begun:
    """A generation that has begun, and who leads it."""

    def __init__(self, *, max_bytes: int = 1_000, finish: bool = False, credit: int | None = None) -> None:
        self.generation = Generation(max_bytes=max_bytes, finish=finish)
        self.source = ScriptedSource()
        self.generation.begin(self.source, as_events=True)
        self.leader = Reader(credit=credit, leads=True)
        self.leader.follow(self.generation.reply(leads=True))

    def joined(self, *, after: int = 0, credit: int | None = None) -> Reader:
        self.generation.join()
        reader = Reader(after=after, credit=credit)
        reader.follow(self.generation.reply())
        return reader

    def ends(self) -> None:
        self.source.say(b"f", b"u", kinds=("finish", "usage"))
        self.source.finish(OK)


async def waits(generation: Generation) -> "asyncio.Task[None]":
    task = asyncio.ensure_future(generation.beginning())
    await loop_turns(2)
    return task


async def test_those_who_wait_are_told_of_the_first_events() -> None:
    generation, source = Generation(max_bytes=100), ScriptedSource()
    waiting = [await waits(generation) for _ in range(2)]
    assert not waiting[0].done()
    source.say(b"a")
    generation.begin(source, as_events=True)
    await asyncio.gather(*waiting)
    await generation.beginning()


async def test_who_stops_waiting_does_not_stop_the_others() -> None:
    generation, source = Generation(max_bytes=100), ScriptedSource()
    one, other = await waits(generation), await waits(generation)
    one.cancel()
    await loop_turns(2)
    generation.begin(source, as_events=True)
    await other


@pytest.mark.parametrize("as_events", [False, True])
async def test_a_whole_answer_is_told_when_its_account_is_closed_and_says_what_it_cost(as_events: bool) -> None:
    whole = b'{"choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}]}'
    generation = Generation(max_bytes=1_000)
    early = await waits(generation)
    generation.begin(ScriptedSource(whole=whole, outcome=OK), as_events=as_events)
    late = await waits(generation)
    assert not early.done()
    assert not late.done()
    generation.close(OK, nano_usd=5, cost_source="provider")
    await asyncio.gather(early, late)
    assert (generation.whole, generation.nano_usd, generation.cost_source) == (whole, 5, "provider")


async def test_one_that_never_began_tells_of_its_failure_without_the_frames_it_was_raised_in() -> None:
    generation = Generation(max_bytes=100)
    waiting = await waits(generation)
    try:
        raise UpstreamError("no", retry_after_s=3)
    except UpstreamError as error:
        generation.close(Outcome(status="error", error=error))
    await waiting
    assert not generation.begun
    assert generation.outcome is not None
    told = generation.outcome.error
    assert isinstance(told, UpstreamError)
    assert (str(told), told.retry_after_s, told.__traceback__) == ("no", 3, None)


async def test_one_that_was_left_before_it_began_has_no_failure_to_share() -> None:
    generation = Generation(max_bytes=100)
    generation.close(Outcome(status="aborted"))
    assert generation.outcome is not None
    assert generation.outcome.error is None


async def test_nothing_is_let_go_before_who_leads_has_begun_to_read() -> None:
    generation, source = Generation(max_bytes=10), ScriptedSource()
    for _ in range(3):
        source.say(b"x" * 9)
    generation.begin(source, as_events=True)
    assert source.paused
    leader = Reader(leads=True)
    leader.follow(generation.reply(leads=True))
    assert leader.seqs == [1, 2, 3]
    assert not source.paused
    assert generation.bytes <= 10 + EVENT_BYTES


async def test_an_answer_counts_with_all_the_memory_that_it_takes() -> None:
    generation = Generation(max_bytes=10_000_000)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for seq in range(1, 5_001):
            generation.write((Event(seq, b"%030d" % seq),))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken <= generation.bytes <= 1.2 * taken


async def test_an_answer_that_is_there_as_events_and_as_a_whole_counts_with_both() -> None:
    as_events, both = Generation(max_bytes=10_000), Generation(max_bytes=10_000)
    for generation, whole in ((as_events, None), (both, b"x" * 500)):
        source = ScriptedSource(whole=whole)
        generation.begin(source, as_events=True)
        source.say(b"{}")
    assert both.bytes == as_events.bytes + 500


async def test_a_slow_reader_alone_pauses_the_source_and_one_fast_reader_is_enough_to_go_on() -> None:
    begun = Begun(credit=1)
    begun.source.say(b"a")
    assert begun.source.paused
    other = begun.joined()
    assert not begun.source.paused
    begun.source.say(b"b")
    assert other.seqs == [1, 2]
    assert begun.leader.seqs == [1]
    other.leave()
    assert begun.source.paused
    begun.leader.resume()
    assert begun.leader.seqs == [1, 2]
    assert not begun.source.paused


async def test_the_log_waits_for_who_leads_when_it_is_full() -> None:
    begun = Begun(max_bytes=10, credit=1)
    fast = begun.joined()
    begun.source.say(b"x" * 6)
    begun.source.say(b"x" * 6)
    assert not begun.source.paused
    begun.source.say(b"x" * 6)
    assert begun.source.paused
    assert fast.seqs == [1, 2, 3]
    begun.leader.resume()
    assert begun.leader.seqs == [1, 2, 3]
    assert not begun.source.paused


async def test_a_slow_reader_that_does_not_lead_is_cut_off_and_told_so() -> None:
    begun = Begun(max_bytes=10)
    slow = begun.joined(credit=1)
    for _ in range(4):
        begun.source.say(b"x" * 6)
    assert slow.seqs == [1]
    slow.resume()
    assert slow.seqs == [1]
    assert isinstance(slow.error, StreamInterrupted)
    assert slow.ended
    begun.ends()
    assert begun.leader.ended


async def test_what_is_no_longer_kept_cannot_be_read_from() -> None:
    begun = Begun(max_bytes=10)
    for _ in range(4):
        begun.source.say(b"x" * 6)
    generation = begun.generation
    assert (generation.events, generation.keeps(1), generation.keeps(3)) == (None, False, True)
    assert isinstance(begun.joined(after=1).error, StreamInterrupted)
    assert begun.joined(after=3).seqs == [4]


async def test_who_leads_gets_the_end_however_slow_it_is() -> None:
    begun = Begun(credit=1)
    fast = begun.joined()
    begun.source.say(b"a")
    begun.source.say(b"b")
    begun.ends()
    assert begun.leader.seqs == [1, 2, 3, 4]
    assert begun.leader.ended
    assert fast.seqs == [1, 2]
    begun.generation.close(OK)
    assert fast.seqs == [1, 2, 3, 4]
    assert fast.ended


async def test_who_leads_and_pauses_at_the_last_events_gets_the_end_all_the_same() -> None:
    begun = Begun()
    begun.leader.pause()
    begun.source.say(b"a")
    begun.leader.credit = 1
    begun.ends()
    assert begun.leader.ended


async def test_a_reader_that_is_slow_at_the_end_gets_it_when_it_goes_on() -> None:
    begun = Begun()
    slow = begun.joined(credit=1)
    begun.source.say(b"a")
    begun.ends()
    begun.generation.close(OK)
    assert not slow.ended
    slow.resume()
    assert slow.seqs == [1, 2, 3]
    assert slow.ended


async def test_the_end_of_an_answer_that_was_left_is_what_the_source_says_of_it() -> None:
    begun = Begun()
    begun.source.say(b"a")
    other = begun.joined()
    assert begun.leader.leave()
    begun.leader.left = False  # its account still hears of the end
    other.leave()
    assert begun.source.detached
    assert begun.leader.outcomes == [GONE]
    assert isinstance(begun.leader.error, StreamCancelled)


async def test_what_is_to_be_finished_is_read_on_for_nobody() -> None:
    begun = Begun(finish=True, credit=1)
    begun.source.say(b"a")
    assert begun.source.paused
    assert begun.leader.leave()
    begun.leader.left, begun.leader.credit, begun.leader.paused = False, None, False
    assert not begun.source.paused
    begun.source.say(b"b")
    begun.ends()
    assert begun.leader.outcomes == [OK]


async def test_an_answer_whose_account_is_closed_too_early_lets_its_source_go() -> None:
    begun = Begun()
    begun.source.say(b"a")
    begun.generation.close(Outcome(status="error", error=UpstreamError("no")))
    assert begun.source.detached
    assert isinstance(begun.leader.error, UpstreamError)


async def test_a_cancellation_before_the_beginning_ends_what_then_begins() -> None:
    generation, source = Generation(max_bytes=100), ScriptedSource()
    generation.cancel(StreamCancelled("enough"))
    source.say(b"a")
    generation.begin(source, as_events=True)
    reader = Reader(leads=True)
    reader.follow(generation.reply(leads=True))
    assert source.detached
    assert reader.seqs == [1, 2]
    assert isinstance(reader.error, StreamCancelled)
    assert reader.outcomes == [GONE]


async def test_who_has_joined_and_gives_its_reply_up_has_left() -> None:
    begun = Begun()
    begun.generation.join()
    reply = begun.generation.reply()
    assert begun.leader.leave()
    begun.leader.left = False
    await reply.aclose()
    await reply.aclose()
    assert begun.source.detached


async def test_a_reply_of_what_has_not_begun_cannot_be_had() -> None:
    with pytest.raises(ValueError, match="has not begun"):
        Generation(max_bytes=100).reply()


async def test_no_decoded_chunk_stays_in_the_log() -> None:
    begun = Begun()
    begun.generation.write((Event(1, b"{}", chunk={"a": 1}),))
    assert begun.generation.events is not None
    assert begun.generation.events[0].chunk == {}


async def test_each_takes_back_its_own_wish_to_have_it_finished_alone() -> None:
    begun = Begun(finish=True)
    assert begun.leader.leave()
    follower = begun.joined()
    begun.generation.join(finish=True)
    begun.generation.leave()
    begun.generation.disown(StreamCancelled("enough"), finish=False)
    begun.generation.disown(StreamCancelled("enough"), finish=True)
    follower.leave()
    assert not begun.source.detached
    begun.generation.disown(StreamCancelled("enough"), finish=True)
    assert begun.source.detached


async def test_an_answer_whose_account_cannot_be_closed_ends_for_others_with_that() -> None:
    begun = Begun()
    follower = begun.joined()
    begun.source.say(b"a")
    begun.ends()
    begun.generation.close(Outcome(status="error", error=InternalError("The record is not closed.")))
    assert follower.seqs == [1, 2]
    assert isinstance(follower.error, InternalError)
    late = begun.joined(after=1)
    assert (late.seqs, late.outcomes[0].status) == ([2], "error")


async def test_a_copy_that_breaks_off_tells_each_reader_where_it_can_go_on() -> None:
    copy, source = Generation(max_bytes=1_000, log=("log", "another process")), ScriptedSource()
    source.say(b"a", b"b")
    copy.begin(source, as_events=True)
    copy.join()
    reader = Reader()
    reader.follow(copy.reply())
    copy.break_off(StreamInterrupted("It is gone."))
    copy.join()
    late = Reader(after=1)
    late.follow(copy.reply())
    assert [(one.seqs, one.events[-1].seq) for one in (reader, late)] == [([1, 2], 2), ([2], 2)]
    assert isinstance(late.error, StreamInterrupted)


async def test_who_reads_on_in_an_answer_that_came_whole_gets_all_of_it() -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    whole = orjson.dumps({"object": "chat.completion", "choices": [choice]})
    generation = Generation(max_bytes=1_000)
    generation.begin(ReadyReply(HEAD, OK, whole=whole), as_events=False)
    generation.close(OK)
    generation.join()
    reader = Reader()
    reader.follow(generation.reply())
    assert reader.seqs == [1, 2]
    assert reader.ended
