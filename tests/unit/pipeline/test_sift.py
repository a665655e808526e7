"""Answers pass their filters before anybody sees them: who reads, follows, resumes, or gets them from the cache."""

from dataclasses import replace

import orjson
import pytest

from llm_service.domain import Outcome, Reply, StreamInterrupted, Usage
from llm_service.filters import Masks, Policy
from llm_service.pipeline import Exchange
from llm_service.pipeline.sift import MOST_INLINE_BYTES, Sift
from tests.support.clock import ManualClock
from tests.support.filtering import BAD, MAIL, Broken, Words, a_filter, saying, texts_in, texts_of_whole, whole_answer
from tests.support.generations import OK, Reader, ScriptedSource
from tests.support.row import PAID, Client, World
from tests.support.waiting import loop_turns

BLOCK = a_filter()
MASK = a_filter(Words(MAIL, label="email"), name="mask", action="mask")
POLICY = Policy(version="1", output=(BLOCK, MASK))
BLOCKED = Outcome(status="ok", finish_reason="content_filter", upstream_id="gen_1")
TURNS = 30


def pieces(*contents: str) -> list[bytes]:
    return [event.raw for event in saying(*({"content": content} for content in contents))]


class Stream:
    """A stream that has begun, its source, and who reads what is left of it."""

    def __init__(self, exchange: Exchange, clock: ManualClock) -> None:
        self.source = ScriptedSource()
        self.exchange = exchange
        self.clock = clock
        self.reader = Reader(leads=True)

    async def begin(self, *said: str, ended: bool = False) -> None:
        if said:
            self.source.say(*pieces(*said))
        if ended:
            self.source.finish()

        async def proceed(exchange: Exchange) -> ScriptedSource:
            return self.source

        def report(name: str, defect: Exception) -> None:
            raise AssertionError(name)

        self.reply = await Sift(clock=self.clock, report=report)(self.exchange, proceed)
        self.reader.follow(self.reply)

    def says(self, *contents: str) -> None:
        self.source.say(*pieces(*contents))

    @property
    def text(self) -> str:
        return texts_in(self.reader.events).get((0, "content"), "")


@pytest.fixture
async def stream() -> Stream:
    world = World()
    client = await world.ask()
    client.task.cancel()
    client.exchange.policy = POLICY
    return Stream(client.exchange, ManualClock())


# -- one stream


async def test_what_is_held_goes_when_its_time_has_come(stream: Stream) -> None:
    await stream.begin("This is for")
    assert stream.text == ""
    stream.clock.advance(0.099)
    assert stream.text == ""
    stream.clock.advance(0.002)
    assert stream.text == "This is for"
    stream.says("tune", ", for")
    assert stream.text == "This is fortune"
    stream.clock.advance(0.05)
    stream.says("bid")
    stream.clock.advance(0.0501)
    assert stream.text == "This is fortune, for"
    stream.source.finish()
    assert (stream.text, stream.reader.outcomes, stream.clock.timers) == ("This is fortune, forbid", [OK], 0)


async def test_a_block_lets_the_provider_go_at_once_and_is_a_good_end(stream: Stream) -> None:
    await stream.begin("one ")
    stream.says("for")
    stream.says("bidden", " more")
    assert (stream.text, stream.source.detached, stream.reader.outcomes) == ("one ", True, [BLOCKED])
    assert [event.kind for event in stream.reader.events] == ["chunk", "finish"]
    assert [(one.filter, one.action, one.on) for one in stream.exchange.verdicts] == [("words", "block", "output")]
    assert (stream.reply.outcome, stream.clock.timers) == (BLOCKED, 0)


async def test_a_block_by_what_came_before_anybody_read(stream: Stream) -> None:
    await stream.begin(f"one {BAD}")
    assert (stream.text, stream.source.detached, stream.reader.outcomes) == ("one ", True, [BLOCKED])


async def test_an_answer_that_is_complete_before_anybody_reads_keeps_what_is_known_of_it(stream: Stream) -> None:
    usage = Usage(input_tokens=1, output_tokens=2)
    stream.source.outcome = replace(PAID, usage=usage)
    stream.source.say(*pieces(f"one {BAD}"))
    await stream.begin()
    assert stream.reader.outcomes == [replace(PAID, usage=usage, finish_reason="content_filter")]
    assert not stream.source.detached


