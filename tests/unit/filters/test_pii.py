"""Personal data is found in its usual writings, and nothing that only looks like it."""

import json
import random
import time
import unicodedata
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llm_service.filters import LONGEST_HOLD, Entity, FilterOptions, Text
from llm_service.filters.pii import PiiDetector, pii_detector
from llm_service.filters.pii import plain as plain_module
from llm_service.filters.pii.beginnings import parse
from llm_service.filters.pii.detector import _NEIGHBOUR, _kinds
from llm_service.filters.pii.email import EMAIL
from llm_service.filters.pii.national import COUNTRIES
from tests.support import personal_data
from tests.support.national_ids import SPECIMENS
from tests.support.timed import within

CORPUS = json.loads((Path(__file__).parents[2] / "corpora" / "filters" / "pii.json").read_text(encoding="utf-8"))
ALL: tuple[Entity, ...] = ("email", "phone", "card", "iban", "ip", "national_id")


@pytest.fixture(scope="module")
def detector() -> PiiDetector:
    return made(entities=ALL)


def made(
    *, entities: tuple[Entity, ...] = (), countries: tuple[str, ...] = (), allow: tuple[str, ...] = ()
) -> PiiDetector:
    return pii_detector(FilterOptions(type="pii", entities=entities, countries=countries, allow=allow))


def found(detector: PiiDetector, text: str) -> list[tuple[str, str]]:
    return [(match.label, text[match.begin : match.end]) for match in detector.find(Text(text))]


# ---- what is found, in figures


def test_recall_and_false_alarms_are_what_the_corpus_shows(detector: PiiDetector) -> None:
    """Missed are what has no check digit and no word before, and what is spelled out or parted at will."""
    missed = Counter[str]()
    alarms = []
    for entry in CORPUS:
        labels = {match.label for match in detector.find(Text(entry["text"]))}
        missed.update(set(entry["finds"]) - labels)
        if labels - set(entry["finds"]):
            alarms.append(entry["text"])
    positives = Counter(label for entry in CORPUS for label in entry["finds"])
    negatives = sum(not entry["finds"] for entry in CORPUS)
    assert negatives >= 150
    assert sum(positives.values()) >= 150
    recall = {label: 1 - missed[label] / count for label, count in positives.items()}
    floors = {"email": 0.91, "card": 0.95, "iban": 0.96, "phone": 0.93, "national_id": 0.97, "ip": 0.91}
    assert {label: ratio for label, ratio in recall.items() if ratio < floors[label]} == {}
    assert alarms == []


def test_each_country_of_the_table_has_a_specimen() -> None:
    assert sorted({country for country, _, _ in SPECIMENS}) == list(COUNTRIES)


def test_specimens_are_found_by_their_country_alone() -> None:
    """As issuers print them, so that checks are not tested with what they themselves have made."""
    detectors = {country: made(entities=("national_id",), countries=(country,)) for country in COUNTRIES}
    wrong = [
        (country, word + number)
        for country, number, word in SPECIMENS
        if found(detectors[country], word + number) != [("national_id", number)]
    ]
    assert wrong == []


def test_bare_numbers_want_a_word_before() -> None:
    detector = made(entities=("national_id",))
    assert found(detector, "BSN 111222333, nummer van de klant") == [("national_id", "111222333")]
    assert found(detector, "order 111222333") == []
    assert found(detector, "sin 046454286") == []  # Spanish for without


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("<j.doe@example.com>", "j.doe@example.com"),
        ("see j.doe@example.com.", "j.doe@example.com"),
        ("谢谢j.doe@example.com谢谢", "j.doe@example.com"),
        ("call +49 (0)30 23125000, please", "+49 (0)30 23125000"),
        ("4111 1111 1111 1111 12/27 123", "4111 1111 1111 1111"),
        ("DE89 3704 0044 0532 0130 00 and more", "DE89 3704 0044 0532 0130 00"),
        ("2001:db8::1.", "2001:db8::1"),
    ],
)
def test_a_find_ends_where_the_thing_ends(detector: PiiDetector, text: str, place: str) -> None:
    assert [found_text for _, found_text in found(detector, text)] == [place]


def test_a_quad_below_ten_is_a_version_unless_something_says_address(detector: PiiDetector) -> None:
    assert found(detector, "since 1.2.3.4") == []
    assert found(detector, "the host 1.2.3.4") == [("ip", "1.2.3.4")]
    assert found(detector, "see 1.2.3.4:8080") == [("ip", "1.2.3.4")]
    assert found(detector, "version 10.20.30.40") == []


def test_disguised_characters_are_seen_and_placed_where_they_stood(detector: PiiDetector) -> None:
    text = "x 4111\u200b1111\u200b1111\u200b1111 y ٤١١١١١١١١١١١١١١١"
    assert found(detector, text) == [("card", text[2:21]), ("card", text[24:])]


