"""What two questions must have in common, whatever an embedding says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.cache.semantic.guard import agree, wording_of
from llm_service.cache.semantic.words import LANGUAGES
from tests.unit.cache.semantic.question_pairs import DIFFERENT, SAME

REPHRASED = 8
"""The last ones of the pairs say it in quite other words: no guard over words can tell that they are the same."""
TURNING = (
    "not no never none nothing nobody neither nor without unless except cannot before after during since until more "
    "less fewer most least than minimum maximum increase decrease from into onto off up down left right in out over "
    "under only all any first last buy sell open close enable disable nicht nie niemals kein keine keinen keiner ohne "
    "weder außer vor nach mehr weniger als links rechts aus an auf ab zu ne pas jamais sans aucun nunca sin ningún"
).split()


def passes(one: str, other: str) -> bool:
    return agree(wording_of(one), wording_of(other))


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_questions_of_another_meaning_are_kept_apart(one: str, other: str) -> None:
    assert not passes(one, other)
    assert not passes(other, one)


@pytest.mark.parametrize(("one", "other"), SAME[:-REPHRASED])
def test_questions_that_differ_in_what_is_harmless_agree(one: str, other: str) -> None:
    assert passes(one, other)


@pytest.mark.parametrize("word", TURNING)
def test_a_word_that_turns_a_question_is_never_passed_over(word: str) -> None:
    for question in ("Can I take the tablets with food?", "Darf ich das mit dem Essen nehmen?", "xyzzy plugh"):
        words = question.split(" ")
        for place in range(1, len(words) + 1):
            assert not passes(question, " ".join([*words[:place], word, *words[place:]])), place


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_table_passes_over_a_word_that_turns_a_question(language: object) -> None:
    tables = ("begins", "ends", "linking", "helping")
    harmless = {word for name in tables for phrase in getattr(language, name) for word in phrase.split(" ")}
    same = getattr(language, "same")  # noqa: B009 - the table of whichever language
    assert harmless.isdisjoint({*TURNING} - {"i", "a", "in"})
    assert {*same, *same.values()}.isdisjoint({*TURNING} - {"buy"})


@pytest.mark.parametrize(
    ("one", "other", "agrees"),
    [
        ("Is 1,000.50 enough?", "Is 1000.5 enough?", True),
        ("Sind 1,5 Liter genug?", "Sind 1.5 Liter genug?", True),
        ("Is 1.000 enough?", "Is 1000 enough?", False),  # a thousand, or one to three digits
        ("Is 5kg enough?", "Is 5 kg enough?", True),
        ("Is v1.2.3 out?", "Is v1.2.30 out?", False),
        ("Is 007 there?", "Is 7 there?", False),
        ("Is it ٣ or 4?", "Is it 3 or 4?", False),
    ],
)
def test_numbers_are_compared_by_what_they_are(one: str, other: str, agrees: bool) -> None:
    assert passes(one, other) is agrees


def test_a_language_that_is_not_known_is_compared_word_by_word() -> None:
    assert passes("Hvad er hovedstaden i Danmark?", "hvad er hovedstaden i danmark")
    assert not passes("Hvad er hovedstaden i Danmark?", "Hvad er mon hovedstaden i Danmark?")


def test_capitals_count_where_both_have_some() -> None:
    assert passes("Where is the Polish embassy?", "where is the polish embassy?")
    assert not passes("Where can I buy Polish sausage in Kiel?", "Where can I buy polish sausage in Kiel?")


@given(st.text(max_size=80))
def test_every_text_agrees_with_itself(text: str) -> None:
    assert passes(text, text)
    assert passes(text, f"  {text}  ")


@given(st.lists(st.sampled_from([*TURNING, "dogs", "5", "kg", "'a b'", "X"]), min_size=2, max_size=6), st.randoms())
def test_what_is_not_known_as_harmless_counts_and_so_does_its_place(words: list[str], dice: object) -> None:
    other = words[:]
    dice.shuffle(other)  # type: ignore[attr-defined]
    same = [word.lower() for word in words] == [word.lower() for word in other]
    assert passes(" ".join(words), " ".join(other)) is same
