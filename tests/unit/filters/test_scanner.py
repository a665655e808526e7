"""Patterns are looked for near their hints alone, and found as if they were looked for everywhere."""

import re
from re import _parser  # type: ignore[attr-defined]

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_service.filters.injection.english import SIGNALS
from llm_service.filters.injection.languages import signals_of_languages
from llm_service.filters.injection.signal import LONGEST, Signal
from llm_service.filters.scanner import BLOCK, LONG_ROW, OVERLAP, Row, Scanner
from llm_service.filters.secrets.formats import FORMATS, Format

_ROWS = (
    Row("key", r"\b(key[ \n]+of:[a-z]{2,8})(?:[^a-z]|$)", 30 + LONG_ROW),
    Row("pass=", r"(pass=[a-z]{4,})", 9, is_open=True),
    Row("(?i:bear)", r"(?i:bear(?:er)?) (\w+)"),
    Row("ж", "(?:^|[^ж])(ж{2,5}!)", 8),
)
_SOME = st.sampled_from(
    [
        "key of:abc ",
        "key\nof:ab",
        f"key{' ' * 3 * LONG_ROW}of:abcd.",
        "pass=abcdefgh ",
        "pass=abc ",
        "bearer me ",
        "жж!",
        "жжжжжжж!",
        "key ",
        "of:abc",
        " ",
        "\n" * (LONG_ROW + 3),
    ]
)
_FILLED = st.integers(0, 3).flatmap(
    lambda blocks: st.integers(-OVERLAP, 40).map(lambda more: "." * max(0, blocks * BLOCK + more))
)


@pytest.mark.parametrize("unicode", [True, False])
@given(parts=st.lists(st.tuples(_SOME, st.just("") | _FILLED), max_size=8))
@settings(deadline=None)
def test_nothing_is_lost_between_hints(unicode: bool, parts: list[tuple[str, str]]) -> None:
    scanner = Scanner(_ROWS, unicode=unicode)
    text = "".join(f"{filled}{part}" for part, filled in parts).encode()
    found = {row: list(scanner.places(row, text, hits)) for row, hits in scanner.hits(text).items()}
    for row in range(len(_ROWS)):
        assert found.get(row, []) == list(scanner.everywhere(row, text))


def test_what_goes_on_is_told_as_far_as_it_goes() -> None:
    text = b"pass=none" + b"." * (BLOCK + OVERLAP - 20) + b"pass=" + b"s" * BLOCK
    scanner = Scanner(_ROWS)
    ((row, hits),) = scanner.hits(text).items()
    assert [end for _, end in scanner.places(row, text, hits)] == [9, len(text)]


@pytest.mark.parametrize("signal", [*SIGNALS, *signals_of_languages()])
def test_no_signal_is_longer_than_is_looked_for(signal: Signal) -> None:
    assert _longest(signal.pattern) <= LONGEST


@pytest.mark.parametrize("form", [form for form in FORMATS if form.reach is not None])
def test_no_form_is_longer_than_is_looked_for(form: Format) -> None:
    assert form.reach is not None
    told = re.sub(r"\{(\d+),\}(\)?)$", r"{\1}\2", form.pattern) if form.is_open else form.pattern
    told = told.replace("={0,2})", ")") if form.is_open else told
    assert _longest(re.sub(r"\{(\d+),\}(\)?)$", r"{\1}\2", told)) <= form.reach


def _longest(pattern: str) -> int:
    """Of a pattern of RE2 whose rows of blanks are short."""
    known = pattern.replace(r"\s+", rf"\s{{1,{LONG_ROW - 1}}}").replace("(?s:", "(?:").replace("(?i:", "(?:")
    longest: int = _parser.parse(re.sub(r"\\x\{[0-9A-F]+\}", "x", known)).getwidth()[1]
    return longest
