"""A generation and its readers under any interleaving: nobody misses or repeats anything, nobody waits for nothing."""

from typing import Any, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llm_service.domain import Outcome, StreamCancelled, StreamInterrupted, UpstreamError
from llm_service.streams import Generation
from llm_service.streams.broadcast import EVENT_BYTES
from tests.support.generations import OK, Reader, ScriptedSource

MAX_BYTES = 30
chunks = st.lists(st.integers(1, 12).map(lambda size: b"x" * size), min_size=1, max_size=3)
credits_ = st.none() | st.integers(1, 3)
seldom = st.integers(0, 5).map(lambda dice: dice == 0)
"""What would end most runs too soon."""


class LeadersTask:
    """The task of who leads, whose client has gone."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Generations(RuleBasedStateMachine):
    """One generation from its opening to the closing of its account."""

    @initialize(finish=st.booleans())
    def opens(self, finish: bool) -> None:
        self.generation = Generation(max_bytes=MAX_BYTES, finish=finish)
        self.finish = finish
        self.source = ScriptedSource()
        self.task = LeadersTask()
        self.leader: Reader | None = None
        self.silent: Reader | None = None
        self.readers: list[Reader] = []
        self.waiting = 0
        self.leads = True  # somebody leads whose account is not closed
        self.gave_up = False  # and is about to close it
        self.told_to_cancel = False
        self.largest = 0

    # -- what may happen now

    @property
    def begun(self) -> bool:
        return self.generation.begun

    @property
    def runs(self) -> bool:
        return self.begun and self.generation.outcome is None

    @property
    def settled(self) -> bool:
        return self.generation.settled

    def someone_waits_or_reads(self) -> bool:
        return self.waiting > 0 or any(not reader.ended for reader in self.readers)

    # -- who leads

    @precondition(lambda self: not (self.begun or self.settled or self.gave_up or self.task.cancelled))
    @rule(early=st.lists(chunks, max_size=2), credit=credits_)
    def begins(self, early: list[list[bytes]], credit: int | None) -> None:
        for raws in early:
            self.source.say(*raws)
            self.largest += sum(map(len, raws))
        self.generation.begin(self.source, as_events=True)
        self.leader = Reader(credit=credit, leads=True)
        self.leader.follow(self.generation.reply(leads=True))
        if self.silent is not None:
            self._leader_leaves()

    @precondition(lambda self: not self.begun and not self.settled and self.silent is None and not self.gave_up)
    @rule()
    def client_of_the_leader_goes_before_the_beginning(self) -> None:
        goes_on = self.generation.leave_to_others(cast(Any, self.task))
        assert goes_on == (self.waiting > 0 or self.finish)
        self.silent = Reader()
        self.gave_up = not goes_on

    @precondition(lambda self: not self.begun and not self.settled)
    @rule(error=st.booleans(), really=seldom)
    def leader_fails_before_the_beginning(self, error: bool, really: bool) -> None:
        if not really:
            return
        self._close(Outcome(status="error", error=UpstreamError("no")) if error else Outcome(status="aborted"))
        assert self.generation.outcome is not None

    @precondition(lambda self: self.leader is not None and self.silent is None and not self.leader.ended)
    @rule()
    def client_of_the_leader_goes(self) -> None:
        self._leader_leaves()

    def _leader_leaves(self) -> None:
        leader, self.silent = self.leader, self.leader
        assert leader is not None
        if leader.ended:
            return
        stays_for = self.runs and (self.someone_waits_or_reads() or self.finish)
        assert leader.leave() == stays_for
        if stays_for:
            leader.left = False  # it has gone; its account hears of the end
            leader.paused = False
            leader.credit = None
        else:
            assert self.generation.outcome is not None
            self.gave_up = True

    @precondition(lambda self: self.begun and not self.settled)
    @rule()
    def account_is_closed(self) -> None:
        if self.gave_up or (self.leader is not None and self.leader.ended):
            self._close(self.generation.outcome or Outcome(status="aborted"))

    def _close(self, outcome: Outcome) -> None:
        self.generation.close(outcome, nano_usd=7)
        self.gave_up = True

    # -- the provider

    @precondition(lambda self: self.runs and not self.source.paused)
    @rule(raws=chunks)
    def provider_says(self, raws: list[bytes]) -> None:
        self.largest = max(self.largest, sum(map(len, raws)))
        self.source.say(*raws)

    @precondition(lambda self: self.runs and not self.source.paused)
    @rule(raws=chunks, apart=st.booleans(), really=seldom)
    def provider_ends(self, raws: list[bytes], apart: bool, really: bool) -> None:
        if not really:
            return
        if apart:
            self.source.say(*raws)
            raws = []
        self.source.say(*raws, b"f", b"u", kinds=[*["chunk"] * len(raws), "finish", "usage"])  # type: ignore[list-item]
        self.largest = 10**9
        self.source.finish(OK)

    @precondition(lambda self: self.runs)
    @rule(really=seldom)
    def provider_fails(self, really: bool) -> None:
        if not really:
            return
        error = UpstreamError("no")
        self.source.say(error=error)
        self.source.finish(Outcome(status="error", error=error))

    # -- the others

    @rule(finish=st.booleans())
    def somebody_joins(self, finish: bool) -> None:
        finish = finish and self.generation.outcome is None
        self.generation.join(finish=finish)
        self.finish = self.finish or finish
        self.waiting += 1

    @precondition(lambda self: self.waiting)
    @rule()
    def somebody_waits_no_longer(self) -> None:
        self.waiting -= 1
        self.generation.leave()

    @precondition(lambda self: self.waiting and self.begun)
    @rule(data=st.data(), credit=credits_)
    def somebody_reads(self, data: st.DataObject, credit: int | None) -> None:
        after = data.draw(st.integers(0, self.generation.last_seq))
        kept = self.generation.keeps(after)
        reader = Reader(after=after, credit=credit)
        self.readers.append(reader)
        self.waiting -= 1
        reader.follow(self.generation.reply())
        assert kept != isinstance(reader.error, StreamInterrupted)

    @precondition(lambda self: any(not reader.ended for reader in self.readers))
    @rule(data=st.data())
    def reader_leaves(self, data: st.DataObject) -> None:
        reader = data.draw(st.sampled_from([one for one in self.readers if not one.ended]))
        self.readers.remove(reader)
        assert not reader.leave()

    @precondition(lambda self: bool(self._takers()))
    @rule(data=st.data(), credit=credits_)
    def reader_goes_on(self, data: st.DataObject, credit: int | None) -> None:
        data.draw(st.sampled_from(self._takers())).resume(credit=credit)

    @precondition(lambda self: bool(self._takers()))
    @rule(data=st.data())
    def reader_is_slow(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self._takers())).pause()

    def _takers(self) -> list[Reader]:
        leading = [self.leader] if self.leader is not None and self.silent is None else []
        return [reader for reader in (*leading, *self.readers) if not reader.ended]

    @precondition(lambda self: not self.settled)
    @rule(really=seldom)
    def all_is_cancelled(self, really: bool) -> None:
        if not really:
            return
        self.told_to_cancel = True
        self.generation.cancel(StreamCancelled("enough"))

    # -- what holds

    def _text_bytes(self) -> int:
        return sum(len(event.raw) for event in self.generation._events)

    @invariant()
    def log_is_bounded(self) -> None:
        generation = self.generation
        text_bytes = self._text_bytes()
        assert generation.bytes == text_bytes + EVENT_BYTES * len(generation._events)
        assert text_bytes <= MAX_BYTES + self.largest

    @invariant()
    def others_hear_of_the_end_when_the_account_is_closed(self) -> None:
        for reader in self.readers:
            lost = isinstance(reader.error, StreamInterrupted)
            assert self.settled or lost or not (reader.ended or reader.has_terminal)

    @invariant()
    def who_can_take_it_has_all_there_is(self) -> None:
        said = list(self.generation._events)
        for reader in self._takers():
            may_end = reader is self.leader or self.settled
            last = max([event.seq for event in said if may_end or event.kind == "chunk"], default=reader.at)
            if not reader.paused:
                assert reader.at >= last
                assert not (self.generation.outcome is not None and may_end)

    @invariant()
    def source_is_read_while_somebody_takes_it(self) -> None:
        if not self.runs:
            return
        takers = self._takers()
        nobody_takes = bool(takers) and all(reader.paused for reader in takers)
        full = self._text_bytes() > MAX_BYTES
        assert self.source.paused == (full or nobody_takes)
        if full:
            leader = self.leader
            assert leader is not None
            assert self.waiting or leader.at < self.generation._first

    @invariant()
    def upstream_is_cancelled_when_the_last_reader_has_left_and_not_before(self) -> None:
        deserted = not self._takers() and not self.waiting and not self.finish
        over = self.generation.outcome is not None
        assert over or not (self.begun and self.told_to_cancel)
        if self.begun and self.source.outcome is None:
            assert not deserted
            assert not over
        if self.source.detached:
            assert self.told_to_cancel or not self.finish
        if not self.begun and self.silent is not None and not self.settled:
            assert self.task.cancelled or self.gave_up or self.waiting or self.finish

    def teardown(self) -> None:
        if not hasattr(self, "generation"):
            return
        for reader in self._takers():
            reader.resume()
        if self.runs:
            self.generation.cancel(StreamCancelled("over"))
        leader = self.leader
        assert leader is None or leader.ended or leader.left
        if not self.settled:
            self._close(self.generation.outcome or Outcome(status="aborted"))
        for reader in self.readers:
            self._has_had_its_end(reader)
        assert not self.generation._readings
        assert self.generation._source is None
        assert self.generation._reply is None

    def _has_had_its_end(self, reader: Reader) -> None:
        assert reader.ended
        (outcome,) = reader.outcomes
        if outcome.status == "ok":
            assert reader.error is None
            assert reader.at == self.generation.last_seq == len(self.source.said)
        elif reader.events:
            assert reader.error is not None or reader.at == self.generation.last_seq
        whole = {event.seq: event.raw for event in self.source.said}
        for event in reader.events:
            assert event.error is not None or event.raw == whole[event.seq]


TestGeneration = Generations.TestCase
TestGeneration.settings = settings(max_examples=max(300, settings().max_examples))