def test_a_long_address_is_found_by_its_end(detector: PiiDetector) -> None:
    text = "a" * 80 + "@example.com"
    [match] = detector.find(Text(text))
    assert (match.end, match.end - match.begin) == (len(text), 62)


# ---- settings


def test_addresses_of_machines_are_looked_for_only_when_named() -> None:
    assert found(made(), "192.0.2.17") == []
    assert found(made(entities=("ip",)), "192.0.2.17 j@example.com") == [("ip", "192.0.2.17")]


def test_what_is_allowed_is_no_find() -> None:
    detector = made(allow=("Support@Example.com",))
    assert found(detector, "support@example.COM, sales@example.com") == [("email", "sales@example.com")]


def test_ids_of_other_countries_are_not_looked_for() -> None:
    assert found(made(countries=("PL",)), "12345678Z, PESEL 44051401359") == [("national_id", "44051401359")]


def test_settings_that_cannot_work_are_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"ids of XX are not known; .* Known are AR, AT"):
        made(countries=("DE", "XX"))
    with pytest.raises(ValueError, match="add national_id to the entities"):
        made(entities=("email",), countries=("DE",))


# ---- generated ones

chances = st.integers(0, 2**32).map(random.Random)
around = st.text(max_size=30).filter(
    lambda text: (
        not any(character.isnumeric() or character in "+@" for character in unicodedata.normalize("NFKC", text))
    )
)


@settings(max_examples=60, deadline=None)
@given(chances, around, around, st.sampled_from(["", " ", "-"]))
def test_cards_are_found_in_any_text_and_not_with_another_digit(
    detector: PiiDetector, chance: random.Random, before: str, after: str, joint: str
) -> None:
    number = personal_data.grouped(personal_data.card(chance), joint)
    check_found_unless_changed(detector, ("card", number), (f"{before} ", f" {after}"), chance)


@settings(max_examples=60, deadline=None)
@given(chances, around, around, st.sampled_from(["", " "]))
def test_ibans_are_found_in_any_text_and_not_with_another_digit(
    detector: PiiDetector, chance: random.Random, before: str, after: str, joint: str
) -> None:
    number = personal_data.iban(chance)
    number = joint.join(number[place : place + 4] for place in range(0, len(number), 4)) if joint else number
    check_found_unless_changed(detector, ("iban", number), (f"{before} ", f" ({after}"), chance)


# Those whose checks see any one changed digit.
CHECKED = [
    (country, number, word)
    for country, number, word in SPECIMENS
    if country in "NL PL ES CN ZA CA FI CH HR IN FR AU".split() and not number.startswith("ABC") and "Medi" not in word
]


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(CHECKED), chances, around, around)
def test_ids_are_found_in_any_text_and_not_with_another_digit(
    specimen: tuple[str, str, str], chance: random.Random, before: str, after: str
) -> None:
    country, number, word = specimen
    of_its_country = ids_of(country)  # with another digit it may be a number of another country
    check_found_unless_changed(of_its_country, ("national_id", number), (f"{before} {word}", f", {after}"), chance)


@cache
def ids_of(country: str) -> PiiDetector:
    return pii_detector(FilterOptions(type="pii", entities=("national_id",), countries=(country,)))


def check_found_unless_changed(
    detector: PiiDetector, find: tuple[str, str], around: tuple[str, str], chance: random.Random
) -> None:
    (label, number), (before, after) = find, around
    assert find in found(detector, before + number + after)
    place = chance.choice([place for place, character in enumerate(number) if character.isdigit()])
    digit = chance.choice("0123456789".replace(number[place], ""))
    changed = number[:place] + digit + number[place + 1 :]
    assert (label, changed) not in found(detector, before + changed + after)


# ---- growing texts

PIECES = [
    *(entry["text"] for entry in CORPUS if not entry["evasion"]),
    *"+49 ( ) - . / , @ 4111 DE89 1 22 333 a.b x@y :: f: 00 01 SSN BSN tel v1. @example .com 漢字 é".split(),
    "git@github.com:",
    " ",
    "\n",
    "9" * 30,
    "a" * 70,
    "1 2 3 4 5 6 7 8 9 0 " * 4,
    "a-" * 40,
]


ONLY_IDS: tuple[Entity, ...] = ("national_id",)
IDS = made(entities=ONLY_IDS)
ALPHABETS = ["0123456789 .-+()/", "0123456789 ", "ab.@-_'1 :", "DE891 Aa", "0123456789abcdef:.", "012.-\u2013", "4 1-"]
texts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=7).map("".join) | st.sampled_from(ALPHABETS).flatmap(
    lambda alphabet: st.text(alphabet, max_size=120)
)


