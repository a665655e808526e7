"""Lines of a journal: what is whole is read as it was written, and nothing else is read at all."""

from dataclasses import fields
from zlib import crc32

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import Tried, UsageRecord, Verdict
from llm_service.ledger.chain import GENESIS, START, Tip, canonical, digest, follow, kept
from llm_service.ledger.entries import Closed, Entry, Head, Opened, close_line, head_line, intent_line, read
from llm_service.storage import storable
from tests.support.ledger_entries import MORNING, a_record, a_retried_record, an_intent

WRITER = "host-a1"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
MAYBE_MS = st.none() | st.floats(0, 1e9) | st.integers(0, 10**9)
TRIED = st.builds(
    Tried,
    provider=TEXTS,
    upstream_model=TEXTS,
    error_code=st.none() | TEXTS,
    duration_ms=MAYBE_MS,
    nano_usd=st.integers(0, 2**53),
)
VERDICT = st.builds(
    Verdict,
    filter=TEXTS,
    type=TEXTS,
    on=st.sampled_from(["input", "output"]),
    action=st.sampled_from(["block", "mask", "report"]),
    labels=st.lists(TEXTS, max_size=3).map(tuple),
    count=st.integers(0, 2**53),
    failed=st.booleans(),
)
VERDICTS = (Verdict(filter="own", type="pii", on="input", action="mask", labels=("email",)),)
RECORDS = st.builds(
    a_record,
    st.integers(1, 10**6),
    user=st.none() | TEXTS,
    tags=st.dictionaries(TEXTS, TEXTS, max_size=3),
    nano_usd=st.integers(-(2**53), 2**53),
    queue_ms=MAYBE_MS,
    duration_ms=MAYBE_MS,
    error_code=st.none() | TEXTS,
    cache_key=st.none() | TEXTS,
    saved_nano_usd=st.integers(-(2**53), 2**53),
    tries=st.lists(TRIED, max_size=3).map(tuple),
    wasted_nano_usd=st.integers(-(2**53), 2**53),
    verdicts=st.lists(VERDICT, max_size=3).map(tuple),
    at=st.datetimes(timezones=st.just(MORNING.tzinfo)),
)
# As the first version wrote them.
OLD_CLOSE = (
    b'{"close":{"adjusts":null,"at":"2026-11-25T08:00:00.001000Z","attempts":1,"cache":"bypass",'
    b'"cached_input_tokens":3,"cost_source":"provider","duration_ms":100.0,"error_code":null,"first_chunk_ms":12.5,'
    b'"input_tokens":10,"key_id":"key_1","model":"fast","nano_usd":1,"output_tokens":1,"overhead_ms":0.3125,'
    b'"price_date":null,"provider":"deepseek","queue_ms":0.25,"reasoning_tokens":0,"request_id":"req_00000001",'
    b'"status":"ok","stream_id":null,"surface":"rest","tags":{"app":"chat","team":"blue"},"upstream_id":"gen-1",'
    b'"upstream_model":"deepseek-flash","user":"jo"},"called":true,"seq":1,"previous":"' + b"0" * 64 + b'",'
    b'"hash":"a82f17fc68c43214190755f17ceb223c80a939c7cf7dadd51a05f3f29f591fb1","crc":"1edff8ed"}\n'
)
OLD_INTENT = (
    b'{"intent":{"request_id":"req_00000001","stream_id":null,"at":"2026-11-25T08:00:00.001000Z","key_id":"key_1",'
    b'"user":"jo","tags":{},"surface":"rest","model":"fast","provider":"deepseek","upstream_model":"deepseek-flash",'
    b'"held":[1000,1,0,0],"nano_usd":1001000,"life":"","budgets":[]},"crc":"c2a88ead"}\n'
)
INTENTS = st.builds(
    an_intent,
    st.integers(1, 10**6),
    user=st.none() | TEXTS,
    tags=st.dictionaries(TEXTS, TEXTS),
    life=TEXTS,
    budgets=st.lists(TEXTS).map(tuple),
    cache=st.sampled_from(["bypass", "miss"]),
    cache_key=st.none() | TEXTS,
)


def close(record: UsageRecord, tip: Tip = START) -> bytes:
    text = canonical(record)
    return close_line(text, follow(tip, writer=WRITER, text=text), called=True)


def entries(data: bytes) -> list[Entry]:
    return [entry for entry, _ in read(data, writer=WRITER)]


@given(RECORDS)
def test_a_record_is_read_as_it_was_written(record: UsageRecord) -> None:
    (entry,) = entries(close(record))
    assert isinstance(entry, Closed)
    assert entry.record == record
    assert entry.link.hash == digest(GENESIS, canonical(entry.record))


@given(INTENTS)
def test_an_intent_is_read_as_it_was_written(intent: object) -> None:
    assert entries(intent_line(intent)) == [Opened(intent)]  # type: ignore[arg-type]


def test_a_line_is_one_json_object() -> None:
    for line in (head_line(WRITER, START), intent_line(an_intent()), close(a_record())):
        assert line.count(b"\n") == 1
        assert "crc" in orjson.loads(line)


