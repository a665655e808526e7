"""Whoever is refused without end fills nothing: what is alike is counted, and there is a bound on what is not."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llm_service.services.refusals import MOST_KINDS, WINDOW_S, Refusals
from llm_service.storage import AuditEntry
from tests.support.clock import ManualClock


class Knocking:
    """Refusals, and what is kept of them."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.kept: list[AuditEntry] = []
        self.refusals = Refusals(self.clock, self.kept.append)
        self.knocks = 0

    def knock(self, **fields: Any) -> None:
        self.knocks += 1
        usual = {"act": "key.revoke", "key_id": "key_1", "peer": "10.0.0.7", "error_code": "scope_missing"}
        entry = AuditEntry(
            id=f"act_{self.knocks}", at=self.clock.now(), door="rest", outcome="refused", **{**usual, **fields}
        )
        self.refusals.add(entry)


def test_the_first_is_kept_at_once_and_the_others_are_counted() -> None:
    place = Knocking()
    for number in range(5):
        place.knock(subject=f"key_{number}", request_id=f"req_{number}")
        place.clock.advance(1)
    assert [(one.id, one.times) for one in place.kept] == [("act_1", 1)]
    place.clock.advance(WINDOW_S)
    first, others = place.kept
    assert (others.times, others.request_id, others.subject, others.peer) == (4, "req_4", None, "10.0.0.7")
    assert others.at - first.at == timedelta(seconds=4)
    place.clock.advance(WINDOW_S)
    assert (len(place.kept), place.clock.timers) == (2, 0)


def test_what_they_have_in_common_is_kept() -> None:
    place = Knocking()
    for _ in range(3):
        place.knock(subject="key_9")
    place.refusals.close()
    assert [(one.subject, one.times) for one in place.kept] == [("key_9", 1), ("key_9", 2)]


def test_other_keys_addresses_acts_and_reasons_are_other_kinds() -> None:
    place = Knocking()
    for other in ({}, {"key_id": "key_2"}, {"peer": "10.0.0.8"}, {"act": "key.create"}, {"error_code": "not_found"}):
        place.knock(**other)
    assert len(place.kept) == 5


def test_those_who_are_nobody_are_one_kind_wherever_they_come_from() -> None:
    place = Knocking()
    for number in range(30):
        place.knock(act="session.open", key_id=None, peer=f"10.0.0.{number}")
    place.refusals.close()
    assert [(one.peer, one.times) for one in place.kept] == [("10.0.0.0", 1), (None, 29)]


def test_after_the_window_the_next_is_kept_at_once_again() -> None:
    place = Knocking()
    place.knock()
    place.clock.advance(WINDOW_S)
    place.knock()
    assert [one.times for one in place.kept] == [1, 1]


def test_what_is_of_too_many_kinds_is_counted_together() -> None:
    place = Knocking()
    for number in [*range(100)] * 2:
        place.knock(key_id=f"key_{number}", subject="key_9")
    place.refusals.close()
    assert [(one.act, one.times) for one in place.kept] == [("key.revoke", 1)] * 2 * MOST_KINDS + [
        ("*", 2 * (100 - MOST_KINDS))
    ]
    others = place.kept[-1]
    assert (others.key_id, others.peer, others.subject, others.outcome) == (None, None, None, "refused")


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 400)), max_size=300))
def test_none_is_left_out_and_a_window_keeps_no_more_than_its_bound(knocks: list[tuple[int, int]]) -> None:
    place = Knocking()
    for number, pause_s in knocks:
        before = len(place.kept)
        place.knock(key_id=f"key_{number}")
        place.clock.advance(pause_s if pause_s > 380 else 0)
        assert len(place.kept) - before <= 2 + MOST_KINDS
    begun = place.clock.monotonic()
    place.refusals.close()
    assert sum(one.times for one in place.kept) == len(knocks)
    assert len({one.id for one in place.kept}) == len(place.kept)
    windows = 1 + (begun - 1000) // WINDOW_S
    assert len(place.kept) <= windows * (2 * MOST_KINDS + 1)
    assert {one.act for one in place.kept} <= {"key.revoke", "*"}
