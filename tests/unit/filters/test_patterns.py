"""Regular expressions of operators."""

import re
import time

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_service.filters import LONGEST_HOLD, FilterOptions, Text
from llm_service.filters.beginnings import beginnings
from llm_service.filters.patterns import LONGEST_PATTERN, MOST_PATTERNS, Patterns, regex_detector
from tests.support.timed import within


def detector_of(*patterns: str, allow: tuple[str, ...] = ()) -> Patterns:
    return regex_detector(FilterOptions(type="regex", patterns=patterns, allow=allow))


def found(text: str, *patterns: str, allow: tuple[str, ...] = ()) -> list[str]:
    matches = detector_of(*patterns, allow=allow).find(Text(text))
    assert {match.label for match in matches} <= {"pattern"}
    return [text[match.begin : match.end] for match in matches]


@pytest.mark.parametrize(
    ("text", "patterns", "places"),
    [
        ("ticket ABC-123, abc-1", (r"[A-Z]{3}-\d+",), ["ABC-123"]),
        ("ticket ABC-123, abc-1", (r"(?i)[a-z]{3}-\d+",), ["ABC-123", "abc-1"]),
        ("\u00e4\u00f6 \u0436\u0436 x1 \U0001f600 x2", (r"x\d", r"\p{Cyrillic}+"), ["\u0436\u0436", "x1", "x2"]),
        ("A\u200bB\u00adC-\uff11\uff12", (r"[A-Z]{3}-\d+",), ["A\u200bB\u00adC-\uff11\uff12"]),
        ("abcd", ("ab", "bc", "nothing", "ab"), ["ab", "bc"]),
        ("one two", (r"\b",), []),
        ("half \ud83d x1", (r"x\d",), ["x1"]),
        ("", ("a",), []),
    ],
)
def test_patterns_are_found(text: str, patterns: tuple[str, ...], places: list[str]) -> None:
    assert found(text, *patterns) == places


def test_an_allowed_text_is_no_find() -> None:
    assert found("a@b.de c@d.de", r"\w@\w\.de", allow=("A@B.de",)) == ["c@d.de"]


@pytest.mark.parametrize(
    ("patterns", "says"),
    [
        ((), "give patterns"),
        (("fine", "x(?=y)"), r"patterns\[1\]: RE2 does not look ahead"),
        (("x(?!y)",), "look ahead"),
        (("(?<!y)x",), "look behind"),
        ((r"(a)\1",), "refer back"),
        (("(?P<n>a)(?P=n)",), "refer back"),
        ((r"a\Z",), "write .z"),
        (("(a",), r"does not take it: missing \)"),
        (("a*",), "matches the empty text"),
        (("^",), "matches the empty text"),
        ((r"a\C",), "half a character"),
        (("\ud800",), "half a surrogate"),
        ((r"\pL{1000}",), r"patterns\[0\]"),
        (("x" * (LONGEST_PATTERN + 1),), "has more than"),
        (("x",) * (MOST_PATTERNS + 1), "at most"),
    ],
)
def test_patterns_that_cannot_be_looked_for_are_refused(
    patterns: tuple[str, ...], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=says):
        detector_of(*patterns)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "patterns", "rest"),
    [
        ("see ABC-1", (r"[A-Z]{3}-\d{3}",), "ABC-1"),
        ("see ABC-123", (r"[A-Z]{3}-\d{3}",), "ABC-123"),
        ("see ABC-123 ", (r"[A-Z]{3}-\d{3}",), ""),
        ("see abc", (r"[A-Z]{3}-\d{3}", r"bcd|(?i:X)"), "bc"),
        ("foo(", (r"\bfoo\(\)",), "foo("),
        ("\u0436\u0436 a\u200b", ("ab",), "a\u200b"),
        ("x" + "." * 100, ("x.*y",), "." * LONGEST_HOLD),
        ("x" + "." * 100, (r"\Qx\E",), "." * LONGEST_HOLD),  # not understood: held back in any case
        ("." * 100, (r"\pL{2,60}!",), "." * LONGEST_HOLD),  # too large to be asked each time
    ],
)
def test_the_end_is_open_where_it_may_become_a_match(text: str, patterns: tuple[str, ...], rest: str) -> None:
    assert text[detector_of(*patterns).open_from(Text(text)) :] == rest


