"""The forms of texts: what disguises come to, and where each place was."""

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_service.filters import Text, folding
from llm_service.filters.lookalikes import LOOKALIKES

# All but ideographs and syllables of Hangul.
_MOST_CHARACTERS = (
    *range(0x3400),
    *range(0xA000, 0xAC04),
    *range(0xD7A0, 0x10000),
    *range(0x1D400, 0x1D800),
    *range(0x1F100, 0x1F200),
    sys.maxunicode,
)
# Texts of whatever there is, and such as have much that changes, over the seams of the pieces.
_ANY = st.text(st.characters(codec=None, categories=None), max_size=40) | st.text(
    st.sampled_from(
        "aZ\u00df\u00e9e\u0301\u200b\u00ad\ufb01\uff21\u0430\u0397\u3042\u304c\ud800\U0001d41a\u4e2d\uac01 \n\x00"
    ),
    max_size=40,
)


@pytest.mark.parametrize(
    ("raw", "visible", "folded"),
    [
        ("Plain TEXT\n", "Plain TEXT\n", "plain text\n"),
        ("z\u200be\u200dr\u2060o\ufeff", "zero", "zero"),
        ("so\u00adft", "soft", "soft"),
        ("\u202ebidi\u202c", "bidi", "bidi"),
        ("t\U000e0041ag\ufe0f", "tag", "tag"),
        ("nu\x00ll\x08", "null", "null"),
        ("\uff26\uff55\uff4c\uff4c \uff11", "Full 1", "full 1"),
        ("\U0001d40c\U0001d41a\U0001d42d\U0001d421 \u24b6\u249c", "Math A(a)", "math aa"),
        ("\U0001f170\U0001f171", "\U0001f170\U0001f171", "ab"),
        ("pi\u00f1a pin\u0303a", "pi\u00f1a pin\u0303a", "pina pina"),
        ("\u0421yrilli\u0441", "\u0421yrilli\u0441", "cyrillic"),
        ("\u0397\u0391\u03a4 \u03b7\u03b1\u03c4", "\u0397\u0391\u03a4 \u03b7\u03b1\u03c4", "hat nat"),
        ("\u1d0b\u1d07\u028f \u13a2\u13a5\u13df", "\u1d0b\u1d07\u028f \u13a2\u13a5\u13df", "key tic"),
        ("Stra\u00dfe \ufb01x", "Stra\u00dfe fix", "strasse fix"),
        ("\u0661\u0662\u0663 \u0967", "\u0661\u0662\u0663 \u0967", "123 1"),
        ("half \ud83d", "half \ufffd", "half \ufffd"),
        ("\u304c \u304b\u3099", "\u304c \u304b\u3099", "\u304b\u3099 \u304b\u3099"),
        ("\uff76\uff9e", "\u30ab\u3099", "\u30ab\u3099"),
        ("\ufdfa", "\ufdfa", "\ufdfa"),  # a whole sentence in one character: left as it is
        ("", "", ""),
    ],
)
def test_forms(raw: str, visible: str, folded: str) -> None:
    assert (Text(raw).visible, Text(raw).folded) == (visible, folded)


def test_every_character_has_forms_that_are_their_own() -> None:
    for char in map(chr, _MOST_CHARACTERS):
        seen, folded = folding.visible_form(char), folding.folded_form(char)
        assert "".join(map(folding.visible_form, seen)) == seen
        assert folded == folded.lower() == "".join(map(folding.folded_form, folded))
        assert len(folded) <= 12
        (seen + folded).encode()


def test_characters_that_are_passed_over_are_their_own_forms() -> None:
    chars = [chr(code) for code in range(0x1F700) if not 0x41 <= code <= 0x5A]  # capitals are made small at the end
    changes = folding._signs().changeable
    for form in (folding.visible_form, folding.folded_form):
        assert not [char for char in chars if not changes.match(char) and form(char) != char]


def test_lookalikes_are_many_and_lead_to_latin_letters_and_digits() -> None:
    assert len(LOOKALIKES) > 450
    assert all(
        letters.isascii() and letters.isalnum() and letters == letters.lower() for letters in LOOKALIKES.values()
    )
    assert not any(char.isascii() for char in LOOKALIKES)


@pytest.mark.parametrize(
    "text",
    [
        "Gr\u00fc\u00dfe \u2013 pi\u00f1a",
        "\u043f\u0440\u043e\u0431\u0430",
        "\u05e9\u05b8\u05dc\u05d5\u05dd",
        "\u0646\u0645\u06cc\u200c\u062f\u0627\u0646\u0645",
        "\u0939\u093f\u0928\u094d\u0926\u0940",
        "\u03ba\u03b1\u03bb\u03b7\u03bc\u03ad\u03c1\u03b1",
        "\u0e44\u0e17\u0e22",
    ],
)
def test_usual_writing_passes_through_a_table(text: str) -> None:
    assert folding._spelt(f"{text} or text\u2026") is not None


def test_tables_hold_the_forms_of_their_characters() -> None:
    for letters in folding._ALPHABETS:
        assert len(letters) == len(set(letters)) <= 128
        text = Text(letters)
        assert text.visible == "".join(map(folding.visible_form, letters))
        assert text.folded == "".join(map(folding.folded_form, letters))


@given(_ANY, st.sampled_from(["\u0436", "\u4e2d", "E"]), st.integers(0, 3))
@settings(deadline=None)
def test_forms_are_those_of_the_characters(beside: str, filled: str, filling: int) -> None:
    raw = filled * (filling * 341) + beside  # so that some lie over the seam of two pieces
    text = Text(raw)
    assert text.visible == "".join(map(folding.visible_form, raw))
    assert text.folded == "".join(map(folding.folded_form, raw))
    assert text.visible_data == text.visible.encode()
    assert text.folded_data == text.folded.encode()
    assert text.ascii == text.visible.encode("ascii", "replace")
    assert text.hides == any(not folding.visible_form(char) for char in raw)


@given(_ANY, st.sampled_from(["", "of ASCII " * 40]), st.data())
@settings(deadline=None)
def test_places_are_found_again(beside: str, most: str, data: st.DataObject) -> None:
    raw = most + beside
    text = Text(raw)
    for form, span in ((text.visible, text.raw_span_of_visible), (text.folded, text.raw_span_of_folded)):
        begin = data.draw(st.integers(0, len(form)))
        end = data.draw(st.integers(begin, len(form)))
        first, after = span(begin, end)
        assert 0 <= first <= after <= len(raw)
        of_part = Text(raw[first:after]).visible if form is text.visible else Text(raw[first:after]).folded
        assert form[begin:end] in of_part
        if begin < end:
            smaller = Text(raw[first + 1 : after]) if after > first else Text("")
            assert len(smaller.visible if form is text.visible else smaller.folded) < len(of_part)
    assert text.raw_span_of_folded(len(text.folded), len(text.folded)) == (len(raw), len(raw))


def test_a_place_far_behind_is_found() -> None:
    raw = "\u0436\u200b" * 2000 + "secret" + "\u200b" * 2000
    begin = Text(raw).folded.index("secret")
    assert Text(raw).raw_span_of_folded(begin, begin + 6) == (4000, 4006)
    assert unicodedata.is_normalized("NFKC", Text(raw).visible)