@settings(max_examples=60, deadline=None)
@given(texts, st.sampled_from([ALL, ONLY_IDS]))
@example("4111\u20131111\u20131111\u20131111", ALL)
@example("987-65-4320-1", ONLY_IDS)
def test_what_lies_before_the_open_end_is_judged_for_good(
    detector: PiiDetector, text: str, entities: tuple[Entity, ...]
) -> None:
    detector = detector if entities == ALL else IDS
    whole = detector.find(Text(text))
    for cut in range(len(text) + 1):
        beginning = Text(text[:cut])
        opened = detector.open_from(beginning)
        assert cut - LONGEST_HOLD <= opened <= cut
        judged = [match for match in detector.find(beginning) if match.begin < opened]
        assert judged == [match for match in whole if match.begin < opened], (text[:cut], opened)


@settings(max_examples=60, deadline=None)
@given(texts, st.sampled_from([1, 7, 30]))
@example("max_power@mail.e@ample.net", 1)
@example("4242 4242 4242 4242 4242 4242 4242", 7)
def test_it_does_not_matter_where_blocks_begin(detector: PiiDetector, text: str, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llm_service.filters.pii.detector._BLOCK", block)
        in_blocks = detector.find(Text(text))
    assert in_blocks == detector.find(Text(text))


DEFAULT = made()


@pytest.mark.parametrize(
    ("text", "open_part"),
    [
        ("It is done. ", ""),
        ("It is done, and wor", "wor"),
        ("x@example", "x@example"),
        ("in 2024", "2024"),
        ("paid 4111 1111", "4111 1111"),
        ("see (0", "(0"),
        ("4111 1111 1111 1111! ", ""),
        ("漢字漢字", ""),
    ],
)
def test_no_more_is_open_than_may_be_part_of_a_find(text: str, open_part: str) -> None:
    assert text[DEFAULT.open_from(Text(text)) :] == open_part


def test_every_find_fits_into_what_may_be_held() -> None:
    longest = {kind.pattern: parse(kind.pattern + _NEIGHBOUR).longest for kind in _kinds(ALL, COUNTRIES)}
    assert max(longest.values()) < LONGEST_HOLD
    assert EMAIL.pattern in longest


@pytest.mark.parametrize("pattern", ["a*", "a+", "^a", "(a)", "a$", "(?:a"])
def test_patterns_whose_beginnings_are_not_known_are_refused(pattern: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        parse(pattern)


# ---- hostile texts


@pytest.mark.timed
@pytest.mark.parametrize(
    "unit",
    ["1", "@", "-", "a@", "a@a.a ", "a@bb.cc,", "4 ", "4111 ", "1.1.1.1 ", "DE89 ", "::", "0171 ", "9999999999 tel "],
)
def test_time_is_linear_in_hostile_texts(detector: PiiDetector, unit: str) -> None:
    """On a quiet core the worst takes half a second for 200 KB; here is half of that, and room for a busy machine."""
    text = Text((unit * 100_000)[:100_000])
    begin_s = time.process_time()
    detector.find(text)
    detector.open_from(text)
    within(time.process_time() - begin_s, 1)


@given(
    st.text(
        st.one_of(
            st.sampled_from("0189\u2013\u2014\u0663\u00a0\u2003\u2212 -xyz"), st.characters(exclude_categories=["Cs"])
        )
    ),
    st.sampled_from(["", "of ASCII, mostly " * 40]),
)
def test_a_text_is_made_plain_in_the_same_way_however_little_of_it_is_not_ascii(text: str, beside: str) -> None:
    alone = plain_module.plain(text, text.encode())
    assert len(alone) == len(text)
    assert plain_module.plain(beside + text, (beside + text).encode()) == beside + alone
    assert not any(char in plain_module._PLAIN for char in alone if char not in plain_module._DASHES)


@cache
def _of_phones() -> tuple[PiiDetector, PiiDetector]:
    """One that passes over numbers where no word tells of them, and one that looks at each."""
    kinds = [*_kinds(("phone",), ())]
    return PiiDetector(kinds), PiiDetector([replace(kind, told="") for kind in kinds])


@given(
    st.lists(
        st.sampled_from(
            ["tel", "T\u00e9l.", "m\u00f3vil", "phone", "hotel", "is", "num\u00e9ro", "a", ":", " ", "\n", "5"]
        )
        | st.sampled_from(
            ["\u0442\u0435\u043b", "\u7535\u8bdd", "\u2014", "5551234567", "555-123-4567", "(12) 34 56 78 9"]
        ),
        max_size=8,
    )
)
@example(["tel", "is", "5551234567"])
@example(["T\u00e9l.", "num\u00e9ro", ":", "5", "\n", "5551234567"])
@example(["\u7535\u8bdd", "5551234567"])
def test_numbers_after_words_are_found_as_if_each_number_were_looked_at(parts: list[str]) -> None:
    passing, looking = _of_phones()
    assert passing.find(Text(" ".join(parts))) == looking.find(Text(" ".join(parts)))