@pytest.mark.parametrize(
    "pattern",
    [
        *("abc", "a|bc|", "(?i)ab|x|CD", "(a(b|c)+d){2,3}e", "(?P<n>a)(?P<m>b)", "(?i:a)b", "[^]a-c]x"),
        *(r"[[:alpha:]\]]1", r"\x{41}\pL\p{Greek}\d", "a{2}b{1,}c{0,2}d?e*?f+?", "^a$", r"\bab\b", "x{,3}"),
        *("a{0}b", ".+", r"(?s).\.", "((((a))))b", r"\n\t\-", "(?m)^a$", r"\067"),
    ],
)
def test_beginnings_of_what_matches_match(pattern: str) -> None:
    beginning = beginnings(pattern)
    assert beginning is not None
    compiled = re2.compile(f"(?:{beginning})\\z")
    for text in (
        "abc",
        "bc",
        "CD",
        "abdacde",
        "abdabdabde",
        "AB",
        "ab",
        "zx",
        "]1",
        "A\u03b11",
        "A\u00e4\u03b17",
        "aabbccdef",
        "a",
        "x{,3}",
        "b",
        "??",
        "\n\t-",
        "\n.",
        "7",
    ):
        if re2.compile(pattern).fullmatch(text):
            assert all(compiled.match(text[:length]) for length in range(len(text) + 1)), text


def test_patterns_that_are_not_understood_have_no_known_beginnings() -> None:
    assert [beginnings(pattern) for pattern in (r"\Qa\E", "(" * 31 + "a" + ")" * 31, "(?i", "a)", "[a")] == [None] * 5


def _repeat(pair: tuple[str, str]) -> str:
    return f"(?:{pair[0]}){pair[1]}"


_ATOMS = st.sampled_from(["a", "b", "ab", ".", "[^a]", r"\b", "^", "$", "(?i)", "\u00e9", r"\n"])
_REGEXES = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{2,}", "+?", "*?"])).map(_repeat),
    ),
    max_leaves=6,
)


@given(st.text(st.sampled_from("abA\u00e9\n\u200b"), max_size=12), st.lists(_REGEXES, min_size=1, max_size=2))
@settings(deadline=None, max_examples=150)
def test_what_lies_before_the_open_end_is_judged_for_good(text: str, patterns: list[str]) -> None:
    try:
        detector = detector_of(*patterns)
    except ValueError:
        return
    in_whole = detector.find(Text(text))
    for cut in range(len(text)):
        settled = detector.open_from(Text(text[:cut]))
        before = [match for match in detector.find(Text(text[:cut])) if match.begin < settled]
        assert before == [match for match in in_whole if match.begin < settled]


@given(st.text(st.characters(codec=None, categories=None), max_size=60))
@settings(deadline=None)
def test_any_text_can_be_judged(raw: str) -> None:
    detector = detector_of("[^x]{2}", r"(?i)\p{L}+")
    for match in detector.find(Text(raw)):
        assert 0 <= match.begin < match.end <= len(raw)
    assert 0 <= detector.open_from(Text(raw)) <= len(raw)


@pytest.mark.parametrize("place", range(2000, 2100, 3))
def test_places_are_found_over_the_seams_of_windows(place: int) -> None:
    text = "x" * 64 + "." * place + "abcde"
    assert found(text, "abcde|x")[-1] == "abcde"


@given(st.text(st.sampled_from("ab\u00e9 \U0001f600"), max_size=300))
@settings(deadline=None, max_examples=50)
def test_places_are_those_of_another_engine(text: str) -> None:
    expected = [match.span() for match in re.finditer("a[^b]?|\u00e9+", text)]
    assert [match[:2] for match in detector_of("a[^b]?|\u00e9+").find(Text(text))] == expected


@pytest.mark.timed
@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a+)+$", "a" * 200_000 + "!"),
        ("(?s)a.*b|a", "a" * 50_000),
        ("[ab]*a[ab]{30}c", "ab" * 100_000),
        ("(x+x+)+y", "x" * 200_000),
    ],
)
def test_hostile_texts_take_linear_time(pattern: str, text: str) -> None:
    detector = detector_of(pattern)
    began = time.process_time()
    detector.find(Text(text))
    detector.open_from(Text(text[-1024:]))
    within(time.process_time() - began, 5)
