"""Whether what has the form of a secret is one: each check gives the end of the secret, 0 where it is none.

``visible[begin:end]`` is what a pattern found; what stands around it may count. What lies further than a run of key
characters behind ``end`` may not: for a text that grows, it would come too late.
"""

import re
from base64 import b64decode, urlsafe_b64decode
from binascii import Error, crc32
from collections.abc import Callable
from json import loads
from math import log2
from typing import Final

Check = Callable[[str, int, int], int]

_EXAMPLE: Final = re.compile(
    r"example|placehold|redacted|change_?me|replace|xxxxxx|abc-?def|1234567|deadbeef|sample"
    r"|(?:^|[-_.])(?:your|here|insert|enter|dummy|fake|todo|some)(?:[-_.]|$)",
    re.IGNORECASE,
)
_TECHNICAL: Final = re.compile(
    r"(?:sha|md|base|utf|pbkdf|bcrypt|argon|scrypt|aes|rsa|hmac|oauth|http|rfc|iso|v|win|windows|python|gpt)[-_]?\d"
    r"|\d{4}-\d\d|\d+[a-z%]{0,5}$|[^@]+@[\w-]+\.",
    re.IGNORECASE,
)
_PATH: Final = re.compile(r"[$%/~&]|\.{1,2}/|(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*$|[a-z]+://")
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_HEX: Final = re.compile(r"[0-9a-fA-F]+")
_PASSWORD_NAME: Final = re.compile(
    r"(?:pass|pwd|contrase|senha|parola|haslo|wachtwoord|kennwort|mot de|парол|密码|密碼|パスワード|비밀번호|κωδικ)"
    r"[^\s:=]{0,12}\W*(?:is|ist|est|es)?\W*$",
    re.IGNORECASE,
)
_DEFAULTS: Final = frozenset(
    "password passwd pass pwd secret user username token root admin postgres guest hunter2 test".split()
)
_BLOB: Final = re.compile(r"(?:base64,|sha\d{1,3}[-:])$")
_DIGEST: Final = re.compile(r"sha\d{1,3}-")
_CLASSES: Final = tuple(map(re.compile, (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9_.-]")))
_MIXED: Final = tuple(map(re.compile, (r"[a-z]", r"[A-Z]", r"[0-9][A-Za-z]")))
_SHORTEST_PASSWORD: Final = 8
_SHORTEST_TOKEN: Final = 16
_FEW: Final = 5
_LONGEST_PERIOD: Final = 10
_CHANGES: Final = re.compile(r"[a-z](?=[A-Z0-9])|[0-9](?=[A-Za-z])|[A-Z](?=[0-9])")
_LEAST_BITS: Final = 0.78
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECKSUM_CHARS: Final = 6
_JWT_OF_THE_DOCS: Final = ".eyJzdWIiOiIxMjM0NTY3ODkwIi"  # subject "1234567890", as on jwt.io


def genuine(visible: str, begin: int, end: int) -> int:
    """No placeholder: ``sk-xxxx``, ``AKIA...EXAMPLE``, ``hf_your_token_here``."""
    return 0 if _is_placeholder(visible[begin:end]) else end


def random(visible: str, begin: int, end: int) -> int:
    """No placeholder, and not made of words."""
    value = visible[begin:end]
    return end if _looks_random(value) and not _is_placeholder(value) else 0


def github(visible: str, begin: int, end: int) -> int:
    """Ends with the CRC32 of the characters between prefix and it, in base 62.

    https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats (2021)
    """
    body = visible[begin:end].partition("_")[2]
    rest, digits = crc32(body[:-_CHECKSUM_CHARS].encode()), ""
    for _ in range(_CHECKSUM_CHARS):
        rest, digit = divmod(rest, len(_BASE62))
        digits = _BASE62[digit] + digits
    return end if body.endswith(digits) else 0


def jwt(visible: str, begin: int, end: int) -> int:
    """Its first part says by which algorithm it is signed (RFC 7515, 4.1.1)."""
    value = visible[begin:end]
    header = value.partition(".")[0]
    try:
        said = loads(urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, RecursionError):  # no base64, no UTF-8, no JSON
        return 0
    return end if isinstance(said, dict) and "alg" in said and _JWT_OF_THE_DOCS not in value else 0


def basic(visible: str, begin: int, end: int) -> int:
    """``user:password`` in base64 (RFC 7617)."""
    value = visible[begin:end]
    try:
        user, colon, password = b64decode(value, validate=True).decode().partition(":")
    except (Error, UnicodeDecodeError):
        return 0
    real = colon and (user + password).isprintable() and not _is_default(password)
    return end if real else 0


def in_address(visible: str, begin: int, end: int) -> int:
    """The password of ``scheme://user:password@host``; one that says of itself that it is none, or repeats the user's
    name, as in tutorials, is none."""
    value = visible[begin:end]
    user = re.split(r"[/:]", visible[max(0, begin - 66) : begin - 1])[-1]
    told = value[0] in "<{[$%*" or value.strip("*.xX") == "" or value == user
    return 0 if told or _is_default(value) or _is_placeholder(value) else end


def assigned(visible: str, begin: int, end: int) -> int:
    """The value that a name such as ``password`` or ``api_key`` is given, where it looks like one."""
    value = visible[begin:end]
    if not value.isascii():
        value = re.split(r"[^\x00-\x7f]", value, maxsplit=1)[0]
    value = value.rstrip(".,:?")
    after = visible[begin + len(value) : begin + len(value) + 1]
    if len(value) < _SHORTEST_PASSWORD or after in tuple("([{<") or _PATH.match(value) or _TECHNICAL.match(value):
        return 0
    if _is_placeholder(value) or _UUID.fullmatch(value):
        return 0
    if _PASSWORD_NAME.search(visible[max(0, begin - 32) : begin]):
        good = _looks_like_password(value)
    else:
        good = len(value) >= _SHORTEST_TOKEN and _looks_random(value)
    return begin + len(value) if good else 0


def foreign(visible: str, begin: int, end: int) -> int:
    """As ``assigned``, for names in other scripts than Latin: only they are looked at."""
    before = visible[max(0, begin - 32) : begin]
    return assigned(visible, begin, end) if not before.isascii() and _PASSWORD_NAME.search(before) else 0


def disorderly(visible: str, begin: int, end: int) -> int:
    """A random-looking string of no known format: letters of both cases and digits, mixed, of high entropy.

    No find: UUIDs, and strings of hexadecimal digits alone, since digests and ids of commits look the same.
    """
    value = visible[begin:end]
    if (
        _HEX.fullmatch(value)
        or _UUID.search(value)
        or _DIGEST.match(value)
        or _BLOB.search(visible[max(0, begin - 8) : begin])
    ):
        return 0
    kinds = all(kind.search(value) for kind in _MIXED)
    mixed = len(_CHANGES.findall(value)) * 6 >= len(value)
    return end if kinds and mixed and _evenness(value) >= _LEAST_BITS and not _is_placeholder(value) else 0


def _is_placeholder(value: str) -> bool:
    body = value[4:] if len(value) > _SHORTEST_TOKEN else value
    return len(set(body)) <= min(_FEW, len(body) // 2) or _EXAMPLE.search(value) is not None or _repeats(body)


def _is_default(password: str) -> bool:
    return password.lower() in _DEFAULTS or not password


def _repeats(value: str) -> bool:
    """Whether a few characters come again and again: ``abcd1234abcd1234``."""
    end = value[-2 * _LONGEST_PERIOD :]
    return len(end) == 2 * _LONGEST_PERIOD and any(
        end[period:] == end[:-period] for period in range(1, _LONGEST_PERIOD + 1)
    )


def _looks_random(value: str) -> bool:
    """Letters and digits that take turns more often than in words with numbers."""
    letters = any(map(str.isalpha, value))
    return letters and any(map(str.isdigit, value)) and len(_CHANGES.findall(value)) * 10 >= len(value)


def _looks_like_password(value: str) -> bool:
    if not any(map(str.isalpha, value)) or not any(map(str.isdigit, value)):
        return False
    kinds = sum(kind.search(value) is not None for kind in _CLASSES)
    return kinds > 2 or len(_CHANGES.findall(value)) > 1 or sum(map(str.isdigit, value)) > 2


def _evenness(value: str) -> float:
    """Shannon's entropy as a part of the most that a string of this length and alphabet could have."""
    counts = [value.count(character) for character in set(value)]
    bits = -sum(count / len(value) * log2(count / len(value)) for count in counts)
    return bits / log2(min(len(value), len(_BASE62)))
