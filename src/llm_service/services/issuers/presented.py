"""A presented token as text: what it says of itself, of which nothing is true until its signature was verified.

Pure. RFC 7515 (compact serialization), RFC 7519, RFC 8725 (best current practices).
"""

import json
import re
from base64 import urlsafe_b64decode
from binascii import Error
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from llm_service.domain import InvalidApiKey, fact

MOST_CHARS: Final = 16_384
"""Of a whole token. Those with long lists of groups have some 8,000."""
MOST_KID_CHARS: Final = 256
_FORM: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)", re.ASCII)
_TYPES: Final = frozenset(("jwt", "at+jwt", "application/jwt", "application/at+jwt"))
"""Of tokens for access and of identity; those that end a session, or prove a key, are none."""
_DOTS: Final = 2
_UNREADABLE: Final = "The presented token cannot be read: it is no JSON Web Token in its compact form."


class WrongToken(InvalidApiKey):
    """A token that opens nothing here, and never did: it counts as a wrong key."""


@fact
class Presented:
    """A token in its parts. ``kid``: which key it says it was signed with."""

    text: str = field(repr=False)
    algorithm: str
    kid: str | None
    claims: Mapping[str, Any] = field(repr=False)


def is_token(key: str) -> bool:
    """Whether a presented key is taken for a token, by its form alone."""
    return key.count(".") == _DOTS


def read_token(text: str) -> Presented:
    """A token in its parts. Raises WrongToken, which says what is wrong and repeats nothing of it.

    Refused are also: names that stand twice in an object, since two readers may take either; extensions that must be
    understood (``crit``); types that are not for access. What would name or bring a key along (``jku``, ``x5u``,
    ``jwk``, ``x5c``) is not looked at.
    """
    if len(text) > MOST_CHARS:
        raise WrongToken(f"The presented token is longer than {MOST_CHARS:,} characters.")
    parts = _FORM.fullmatch(text)
    if parts is None:
        raise WrongToken(_UNREADABLE)
    header, claims = _object(parts[1]), _object(parts[2])
    algorithm, kid, typ = header.get("alg"), header.get("kid"), header.get("typ")
    if "crit" in header or "b64" in header:
        raise WrongToken("The presented token has extensions in 'crit' that are not understood here.")
    if not isinstance(algorithm, str):
        raise WrongToken("The presented token does not say how it is signed ('alg').")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= MOST_KID_CHARS):
        raise WrongToken(f"The presented token's 'kid' is no text of at most {MOST_KID_CHARS} characters.")
    if typ is not None and not (isinstance(typ, str) and typ.lower() in _TYPES):
        raise WrongToken("The presented token is of a type ('typ') that opens nothing: an access token is needed.")
    return Presented(text=text, algorithm=algorithm, kid=kid, claims=claims)


def _object(part: str) -> dict[str, Any]:
    try:
        raw = urlsafe_b64decode(part + "=" * (-len(part) % 4))
        read = json.loads(raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except (Error, ValueError, RecursionError):
        raise WrongToken(_UNREADABLE) from None
    if not isinstance(read, dict):
        raise WrongToken(_UNREADABLE)
    return read


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands twice")
    return made


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