async def test_a_block_by_the_clock(stream: Stream) -> None:
    stream.exchange.policy = Policy(version="1", output=(a_filter(Words(BAD, whole=True)),))
    await stream.begin(BAD)
    stream.clock.advance(0.2)
    assert (stream.text, stream.source.detached, stream.reader.outcomes) == ("", True, [BLOCKED])


async def test_the_provider_s_error_comes_last(stream: Stream) -> None:
    await stream.begin("a for")
    failure = StreamInterrupted("cut")
    stream.source.say(error=failure)
    stream.source.finish(Outcome(status="error", error=failure))
    assert (stream.text, stream.reader.error) == ("a for", failure)
    assert stream.reader.outcomes == [Outcome(status="error", error=failure)]


async def test_a_failure_stays_one_though_the_end_of_the_text_is_blocked(stream: Stream) -> None:
    stream.exchange.policy = Policy(version="1", output=(a_filter(Words(BAD, whole=True)),))
    await stream.begin(f"a {BAD}")
    failure = StreamInterrupted("cut")
    stream.source.say(error=failure)
    stream.source.finish(Outcome(status="error", error=failure))
    assert (stream.text, stream.reader.error) == ("a ", failure)
    assert stream.reader.outcomes == [Outcome(status="error", error=failure)]


async def test_the_reader_s_pace_is_the_provider_s(stream: Stream) -> None:
    await stream.begin("one ")
    stream.reader.pause()
    assert stream.source.paused
    stream.reader.resume()
    assert not stream.source.paused


async def test_who_leaves_lets_the_provider_go_and_nothing_is_left_behind(stream: Stream) -> None:
    await stream.begin(f"{MAIL} ", "for")
    assert stream.reader.leave() is False
    assert (stream.source.detached, stream.clock.timers) == (True, 0)
    stream.clock.advance(1)
    assert [one.filter for one in stream.exchange.verdicts] == ["mask"]
    assert stream.reply.outcome is stream.source.outcome
    await stream.reply.aclose()


async def test_what_nobody_reads_can_be_given_up(stream: Stream) -> None:
    async def proceed(exchange: Exchange) -> ScriptedSource:
        return stream.source

    reply = await Sift(clock=stream.clock, report=lambda name, defect: None)(stream.exchange, proceed)
    await reply.aclose()
    assert stream.source.closed


@pytest.mark.parametrize(("wanted", "expected"), [("json_object", r'"a \"b\""'), ("text", '"a "b""')])
async def test_what_is_put_back_into_json_is_json(stream: Stream, wanted: str, expected: str) -> None:
    masks = stream.exchange.masks = Masks()
    masks.placeholder("name", 'a "b"')
    body = {**stream.exchange.request.body, "response_format": {"type": wanted}}
    stream.exchange.request = replace(stream.exchange.request, body=body)
    await stream.begin('"[NAME_1]"')
    assert stream.text == expected


# -- the row


async def streamed(world: World, *contents: str) -> Client:
    client = await world.ask()
    source = world.calls[-1].begins()
    await loop_turns(TURNS)
    for content in contents:
        if not source.detached:
            source.say(pieces(content)[0])
    if not source.detached:
        world.calls[-1].says_all()
    await loop_turns(TURNS)
    return client


def text_of(client: Client) -> str:
    if client.whole is not None:
        return texts_of_whole(client.whole).get((0, "content"), "")
    return texts_in(client.reader.events).get((0, "content"), "")


