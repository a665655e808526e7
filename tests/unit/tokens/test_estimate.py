import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.tokens.estimate import EstimatingTokenizer

CURRENT = ("o200k_base", "deepseek")


def ratios(golden, kind):
    """By how much the estimate exceeds the exact count, for each text of ``kind`` and each current vocabulary."""
    rows = [row for row in golden if row["kind"] == kind]
    return {
        (row["name"], name): EstimatingTokenizer().count(row["text"]) / row[name] for row in rows for name in CURRENT
    }


@pytest.mark.parametrize("kind", ["prose", "code"])
def test_prose_and_code_come_out_a_little_too_high(golden, kind):
    found = ratios(golden, kind)

    assert {which: ratio for which, ratio in found.items() if not 1.0 <= ratio <= 2.4} == {}
    assert 1.1 <= sum(found.values()) / len(found) <= 1.6


def test_an_older_vocabulary_is_met_on_the_whole(golden):
    rows = [row for row in golden if row["kind"] != "odd"]
    estimated = sum(EstimatingTokenizer().count(row["text"]) for row in rows)

    assert 0.9 <= estimated / sum(row["cl100k_base"] for row in rows) <= 1.3


def test_odd_texts_stay_within_a_factor(golden):
    for row in (row for row in golden if row["kind"] == "odd" and row["text"]):
        exact = max(row[name] for name in CURRENT)
        assert EstimatingTokenizer().count(row["text"]) >= 0.4 * exact, row["name"]


def test_han_and_kana_cost_a_token_each_and_latin_letters_less_than_a_third():
    assert EstimatingTokenizer().count("灯台守は日誌" * 10) == 60
    assert EstimatingTokenizer().count("lighthouse" * 10) == 30


@given(text=st.text(min_size=1))
def test_a_text_that_is_not_empty_has_at_least_a_token_and_at_most_three_a_character(text):
    assert 1 <= EstimatingTokenizer().count(text) <= 3 * len(text)


def test_the_empty_text_has_none():
    assert EstimatingTokenizer().count("") == 0


@given(text=st.text(st.characters(), max_size=20), more=st.characters())
def test_a_longer_text_never_counts_less(text, more):
    assert EstimatingTokenizer().count(text + more) >= EstimatingTokenizer().count(text)


def test_surrogates_are_no_error():
    assert EstimatingTokenizer().count("\ud800\udfff") == 2


def test_many_texts_count_as_much_as_each_by_itself():
    assert EstimatingTokenizer().count_all(["a", "b", ""]) == 2
