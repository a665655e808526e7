"""Answers that are there already, in the form that is asked for."""

import json
from dataclasses import replace

import pytest

from llm_service.domain import Event, KeptAnswer, Usage
from llm_service.streams import ready_reply
from tests.support.answers import kept_answer
from tests.support.generations import Reader

WHOLE = (
    b'{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hello."},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":5}}'
)


def streamed() -> KeptAnswer:
    pieces = (
        b'{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"Hello."}}]}',
        b'{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}',
        b'{"object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":5}}',
    )
    return replace(kept_answer(at=0), pieces=pieces, kinds="cfu")


def whole() -> KeptAnswer:
    return replace(kept_answer(at=0), form="whole", pieces=(WHOLE,), kinds="")


def events_of(answer: KeptAnswer, *, after: int = 0) -> list[Event]:
    reader = Reader(after=after)
    reader.follow(ready_reply(answer, as_events=True))
    assert reader.ended
    return reader.events


@pytest.mark.parametrize("answer", [streamed(), whole()])
async def test_either_form_is_given_as_events(answer: KeptAnswer) -> None:
    events = events_of(answer)
    assert [event.kind for event in events] == ["chunk", "finish", "usage"]
    assert events[0].chunk["choices"][0]["delta"]["content"] == "Hello."


@pytest.mark.parametrize("answer", [streamed(), whole()])
async def test_either_form_is_given_whole(answer: KeptAnswer) -> None:
    reply = ready_reply(answer, as_events=False)
    assert reply.whole is not None
    assert json.loads(reply.whole) == json.loads(WHOLE)
    assert reply.head == answer.head


async def test_the_form_that_is_kept_is_given_byte_by_byte() -> None:
    assert ready_reply(whole(), as_events=False).whole == WHOLE
    assert tuple(event.raw for event in events_of(streamed())) == streamed().pieces


@pytest.mark.parametrize("answer", [streamed(), whole()])
async def test_who_has_had_some_gets_the_rest(answer: KeptAnswer) -> None:
    assert [event.seq for event in events_of(answer, after=2)] == [3]
    assert events_of(answer, after=3) == []


async def test_it_ends_as_it_ended_when_it_was_made() -> None:
    outcome = ready_reply(streamed(), as_events=True).outcome
    assert outcome is not None
    assert (outcome.status, outcome.finish_reason, outcome.upstream_id) == ("ok", "stop", "gen-1")
    assert outcome.usage == Usage(input_tokens=5, output_tokens=7, cached_input_tokens=3, reasoning_tokens=1)
    assert outcome.cost is None
