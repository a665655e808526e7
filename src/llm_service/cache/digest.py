"""Which requests are the same: one digest over everything that could make their answers differ."""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final
from unicodedata import is_normalized, normalize

import orjson

from llm_service.domain import Operation

Address = tuple[str, str, str]
"""Where a deployment is: the provider's name, its base URL, the model's name there."""

_VERSION: Final = 1
"""Counts up when the way a digest is made changes: what was kept before is then not found."""

# How an answer travels, not what it says. Whatever is not named here is part of the key.
_TRANSPORT_FIELD: Final = "stream"
_TRANSPORT_OPTIONS: Final = frozenset(("include_usage", "include_obfuscation"))

_LONG_BYTES: Final = 32_768
"""Normalising takes up to 0.1 µs a byte, and nothing else runs meanwhile."""
_EXACT: Final = 2**53
"""Below it a float has exactly one integer (RFC 8259 section 6)."""
_integral: Final = re.compile(rb"\.0[,}\]]").search
"""orjson writes integral floats below 1e16 as ``12.0``; a text in a string may look the same."""


def digest_of(
    operation: Operation,
    body: Mapping[str, Any],
    *,
    scope: str,
    deployments: Sequence[Address],
    policy_version: str = "",
) -> bytes | None:
    """SHA-256 over the schema's version, operation, tenant, filters, deployments in order, and the canonical body.

    Canonical: names sorted at every depth, integral numbers below 2**53 without a point (``1.0`` is ``1``, never
    ``true``), all texts in Unicode's form NFC. Left out are ``stream`` and, of ``stream_options``, what concerns the
    transport alone; every other field counts, known or not, and one that is null is not one that is absent. In a body
    of more than 32 KiB texts and nested numbers count as they are written.

    ``body`` is what a strict JSON decoder made: no NaN. ``None``: this request cannot be cached. Its body cannot be
    written (half a surrogate pair, more than 254 levels, an integer beyond 64 bits), or two names of an object are the
    same text in different forms.
    """
    head = head_of(operation, scope=scope, deployments=deployments, policy_version=policy_version)
    return None if head is None else digest_under(head, body)


def head_of(
    operation: Operation, *, scope: str, deployments: Sequence[Address], policy_version: str = ""
) -> bytes | None:
    """All that a digest is made of but the body: the same for many requests. ``None``: it cannot be written."""
    try:
        return orjson.dumps((_VERSION, operation, scope, policy_version, deployments))
    except TypeError:
        return None


def digest_under(head: bytes, body: Mapping[str, Any]) -> bytes | None:
    """The digest of a body under a head; see :func:`digest_of`."""
    try:
        text = _canonical(_without_transport(body))
    except (TypeError, _SameName):
        return None
    made = sha256(head)  # a JSON array ends where it ends: no two heads and bodies run together to the same bytes
    made.update(text)
    return made.digest()


class _SameName(Exception):
    """Two names of one object are the same text."""


def _without_transport(body: Mapping[str, Any]) -> dict[str, Any]:
    rest = dict(body)
    rest.pop(_TRANSPORT_FIELD, None)
    if "stream_options" in rest:
        _drop_transport_options(rest)
    return rest


def _drop_transport_options(body: dict[str, Any]) -> None:
    options = body["stream_options"]
    if type(options) is dict:
        kept = {name: value for name, value in options.items() if name not in _TRANSPORT_OPTIONS}
        if kept:
            body["stream_options"] = kept
        else:
            del body["stream_options"]


def _canonical(body: dict[str, Any]) -> bytes:
    """The body's one JSON text. Most bodies have it as soon as their names are sorted."""
    text = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    if len(text) > _LONG_BYTES:
        if _integral(text) is None:
            return text
        numbers = {name: _number(value) if type(value) is float else value for name, value in body.items()}
        return orjson.dumps(numbers, option=orjson.OPT_SORT_KEYS)
    if _integral(text) is None and (text.isascii() or _is_nfc(text)):
        return text
    return orjson.dumps(_normal_object(body), option=orjson.OPT_SORT_KEYS)


def _is_nfc(text: bytes) -> bool:
    """Whether all strings in a JSON text are in NFC; in doubt it says no.

    They are where the whole is: parts of a text in NFC are in NFC (UAX 15 section 1.2), and nothing composes with the
    quotes, backslashes and control characters at which the strings were cut for JSON.
    """
    return is_normalized("NFC", text.decode())


def _number(value: float) -> float | int:
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


def _normal(value: Any) -> Any:
    kind = type(value)
    if kind is str:
        return normalize("NFC", value)
    if kind is float:
        return _number(value)
    if kind is list:
        return _normal_list(value)
    return _normal_object(value) if kind is dict else value


def _normal_list(items: list[Any]) -> list[Any]:
    made = []
    for item in items:  # a comprehension would take a third frame for each of 254 levels
        made.append(_normal(item))  # noqa: PERF401
    return made


def _normal_object(members: dict[str, Any]) -> dict[str, Any]:
    made = {}
    for name, value in members.items():
        made[normalize("NFC", name)] = _normal(value)
    if len(made) != len(members):
        raise _SameName
    return made
