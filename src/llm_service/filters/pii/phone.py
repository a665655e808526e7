"""Phone numbers: international (E.164), in the usual writings of countries, and after a word that says so."""

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from llm_service.filters.pii.kind import Check, Kind, Span, begins_row, stands_alone
from llm_service.filters.pii.words import last_word

# ITU-T E.164, annex to bulletin 1114 and later: country codes by their length; those of one digit are 1 and 7.
_TWO_DIGITS: Final = frozenset(
    """20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90
    91 92 93 94 95 98""".split()
)
_THREE_DIGITS: Final = frozenset(
    """211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232 233 234 235 236 237 238 239 240 241 242
    243 244 245 246 247 248 249 250 251 252 253 254 255 256 257 258 260 261 262 263 264 265 266 267 268 269 290 291 297
    298 299 350 351 352 353 354 355 356 357 358 359 370 371 372 373 374 375 376 377 378 380 381 382 383 385 386 387 389
    420 421 423 500 501 502 503 504 505 506 507 508 509 590 591 592 593 594 595 596 597 598 599 670 672 673 674 675 676
    677 678 679 680 681 682 683 685 686 687 688 689 690 691 692 800 808 850 852 853 855 856 870 878 880 881 882 883 886
    888 960 961 962 963 964 965 966 967 968 970 971 972 973 974 975 976 977 979 992 993 994 995 996 998""".split()
)
# How many digits follow a country code, where that is narrow and the country large; others: six to twelve.
_NATIONAL_DIGITS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "1": (10, 10),
        "7": (10, 10),
        "20": (8, 10),
        "27": (9, 9),
        "30": (10, 10),
        "31": (9, 9),
        "32": (8, 9),
        "33": (9, 9),
        "34": (9, 9),
        "40": (9, 9),
        "41": (9, 9),
        "44": (9, 10),
        "45": (8, 8),
        "47": (8, 8),
        "48": (9, 9),
        "52": (10, 10),
        "54": (10, 11),
        "55": (10, 11),
        "56": (9, 9),
        "57": (10, 10),
        "61": (9, 9),
        "62": (8, 12),
        "81": (9, 10),
        "82": (8, 10),
        "86": (10, 11),
        "90": (10, 10),
        "91": (10, 10),
        "351": (9, 9),
        "380": (9, 9),
        "420": (9, 9),
    }
)
_KEEP_ZERO: Final = frozenset("39 225 241 242".split())  # a zero after these belongs to the number

_GROUP: Final = re.compile(r"[0-9]+")
_DATE: Final = re.compile(r"(?:(?:19|20)\d\d([-./ ]?)[01]\d\1[0-3]\d|\d\d?([-./ ])\d\d?\2(?:19|20)?\d\d)(?!\d)")
_PAIRS: Final = re.compile(r"0[1-9](?:([ .-])\d\d)(?:\1\d\d){3}\Z")

_PHONE_WORDS: Final = frozenset(
    """phone telephone tel tél mobile cell cellphone fax call dial whatsapp sms hotline telefon telefono teléfono
    téléphone telefone telefonnummer rufnummer handy handynummer mobil mobilnummer móvil celular cellulare portable
    telemóvel telefoon telefoonnummer bel appelez llame ligue zadzwoń komórka puhelin puhelinnumero τηλέφωνο τηλ
    телефон тел моб мобильный звоните позвоните телефону телефонуйте هاتف جوال تلفون טלפון נייד""".split()
)
_PHONE_PARTS: Final = "电话 電話 手机 手機 携帯 전화 전화번호 휴대폰 연락처 โทร เบอร์ फ़ोन फोन मोबाइल".split()
_NEAR: Final = 12
_PASSED: Final = frozenset(
    """number no nr num is at me us on or the my our under numéro número numero nummer numer номер по на est es è é ist
    lautet unter an al le au aan op pod numru số là m t h n है رقم هو מספר""".split()
)


def _listed(words: Collection[str]) -> str:
    """Words as they are where all that is not ASCII is a question mark; without those of which nothing else is left."""
    shown = {word.encode("ascii", "replace").decode() for word in words}
    return f"(?i:{'|'.join(re.escape(word) for word in sorted(shown) if word.strip('?'))})"


_TOLD: Final = (
    rf"(?:^|[^A-Za-z]){_listed(_PHONE_WORDS)}(?:[^A-Za-z]+{_listed(_PASSED)})*[^A-Za-z]*[0-9]"
    r"|\?\?"  # a word in another script
)


