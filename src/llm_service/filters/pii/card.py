"""Payment cards: 13 to 19 digits of an issuer's range (ISO/IEC 7812) with their check digit."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from llm_service.filters.pii.checksums import luhn
from llm_service.filters.pii.kind import Kind, Span, begins_row, stands_alone
from llm_service.filters.pii.words import before, words

_LONG: Final = (16, 17, 18, 19)
# First numbers from, to, and how many digits there are; by what issuers and ISO publish, as of 2026-11.
_ISSUERS: Final = (
    (
        "4",
        "4",
        (13, 16, 19),
    ),  # Visa; 13 of old, and those of goods that are sold in Germany and Japan: with a word alone
    ("51", "55", (16,)),  # Mastercard
    ("2221", "2720", (16,)),
    ("34", "34", (15,)),  # American Express
    ("37", "37", (15,)),
    ("6011", "6011", _LONG),  # Discover
    ("644", "659", _LONG),
    ("300", "305", (14,)),  # Diners Club
    ("3095", "3095", (14,)),
    ("36", "36", (14, *_LONG)),
    ("38", "39", (14, *_LONG)),
    ("3528", "3589", _LONG),  # JCB
    ("62", "62", _LONG),  # UnionPay
    ("81", "81", _LONG),
    ("2200", "2205", _LONG),  # Mir, Borica
    ("5018", "5020", _LONG),  # Maestro, Dankort
    ("5038", "5038", _LONG),
    ("5893", "5893", _LONG),
    ("6304", "6304", _LONG),
    ("6759", "6763", _LONG),
    ("508", "508", (16,)),  # RuPay
    ("6069", "6071", (16,)),
    ("82", "82", (16,)),
    ("5066", "5067", (16,)),  # Elo, Hipercard
    ("5090", "5090", (16,)),
    ("6062", "6062", (16,)),
    ("6362", "6363", (16,)),
    ("5060", "5061", (16, 18, 19)),  # Verve
    ("8600", "8600", (16,)),  # Uzcard, Humo
    ("9860", "9860", (16,)),
    ("9704", "9704", (16, 19)),  # Napas
    ("9792", "9792", (16,)),  # Troy
)
_BY_FIRST_DIGIT: Final[Mapping[str, tuple[tuple[str, str, tuple[int, ...]], ...]]] = MappingProxyType(
    {digit: tuple(row for row in _ISSUERS if row[0][0] <= digit <= row[1][0]) for digit in "23456789"}
)
_CARD_WORDS: Final = words(
    "card, visa, karte, kreditkarte, tarjeta, carte, carta, карта, cartão, kart, 卡, カード, 카드"
)


def _usual(text: str, begin: int, end: int) -> Span | None:
    """In a usual writing, wherever it stands in a row: an expiry date and the like may follow."""
    return (begin, end) if stands_alone(text, begin, end, joints="-.") and _is_card(text, begin, end) else None


def _any(text: str, begin: int, end: int) -> Span | None:
    """However its digits are parted, where the row has no others."""
    alone = begins_row(text, begin) and stands_alone(text, begin, end, joints="-. ")
    return (begin, end) if alone and _is_card(text, begin, end) else None


def _is_card(text: str, begin: int, end: int) -> bool:
    written = text[begin:end]
    joints = [joint for joint in " -." if joint in written]
    if len(joints) > 1:
        return False
    number = written.replace(joints[0], "") if joints else written
    return (
        len(number) > 12
        and has_issuer(number)
        and luhn(number)
        and (len(number) > 13 or _CARD_WORDS.among(before(text, begin)))
    )


def has_issuer(number: str) -> bool:
    """Whether an issuer has numbers of this beginning and length."""
    return any(
        len(number) in lengths and first <= number[: len(first)] <= last
        for first, last, lengths in _BY_FIRST_DIGIT.get(number[0], ())
    )


CARDS: Final = (
    Kind(
        label="card",
        pattern=(
            r"\b(?:[2-9][0-9]{12,18}|[2-9][0-9]{3}(?:[ .-][0-9]{4}){3}|"
            r"3[0-9]{3}[ -][0-9]{6}[ -][0-9]{4,5})\b"
        ),
        check=_usual,
        within=True,
    ),
    Kind(label="card", pattern=r"\b[2-9][0-9]{0,17}[ -][0-9](?:[ -]?[0-9]){8,17}\b", check=_any),
)
