"""The differential test: whatever the split of a stream's bytes, a client sees what the upstream sent."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import Event, LLMServiceError, Outcome
from llm_service.providers.sse import ServerEvent, SseDecoder
from tests.support.oracle import Seen, client_seen, upstream_seen
from tests.support.transcripts import Transcript, transcripts

STREAMS = transcripts("stream")
OWN_STREAMS = [one for one in STREAMS if one.expected]
SHORT_BYTES = 1_200


@dataclass(frozen=True, slots=True)
class Replay:
    """What the service made of a stream."""

    events: Sequence[Event]
    outcome: Outcome
    error: LLMServiceError | None = None
    late_error: LLMServiceError | None = None


def decoded(pieces: Iterable[bytes]) -> list[ServerEvent]:
    decoder = SseDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return [*events, *decoder.close()]


def replay(transcript: Transcript, pieces: Iterable[bytes]) -> Replay:
    return read(transcript, decoded(pieces))


def read(transcript: Transcript, server_events: Iterable[ServerEvent]) -> Replay:
    reader: Any = transcript.dialect.reader(transcript.call)
    events: list[Event] = []
    try:
        done = reader.read_into(events, list(server_events))
        terminal, outcome = reader.close(done=done)
    except LLMServiceError as error:
        return Replay(events, reader.outcome_so_far(), error)
    return Replay([*events, *terminal], outcome, None, reader.late_error)


def assert_same(seen: Seen, truth: Seen) -> None:
    assert seen.pieces == truth.pieces
    assert seen.details == truth.details
    assert seen.calls.keys() == truth.calls.keys()
    for choice, calls in truth.calls.items():
        for call, told in zip(seen.calls[choice], calls, strict=True):
            assert (call["name"], call["arguments"]) == (told["name"], told["arguments"])
            assert call["id"] == (told["id"] or call["id"])
    if not truth.failed:
        assert seen.finishes == truth.finishes
        assert (seen.usage or None) == truth.usage


def assert_true(transcript: Transcript, replayed: Replay) -> None:
    truth = upstream_seen(transcript.body)
    assert_same(client_seen(event.raw for event in replayed.events), truth)
    assert (replayed.error is not None) == truth.failed


@pytest.mark.parametrize("transcript", STREAMS, ids=lambda one: one.name)
def test_client_sees_what_the_upstream_sent(transcript: Transcript) -> None:
    replayed = replay(transcript, [transcript.body])
    assert_true(transcript, replayed)
    assert [event.seq for event in replayed.events] == list(range(1, len(replayed.events) + 1))


@pytest.mark.parametrize("transcript", STREAMS, ids=lambda one: one.name)
def test_no_split_of_the_bytes_changes_what_is_seen(transcript: Transcript) -> None:
    """All splits in two meet the decoder; what it gives is all that a reader ever sees, so equal events suffice."""
    body = transcript.body
    whole = decoded([body])
    for at in range(1, len(body)):
        assert decoded([body[:at], body[at:]]) == whole, at
    assert decoded(body[at : at + 1] for at in range(len(body))) == whole


@pytest.mark.parametrize(
    "transcript", [one for one in STREAMS if len(one.body) < SHORT_BYTES], ids=lambda one: one.name
)
def test_no_split_of_a_short_stream_changes_what_the_client_gets(transcript: Transcript) -> None:
    """The same from end to end, reader included."""
    body = transcript.body
    expected = [event.raw for event in replay(transcript, [body]).events]
    for at in range(1, len(body)):
        assert [event.raw for event in replay(transcript, [body[:at], body[at:]]).events] == expected, at


@given(data=st.data())
def test_streams_in_any_number_of_pieces_are_the_same(data: st.DataObject) -> None:
    transcript = data.draw(st.sampled_from(STREAMS), label="stream")
    body = transcript.body
    cuts = sorted(data.draw(st.sets(st.integers(1, len(body) - 1), max_size=12), label="cuts"))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert_true(transcript, replay(transcript, pieces))


@pytest.mark.parametrize("transcript", OWN_STREAMS, ids=lambda one: one.name)
def test_stream_ends_as_its_transcript_says(transcript: Transcript) -> None:
    expected = transcript.expected
    replayed = replay(transcript, [transcript.body])
    outcome = replayed.outcome
    seen = client_seen(event.raw for event in replayed.events)
    assert seen.text("content") == expected.get("content", "")
    assert seen.text("reasoning") == expected.get("reasoning", "")
    assert seen.text("refusal") == expected.get("refusal", "")
    if "usage" in expected:
        assert usage_said(outcome) == expected["usage"]
    if told := expected.get("error"):
        assert replayed.error is not None
        assert error_said(replayed.error) == {**error_said(replayed.error), **told}
        return
    assert outcome.finish_reason == expected["finish_reason"]
    assert (format(outcome.cost.usd, "f") if outcome.cost else None) == expected["cost_usd"]
    assert len(seen.calls.get(0, [])) == len(expected["tool_calls"])
    assert (replayed.late_error is not None) == expected.get("late_error", False)
    if expected.get("own_id"):
        assert re.fullmatch("chatcmpl-[0-9a-f]{24}", replayed.events[0].chunk["id"])
    for choice, other in expected.get("others", {}).items():
        assert (seen.text("content", int(choice)), seen.finishes[int(choice)]) == (
            other["content"],
            other["finish_reason"],
        )


def usage_said(outcome: Outcome) -> dict[str, int] | None:
    usage = outcome.usage
    if usage is None:
        return None
    return {
        name: getattr(usage, name)
        for name in ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")
    }


def error_said(error: LLMServiceError) -> dict[str, Any]:
    return {
        "type": type(error).__name__,
        "retryable": error.retryable,
        "retry_after_s": error.retry_after_s,
        "param": error.param,
    }