def test_every_prefix_of_a_journal_is_read_as_the_entries_that_are_whole_in_it() -> None:
    lines = [head_line(WRITER, START), intent_line(an_intent(1)), close(a_record(1)), intent_line(an_intent(2))]
    whole, data = entries(b"".join(lines)), b"".join(lines)
    ends = [sum(map(len, lines[: count + 1])) for count in range(len(lines))]
    for cut in range(len(data) + 1):
        expected = whole[: sum(end <= cut for end in ends)]
        assert entries(data[:cut]) == expected
        assert entries(data[:cut] + bytes(300)) == expected  # space that was laid by


@given(st.lists(st.one_of(INTENTS.map(intent_line), RECORDS.map(close)), max_size=5), st.data())
def test_any_journal_cut_anywhere_yields_its_beginning(lines: list[bytes], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, sum(map(len, lines))))
    found = entries(b"".join(lines)[:cut])
    kept = [count for count in range(len(lines) + 1) if sum(map(len, lines[:count])) <= cut]
    assert found == entries(b"".join(lines[: kept[-1]]))
    assert len(found) == kept[-1]


def test_a_page_that_was_never_written_costs_its_own_entries_alone() -> None:
    lines = [close(a_record(number)) for number in range(4)]
    torn = lines[0] + lines[1][:100] + bytes(len(lines[1]) - 100) + lines[2] + lines[3]
    assert entries(torn) == entries(lines[0] + lines[3])
    assert entries(bytes(4096) + lines[3]) == entries(lines[3])


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_is_noticed(where: int, change: int) -> None:
    data = bytearray(close(a_record()))
    data[where % (len(data) - 1)] ^= change
    assert entries(bytes(data)) == []


def test_an_entry_of_a_later_version_is_not_passed_over() -> None:
    line = head_line(WRITER, START).replace(b'"journal":1', b'"journal":2')
    body = line[: line.index(b',"crc"')]
    with pytest.raises(ValueError, match="no known kind"):
        entries(body + b',"crc":"%08x"}\n' % crc32(body))


def test_the_head_says_where_the_chain_stood() -> None:
    assert entries(head_line(WRITER, Tip(7, "ab"))) == [Head(WRITER, Tip(7, "ab"))]


LATER = ("cache_key", "saved_nano_usd", "tries", "wasted_nano_usd", "verdicts")


def test_the_canonical_text_has_every_field_in_the_order_of_names_and_later_ones_at_the_end() -> None:
    names = sorted(field.name for field in fields(UsageRecord) if field.name not in LATER)
    assert list(orjson.loads(canonical(a_record()))) == names
    assert list(orjson.loads(canonical(a_retried_record(cache_key="ab", saved_nano_usd=1, verdicts=VERDICTS)))) == [
        *names,
        *LATER,
    ]


def test_a_verdict_says_nothing_that_is_usual() -> None:
    (told,) = orjson.loads(canonical(a_record(verdicts=VERDICTS)))["verdicts"]
    assert list(told) == ["filter", "type", "on", "action", "labels"]


def test_an_attempt_says_nothing_that_it_does_not_know() -> None:
    failed, answered = orjson.loads(canonical(a_retried_record(7)))["tries"]
    assert list(failed) == ["provider", "upstream_model", "error_code", "duration_ms", "nano_usd"]
    assert list(answered) == ["provider", "upstream_model", "duration_ms"]


def test_a_line_that_was_written_before_there_were_later_fields_is_read_and_would_be_written_so_today() -> None:
    for line, entry in ((OLD_CLOSE, a_record()), (OLD_INTENT, an_intent())):
        (found,) = entries(line)
        assert entry == (found.record if isinstance(found, Closed) else found.intent)  # type: ignore[union-attr]
    assert close(a_record()) == OLD_CLOSE
    assert intent_line(an_intent()) == OLD_INTENT


@pytest.mark.parametrize("figure", ["nano_usd", "saved_nano_usd", "wasted_nano_usd", "input_tokens"])
def test_what_is_hashed_is_what_a_database_can_keep(figure: str) -> None:
    record, text = kept(a_record(tags={}, **{figure: 2**60}))
    assert record == storable(record) != a_record(tags={}, **{figure: 2**60})
    assert text == canonical(record)


def test_attempts_are_hashed_as_a_database_can_keep_them() -> None:
    odd = Tried(provider="p" * 99, upstream_model="m", duration_ms=5)
    record, text = kept(a_record(tags={}, tries=(odd,)))
    assert record.tries == (Tried(provider="p" * 64, upstream_model="m", duration_ms=5.0),)
    assert text == canonical(record)
    assert storable(record) is record


def test_the_canonical_text_is_the_same_after_a_database_made_floats_of_whole_durations() -> None:
    assert canonical(a_record(duration_ms=100)) == canonical(a_record(duration_ms=100.0))
    assert canonical(a_record(tags={"b": "1", "a": "2"})) == canonical(a_record(tags={"a": "2", "b": "1"}))
