"""What the claims of a token come to: whether it holds now, for us, and who its caller is. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from math import isfinite
from typing import Any, Final

from llm_service.domain import ApiKey, Caller, InvalidApiKey, Scope
from llm_service.services.issuers.options import Condition, IssuerOptions
from llm_service.services.issuers.presented import WrongToken

OF_ISSUERS: Final = "jwt:"
"""How the ids of callers begin that have come with a token."""
MOST_USER_CHARS: Final = 256
MOST_VALUES: Final = 1024
"""Items of a claim that are looked at."""
_SAFE: Final = re.compile(r"[A-Za-z0-9._@:|/-]{1,128}", re.ASCII)
_HASHED: Final = "~"
"""Stands before the digest of a subject that is no safe one; no safe one has it."""
_LAST: Final = 253_402_300_799 - 86_400
"""A day before the last moment that there is a date for."""
_EMAIL: Final = "email"
_WORDS: Final = frozenset(("scope", "scp"))
"""Claims that are lists in one text (RFC 8693, 4.2; RFC 9068, 2.2.3)."""


def is_of_issuer(key_id: str) -> bool:
    """Whether the id of a caller is that of a token's."""
    return key_id.startswith(OF_ISSUERS)


def caller_of(claims: Mapping[str, Any], options: IssuerOptions, *, now: float) -> tuple[Caller, float]:
    """Who comes with a token whose signature and issuer were verified, and until when (Unix seconds, leeway included).

    Raises WrongToken, and InvalidApiKey for one that is over or does not hold yet, which was nobody's guess.
    """
    _check_audience(claims, options)
    ends_at = _times(claims, options, now=now)
    if "cnf" in claims:
        raise WrongToken("The presented token is bound to a key of its holder ('cnf'), which cannot be proved here.")
    if "events" in claims:  # RFC 8417, 2.2; OpenID Connect Back-Channel Logout 1.0, 2.4
        raise WrongToken("The presented token tells of an event ('events'), and opens nothing.")
    for condition in options.require:
        if not holds(condition, claims):
            raise WrongToken(f"The presented token does not hold what is asked for in its claim '{condition.claim}'.")
    key_id = f"{OF_ISSUERS}{options.name}:{_subject(claims, options)}"
    granted = [grant for grant in options.grants if holds(grant, claims)]
    scopes: frozenset[Scope] = frozenset(options.scopes).union(*(grant.scopes for grant in granted))
    key = ApiKey(
        id=key_id,
        name=f"{OF_ISSUERS}{options.name}",
        scopes=scopes,
        created_at=datetime.fromtimestamp(now, UTC),
        user=_user(claims, options),
        models=_models(options, [grant.models for grant in granted]),
        expires_at=datetime.fromtimestamp(ends_at, UTC),
    )
    return Caller(key_id=key_id, scopes=scopes, key=key), ends_at


def holds(condition: Condition, claims: Mapping[str, Any]) -> bool:
    """Whether the claim is there, and is or has one of what is asked for."""
    return any(_is_one_of(condition.has, value) for value in _values(condition.claim, claims))


def found(path: str, claims: Mapping[str, Any]) -> Any:
    """The claim of this name, else what the name leads to, dot by dot; ``None`` where it leads nowhere."""
    if path in claims:
        return claims[path]
    for dot in (place for place, char in enumerate(path) if char == "."):
        below = claims.get(path[:dot])
        if isinstance(below, dict) and (value := found(path[dot + 1 :], below)) is not None:
            return value
    return None


def _is_unverified(path: str, claims: Mapping[str, Any]) -> bool:
    """Whether it is an address that its issuer says nobody has verified: many let people write there what they like."""
    return path == _EMAIL and claims.get("email_verified", True) is not True


def _values(path: str, claims: Mapping[str, Any]) -> Iterator[str]:
    if _is_unverified(path, claims):
        return
    value = found(path, claims)
    if isinstance(value, str) and path in _WORDS:
        value = value.split(" ")
    for one in value[:MOST_VALUES] if isinstance(value, list) else (value,):
        if isinstance(one, str):
            yield one
        elif isinstance(one, bool):
            yield "true" if one else "false"
        elif isinstance(one, int):
            yield str(one)


def _is_one_of(wanted: Sequence[str], value: str) -> bool:
    return any(value == one or (one.endswith("*") and value.startswith(one[:-1])) for one in wanted)


def _check_audience(claims: Mapping[str, Any], options: IssuerOptions) -> None:
    said = claims.get("aud")
    audience = said if isinstance(said, list) else [said]
    if not any(isinstance(one, str) and one in options.audience for one in audience):
        raise WrongToken("The presented token is not meant for this service: its 'aud' is another one.")


def _times(claims: Mapping[str, Any], options: IssuerOptions, *, now: float) -> float:
    """When it ends, by our clock."""
    ends_at = _moment(claims, "exp")
    if ends_at is None:
        raise WrongToken("The presented token has no end ('exp'): only those that end are taken.")
    if now >= ends_at + options.leeway_s:
        raise InvalidApiKey("The presented token has expired.")
    for name in ("nbf", "iat"):
        begins_at = _moment(claims, name)
        if begins_at is not None and now < begins_at - options.leeway_s:
            raise InvalidApiKey(f"The presented token does not hold yet ('{name}'): do the clocks differ?")
    return ends_at + options.leeway_s


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    """Unix seconds (NumericDate of RFC 7519)."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST or not isfinite(value):
        raise WrongToken(f"The presented token's '{name}' is no moment.")
    return float(value)


def _subject(claims: Mapping[str, Any], options: IssuerOptions) -> str:
    """What tells callers apart, in characters that are safe everywhere; two subjects never come to the same."""
    subject = _named(claims, options.subject_claim)
    if _SAFE.fullmatch(subject):
        return subject
    return _HASHED + sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()


def _user(claims: Mapping[str, Any], options: IssuerOptions) -> str:
    name = _named(claims, options.user_claim)
    prefix = f"{options.name}:" if options.user_prefix is None else options.user_prefix
    user = prefix + name
    if not user.isprintable() or len(user) > MOST_USER_CHARS:
        raise WrongToken(f"The presented token's '{options.user_claim}' is too long, or cannot be printed.")
    return user


def _named(claims: Mapping[str, Any], claim: str) -> str:
    if _is_unverified(claim, claims):
        raise WrongToken("The presented token's 'email' was not verified by its issuer.")
    value = found(claim, claims)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise WrongToken(f"The presented token does not say who it is for: it has no '{claim}'.")
    return value


def _models(options: IssuerOptions, granted: Sequence[Sequence[str]]) -> tuple[str, ...] | None:
    """``None`` where nothing of the issuer's settings names any."""
    if not options.models and not any(grant.models for grant in options.grants):
        return None
    return tuple(dict.fromkeys((*options.models, *(name for names in granted for name in names))))