async def test_a_blocked_stream_is_one_good_record_and_is_not_kept() -> None:
    world = World(policy=POLICY)
    client = await streamed(world, " one for", "bidden")
    assert text_of(client) == "Hello one "
    assert (client.record.status, client.record.upstream_id) == ("ok", "gen_1")
    assert (client.record.input_tokens, client.record.output_tokens) == (
        7,
        3,
    )  # counted, the blocked word too: nobody said
    assert world.calls[0].source is not None
    assert world.calls[0].source.detached
    await world.answered()
    assert len(world.calls) == 2
    world.check_all_closed()


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("then", [False, True])
async def test_followers_and_the_cache_have_the_filtered_answer_in_either_form(first: bool, then: bool) -> None:
    masks = Masks()
    masks.placeholder("name", "Ada")
    world = World(policy=POLICY, masks=masks)
    leader, follower = await world.ask(stream=first), await world.ask(stream=then)
    if first:
        source = world.calls[0].begins()
        for content in (" [NA", "ME_1] at jo", "@x", ".org!"):
            source.say(pieces(content)[0])
        world.calls[0].says_all()
    else:
        world.calls[0].says_all(whole=whole_answer({"content": f"Hello [NAME_1] at {MAIL}!"}))
    await loop_turns(TURNS)
    hit = await world.ask(stream=then)
    assert [text_of(client) for client in (leader, follower, hit)] == ["Hello Ada at [EMAIL]!"] * 3
    assert [client.exchange.cache for client in world.clients] == ["miss", "coalesced", "hit"]
    assert [len(client.exchange.verdicts) for client in world.clients] == [1, 0, 0]
    world.check_all_closed()


async def test_who_reads_on_has_the_rest_of_the_filtered_answer() -> None:
    world = World(policy=POLICY)
    client = await streamed(world, " a", f" jo{MAIL[2:]}", f" and {BAD}")
    generation = client.exchange.generation
    assert generation is not None
    generation.join()
    again = Reader(after=2)
    again.follow(generation.reply())
    assert texts_in(again.events) == {(0, "content"): " [EMAIL] and "}
    assert again.events == client.reader.events[2:]


async def test_an_answer_under_an_idempotency_key_is_the_filtered_one() -> None:
    world = World(policy=POLICY)
    whole = whole_answer({"content": f"one {BAD}"})
    for _ in range(2):
        client = await world.ask(stream=False, key="k")
        if len(world.calls) > 0 and not world.calls[0].answer.done():
            world.calls[0].says_all(whole=whole)
            await loop_turns(TURNS)
        assert text_of(client) == "one "
        assert orjson.loads(client.whole or b"")["choices"][0]["finish_reason"] == "content_filter"
    assert len(world.calls) == 1
    assert world.clients[0].record.status == "ok"


async def test_whole_answers_and_embeddings(stream: Stream) -> None:
    async def replied(whole: bytes) -> Reply:
        async def proceed(exchange: Exchange) -> ScriptedSource:
            return ScriptedSource(whole=whole, outcome=PAID)

        return await Sift(clock=stream.clock, report=lambda name, defect: None)(stream.exchange, proceed)

    assert (await replied(whole_answer({"content": BAD}))).outcome == replace(PAID, finish_reason="content_filter")
    masked = await replied(whole_answer({"content": "a " * MOST_INLINE_BYTES + MAIL}))
    long = masked.whole or b""
    assert masked.outcome is PAID
    assert [one.filter for one in stream.exchange.verdicts] == ["words", "mask"]
    assert texts_of_whole(long)[0, "content"].endswith("a [EMAIL]")
    stream.exchange.request = replace(stream.exchange.request, operation="embedding")
    vectors = b'{"data":[{"embedding":[1]}],"choices":"' + BAD.encode() + b'"}'
    assert (await replied(vectors)).whole is vectors


async def test_a_filter_that_cannot_judge_is_reported_and_the_request_is_closed() -> None:
    world = World(policy=Policy(version="1", output=(a_filter(Broken(), name="broken"),)))
    client = await streamed(world, " more")
    (defect,) = world.defects
    assert str(defect) == "broken"
    assert text_of(client) == ""
    assert [(one.filter, one.action, one.failed) for one in client.exchange.verdicts] == [("broken", "block", True)]


async def test_what_is_blocked_from_its_beginning_is_paid_as_far_as_it_came() -> None:
    world = World(policy=Policy(version="1", output=(a_filter(Words("hello")),)))
    client = await streamed(world)
    assert text_of(client) == ""
    assert (client.record.status, client.record.input_tokens, client.record.output_tokens) == ("ok", 7, 1)
    world.check_all_closed()
