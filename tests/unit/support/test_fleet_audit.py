"""The audit of a fleet sees what it is there to see: full minutes, missing and doubled records, wrong figures."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from llm_service.storage import LedgerRow
from tests.support.doors import Told
from tests.support.doors.rest import RestWhole
from tests.support.fleet.audit import Disturbance, Simulated, Windows, compared, windows
from tests.support.fleet.load import Call, Payer
from tests.support.records import row

BEGUN = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
PAYER = Payer("free", "test-key", "key_1", 1.0)


def moments(*seconds: float) -> list[tuple[datetime, int]]:
    return [(BEGUN + timedelta(seconds=one), 1) for one in seconds]


@pytest.mark.parametrize(
    ("seconds", "most"), [((), 0), ((0, 10, 58), 3), ((0, 10, 59.5), 2), ((0, 1, 2, 61, 62, 63, 64), 4), ((5, 5, 5), 3)]
)
def test_the_fullest_minute_is_found(seconds: Sequence[float], most: int) -> None:
    assert windows(moments(*seconds), []) == Windows(calm=most, disturbed=0)


def test_a_minute_that_a_disturbance_touches_counts_apart() -> None:
    alone = Disturbance("one", BEGUN.timestamp() + 100, BEGUN.timestamp() + 110)
    assert windows(moments(0, 1, 98, 105, 106, 200), [alone]) == Windows(calm=2, disturbed=3)


def a_call(ending: Any = "ok") -> Call:
    call = Call("7.ab", RestWhole(), PAYER, "m", "ref 7.ab one", "", 0.0, ending=ending)
    call.told = Told(cost_usd="0.000001")
    return call


def a_row(**given: Any) -> LedgerRow:
    return row(given.pop("request_id", "req_1"), tags={"ref": "7.ab"}, **given)


def served(**changed: Any) -> Simulated:
    """The simulator, which has served the call with what the record says."""
    entry = {
        "body": {"messages": [{"content": "echo: ref 7.ab one"}]},
        "usage": {"input_tokens": 100, "output_tokens": 20},
        "cost_usd": "0.000001",
        **changed,
    }
    return Simulated("", {1: entry})


def test_an_answer_with_its_one_right_record_is_well() -> None:
    assert compared([a_call()], [a_row()], served()) == []


@pytest.mark.parametrize(
    ("rows", "simulated", "fault"),
    [
        ([], served(), "acknowledged, with 0 records"),
        ([a_row(), a_row(request_id="req_2")], served(), "2 records"),
        ([a_row(status="interrupted")], served(), "interrupted"),
        ([a_row(output_tokens=21)], served(), "served"),
        ([a_row()], served(cost_usd="0.000002"), "served"),
        ([a_row()], Simulated(""), "served []"),
        ([a_row(nano_usd=2000)], served(cost_usd="0.000002"), "told 0.000001 USD"),
    ],
)
def test_whatever_is_wrong_with_a_record_is_told(rows: list[LedgerRow], simulated: Simulated, fault: str) -> None:
    assert fault in " ".join(compared([a_call()], rows, simulated))


def test_a_refusal_leaves_no_trace_and_nothing_is_recorded_of_nobody() -> None:
    assert "refused by a limit" in compared([a_call("limited")], [a_row()], served())[0]
    assert "a call that nobody made" in " ".join(compared([], [a_row()], served()))
    assert "served, without a record" in compared([replace(a_call(), ending="failed")], [], served())[0]
