"""The audit of a soak finds what is wrong, and only that."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from tests.support.soak.audit import at_once_faults, lost_or_wrong, minute_faults
from tests.support.soak.load import Ending, Sent, as_ours
from tests.support.soak.site import AT_ONCE, REQUESTS_PER_MINUTE

AT = datetime(2026, 11, 26, tzinfo=UTC)
OK = Sent("r1", "work", "rest-whole", 10.0, 10.1, "ok", cache="hit", cost_usd="0.0000012")


def row(**other: Any) -> Any:
    """A row of the ledger, as far as the audit looks at it."""
    record = {"status": "ok", "cache": "hit", "nano_usd": 1200, "at": AT, "first_chunk_ms": 10.0, "duration_ms": 500.0}
    return SimpleNamespace(record=SimpleNamespace(**record | other))


def sent(ending: Ending, at: float, number: int = 0, *, took_s: float = 0.05) -> Sent:
    return Sent(f"r{number}", "minute", "rest-whole", at, at + took_s, ending)


def test_a_record_that_says_what_the_client_was_told_is_right() -> None:
    assert lost_or_wrong([OK], {"r1": [row()]}) == []


def test_a_lost_a_doubled_a_foreign_and_a_wrong_record_are_found() -> None:
    assert "there is no record" in lost_or_wrong([OK], {})[0]
    assert "2 records" in lost_or_wrong([OK], {"r1": [row(), row()]})[0]
    assert "nobody made" in lost_or_wrong([], {"r1": [row()]})[0]
    assert "the client was told" in lost_or_wrong([OK], {"r1": [row(nano_usd=1201)]})[0]
    assert "says interrupted" in lost_or_wrong([OK], {"r1": [row(status="interrupted")]})[0]
    assert "there is a record" in lost_or_wrong([replace(OK, ending="limited")], {"r1": [row()]})[0]


def test_a_minute_that_lets_one_too_many_pass_is_found() -> None:
    passed = [sent("ok", 0.5 * number, number) for number in range(REQUESTS_PER_MINUTE)]
    assert minute_faults(passed, []) == ([], REQUESTS_PER_MINUTE)
    faults, most = minute_faults([*passed, sent("ok", 59.0, 999)], [])
    assert (len(faults), most) == (1, REQUESTS_PER_MINUTE + 1)


def test_who_was_cut_off_may_have_passed_or_not() -> None:
    passed = [sent("ok", 0.5 * number, number) for number in range(REQUESTS_PER_MINUTE)]
    assert minute_faults([*passed, sent("broken", 30.0, 999)], [])[0] == []
    assert minute_faults([*passed[1:], sent("broken", 30.0, 999), sent("limited", 50.0, 998)], [])[0] == []


def test_while_workers_count_alone_each_may_let_the_limit_pass() -> None:
    passed = [sent("ok", 0.3 * number, number) for number in range(2 * REQUESTS_PER_MINUTE)]
    assert minute_faults(passed, [])[0] != []
    assert minute_faults(passed, [(20.0, 23.0)])[0] == []


def test_a_refusal_without_need_is_found() -> None:
    passed = [sent("ok", 0.5 * number, number) for number in range(REQUESTS_PER_MINUTE)]
    assert minute_faults([*passed, sent("limited", 50.0, 998)], [])[0] == []
    assert "was refused when" in minute_faults([*passed[1:], sent("limited", 50.0, 998)], [])[0][0]
    assert "was refused when" in minute_faults([*passed, sent("limited", 70.0, 998)], [])[0][0]


def test_one_too_many_at_once_is_found() -> None:
    rows = [row() for _ in range(AT_ONCE)]
    assert at_once_faults(rows, []) == ([], AT_ONCE)
    faults, most = at_once_faults([*rows, row()], [])
    assert (len(faults), most) == (1, AT_ONCE + 1)
    at = AT.timestamp()
    assert at_once_faults([*rows, row()], [(at, at + 1)])[0] == []


def test_an_error_of_a_provider_is_ours_where_none_had_been_made_to_fail() -> None:
    broken, blamed = sent("broken", 5.0), sent("of provider", 5.0, 1)
    assert as_ours([broken, blamed, sent("ok", 5.0), sent("limited", 5.0), sent("left", 5.0)], []) == [broken, blamed]
    assert as_ours([broken, blamed], [(4.0, 6.0)]) == [broken]
