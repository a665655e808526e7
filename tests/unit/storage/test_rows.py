"""What a record is like once every database can keep it."""

from dataclasses import fields, replace

import orjson
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import Tried, UsageRecord, Verdict
from llm_service.storage import MOST_TRIES_BYTES, MOST_VERDICTS_BYTES, storable
from llm_service.storage.sql.rows import MOST_NANO, _verdicts_text
from tests.support.records import NOON, record

texts = st.text(max_size=600) | st.text(st.characters(categories=["Cs", "Cc", "So"]), max_size=600)
counts = st.integers() | st.integers(-100, 10_000)
durations = st.none() | st.integers(0, 2**40) | st.floats(0, 1e12)
tried = st.builds(
    Tried,
    provider=texts,
    upstream_model=texts,
    error_code=st.none() | texts,
    duration_ms=durations,
    nano_usd=counts,
)
judged = st.builds(
    Verdict,
    filter=texts,
    type=texts,
    on=st.sampled_from(["input", "output"]),
    action=st.sampled_from(["block", "mask", "report"]),
    labels=st.lists(texts, max_size=20).map(tuple),
    count=counts,
    failed=st.booleans(),
)
records = st.builds(
    UsageRecord,
    verdicts=st.lists(judged, max_size=4).map(tuple),
    tries=st.lists(tried, max_size=4).map(tuple),
    at=st.just(NOON),
    tags=st.dictionaries(texts, texts, max_size=3),
    cost_source=st.just("catalog"),
    status=st.just("ok"),
    attempts=st.just(1),
    **dict.fromkeys(("request_id", "key_id", "surface", "model", "cache"), texts),
    **{
        name: st.none() | texts
        for name in (
            "stream_id",
            "user",
            "provider",
            "upstream_model",
            "upstream_id",
            "error_code",
            "cache_key",
            "adjusts",
        )
    },
    **dict.fromkeys(
        (
            "input_tokens",
            "output_tokens",
            "cached_input_tokens",
            "reasoning_tokens",
            "nano_usd",
            "saved_nano_usd",
            "wasted_nano_usd",
        ),
        counts,
    ),
    **dict.fromkeys(("queue_ms", "first_chunk_ms", "duration_ms", "overhead_ms"), durations),
)


def test_an_ordinary_record_is_left_as_it_is() -> None:
    ordinary = record(user="alice", tags={"team": "search"}, duration_ms=1.5)
    assert storable(ordinary) is ordinary


@given(records)
def test_cleaning_is_done_once(odd: UsageRecord) -> None:
    assert storable(storable(odd)) == storable(odd)


@given(records)
def test_every_text_can_be_kept(odd: UsageRecord) -> None:
    clean = storable(odd)
    texts = [value for each in fields(clean) if isinstance(value := getattr(clean, each.name), str)]
    texts += [text for tag in clean.tags.items() for text in tag]
    assert all("\0" not in text and text.encode() and len(text) <= 512 for text in texts if text)


@given(records)
def test_the_quick_look_agrees_with_the_long_one(odd: UsageRecord) -> None:
    """Whether a record is clean does not depend on how long its texts are together."""
    padded = storable(replace(odd, cache="x" * 512))
    assert replace(padded, cache=storable(odd).cache) == storable(odd)


@given(st.lists(tried, max_size=40).map(tuple))
def test_attempts_are_bounded_and_the_last_one_stays(tries: tuple[Tried, ...]) -> None:
    kept = storable(record(tries=tries)).tries
    text = orjson.dumps([{name: getattr(one, name) for name in ("provider", "upstream_model")} for one in kept])
    assert len(kept) <= 1 or len(text) <= MOST_TRIES_BYTES
    assert bool(kept) == bool(tries)
    if tries:
        assert storable(record(tries=tries[-1:])).tries == kept[-1:]


def test_ordinary_attempts_are_all_kept() -> None:
    failed = Tried(provider="openrouter", upstream_model="deepseek/deepseek-chat", error_code="upstream_error")
    assert len(storable(record(tries=(failed,) * 12)).tries) == 12


def test_what_was_saved_ends_where_money_ends() -> None:
    assert storable(record(saved_nano_usd=10**30)).saved_nano_usd == MOST_NANO
    assert storable(record(saved_nano_usd=-(10**30))).saved_nano_usd == -MOST_NANO


def test_durations_are_floats_so_that_they_read_alike_before_and_after() -> None:
    assert repr(storable(record(duration_ms=5)).duration_ms) == "5.0"


@given(st.lists(judged, max_size=40).map(tuple))
def test_verdicts_are_bounded_and_the_first_one_stays(verdicts: tuple[Verdict, ...]) -> None:
    kept = storable(record(verdicts=verdicts)).verdicts
    assert len(_verdicts_text(kept).encode()) <= MOST_VERDICTS_BYTES
    assert [(one.on, one.failed) for one in kept] == [(one.on, one.failed) for one in verdicts[: len(kept)]]
    assert bool(kept) == bool(verdicts)
