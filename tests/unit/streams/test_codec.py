"""Whatever one process writes into a log, another reads again; what nobody of ours wrote is refused in one way."""

import math
import pickle
import string
from collections.abc import Callable, Iterator

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.api.errors import error_body
from llm_service.domain import CostSource, Event, Head, LLMServiceError, Outcome, StreamInterrupted, Usage
from llm_service.streams.codec import end_bytes, end_of, event_bytes, event_of, head_bytes, head_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SOME = st.none() | TEXTS
COUNTS = st.integers(0, 2**53)


def tree(root: type[LLMServiceError] = LLMServiceError) -> Iterator[type[LLMServiceError]]:
    yield root
    for below in root.__subclasses__():
        if below.__module__.startswith("llm_service."):
            yield from tree(below)


def made(
    kind: type[LLMServiceError], message: str, param: str | None, provider: str | None, *, again: bool, after_s: float
) -> LLMServiceError:
    error = kind.__new__(kind)
    LLMServiceError.__init__(
        error, message, param=param, provider=provider, retryable=again, retry_after_s=after_s or None
    )
    return error


ERRORS = st.builds(
    made, st.sampled_from([*tree()]), TEXTS, SOME, SOME, again=st.booleans(), after_s=st.floats(0, 1e6)
)  # fmt: skip
KINDS = st.sampled_from(["chunk", "finish", "usage"])
JSON = st.dictionaries(TEXTS, TEXTS | st.integers(-(2**53), 2**53) | st.none(), max_size=4).map(orjson.dumps)
EVENTS = st.builds(Event, COUNTS, JSON, KINDS) | st.builds(
    lambda seq, error: Event(seq, b"", "error", error=error), COUNTS, ERRORS
)
HEADS = st.builds(Head, provider=TEXTS, model=TEXTS, upstream_model=TEXTS)
USAGES = st.builds(
    Usage, input_tokens=COUNTS, output_tokens=COUNTS, cached_input_tokens=COUNTS, reasoning_tokens=COUNTS
)
OUTCOMES = st.builds(
    Outcome,
    status=st.sampled_from(["ok", "error", "aborted", "refused", "interrupted"]),
    usage=st.none() | USAGES,
    error=st.none() | ERRORS,
    finish_reason=SOME,
    upstream_id=SOME,
    response_model=SOME,
)
SOURCES = st.sampled_from(["provider", "catalog", "estimate", "none"])


def facts(error: LLMServiceError | None) -> object:
    return error and (type(error), error.message, error.param, error.provider, error.retryable, error.retry_after_s)


@given(EVENTS)
def test_every_event_comes_back(event: Event) -> None:
    again = event_of(event_bytes(event), event.seq)
    assert (again.seq, again.kind, again.raw, facts(again.error)) == (
        event.seq, event.kind, event.raw, facts(event.error)
    )  # fmt: skip


@given(HEADS)
def test_every_head_comes_back(head: Head) -> None:
    assert head_of(head_bytes(head)) == head


@given(OUTCOMES, st.integers(0, 2**53), SOURCES)
def test_every_end_comes_back(outcome: Outcome, nano_usd: int, source: CostSource) -> None:
    again, cost, said_by = end_of(end_bytes(outcome, nano_usd=nano_usd, cost_source=source))
    assert (again.status, again.usage, again.finish_reason, again.upstream_id, again.response_model) == (
        outcome.status, outcome.usage, outcome.finish_reason, outcome.upstream_id, outcome.response_model
    )  # fmt: skip
    assert facts(again.error) == facts(outcome.error)
    assert (cost, said_by) == (nano_usd, source)


@pytest.mark.parametrize("kind", [*tree()], ids=lambda kind: kind.__name__)
def test_error_of_each_class_can_be_told_to_a_client_again(kind: type[LLMServiceError]) -> None:
    error = event_of(event_bytes(Event(3, b"", "error", error=made(kind, "No.", None, None, again=True, after_s=2))), 3)
    assert error.error is not None
    said = orjson.loads(error_body(error.error, request_id="req_1"))
    assert (said["error"]["code"], said["error"]["message"]) == (kind.code, "No.")


def test_error_of_a_class_that_is_not_known_here_says_that_the_stream_broke_off() -> None:
    text = event_bytes(Event(1, b"", "error", error=StreamInterrupted("Gone.")))
    later = event_of(text.replace(b"StreamInterrupted", b"OfALaterVersion"), 1)
    assert facts(later.error) == facts(StreamInterrupted("Gone."))


# -- what nobody of ours wrote

GARBAGE = (
    b"", b"c", b"c{", b"c5", b"c[]", b"cnull", b"x{}", b"e{}", b"e5", b"\xff", b"c\xff", b"{}", b"[]", b"5", b"null",
    b'[1,2,3,4]', b'["a","b","c","d"]', b'["a","b","c"]', b'{"status":"ok"}', pickle.dumps({"status": "ok"}),
    b'{"status":[],"usage":null,"error":null,"finish_reason":null,"upstream_id":null,"response_model":null,'
    b'"nano_usd":0,"cost_source":"none"}',
    b"[" * 5000, b'{"a":' * 5000, b"NaN", b"c" + b"[" * 5000,
)  # fmt: skip
READERS: list[Callable[[bytes], object]] = [lambda data: event_of(data, 1), head_of, end_of]


def understood(read: Callable[[bytes], object], data: bytes) -> bool:
    try:
        read(data)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("data", GARBAGE, ids=lambda data: repr(data[:20]))
def test_garbage_is_refused(data: bytes) -> None:
    assert [understood(read, data) for read in READERS] == [False] * 3


@given(st.binary(max_size=60) | st.text(string.printable, max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused_in_one_way(data: bytes) -> None:
    for read in READERS:
        understood(read, data)
    understood(READERS[0], b"c" + data)
    understood(READERS[0], b"e" + data)


@given(OUTCOMES, st.data())
def test_end_with_any_field_replaced_is_read_or_refused_in_one_way(outcome: Outcome, data: st.DataObject) -> None:
    fields = orjson.loads(end_bytes(outcome, nano_usd=1, cost_source="none"))
    name = data.draw(st.sampled_from(sorted(fields)))
    fields[name] = data.draw(st.sampled_from([None, 5, -1.5, "x", [], {}, True, [1, 2, 3, "x"], {"class": 5}]))
    if understood(end_of, orjson.dumps(fields)):
        again, cost, _ = end_of(orjson.dumps(fields))
        assert isinstance(cost, int)
        assert again.error is None or isinstance(again.error, LLMServiceError)


def test_seconds_to_wait_survive_as_they_are() -> None:
    error = made(StreamInterrupted, "No.", None, None, again=False, after_s=math.pi)
    again = event_of(event_bytes(Event(1, b"", "error", error=error)), 1).error
    assert again is not None
    assert again.retry_after_s == math.pi


def test_the_head_of_a_version_that_counted_attempts_is_read_and_written_in_its_form() -> None:
    head = head_of(b'["p","m","u",3]')
    assert head == Head(provider="p", model="m", upstream_model="u")
    assert head_bytes(head) == b'["p","m","u",1]'
