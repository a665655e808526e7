"""The fields of an api key that people set: from JSON, checked, and to JSON again."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final, get_args

from llm_service.domain import (
    MOST_NANO_USD,
    NO_TAGS,
    Allowance,
    ApiKey,
    Body,
    BudgetPeriod,
    InvalidValue,
    MissingParameter,
    Scope,
    nano_usd,
    usd_of,
    usd_text,
)
from llm_service.services.moments import moment_text, read_moment

Fields = Mapping[str, Any]
"""Checked values by field name; a field that was given as null has its default."""

MOST_CHARS: Final = 256
MOST_MODELS: Final = 256
MOST_TAGS: Final = 32
MOST_REQUESTS: Final = 10**9
MOST_TOKENS: Final = 10**12
BUDGET_FORM: Final = r"[0-9]{1,7}(\.[0-9]{1,9})?"
MODEL_FORM: Final = r"[!-)+-~]{0,255}[!-~]"
TAG_FORM: Final = r"[A-Za-z0-9._-]{1,64}"
DEFAULT_SCOPES: Final = frozenset[Scope]({"inference"})


def read_fields(body: Body, *, now: datetime) -> Fields:
    """The fields in a JSON object, checked. Raises InvalidValue, with the field in ``param``."""
    for name in body:
        if name not in _READ:
            near = get_close_matches(name, _READ, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else f"; there are: {', '.join(_READ)}"
            raise InvalidValue(f"'{name[:64]}' is no field of an api key{hint}", param=name[:64])
    read = {name: DEFAULTS[name] if value is None else _READ[name](name, value) for name, value in body.items()}
    if "name" in body and body["name"] is None:
        raise _wrong("name", "must be a text, not null")
    if (ends := read.get("expires_at")) is not None and ends <= now:
        raise _wrong("expires_at", "must lie in the future")
    return read


def new_key(fields: Fields, *, key_id: str, now: datetime) -> ApiKey:
    """A key with these fields, and the defaults of the others. Raises MissingParameter without a name."""
    if "name" not in fields:
        raise MissingParameter("'name' is required: what the key is for.", param="name")
    nameless = ApiKey(id=key_id, name="", scopes=DEFAULT_SCOPES, created_at=now)
    return with_fields(nameless, fields)


def with_fields(key: ApiKey, fields: Fields) -> ApiKey:
    """The key with the given fields in place of its own (RFC 7396: what is not given stays)."""
    limits = {_LIMITS[name]: value for name, value in fields.items() if name in _LIMITS}
    others = {name: value for name, value in fields.items() if name not in _LIMITS}
    return replace(key, allowance=replace(key.allowance, **limits), **others)


def key_object(key: ApiKey, *, now: datetime) -> dict[str, Any]:
    """A key as JSON, without anything of its secrets. Moments are RFC 3339 in UTC."""
    limits = key.allowance
    return {
        "id": key.id,
        "name": key.name,
        "status": status_of(key, now=now),
        "user": key.user,
        "scopes": [scope for scope in get_args(Scope) if scope in key.scopes],
        "models": None if key.models is None else list(key.models),
        "requests_per_minute": limits.requests_per_minute,
        "tokens_per_minute": limits.tokens_per_minute,
        "concurrent_requests": limits.concurrent_requests,
        "budget_usd": None if limits.budget_nano_usd is None else usd_text(limits.budget_nano_usd),
        "budget_period": limits.budget_period,
        "tags": dict(key.tags),
        "on_disconnect": key.on_disconnect,
        "semantic_cache": key.semantic_cache,
        "created_at": moment_text(key.created_at),
        "expires_at": moment_text(key.expires_at),
        "revoked_at": moment_text(key.revoked_at),
        "version": key.version,
    }


def status_of(key: ApiKey, *, now: datetime) -> str:
    """``active``, ``expired`` or ``revoked``."""
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"


# -- one reader for each field


def _wrong(name: str, said: str) -> InvalidValue:
    return InvalidValue(f"'{name}' {said}.", param=name)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(name, "must be a text")
    text = value.strip()
    if not text or len(text) > MOST_CHARS or not text.isprintable():
        raise _wrong(name, f"must be 1 to {MOST_CHARS} printable characters")
    return text


def _count(most: int) -> Callable[[str, Any], int]:
    def read(name: str, value: Any) -> int:
        if type(value) is not int or not 1 <= value <= most:
            raise _wrong(name, f"must be a whole number from 1 to {most}")
        return value

    return read


def _budget(name: str, value: Any) -> int:
    """Whole nano-USD."""
    if not isinstance(value, str) or not re.fullmatch(BUDGET_FORM, value, re.ASCII):
        said = 'must be US dollars as a decimal text such as "12.50", with at most 9 digits after the point'
        raise _wrong(name, said)
    budget = nano_usd(Decimal(value))
    if budget > MOST_NANO_USD:
        raise _wrong(name, f"must be at most {int(usd_of(MOST_NANO_USD))}")
    return budget


def _word(*words: str) -> Callable[[str, Any], str]:
    def read(name: str, value: Any) -> str:
        if value not in words:
            raise _wrong(name, f"must be one of {', '.join(words)}")
        return str(value)

    return read


def _flag(name: str, value: Any) -> bool:
    if type(value) is not bool:
        raise _wrong(name, "must be true or false")
    return value


def _models(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_MODELS:
        raise _wrong(name, f"must be a list of 1 to {MOST_MODELS} names of models; null allows all")
    for index, model in enumerate(value):
        if not isinstance(model, str) or not re.fullmatch(MODEL_FORM, model, re.ASCII):
            said = "must be a model's name without blanks; only its last character may be a *"
            raise _wrong(f"{name}[{index}]", said)
    return tuple(dict.fromkeys(value))


def _scopes(name: str, value: Any) -> frozenset[Scope]:
    if not isinstance(value, list) or not value or not all(scope in get_args(Scope) for scope in value):
        raise _wrong(name, f"must be a list of at least one of {', '.join(get_args(Scope))}")
    return frozenset(value)


def _tags(name: str, value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict) or len(value) > MOST_TAGS:
        raise _wrong(name, f"must be an object of at most {MOST_TAGS} texts by name")
    for tag in value:
        if not re.fullmatch(TAG_FORM, tag, re.ASCII):
            raise _wrong(name, "must have names of 1 to 64 letters, digits, '.', '_' and '-'")
    return MappingProxyType({tag: _text(f"{name}.{tag}", text) for tag, text in value.items()})


_READ: Final[Mapping[str, Callable[[str, Any], Any]]] = MappingProxyType(
    {
        "name": _text,
        "user": _text,
        "requests_per_minute": _count(MOST_REQUESTS),
        "tokens_per_minute": _count(MOST_TOKENS),
        "concurrent_requests": _count(MOST_REQUESTS),
        "budget_usd": _budget,
        "budget_period": _word(*get_args(BudgetPeriod)),
        "models": _models,
        "scopes": _scopes,
        "tags": _tags,
        "expires_at": read_moment,
        "on_disconnect": _word("cancel", "finish"),
        "semantic_cache": _flag,
    }
)
_LIMITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "requests_per_minute": "requests_per_minute",
        "tokens_per_minute": "tokens_per_minute",
        "concurrent_requests": "concurrent_requests",
        "budget_usd": "budget_nano_usd",
        "budget_period": "budget_period",
    }
)
"""The fields that are the key's allowance, and how they are called there."""
DEFAULTS: Final[Fields] = MappingProxyType(
    {
        **dict.fromkeys(_READ),
        "budget_period": Allowance().budget_period,
        "scopes": DEFAULT_SCOPES,
        "tags": NO_TAGS,
        "semantic_cache": False,
    }
)
"""What a field is when it is not given, or null."""
