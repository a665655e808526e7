"""However an answer is cut into events: the rest passes as it came, nothing blocked does, and both forms agree."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import Event
from llm_service.filters import HOLD_S, LONGEST_HOLD, Masks, Sieve
from tests.support.filtering import (
    BAD,
    MAIL,
    Words,
    a_filter,
    a_sieve,
    ending,
    finish_reasons,
    pieces_of,
    saying,
    sifted,
    texts_in,
    texts_of_whole,
    whole_answer,
)

BLOCK = a_filter(Words(BAD, "bid"), name="block")
MASK = a_filter(Words(MAIL, "x.org now", label="email"), name="mask", action="mask")
TELL = a_filter(Words("fine"), name="tell", action="report")

# Beginnings of words that are found, the words, and what is between them.
texts = st.lists(
    st.sampled_from(
        ["for", "bid", "forb", BAD, BAD[:-1], MAIL, "jo@", "x.org", " now", " ", "fine", "ü", "😀", "\n", "a"]
    ),
    max_size=12,
).map("".join)
harmless = texts.map(lambda text: text.replace("bid", "b-d"))
cuts = st.lists(st.integers(0, 200), max_size=12)
spoken = st.lists(
    st.tuples(st.sampled_from(["content", "reasoning_content", "refusal", "call 0", "call 1"]), st.integers(0, 1)),
    min_size=1,
    max_size=3,
    unique=True,
)


def delta(channel: str, choice: int, text: str) -> dict[str, Any]:
    if channel.startswith("call"):
        return {"choice": choice, "tool_calls": [{"index": int(channel[5:]), "function": {"arguments": text}}]}
    return {"choice": choice, channel: text}


@st.composite
def answers(draw: st.DrawFn, text: st.SearchStrategy[str]) -> list[Event]:
    """The events of an answer with several choices and kinds of text, in each order of their pieces."""
    waiting = [
        [delta(channel, choice, piece) for piece in pieces_of(draw(text), draw(cuts))]
        for channel, choice in draw(spoken)
    ]
    deltas: list[dict[str, Any]] = []
    while waiting:
        at = draw(st.integers(0, len(waiting) - 1))
        deltas.append(waiting[at].pop(0))
        if not waiting[at]:
            del waiting[at]
    return saying(*deltas)


def run(sieve: Sieve, events: Sequence[Event], reads: Sequence[int] = ()) -> list[Event]:
    """All that goes on: events come in socket reads that are cut like texts."""
    out: list[Event] = []
    places = [0, *sorted({cut % (len(events) + 1) for cut in reads}), len(events)]
    for begin, end in pairwise(places):
        if begin < end and sieve.blocked_by is None:
            out += sieve.feed(events[begin:end], 0.0)
    if sieve.blocked_by is None:
        choices = sorted({event.chunk["choices"][0]["index"] for event in events})
        out += sieve.feed(ending(len(events) + 1, choices=choices), 0.0)
    assert [event.seq for event in out] == list(range(1, len(out) + 1))
    return out


@given(answers(harmless), cuts)
def test_what_is_not_found_passes_as_the_same_events(events: list[Event], reads: list[int]) -> None:
    out = run(a_sieve([BLOCK, TELL]), events, reads)
    assert all(one is other for one, other in zip(out, events, strict=False))
    assert [event.kind for event in out[len(events) :]] == ["finish", "usage"]


@given(answers(texts), cuts)
def test_nothing_of_what_is_blocked_reaches_the_client(events: list[Event], reads: list[int]) -> None:
    before = texts_in(events)
    sieve = a_sieve([BLOCK])
    out = run(sieve, events, reads)
    after = texts_in(out)
    assert not any("bid" in text for text in after.values())
    assert all(before[key].startswith(text) for key, text in after.items())
    assert (sieve.blocked_by is not None) == any("bid" in text for text in before.values())
    if sieve.blocked_by is not None:
        finish = next(event for event in out if event.kind == "finish")
        assert set(finish_reasons(finish.raw)) == {"content_filter"}
        assert len(sieve.verdicts) == 1


@given(texts, cuts, cuts, st.sampled_from([[BLOCK], [MASK], [TELL, MASK, BLOCK], [BLOCK, MASK, TELL]]))
def test_streams_and_whole_answers_say_the_same(text: str, cut: list[int], reads: list[int], filters: Any) -> None:
    sieve = a_sieve(filters)
    out = run(sieve, saying(*({"content": piece} for piece in pieces_of(text, cut))), reads)
    whole = sifted(whole_answer({"content": text}), filters)
    assert texts_in(out) == texts_of_whole(whole.raw)
    assert whole.blocked_by is sieve.blocked_by
    assert whole.verdicts == sieve.verdicts
    if sieve.blocked_by is not None:
        assert finish_reasons(whole.raw) == ["content_filter"]


@given(answers(texts), cuts)
def test_masked_events_keep_their_numbers_and_others_their_bytes(events: list[Event], reads: list[int]) -> None:
    before = texts_in(events)
    out = run(a_sieve([MASK]), events, reads)
    assert [event.seq for event in out[: len(events)]] == [event.seq for event in events]
    expected = {
        key: texts_of_whole(sifted(whole_answer({"content": text}), [MASK]).raw) for key, text in before.items()
    }
    assert texts_in(out) == {key: of[0, "content"] for key, of in expected.items() if of}
    for came, went in zip(events, out, strict=False):
        assert went is came or texts_in([went]) != texts_in([came])


@given(texts, cuts, cuts)
def test_what_was_masked_in_the_prompt_is_put_back(text: str, cut: list[int], reads: list[int]) -> None:
    masks = Masks(prompt="[EMAIL_1] is not ours")
    masked = text.replace(MAIL, masks.placeholder("email", MAIL)) + "[EMAIL_1][EMAIL_"
    out = run(a_sieve([TELL], masks), saying(*({"content": piece} for piece in pieces_of(masked, cut))), reads)
    assert texts_in(out) == {(0, "content"): text + "[EMAIL_1][EMAIL_"}


@given(answers(texts), st.lists(st.sampled_from([0.0, 0.01, 0.05, 0.09, 0.11]), max_size=30))
def test_no_event_is_held_for_longer(events: list[Event], pauses: list[float]) -> None:
    """By the clock, or until so much has followed; and nothing waits without a time at which it goes."""
    sieve, now = a_sieve([a_filter(Words(BAD), action="report"), TELL]), 0.0
    came: dict[int, float] = {}
    out: list[Event] = []
    for at, event in enumerate(events):
        wakes = now + (pauses[at] if at < len(pauses) else 0.0)
        while (due := sieve.due()) is not None and due <= wakes:
            now = due
            out += sieve.release_due(now)
        now = wakes
        came[event.seq] = now
        out += sieve.feed([event], now)
        held = events[len(out) : at + 1]
        assert all(now - came[one.seq] < HOLD_S for one in held)
        assert (sieve.due() is None) == (not held)
        assert all(len(text) < LONGEST_HOLD for text in texts_in(held[1:]).values())
    assert out == events[: len(out)]


@given(st.text(alphabet='aß ü😀\\"\n\t/', max_size=20), cuts)
def test_json_reads_as_what_it_means(text: str, cut: list[int]) -> None:
    """Escapes hide nothing in arguments, whole and cut anywhere, and what is masked there leaves JSON."""
    raw = json.dumps({"to": f"{text}\n{BAD}é {MAIL}"})
    deltas = [delta("call 0", 0, piece) for piece in pieces_of(raw, cut)]
    masked = run(a_sieve([a_filter(Words(BAD + "é"), action="mask"), MASK]), saying(*deltas))
    assert json.loads(texts_in(masked)[0, "call", 0]) == {"to": f"{text}\n[WORD] [EMAIL]"}
    blocked = run(a_sieve([a_filter(Words(BAD + "é"))]), saying(*deltas))
    assert texts_in(blocked)[0, "call", 0] == raw[: raw.index(BAD)]
