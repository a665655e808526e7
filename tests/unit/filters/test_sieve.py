"""Answers behind filters: how long events are held, what goes, and how a blocked one ends."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest

from llm_service.domain import Event, StreamInterrupted
from llm_service.filters import (
    LONGEST_HOLD,
    FilterOptions,
    LocalFilter,
    Masks,
    Match,
    Sieve,
    Text,
    build_filter,
    sift_whole,
)
from llm_service.filters.channel import CONTEXT, MOST_KEPT
from llm_service.filters.keywords import LONGEST_WORD
from llm_service.filters.sieve import MOST_HELD
from llm_service.streams import encode
from tests.support.filtering import (
    BAD,
    MAIL,
    Broken,
    Words,
    a_filter,
    a_sieve,
    ending,
    finish_reasons,
    ignored,
    pieces_of,
    saying,
    sifted,
    texts_in,
    texts_of_whole,
    whole_answer,
)

BLOCK = a_filter()
MASK = a_filter(Words(MAIL, label="email"), name="mask", action="mask")
WHOLE_WORD = a_filter(Words(BAD, whole=True), name="whole")


def fed(sieve: Sieve, *contents: str, now: float = 0.0, seq: int = 1) -> list[Event]:
    return sieve.feed(saying(*({"content": content} for content in contents), seq=seq), now)


def said(events: list[Event]) -> str:
    return texts_in(events).get((0, "content"), "")


# -- how long


def test_what_is_judged_goes_at_once_and_what_may_become_a_match_waits_for_a_tenth_of_a_second() -> None:
    sieve = a_sieve([BLOCK])
    events = saying({"content": "This is "}, {"content": "not for"})
    assert sieve.feed(events, 5.0) == events[:1]
    assert sieve.due() == 5.1
    assert sieve.release_due(5.09) == []
    assert sieve.release_due(5.1) == events[1:]
    assert sieve.due() is None


def test_what_follows_decides() -> None:
    sieve = a_sieve([BLOCK])
    events = saying({"content": "for"}, {"content": " you"})
    assert sieve.feed(events[:1], 0.0) == []
    assert sieve.feed(events[1:], 0.01) == events


def test_nothing_is_held_when_64_characters_have_followed() -> None:
    long = a_filter(Words("-" * 500), action="report")
    sieve = a_sieve([long])
    assert fed(sieve, "-" * 30) == []
    assert len(fed(sieve, "-" * 63, seq=2)) == 0
    assert [event.seq for event in fed(sieve, "-", seq=3)] == [1]
    other = saying({"content": "a", "choice": 1}, {"content": "b" * 63, "choice": 1}, seq=4)
    assert [event.seq for event in sieve.feed(other, 0.0)] == [2, 3, 4, 5]


def test_what_is_held_is_bounded_in_events() -> None:
    sieve = a_sieve([BLOCK])
    events = saying({"content": "for"}, *({"role": "assistant"} for _ in range(MOST_HELD * 2)))
    out = [event for one in events for event in sieve.feed([one], 0.0)]
    assert len(out) == len(events)


def test_a_word_that_stands_there_in_full_is_not_let_go_only_because_nothing_follows() -> None:
    sieve = a_sieve([WHOLE_WORD])
    assert said(fed(sieve, "so ", BAD)) == "so "
    out = sieve.release_due(0.1)
    assert [event.kind for event in out] == ["finish"]
    assert sieve.blocked_by is WHOLE_WORD


def test_a_longer_word_is_another_one() -> None:
    sieve = a_sieve([WHOLE_WORD])
    assert said(fed(sieve, BAD, "s no ")) == f"{BAD}s no "


def test_of_a_match_whose_beginning_has_gone_the_rest_does_not_go() -> None:
    sieve = a_sieve([BLOCK])
    fed(sieve, "for")
    assert said(sieve.release_due(0.1)) == "for"
    assert [event.kind for event in fed(sieve, "bidden word", now=0.2, seq=2)] == ["finish"]
    sieve = a_sieve([MASK])
    fed(sieve, "jo")
    assert said(sieve.release_due(0.1)) == "jo"
    assert said(fed(sieve, "@x.o", "rg is", now=0.2, seq=2)) == "[EMAIL] is"
    assert sieve.verdicts[0].count == 1


def test_a_match_is_found_though_it_is_longer_than_what_is_held() -> None:
    word = "begin" + "x" * 700 + "end"
    sieve = a_sieve([a_filter(Words(word))])
    out = [event for at in range(0, len(word), 20) for event in fed(sieve, word[at : at + 20], seq=at // 20 + 1)]
    assert sieve.blocked_by is not None
    assert len(said(out)) < len(word) - 20


class Addresses:
    """Finds what grows with each part of its host."""

    def find(self, text: Text) -> Sequence[Match]:
        return [Match(*found.span(), "email") for found in re.finditer(r"[a-z]+@[a-z]+(\.[a-z]+)*", text.raw)]

    def open_from(self, text: Text) -> int:
        return 0


@pytest.mark.parametrize("step", [1, 3, 40])
def test_a_long_word_is_found_though_most_of_it_has_gone(step: int) -> None:
    word = " ".join(f"word{number}" for number in range(30))
    assert CONTEXT + LONGEST_HOLD < len(word) <= LONGEST_WORD
    sieve = a_sieve([build_filter(FilterOptions(type="keywords", words=(word,)))])
    text = f"before {word} after"
    seq, out = 1, []
    for begin in range(0, len(text), step):
        if sieve.blocked_by is None:
            out += fed(sieve, text[begin : begin + step], now=begin / 1000, seq=seq)
            seq += 1
    assert sieve.blocked_by is not None
    assert len(said(out)) < len(text) - LONGEST_HOLD


def test_what_a_match_grows_by_when_it_has_gone_goes_neither() -> None:
    sieve = a_sieve([a_filter(Addresses(), action="mask")])
    out = []
    for at, content in enumerate(("jo@x.co.", "uk", ".", "org is")):
        fed(sieve, content, now=float(at), seq=at + 1)
        out += sieve.release_due(at + 0.5)
    assert said(out) == "[EMAIL].. is"
    assert [one.count for one in sieve.verdicts] == [1]


def test_a_match_that_grows_beyond_what_is_looked_at_is_one() -> None:
    sieve = a_sieve([a_filter(Addresses(), action="report")])
    for at in range(1, 2 * MOST_KEPT // 64):
        fed(sieve, ("jo@" if at == 1 else "") + "x" * 64, seq=at)
    sieve.finish()
    assert [one.count for one in sieve.verdicts] == [1]


class Begun:
    """Finds a word only where no letter stands before it."""

    def find(self, text: Text) -> Sequence[Match]:
        return [Match(*found.span(), "word") for found in re.finditer("(?<![a-z])bidden", text.raw)]

    def open_from(self, text: Text) -> int:
        return len(text)


def test_where_a_text_is_cut_to_be_looked_at_again_no_word_begins() -> None:
    sieve = a_sieve([a_filter(Begun(), action="report")])
    text = f"for{BAD} for{BAD[3:]}, {BAD[3:]} " + "." * 2 * MOST_KEPT
    for at, character in enumerate(text, 1):
        fed(sieve, character, seq=at)
    sieve.feed(ending(len(text) + 1), 0.0)
    assert [one.count for one in sieve.verdicts] == [1]


# -- a block


@pytest.mark.parametrize("at", range(1, len(BAD)))
def test_a_word_is_found_wherever_it_is_split(at: int) -> None:
    sieve = a_sieve([BLOCK])
    out = fed(sieve, f"It is {BAD[:at]}", f"{BAD[at:]} to", " say")
    assert said(out) == "It is "
    assert [(event.seq, event.kind) for event in out] == [(1, "chunk"), (2, "finish")]
    assert orjson.loads(out[-1].raw) == {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter"}],
    }


def test_all_choices_end_and_what_was_judged_of_them_goes() -> None:
    sieve = a_sieve([BLOCK])
    out = sieve.feed(
        saying({"content": "one", "choice": 1}, {"content": f"a{BAD}"}, {"content": "two", "choice": 1}), 0.0
    )
    assert texts_in(out) == {(1, "content"): "one", (0, "content"): "a"}
    assert finish_reasons(out[-1].raw) == ["content_filter", "content_filter"]


def test_other_texts_of_the_same_event_end_there_too() -> None:
    choices = [
        {
            "index": 0,
            "delta": {"reasoning": "hm for", "content": f"a{BAD}", "refusal": "b"},
            "logprobs": {"content": [BAD]},
        },
        {"index": 1, "delta": {"content": "c for"}},
    ]
    out = a_sieve([BLOCK]).feed([Event(1, b"", chunk={"choices": choices})], 0.0)
    assert texts_in(out) == {(0, "reasoning"): "hm for", (0, "content"): "a", (1, "content"): "c for"}
    assert BAD.encode() not in b"".join(event.raw for event in out)


def test_the_end_of_the_text_decides_and_the_usage_is_told() -> None:
    sieve = a_sieve([WHOLE_WORD])
    events = saying({"content": f"a {BAD}"})
    assert sieve.feed(events, 0.0) == []
    out = sieve.feed(ending(2), 0.0)
    assert [(event.seq, event.kind) for event in out] == [(1, "chunk"), (2, "finish"), (3, "usage")]
    assert said(out) == "a "
    assert finish_reasons(out[1].raw) == ["content_filter"]
    out = a_sieve([BLOCK]).feed([*saying({"content": BAD}), *ending(2)], 0.0)
    assert [(event.seq, event.kind) for event in out] == [(1, "finish"), (2, "usage")]
    sieve = a_sieve([WHOLE_WORD])
    assert [event.kind for event in [*sieve.feed(events, 0.0), *sieve.finish()]] == ["chunk", "finish"]


def test_an_error_comes_after_what_was_held() -> None:
    failure = StreamInterrupted("cut")
    error = Event(2, b"", "error", error=failure)
    sieve = a_sieve([BLOCK])
    held = saying({"content": "for"})
    assert sieve.feed([*held, error], 0.0) == [*held, error]
    sieve = a_sieve([BLOCK])
    out = sieve.feed([*saying({"content": BAD}), error], 0.0)
    assert [(event.seq, event.error) for event in out] == [(1, failure)]


def test_text_completions_and_calls_are_judged() -> None:
    chunk = {"choices": [{"index": 0, "text": f"a{BAD}", "finish_reason": None}]}
    out = a_sieve([BLOCK]).feed([Event(1, b"", chunk=chunk)], 0.0)
    assert texts_in(out) == {(0, "text"): "a"}
    assert orjson.loads(out[-1].raw)["choices"] == [{"index": 0, "text": "", "finish_reason": "content_filter"}]
    calls = [
        {"index": at, "id": f"call_{at}", "type": "function", "function": {"name": "f", "arguments": text}}
        for at, text in enumerate(['{"a":1}', f'{{"b":"{BAD}"}}', "{}"])
    ]
    out = a_sieve([BLOCK]).feed(saying({"tool_calls": calls}), 0.0)
    assert len(orjson.loads(out[0].raw)["choices"][0]["delta"]["tool_calls"]) == 2
    assert texts_in(out) == {(0, "call", 0): '{"a":1}', (0, "call", 1): '{"b":"'}


@pytest.mark.parametrize(
    "delta",
    [
        {"function_call": {"arguments": BAD}},
        {"tool_calls": [{"index": 0, "custom": {"input": BAD}}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": BAD, "index": 0}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": BAD}]},
        {"audio": {"transcript": BAD, "data": "c291bmQ="}},
        {"reasoning": BAD},
        {"reasoning_content": BAD},
        {"refusal": BAD},
        {"tool_calls": [{"index": 0, "function": {"name": BAD}}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": BAD}]},
        {"reasoning": {"text": BAD}},
        {"content": [{"type": "text", "text": BAD}]},
        {"annotations": [{"type": "url_citation", "url_citation": {"url": f"https://x/?{BAD}", "title": "t"}}]},
        {"what_nobody_knows": [[BAD]]},
    ],
)
def test_each_kind_of_text_is_judged(delta: Mapping[str, Any]) -> None:
    masking = a_filter(action="mask")
    for sieve in (a_sieve([BLOCK]), a_sieve([masking])):
        (out, *_) = sieve.feed(saying(delta), 0.0)
        assert BAD.encode() not in out.raw
        assert b"c291bmQ" not in out.raw  # what is heard is what was said
    assert [one.count for one in sieve.verdicts] == [1]


@pytest.mark.parametrize("cuts", [(), (1,), (2, 5), (3, 4, 6)])
def test_what_is_json_is_judged_as_it_is_written_too(cuts: Sequence[int]) -> None:
    for text, left in ((f'"\\{BAD}"', '"\\'), (f'"\\n{BAD}"', '"\\n')):
        sieve = a_sieve([BLOCK], is_json=True)
        out = sieve.feed(saying(*({"content": piece} for piece in pieces_of(text, cuts))), 0.0)
        assert sieve.blocked_by is BLOCK
        assert said(out) == left
        assert [one.count for one in sieve.verdicts] == [1]


def test_data_that_is_not_judged_passes_as_it_came() -> None:
    data = [
        {"audio": {"id": "forbidden", "data": "forbidden"}},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "forbidden", "signature": "forbidden"}]},
        {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,forbidden"}}]},
    ]
    events = saying(*data)
    assert [a is b for a, b in zip(a_sieve([BLOCK]).feed(events, 0.0), events, strict=True)] == [True] * 3


def test_what_is_said_once_more_in_full_does_not_come_between_the_pieces() -> None:
    events = saying({"content": "for"}, {"content": "bidden"})
    events[0].chunk["choices"][0]["message"] = {"role": "assistant", "content": "for"}
    out = a_sieve([BLOCK]).feed(events, 0.0)
    assert b"bidden" not in b"".join(event.raw for event in out)
    assert said(out) == ""


# -- masks


def test_a_masked_match_is_replaced_where_it_begins_and_emptied_events_stay() -> None:
    out = fed(a_sieve([MASK]), "To j", "o@", "x.org", " now")
    assert [orjson.loads(event.raw)["choices"][0]["delta"]["content"] for event in out] == [
        "To [EMAIL]",
        "",
        "",
        " now",
    ]
    assert [event.seq for event in out] == [1, 2, 3, 4]


def test_matches_that_overlap_have_one_placeholder() -> None:
    wide = a_filter(Words("x.org now", label="site"), name="wide", action="mask")
    assert said(fed(a_sieve([wide, MASK]), "To jo@", "x.org", " now.")) == "To [EMAIL]."


def test_log_probabilities_of_what_is_changed_are_left_out_and_of_others_not() -> None:
    events = saying({"content": MAIL}, {"content": "!"})
    for event in events:
        event.chunk["choices"][0]["logprobs"] = {"content": [{"token": MAIL}]}
    out = a_sieve([MASK]).feed(events, 0.0)
    assert orjson.loads(out[0].raw)["choices"][0] == {
        "index": 0,
        "delta": {"content": "[EMAIL]"},
        "finish_reason": None,
        "logprobs": None,
    }
    assert out[1] is events[1]


def test_what_was_masked_in_the_prompt_comes_back_though_a_filter_looks_for_it() -> None:
    masks = Masks()
    masks.placeholder("email", MAIL)
    sieve = a_sieve([MASK], masks)
    assert fed(sieve, "[EM") == []
    assert said(fed(sieve, "AIL_1] or ", MAIL, ".", seq=2)) == f"{MAIL} or [EMAIL]."


def test_a_placeholder_whose_beginning_has_gone_stays_one() -> None:
    masks = Masks()
    masks.placeholder("email", MAIL)
    sieve = a_sieve([], masks)
    fed(sieve, "[EM")
    assert said(sieve.release_due(1.0)) == "[EM"
    assert said(fed(sieve, "AIL_1]", now=1.0, seq=2)) == "AIL_1]"


def test_it_comes_back_as_json_where_the_text_is_json() -> None:
    masks = Masks()
    masks.placeholder("name", 'a "b"\n')
    whole = whole_answer({"content": '{"to": "[NAME_1]"}'})
    (text,) = texts_of_whole(sifted(whole, [], masks, is_json=True).raw).values()
    assert orjson.loads(text) == {"to": 'a "b"\n'}


# -- filters that cannot judge


@pytest.mark.parametrize(("on_failure", "expected"), [("open", "one two"), ("closed", "")])
def test_a_filter_that_cannot_judge_is_asked_once_and_decides_by_its_setting(on_failure: Any, expected: str) -> None:
    told: list[str] = []
    broken = a_filter(Broken(), name="broken", action="mask", on_failure=on_failure)
    sieve = Sieve([broken, BLOCK], encode=encode, report=lambda name, defect: told.append(name))
    out = fed(sieve, "one ")
    if sieve.blocked_by is None:
        out += fed(sieve, "two", seq=2)
    assert (said(out), told) == (expected, ["broken"])
    assert [(one.filter, one.failed) for one in sieve.verdicts] == [("broken", True)]


def test_for_what_cannot_be_judged_nothing_is_waited_for() -> None:
    sieve = Sieve([a_filter(Broken(), name="broken"), BLOCK], encode=encode, report=ignored)
    assert [event.kind for event in fed(sieve, "for")] == ["finish"]


# -- whole answers


def test_a_whole_answer_without_a_find_is_the_same_bytes() -> None:
    whole = whole_answer({"content": "fine", "reasoning": "too"}, {"content": "for"})
    assert sifted(whole, [BLOCK, MASK]).raw is whole


def test_a_whole_answer_ends_before_the_match_with_all_that_follows_it() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message: Mapping[str, Any] = {"reasoning": "hm", "content": f"a{BAD}b", "refusal": "no", "tool_calls": [call]}
    whole = sifted(whole_answer(message, {"content": "other"}), [BLOCK])
    first, other = orjson.loads(whole.raw)["choices"]
    assert first == {
        "index": 0,
        "message": {"role": "assistant", "content": "a", "reasoning": "hm"},
        "finish_reason": "content_filter",
    }
    assert (other["message"]["content"], other["finish_reason"]) == ("other", "stop")
    assert (whole.blocked_by, [one.count for one in whole.verdicts]) == (BLOCK, [1])


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning_details": [{"type": "t", "text": f"a {BAD}", "summary": f"b {BAD}"}]},
        {"audio": {"transcript": f"a {BAD}", "notes": BAD}},
        {"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": f"a {BAD}"}, "more": {"notes": BAD}}]},
        {"refusal": f"a {BAD}", "more": [BAD]},
    ],
)
def test_of_what_stands_beside_a_blocked_text_nothing_is_left(message: Mapping[str, Any]) -> None:
    out = sifted(whole_answer(message), [BLOCK])
    assert b'"a "' in out.raw
    assert BAD.encode() not in out.raw


@pytest.mark.parametrize("whole", [b'{"object":"list","data":[{"embedding":[0.1]}]}', b"[]"])
def test_what_has_no_choices_is_not_looked_at(whole: bytes) -> None:
    assert sifted(whole, [BLOCK]).raw is whole


def test_half_a_surrogate_pair_is_no_reason_to_fail() -> None:
    class Strict(Words):
        def find(self, text: Any) -> Any:
            text.raw.encode()
            return super().find(text)

    strict: LocalFilter = a_filter(Strict(BAD))
    whole = b'{"choices":[{"index":0,"message":{"content":"\\ud83d ' + BAD.encode() + b'"},"finish_reason":"stop"}]}'
    blocked = sift_whole(whole, [strict], encode=encode, report=ignored)
    assert not [one for one in blocked.verdicts if one.failed]
    assert orjson.loads(blocked.raw.replace(b"\\ud83d", b"x"))["choices"][0]["message"]["content"] == "x "
