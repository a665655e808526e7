"""What is found in an answer that broke off: text, reasoning, calls; and that keeping it costs next to nothing."""

import asyncio
import json
import threading
from contextlib import suppress
from time import thread_time
from typing import Any

import pytest

from llm_service.domain import LLMServiceError
from llm_service.prices import Meter
from llm_service.prices.meter import MOST_KEPT_BYTES
from llm_service.providers.sse import SseDecoder
from tests.support.timed import within
from tests.support.transcripts import Transcript, transcripts
from tests.support.waiting import loop_turns


def words(text: str) -> int:
    return len(text.split())


def chunk(index: int = 0, **delta: Any) -> bytes:
    return json.dumps({"choices": [{"index": index, "delta": delta}]}).encode()


def metered(*pieces: bytes) -> Meter:
    meter = Meter()
    for piece in pieces:
        meter.see(piece)
    return meter


def output(meter: Meter) -> tuple[int, int]:
    usage = meter.count(words, lambda: 7)
    assert usage.input_tokens == 7
    return usage.output_tokens, usage.reasoning_tokens


def test_pieces_of_a_text_are_counted_as_one() -> None:
    assert output(metered(chunk(content="Seven sh"), chunk(content="ips sail"))) == (3, 0)


def test_reasoning_is_a_part_of_the_output() -> None:
    meter = metered(chunk(reasoning_content="I think"), chunk(reasoning_content=" so"), chunk(content="Yes."))
    assert output(meter) == (4, 3)


def test_reasoning_under_two_names_is_counted_once() -> None:
    assert output(metered(chunk(reasoning="I think", reasoning_content="I think"))) == (2, 2)


def test_names_and_arguments_of_calls_are_counted() -> None:
    first = [{"index": 0, "id": "c", "function": {"name": "tide", "arguments": ""}}]
    rest = [{"index": 0, "function": {"arguments": '{"port": "Brest"}'}}]
    assert output(metered(chunk(tool_calls=first), chunk(tool_calls=rest))) == (3, 0)


def test_choices_are_counted_one_by_one() -> None:
    assert output(metered(chunk(0, content="one"), chunk(1, content="two"), chunk(0, content=" three"))) == (3, 0)


@pytest.mark.parametrize(
    "choice",
    [{"message": {"content": "two words"}}, {"text": "two words"}, {"delta": {"refusal": "two words"}}],
)
def test_whole_answers_and_completions_are_counted_too(choice: dict[str, Any]) -> None:
    assert output(metered(json.dumps({"choices": [choice]}).encode())) == (2, 0)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b'{"choices": null}', b'{"choices": [1, {"delta": 2}]}',
     b'{"choices": [{"delta": {"content": 1, "tool_calls": [1, {"function": 1}, {}], "function_call": []}}]}'],
)  # fmt: skip
def test_what_is_no_chunk_counts_nothing(raw: bytes) -> None:
    assert output(metered(raw, chunk(content="one"))) == (1, 0)


def test_half_a_character_does_not_hide_the_rest() -> None:
    assert output(metered(b'{"choices": [{"index": 0, "delta": {"content": "two \\ud83d"}}]}')) == (2, 0)


def test_beyond_its_bound_it_keeps_lengths_alone_and_stretches_the_count() -> None:
    piece = chunk(content="word " * 1000, reasoning="why ")
    kept = -(-MOST_KEPT_BYTES // len(piece))
    meter = metered(*[piece] * (3 * kept))
    assert sum(map(len, meter._kept)) <= MOST_KEPT_BYTES + len(piece)
    assert output(meter) == (3 * kept * 1001, 3 * kept)


async def test_short_answers_are_counted_at_once_and_long_ones_in_a_thread() -> None:
    threads: list[int] = []

    def counted(text: str) -> int:
        threads.append(threading.get_ident())
        return words(text)

    for letters, request_bytes in ((10, 100), (40_000, 100), (10, 40_000)):
        usage = await metered(chunk(content="a" * letters)).usage(counted, lambda: 1, input_bytes=request_bytes)
        assert usage.output_tokens == 1
    here = threading.get_ident()
    assert [thread == here for thread in threads] == [True, False, False]


async def test_other_work_goes_on_while_a_long_answer_is_counted() -> None:
    going_on = threading.Event()

    def counted(text: str) -> int:
        assert going_on.wait(10)
        return words(text)

    counting = asyncio.create_task(metered(chunk(content="a" * 40_000)).usage(counted, lambda: 1, input_bytes=0))
    await loop_turns()
    going_on.set()
    assert (await counting).output_tokens == 1


@pytest.mark.timed
def test_a_piece_is_kept_without_being_looked_at() -> None:
    piece = chunk(content=" word")
    fastest_s = min(timed(piece, 2000) for _ in range(20))
    # 0.15 µs are usual; coverage and a busy machine make it more, decoding would be 10 times that
    within(fastest_s, 5e-6)


def timed(piece: bytes, times: int) -> float:
    see = Meter().see
    started = thread_time()
    for _ in range(times):
        see(piece)
    return (thread_time() - started) / times


STREAMS = [one for one in transcripts("stream") if one.expected.get("content") or one.expected.get("reasoning")]


@pytest.mark.parametrize("transcript", STREAMS, ids=lambda one: one.name)
def test_all_text_of_recorded_streams_is_found(transcript: Transcript) -> None:
    reader, decoder = transcript.dialect.reader(transcript.call), SseDecoder()
    meter = Meter()
    with suppress(LLMServiceError):
        for data, kind in (*decoder.feed(transcript.body), *decoder.close()):
            for event in reader.read(data, kind) if data != b"[DONE]" else ():
                meter.see(event.raw)
    found: list[str] = []
    meter.count(lambda text: found.append(text) or 0, lambda: 0)
    joined = [text.encode("utf-16", "surrogatepass").decode("utf-16") for text in found]
    for name in ("content", "reasoning"):
        assert transcript.expected.get(name, "") in ("", *joined)
