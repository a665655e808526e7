"""Characters that look like others, and characters that cannot be seen: what texts are disguised with.

Compatibility forms (full width, mathematical letters, circled ones) are Unicode's own business (NFKC) and not listed.
"""

from collections.abc import Iterator, Mapping
from typing import Final

INVISIBLE: Final = (
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"  # controls, but for those that make white space
    "\u00ad\u034f\u061c"  # soft hyphen, grapheme joiner, Arabic letter mark
    "\u115f\u1160\u3164\uffa0\u17b4\u17b5"  # fillers of Hangul, vowels of Khmer that are not written
    "\u180b-\u180f\u200b-\u200f\u2060-\u206f\ufeff"  # Mongolian selectors, zero width, joiners, direction marks
    "\u202a-\u202e\ufff9-\ufffb"  # direction of writing, annotations
    "\ufe00-\ufe0f\U000e0100-\U000e01ef"  # variation selectors
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # format of shorthand and of music
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"  # tag characters, and what else is ignorable there
)
"""What leaves no trace on a screen; as it stands between the brackets of a regular expression."""

MARKS: Final = (
    "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"  # Latin, Greek, Cyrillic
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # points of Hebrew
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"  # and of Arabic
)
"""Marks that words are as well written without, the stretching stroke of Arabic among them."""

_SINGLES: Final = """
2 01A8
3 021D 0292 0437 04E1
5 01BD
6 0431
8 0223
a 0251 03B1 0430 0561 13AA 1D00 1D8F 2C65 2C81 A4EE
b 0180 0183 0253 0299 03B2 0432 044C 048D 13CF 13F4 1D6C 1D80 2C83 A4D0 A797 A7B5
c 0188 023C 0255 03F2 0441 04AB 13DF 1D04 2CA5 A4DA A793 A794
d 00F0 0111 018C 0221 0256 0257 0501 13A0 1D05 1D6D 1D81 1D91 A4D3 A7C8
e 0247 0259 025B 025C 025D 03B5 03F5 0435 0454 04BD 04BF 13AC 1D07 1D92 1D93 1D94 2C78 2C89 A4F0 AB32 AB33
e AB34
f 0192 03DD 1D6E 1D82 A4DD A730 A799
g 01E5 0260 0261 0262 029B 050D 0581 13B6 13C0 1D83 A4D6 A7A1 AB36
h 0127 0266 029C 0397 043D 04A3 04A5 04BB 04C8 050B 0570 13BB 2C68 2C8F A4E7 A795
i 0131 0268 0269 026A 03B9 0456 13A5 1D96 2C93 A4F2
j 0237 0249 025F 0284 029D 03F3 0458 0575 13AB 1D0A A4D9
k 0199 03BA 043A 049B 049D 049F 04A1 04C4 051F 13E6 1D0B 1D84 2C6A 2C95 A4D7 A741 A743 A745 A7A3
l 0140 0142 019A 01C0 0234 026B 026C 026D 029F 04CF 056C 13DE 1D0C 1D85 2C61 A4E1 A749 A78E AB37 AB38 AB39
m 0271 03BC 03FB 043C 04CE 13B7 1D0D 1D6F 1D86 2C99 A4DF AB3A
n 019E 0235 0272 0273 0274 039D 03B7 043F 0578 1D70 1D87 2C9B A4E0 A791 A7A5 AB3B
o 00F8 01FF 0254 0275 03BF 043E 0473 04E9 0585 1D0F 1D11 1D13 1D97 2C7A 2C9F A4F3 A74B A74D AB3D AB3E AB3F
p 01A5 03C1 0440 048F 13E2 1D18 1D71 1D7D 1D88 2CA3 A4D1 A751 A753 A755
q 024B 02A0 051B 0563 0566 A757 A759 A7AF
r 024D 027C 027D 027E 0280 0433 0491 0493 04F7 13A1 13D2 1D72 1D73 1D89 A4E3 A7A7 AB46 AB49 AB4B AB4C
s 023F 0282 0455 13D5 13DA 1D74 1D8A A4E2 A731 A7A9 A7CA
t 0167 01AB 01AD 0236 0288 03C4 0442 04AD 13A2 1D1B 1D75 2C66 2CA7 A4D4
u 0289 028A 03C5 057D 1D1C 1D1D 1D99 A4F4 A7B9 AB4E AB52
v 028B 03BD 0475 13D9 1D20 1D8C 2C71 2C74 A4E6 A75F
w 026F 03C9 0448 0449 0461 051D 13B3 13D4 1D21 2C73 2CB1 A4EA
x 03C7 0445 04B3 04FD 1D8D 2CAD A4EB AB53 AB56 AB57 AB58 AB59
y 01B4 024F 0263 028F 03A5 03B3 0443 04AF 04B1 13A9 13BD 1EFF 2CA9 A4EC AB5A
z 01B6 0225 0240 0290 0291 03B6 13C3 1D22 1D76 1D8E 2C6C 2C8D A4DC
"""

# Alphabets in a row whose letters Unicode takes for symbols: parenthesised, on dark discs and squares, of flags.
_ROWS: Final = (0x249C, 0x1F110, 0x1F150, 0x1F170, 0x1F1E6)


def _lookalikes() -> Iterator[tuple[str, str]]:
    for line in _SINGLES.split("\n"):
        letter, _, codes = line.partition(" ")
        yield from ((chr(int(code, 16)), letter) for code in codes.split())
    for begin in _ROWS:
        yield from ((chr(begin + place), chr(ord("a") + place)) for place in range(26))
    yield from ((chr(code), letters) for code, letters in ((0xE6, "ae"), (0x153, "oe"), (0x1D01, "ae"), (0x276, "oe")))


LOOKALIKES: Final[Mapping[str, str]] = dict(_lookalikes())
"""Which Latin letters or digits a character looks like, small letters for all.

A capital has a row of its own only where it looks like another letter than its small form does (Greek eta is an H
and an n). Of Cyrillic, Greek, Armenian, Cherokee, Lisu, Coptic, phonetic letters, small capitals and Latin letters
with strokes, hooks and tails.
"""
