"""To which part a call belongs, what differs between two profiles, and which breach of what is held is told."""

from typing import Any

import pytest
from bench.measuring.processes import Cpu
from bench.profiling import report
from bench.profiling.counting import by_part, least
from bench.profiling.parts import HERE, LOOP, PACKAGE, TIMERS, UVICORN, Parts, in_order, part_of_file
from bench.profiling.timing import per_unit

CALLS = {("door", "decode"): 3, ("stage admit", "claim"): 40, ("stage admit", "len"): 60, (TIMERS, "tick"): 9}


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("api/rest/generate.py", "door"),
        ("api/connection.py", "server"),
        ("pipeline/admit.py", "stage admit"),
        ("pipeline/base.py", "row"),
        ("pipeline/trip.py", "stage call"),
        ("pipeline/closing.py", "closing"),
        ("pipeline/delivery.py", "way out"),
        ("providers/live.py", "provider"),
        ("storage/memory_limits.py", "limit store"),
        ("storage/sql/sqlite.py", "database"),
        ("storage/base.py", "storage"),
        ("transport/pool.py", "transport"),
        ("supervisor/serving.py", LOOP),
        ("cli/serve.py", LOOP),
        ("runtime/loop_lag.py", TIMERS),
        ("domain/record.py", None),
        ("runtime/clock.py", None),
        ("a_new_room/noun.py", "a_new_room"),
    ],
)
def test_a_file_of_ours_belongs_to_its_stage_or_room(file: str, part: str | None) -> None:
    assert part_of_file(f"{PACKAGE}/{file}") == part


def test_the_servers_library_is_the_servers_and_others_are_their_callers() -> None:
    assert part_of_file(f"{UVICORN}/protocols/http/httptools_impl.py") == "server"
    assert part_of_file("/usr/lib/python3.11/json/decoder.py") is None
    assert part_of_file(f"{HERE}/profiling/watched.py") == "harness"


def test_a_call_counts_for_the_innermost_part_in_the_stack() -> None:
    def within(file: str, body: str, **given: Any) -> Any:
        names = {**given}
        exec(compile(f"def call():\n    return {body}", file, "exec"), names)
        return names["call"]

    parts = Parts()
    leaf = within("/usr/lib/python3.11/json/decoder.py", "look(sys._getframe())", look=parts.of, sys=__import__("sys"))
    domain = within(f"{PACKAGE}/domain/record.py", "leaf()", leaf=leaf)
    admit = within(f"{PACKAGE}/pipeline/admit.py", "domain()", domain=domain)
    door = within(f"{PACKAGE}/api/rest/generate.py", "admit()", admit=admit)
    assert door() == "stage admit"
    assert parts.of(None) == LOOP


def test_parts_stand_in_the_order_of_the_way() -> None:
    assert in_order({"zeta", "ledger", "stage admit", "door", LOOP}) == [LOOP, "door", "stage admit", "ledger", "zeta"]


def test_the_fewest_calls_of_any_batch_count_and_timers_do_not() -> None:
    assert least([{("a", "f"): 3, ("a", "g"): 1}, {("a", "f"): 2}]) == {("a", "f"): 2, ("a", "g"): 0}
    assert by_part(CALLS) == {"door": 3, "stage admit": 100}


def test_what_is_held_is_not_broken_by_itself_or_by_less() -> None:
    bounds = report.held({"hit": CALLS})
    assert not report.breaches({"hit": CALLS}, bounds)
    assert not report.breaches({"hit": {("door", "decode"): 3}}, bounds)
    assert not report.breaches({"hit": {**CALLS, ("stage admit", "len"): 63}}, bounds)


def test_a_breach_names_scenario_part_and_functions() -> None:
    bounds = report.held({"hit": CALLS})
    (said,) = report.breaches({"hit": {**CALLS, ("stage admit", "len"): 64}}, bounds)
    assert said == (
        "hit: stage admit makes 104 calls, 4 more than the 100 that are held. Most often: len (64), claim (40)."
    )
    (said,) = report.breaches({"hit": {**CALLS, ("new room", "f"): 4}}, bounds)
    assert said.startswith("hit: new room makes 4 calls, 4 more than the 0 that are held.")


def test_two_countings_are_as_good_as_their_better_one() -> None:
    first, second = {"hit": {("a", "f"): 3, ("a", "g"): 2}}, {"hit": {("a", "f"): 4}}
    assert report.least_of(first, second) == {"hit": {("a", "f"): 3, ("a", "g"): 0}}


def profile(calls: dict[str, int], times: dict[str, float]) -> dict[str, Any]:
    found = {"calls": calls, "us": times, "threads_us": {"ships": 4.0}, "kernel_us": 3.0, "total_us": 20.0, "rate": 900}
    return {"made": "2026-11-26 20:00", "revision": "abc", "scenarios": {"hit": found}}


def test_the_table_has_a_row_for_each_part_and_thread() -> None:
    lines = report.tables(profile({"door": 3}, {"door": 6.25, LOOP: 1.0})).splitlines()
    assert lines[0] == "| part | hit, calls | hit, µs |"
    assert lines[2:] == [
        "| event loop | - | 1.0 |",
        "| door | 3 | 6.2 |",
        "| thread ships | - | 4.0 |",
        "| **all** | 3 | 20.0 |",
        "| of it in the kernel | - | 3.0 |",
        "| a second, while it was measured | - | 900 |",
    ]


def test_against_an_earlier_profile_only_what_differs_is_told() -> None:
    before = profile({"door": 3, "cache": 5, "ledger": 9}, {"door": 6.0, "cache": 2.0, "ledger": 7.0})
    now = profile({"door": 3, "cache": 7, "ledger": 9}, {"door": 6.5, "cache": 2.0, "ledger": 12.0})
    lines = report.differences(now, before).splitlines()[4:]
    assert lines == [
        "| hit, cache | 5 | 7 | +2 | 2.0 | 2.0 | +0.0 |",
        "| hit, ledger | 9 | 9 | 0 | 7.0 | 12.0 | +5.0 |",
        "| **hit, all** | 17 | 19 | +2 | 20.0 | 20.0 | +0.0 |",
    ]


def test_the_samples_share_out_what_the_thread_took_without_them() -> None:
    times = per_unit(
        {"ships": Cpu(0.1, 0.1)}, main=Cpu(0.6, 0.2), samples={"door": 30, "cache": 10}, units=10_000, seconds=2.0
    )
    assert times.parts == pytest.approx({"door": 60.0, "cache": 20.0})
    assert times.threads == pytest.approx({"ships": 20.0})
    assert times.total == pytest.approx(100.0)
    assert times.kernel == pytest.approx(30.0)
    assert times.rate == 5_000