def _international(text: str, begin: int, end: int) -> Span | None:
    """The longest row of groups from the plus sign on that a country's numbers allow."""
    if begin and (text[begin - 1].isalnum() or text[begin - 1] == "+"):
        return None
    return _longest(text, begin, end, digits_from=begin + 1)


def _with_zeros(text: str, begin: int, end: int) -> Span | None:
    """The same with 00 in place of the plus sign."""
    return _longest(text, begin, end, digits_from=begin + 2) if stands_alone(text, begin, begin) else None


def _longest(text: str, begin: int, end: int, *, digits_from: int) -> Span | None:
    written = text[digits_from:end]
    for group in reversed(list(_GROUP.finditer(written))):
        stop = digits_from + group.end()
        follows = text[stop : stop + 1]
        if (follows.isascii() and follows.isalnum()) or not stands_alone(text, stop, stop, joints=".,"):
            continue
        if is_e164("".join(_GROUP.findall(written[: group.end()].replace("(0)", "")))):
            return begin, stop
    return None


def is_e164(digits: str) -> bool:
    """Whether a country has numbers of this beginning and length."""
    for size, codes in ((1, ("1", "7")), (2, _TWO_DIGITS), (3, _THREE_DIGITS)):
        if (code := digits[:size]) in codes:
            national = digits[size:]
            least, most = _NATIONAL_DIGITS.get(code, (6, 12))
            return (
                least <= len(national) <= most
                and 8 <= len(digits) <= 15
                and (national[0] != "0" or code in _KEEP_ZERO)
                and (code not in {"1", "7"} or national[0] not in "01")
            )
    return False


def _usual(text: str, begin: int, end: int) -> Span | None:
    """A writing that is known for itself, unless it is a part of something longer."""
    part_of_name = text.startswith("-", end) and text[end + 1 : end + 2].isalnum()
    return (begin, end) if stands_alone(text, begin, end, joints="-./ ") and not part_of_name else None


def _trunk(text: str, begin: int, end: int) -> Span | None:
    """With the zero that a country dials before an area: nine to twelve digits, and no date."""
    written = text[begin:end]
    groups = _GROUP.findall(written)
    digits = sum(map(len, groups))
    if not 9 <= digits <= 12 or not _usual(text, begin, end):
        return None
    if _PAIRS.match(written):
        return begin, end
    return (begin, end) if not _DATE.match(written) and sum(len(group) < 3 for group in groups) <= 3 else None


def _after_word(text: str, begin: int, end: int) -> Span | None:
    """Any seven to thirteen digits after `phone` and the like, with nothing but small words between."""
    if not begins_row(text, begin) or not stands_alone(text, begin, end) or _DATE.match(text, begin, end):
        return None
    known = last_word(text, begin, passed=_PASSED.__contains__) in _PHONE_WORDS or _says_phone(
        text[max(0, begin - _NEAR) : begin]
    )
    return (begin, end) if known else None


def _says_phone(window: str) -> bool:
    return not window.isascii() and any(part in window for part in _PHONE_PARTS)


def _phone(pattern: str, check: Check, *, within: bool = False) -> Kind:
    return Kind(label="phone", pattern=pattern, check=check, within=within)


PHONES: Final = (
    _phone(r"\+[1-9](?:[ .()/-]{0,3}[0-9]){7,14}", _international),
    _phone(r"\b00[1-9](?:[ .()/-]{0,3}[0-9]){7,14}", _with_zeros, within=True),
    # North America: the area and the exchange do not begin with 0 or 1.
    _phone(
        r"(?:\b1[ .-])?(?:\([2-9][0-9]{2}\)[ -]?|\b[2-9][0-9]{2}[.-])[2-9][0-9]{2}[ .-][0-9]{4}\b",
        _usual,
    ),
    _phone(
        r"(?:\(0[1-9][0-9]{0,4}\)|\b0[1-9][0-9]{0,4}(?:[./-]| [/-] | ))(?: ?[0-9]{2,8})(?:[ .-][0-9]{2,6}){0,3}\b",
        _trunk,
        within=True,
    ),
    _phone(r"\b8[ -]?(?:\([3489][0-9]{2}\)|[3489][0-9]{2})[ -]?[0-9]{3}[ -][0-9]{2}[ -]?[0-9]{2}\b", _usual),  # Russia
    _phone(r"\([1-9][0-9]\) ?[0-9]{4,5}[ -][0-9]{4}\b", _usual),  # Brazil
    _phone(r"\b1[3-9][0-9][ -][0-9]{4}[ -][0-9]{4}\b", _usual),  # China, mobile
    Kind(label="phone", pattern=r"\b[0-9](?:[ .()/-]{0,2}[0-9]){6,12}\b", check=_after_word, told=_TOLD),
)
