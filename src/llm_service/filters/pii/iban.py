"""International bank account numbers (ISO 13616): a country's length, and the check digits."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from llm_service.filters.pii.checksums import mod_97_10
from llm_service.filters.pii.kind import Kind, Span

# From the registry that SWIFT keeps, as of 2026-11; countries that use the form without being listed are left out.
LENGTHS: Final[Mapping[str, int]] = MappingProxyType(
    {
        row[:2]: int(row[2:])
        for row in """
        AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27
        DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28
        IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22
        MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24
        SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
        """.split()
    }
)
_RUN: Final = re.compile(r"[0-9A-Za-z](?:[ -]?[0-9A-Za-z])*")
_COUNTRIES: Final = "|".join(f"[{code[0]}{code[0].lower()}][{code[1]}{code[1].lower()}]" for code in LENGTHS)
_LONGEST: Final = 60
"""Characters with their blanks: 34 of the longest number, and some."""


def iban(text: str, begin: int, _end: int) -> Span | None:
    run = _RUN.match(text, begin, begin + _LONGEST)
    length = LENGTHS[text[begin : begin + 2].upper()]
    number = run.group().replace(" ", "").replace("-", "")[:length].upper() if run else ""
    if len(number) < length or not _has_digits(number) or not mod_97_10(number[4:] + number[:4]):
        return None
    end = _end_of(text, begin, length)
    follows = text[end : end + 1]
    return None if follows.isascii() and follows.isalnum() else (begin, end)


def _end_of(text: str, begin: int, length: int) -> int:
    """Behind as many characters, blanks and hyphens not counted."""
    end = begin
    while length:
        length -= text[end] not in " -"
        end += 1
    return end


def _has_digits(number: str) -> bool:
    """Words that happen to fit are none: accounts are mostly digits everywhere."""
    return sum(map(str.isdigit, number)) * 2 > len(number)


IBAN: Final = Kind(
    label="iban", pattern=rf"\b(?:{_COUNTRIES})[0-9][0-9](?:[ -]?[0-9A-Za-z]){{11,29}}", check=iban, within=True
)
