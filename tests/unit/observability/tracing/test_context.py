"""W3C Trace Context, level 2: what is valid, what is passed on, and what is left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.observability.tracing.context import (
    STATE_CHARS,
    TraceContext,
    trace_context,
    trace_state,
    traceparent_of,
)

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
VALID = f"00-{TRACE}-{PARENT}-01"


@pytest.mark.parametrize(
    ("header", "flags"),
    [
        (VALID, 1),
        (f"00-{TRACE}-{PARENT}-00", 0),
        (f"00-{TRACE}-{PARENT}-03", 3),
        (f"00-{TRACE}-{PARENT}-ff", 3),  # flags that nobody has defined are not passed on
        (f"01-{TRACE}-{PARENT}-01", 1),
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-brings", 1),
        (f"cc-{TRACE}-{PARENT}-01-", 1),
    ],
)
def test_a_valid_parent_is_taken(header: str, flags: int) -> None:
    assert trace_context(header) == TraceContext(TRACE, PARENT, flags)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        VALID.upper(),
        VALID[:-1],
        f"{VALID}-",
        f"{VALID}0",
        f"{VALID}-00",
        f" {VALID}",
        f"ff-{TRACE}-{PARENT}-01",
        f"0-{TRACE}-{PARENT}-01",
        f"0x-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01.what",
        f"cc-{TRACE}-{PARENT}-011",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}{PARENT}-01",
        f"00_{TRACE}_{PARENT}_01",
        f"00-{TRACE[:-1]}g-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-0x",
        f"00-{TRACE}-{PARENT}-1",
        f"00-{TRACE}-{PARENT}-01\n",
        f"00-{TRACE}-{PARENT}-0\N{ARABIC-INDIC DIGIT ONE}",
        f"{VALID},{VALID}",
    ],
)
def test_what_is_not_valid_begins_a_new_trace(header: str) -> None:
    assert trace_context(header, "a=1") is None


@pytest.mark.parametrize(
    ("header", "state"),
    [
        ("a=1", "a=1"),
        ("a=1,b=2", "a=1,b=2"),
        (" a=1 ,\tb=2\t", "a=1,b=2"),
        ("a=1,,b=2,", "a=1,b=2"),
        ("fw529a3039@dt=FfOiAgICA,0a-_*/@z=x y", "fw529a3039@dt=FfOiAgICA,0a-_*/@z=x y"),
        ("", ""),
        ("a", ""),
        ("a=", ""),
        ("=1", ""),
        ("A=1", ""),
        ("a=1=2", ""),
        ("a=1,b", ""),
        ("a=1,a=2", ""),  # a key may come once
        ("a b=1", ""),
        ("a=ü", ""),
        (f"{'k' * 256}=1", f"{'k' * 256}=1"),
        (f"{'k' * 257}=1", ""),
        (f"a={'v' * 256}", f"a={'v' * 256}"),
        (f"a={'v' * 257}", ""),
        (",".join(f"k{i}=1" for i in range(32)), ",".join(f"k{i}=1" for i in range(32))),
        (",".join(f"k{i}=1" for i in range(33)), ""),
    ],
)
def test_a_state_is_passed_on_as_a_whole_or_not_at_all(header: str, state: str) -> None:
    context = trace_context(VALID, header)
    assert context is not None
    assert context.state == state


def test_a_long_state_loses_large_members_first_and_whole_ones_only() -> None:
    large, small = f"large={'x' * 200}", [f"k{i}={'v' * 30}" for i in range(11)]
    assert trace_state(",".join([small[0], large, *small[1:]])) == ",".join(small)
    assert trace_state(",".join([large, f"b={'x' * 200}", "c=1", f"d={'x' * 200}"])) == f"{large},b={'x' * 200},c=1"
    many = [f"k{i}={'v' * 30}" for i in range(20)]
    assert trace_state(",".join(many)) == ",".join(many[:14])


IDS = st.integers(min_value=1)
KEYS = st.from_regex(r"[a-z0-9][a-z0-9_\-*/@]{0,20}", fullmatch=True)
VALUES = st.from_regex(r"[ -+\--<>-~]{0,20}[!-+\--<>-~]", fullmatch=True)


@given(
    trace=st.integers(1, 2**128 - 1),
    span=st.integers(1, 2**64 - 1),
    flags=st.integers(0, 3),
    state=st.dictionaries(KEYS, VALUES, max_size=8),
)
def test_what_is_written_is_read_as_it_was(trace: int, span: int, flags: int, state: dict[str, str]) -> None:
    header = traceparent_of(f"{trace:032x}", f"{span:016x}", flags)
    members = ",".join(f"{key}={value}".strip(" ") for key, value in state.items())
    assert trace_context(header, members) == TraceContext(f"{trace:032x}", f"{span:016x}", flags, members)


@given(st.text(), st.text())
def test_nothing_that_comes_raises_or_is_passed_on_beyond_the_bound(parent: str, state: str) -> None:
    trace_context(parent, state)
    assert len(trace_state(state)) <= STATE_CHARS


@given(st.lists(st.tuples(KEYS, VALUES), max_size=32, unique_by=lambda pair: pair[0]))
def test_a_state_that_is_passed_on_is_valid_again(pairs: list[tuple[str, str]]) -> None:
    state = trace_state(",".join(f"{key}={value}" for key, value in pairs))
    assert trace_state(state) == state
    assert bool(state) == bool(pairs)
