"""Words and phrases in prompts and answers."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_service.filters import FilterOptions, Text
from llm_service.filters.keywords import DEEPEST_NEST, keyword_detector
from tests.support.timed import within


def found(text: str, *words: str, whole: bool = True, allow: tuple[str, ...] = ()) -> list[str]:
    detector = keyword_detector(FilterOptions(type="keywords", whole_words=whole, allow=allow), words)
    matches = detector.find(Text(text))
    assert {match.label for match in matches} <= {"word"}
    return [text[match.begin : match.end] for match in matches]


def open_part(text: str, *words: str, whole: bool = True, allow: tuple[str, ...] = ()) -> str:
    detector = keyword_detector(FilterOptions(type="keywords", whole_words=whole, allow=allow), words)
    return text[detector.open_from(Text(text)) :]


@pytest.mark.parametrize(
    ("text", "words", "places"),
    [
        ("A Word, a word.", ("word",), ["Word", "word"]),
        ("sword words word1 word_", ("word",), ["word"]),
        ("the red  fox\r\n  jumps", ("red fox jumps",), ["red  fox\r\n  jumps"]),
        ("a   red fox  here", ("fox here", "red"), ["red", "fox  here"]),
        ("one two three", ("one two", "two three", "two"), ["one two", "two", "two three"]),
        ("C++ and c+", ("c++",), ["C++"]),
        ("\u6211\u559c\u6b22\u7981\u8bcd\u7684", ("\u7981\u8bcd",), ["\u7981\u8bcd"]),
        ("\u4e2dword\u6587", ("word",), ["word"]),
        ("\ube44\ubc00\ub97c \ucd08\ube44\ubc00", ("\ube44\ubc00",), ["\ube44\ubc00"]),
        ("\u304b\u3099\u304b", ("\u304b",), ["\u304b"]),
        ("a\u3099", ("a",), ["a"]),
        ("\uac00\uac01", ("\uac00",), ["\uac00"]),
        (
            "\u03a7\u0397\u039d \u03c7\u03b7\u03bd",
            ("\u03a7\u03b7\u03bd",),
            ["\u03a7\u0397\u039d", "\u03c7\u03b7\u03bd"],
        ),
        ("STRASSE stra\u00dfe", ("Stra\u00dfe",), ["STRASSE", "stra\u00dfe"]),
        ("w\u200bo\u200br\u200bd\u200b!", ("word",), ["w\u200bo\u200br\u200bd"]),
        ("nothing here", ("word",), []),
    ],
)
def test_words_are_found(text: str, words: tuple[str, ...], places: list[str]) -> None:
    assert found(text, *words) == places


def test_words_within_words_are_found_where_that_is_wanted() -> None:
    assert found("Swordfish", "word", "fish", whole=False) == ["word", "fish"]


def test_what_lies_in_an_allowed_text_is_no_find() -> None:
    assert found("an ass may assume a Bass", "ass", whole=False, allow=("assume", "bass")) == ["ass"]
    assert found("foo bar, bar; foo bars", "bar", allow=("Foo Bar",)) == ["bar"]


@pytest.mark.parametrize(
    ("text", "words", "rest"),
    [
        ("this is a wo", ("word",), "wo"),
        ("this is a word", ("word",), "word"),  # a letter would make it another one
        ("this is a word ", ("word",), ""),
        ("this is a two", ("word",), ""),
        ("it was red  f", ("red fox",), "red  f"),
        ("\u6211\u559c\u6b22\u7981\u8bcd", ("\u7981\u8bcd",), ""),
        ("\u6211\u559c\u6b22\u7981", ("\u7981\u8bcd",), "\u7981"),
        ("so w\u200bo\u200b", ("word",), "w\u200bo\u200b"),
        ("x" * 100, ("x" * 150,), "x" * 100),
    ],
)
def test_the_end_is_open_where_it_may_become_a_word(text: str, words: tuple[str, ...], rest: str) -> None:
    assert open_part(text, *words) == rest


def test_the_end_is_open_where_it_may_become_an_allowed_text() -> None:
    assert open_part("an ass", "ass", whole=False, allow=("assume",)) == "ass"
    assert open_part("an ass", "ass", whole=False) == ""


@pytest.mark.parametrize(
    ("words", "allow", "says"),
    [
        ((), (), "give words"),
        (("fine", "\u200b"), (), r"words\[1\] has no character"),
        (("x" * 201,), (), r"words\[0\] has more than"),
        (("fine",), ("",), r"allow\[0\] has no character"),
        (tuple("a" * length for length in range(1, DEEPEST_NEST + 2)), (), "leave out some of the words"),
    ],
)
def test_words_that_cannot_be_looked_for_are_refused(words: tuple[str, ...], allow: tuple[str, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        keyword_detector(FilterOptions(type="keywords", allow=allow), words)


_LETTERS = st.sampled_from("aab \n\u00e9\u0430\u200b\u304b\u3099\u4e2d\uac00\u0397-")
_WORDS = st.lists(
    st.text(_LETTERS, min_size=1, max_size=5).filter(lambda word: Text(word).folded.strip() != ""),
    min_size=1,
    max_size=5,
)


@given(
    st.text(_LETTERS, max_size=16),
    _WORDS,
    st.lists(st.sampled_from(["aa", "a b", "ab\u00e9"]), max_size=1),
    st.booleans(),
)
@settings(deadline=None, max_examples=150)
def test_what_lies_before_the_open_end_is_judged_for_good(
    text: str, words: list[str], allow: list[str], whole: bool
) -> None:
    detector = keyword_detector(FilterOptions(type="keywords", whole_words=whole, allow=tuple(allow)), words)
    in_whole = detector.find(Text(text))
    for cut in range(len(text)):
        settled = detector.open_from(Text(text[:cut]))
        assert 0 <= settled <= cut
        before = [match for match in detector.find(Text(text[:cut])) if match.begin < settled]
        assert before == [match for match in in_whole if match.begin < settled]


def test_a_sign_that_a_mark_may_follow_is_open() -> None:
    assert open_part("x\u304b", "\u304b", whole=False) == "\u304b"
    assert open_part("x\u4e2d", "\u4e2d", whole=False) == ""


def test_matches_come_by_their_beginnings_over_the_seam_of_two_windows() -> None:
    assert found("-" * 32_766 + "abc", "abc", "b", whole=False) == ["abc", "b"]


@given(st.text(st.characters(codec=None, categories=None), max_size=60))
@settings(deadline=None)
def test_any_text_can_be_judged(raw: str) -> None:
    detector = keyword_detector(FilterOptions(type="keywords"), ["a", "\u0430\u0431", "red fox"])
    for match in detector.find(Text(raw)):
        assert 0 <= match.begin < match.end <= len(raw)
    assert 0 <= detector.open_from(Text(raw)) <= len(raw)


@given(st.text(st.sampled_from("ab \u0436\u200b"), max_size=30), st.integers(0, 3))
@settings(deadline=None, max_examples=50)
def test_a_long_text_is_judged_as_a_short_one(text: str, places: int) -> None:
    filling = "." * (32_768 - places)
    detector = keyword_detector(FilterOptions(type="keywords", whole_words=False), ["ab", "b a", "bb", "\u0436\u0436"])
    short, long = detector.find(Text(text)), detector.find(Text(filling + text))
    assert [(match.begin + len(filling), match.end + len(filling)) for match in short] == [match[:2] for match in long]


@pytest.mark.timed
@pytest.mark.parametrize(
    "text",
    ["a" * 200_000, "a " * 100_000, " " * 200_000, "x  y" * 50_000, "\u0430\u200b" * 100_000, "\ufdfa" * 66_000],
)
def test_hostile_texts_take_linear_time(text: str) -> None:
    nested = [("a" * length) for length in range(1, DEEPEST_NEST + 1)]
    detector = keyword_detector(FilterOptions(type="keywords", whole_words=False), [*nested[:3], "a a", "x y"])
    began = time.process_time()
    detector.find(Text(text))
    detector.open_from(Text(text))
    within(time.process_time() - began, 5)


@given(st.text("ab \n\t\u0436", max_size=30), st.sampled_from(["", "\u4e2d\u6587 ", "Not One More "]))
@settings(deadline=None)
def test_phrases_are_found_over_whatever_blanks_there_are(text: str, before: str) -> None:
    phrases = ("a", "a b", "b a b", "\u0436 a", "\u0436 b")
    raw = before + text
    detector = keyword_detector(FilterOptions(type="keywords", whole_words=False), phrases)
    expected = {
        (begin, match.end())
        for phrase in phrases
        for begin in range(len(raw))
        if (match := re.compile(r"[ \n\t]+".join(phrase.split())).match(raw, begin))
    }
    assert [(match.begin, match.end) for match in detector.find(Text(raw))] == sorted(expected)
