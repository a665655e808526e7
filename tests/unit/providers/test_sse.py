"""The event stream decoder: what the standard allows, in pieces of any size, within bounds."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import UpstreamInvalidResponse
from llm_service.providers.sse import ServerEvent, SseDecoder
from tests.support.timed import within


def decoded(*pieces: bytes) -> list[tuple[bytes, bytes]]:
    decoder = SseDecoder()
    events = [tuple(event) for piece in pieces for event in decoder.feed(piece)]
    return [*events, *(tuple(event) for event in decoder.close())]


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data: 1\n\n", [(b"1", b"")]),
        (b"data:1\n\ndata:  2\n\n", [(b"1", b""), (b" 2", b"")]),
        (b"data: 1\r\n\r\ndata: 2\r\r", [(b"1", b""), (b"2", b"")]),
        (b"data: 1\ndata: 2\n\n", [(b"1\n2", b"")]),
        (b"event: error\ndata: 1\n\ndata: 2\n\n", [(b"1", b"error"), (b"2", b"")]),
        (b": comment\n\n: comment\ndata: 1\nid: 7\nretry: 3\nother: x\n\n", [(b"1", b"")]),
        (b"id: 7\n\nevent: ping\n\n", []),
        (b"data\n\ndata: 1\n\n", [(b"", b""), (b"1", b"")]),
        (b"\xef\xbb\xbfdata: 1\n\n", [(b"1", b"")]),
        (b"\n\n\n\ndata: 1\n\n\n\n", [(b"1", b"")]),
        ("data: \u2028\u0085\n\n".encode(), [("\u2028\u0085".encode(), b"")]),
        (b"", []),
    ],
)
def test_lines_become_events_as_the_standard_says(body: bytes, events: list[tuple[bytes, bytes]]) -> None:
    assert decoded(body) == events
    assert decoded(*(body[at : at + 1] for at in range(len(body)))) == events


@pytest.mark.parametrize(
    ("rest", "events"),
    [
        (b'data: {"a":1}', [(b'{"a":1}', b"")]),
        (b"data: [DONE]\n", [(b"[DONE]", b"")]),
        (b'data: {"a":', []),
        (b"data: [DO", []),
        (b": comment", []),
    ],
)
def test_last_event_counts_without_its_blank_line_unless_it_is_cut(rest: bytes, events: list[ServerEvent]) -> None:
    assert decoded(rest) == events


def test_event_beyond_the_bound_is_refused() -> None:
    decoder = SseDecoder(max_event_bytes=100)
    decoder.feed(b"data: " + b"x" * 90)
    with pytest.raises(UpstreamInvalidResponse):
        decoder.feed(b"x" * 11)


def test_many_events_in_one_read_are_not_held_against_the_bound() -> None:
    assert len(SseDecoder(max_event_bytes=10).feed(b"data: 1\n\n" * 50)) == 50


@pytest.mark.timed
def test_time_is_linear_in_the_bytes_however_small_the_pieces() -> None:
    decoder = SseDecoder()
    began = time.process_time()
    for _ in range(300_000):
        decoder.feed(b"x")
    within(time.process_time() - began, 5)  # a quadratic decoder takes minutes


@given(
    lines=st.lists(st.sampled_from([b"data: a", b"data:b", b": c", b"event: error", b"", b"id"]), max_size=12),
    data=st.data(),
)
def test_no_line_ends_and_no_pieces_change_the_events(lines: list[bytes], data: st.DataObject) -> None:
    ends = [data.draw(st.sampled_from([b"\n", b"\r\n"])) for _ in lines]
    body = b"".join(line + end for line, end in zip(lines, ends, strict=True)) + b"\n\n"
    cuts = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=5)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert decoded(*pieces) == decoded(b"\n".join(lines) + b"\n\n")
