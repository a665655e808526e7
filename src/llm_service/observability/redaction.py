"""What nobody may read is taken out here, and nowhere else: of lines, of spans' contents, and of events."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from llm_service.domain import MASK, Secret

SECRET_NAMES: Final = frozenset(
    """api_key apikey x_api_key admin_key access_key private_key secret client_secret password passwd passphrase
    authorization proxy_authorization cookie set_cookie token access_token refresh_token id_token session_token
    credential credentials sslpassword""".split()
)
"""Names of facts whose values are never shown, with ``-`` read as ``_`` and capitals as small letters."""
_LOOKS: Final = re.compile(
    r"""
    (?=[bBsrplghnxAe]) (?:\b | (?<=\\[nrtbf]))                        # behind an escape too: JSON and `repr` have some
    (?: (?P<scheme>(?i:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}        # a header's value
      | (?:sk|rk|pk)[-_][A-Za-z0-9_-]{8,}                             # OpenAI, OpenRouter, DeepSeek, Anthropic, Stripe
      | llms_[A-Za-z0-9_-]{8,}                                        # ours
      | (?:gsk_|hf_|xai-|pplx-|nvapi-|ghp_|xox[abps]-|AIza|AKIA)[A-Za-z0-9_-]{12,}
      | e(?:y[JA]|w[ko0])[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)*         # a JSON web token, or the beginning of one
    )
    | (?P<user>://[^\s/@:"']*:)[^\s/@"']+(?=@)                        # the password in a URL
    """,
    re.VERBOSE,
)
"""Each begins so that it takes in what it has looked at: texts come from outside, and are read in one pass."""
_SHOWN_ENDS: Final = (12, 8)
"""Whoever shortens a key shows its last characters."""
_SHORTEST: Final = 6
"""What is shorter is no secret, and would be found in every other word."""
_CAPABILITY: Final = 16
"""A path's end that is shorter lets nobody in."""
_DEEPEST: Final = 8
REMEMBERED: Final = 256


class Redaction:
    """Masks the secrets that are given, whatever looks like a key, and what has a secret's name."""

    __slots__ = ("_known", "_parts", "often")

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._known: re.Pattern[str] | None = None
        self._parts: frozenset[str] = frozenset()
        self.often = lru_cache(REMEMBERED)(self.text)
        """The same as ``text``, at no cost for texts that come again and again: what a provider that fails says."""
        self.learn(secrets)

    def learn(self, secrets: Iterable[Secret]) -> None:
        """Mask these as well, from now on: new settings have other secrets, and the former ones stay secret."""
        parts = self._parts.union(*(_parts(secret.reveal()) for secret in secrets))
        if parts != self._parts:
            longest_first = sorted(parts, key=len, reverse=True)
            self._known = re.compile("|".join(map(re.escape, longest_first)))
            self._parts = parts
            self.often.cache_clear()

    def text(self, text: str) -> str:
        """A text without them."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        return _LOOKS.sub(_masked, text)

    def facts(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Facts of a line without them; what is no plain value becomes a text."""
        return {
            self.text(name): MASK if _is_secret(name) and value is not None else self._value(value, _DEEPEST)
            for name, value in facts.items()
        }

    def _value(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self.text(value)
        if depth and isinstance(value, Mapping):
            return {
                self.text(str(name)): MASK if _is_secret(str(name)) and one is not None else self._value(one, depth - 1)
                for name, one in value.items()
            }
        if depth and isinstance(value, list | tuple | set | frozenset):
            return [self._value(one, depth - 1) for one in value]
        return self.text(str(value))


def _parts(secret: str) -> set[str]:
    """What is masked of a secret: itself, its end where only that is shown, and both in the form that JSON gives it."""
    if "://" in secret:
        secrets = {secret, *_secrets_of_address(secret)}
    else:
        secrets = {secret, secret.rpartition(" ")[2]}  # a header's value: what follows ``Bearer``
        secrets |= {one[-end:] for one in tuple(secrets) for end in _SHOWN_ENDS}
    secrets |= {json.dumps(one, ensure_ascii=False)[1:-1] for one in secrets}
    return {part for part in secrets if len(part) >= _SHORTEST}


def _secrets_of_address(address: str) -> set[str]:
    """Its passwords, as they stand there and as they are meant, and the path's end where that lets one in (webhooks).

    Hosts and the names of databases are for operators to read.
    """
    scheme, _, rest = address.partition("://")
    before_query, _, query = rest.partition("?")
    passwords = {rest.rpartition("@")[0].partition(":")[2]}
    passwords |= {value for name, value in parse_qsl(query) if _is_secret(name)}
    end = before_query.rpartition("/")[2]
    if scheme in ("http", "https") and len(end) >= _CAPABILITY:
        passwords.add(end)
    return passwords | {unquote(password) for password in passwords}


def _is_secret(name: str) -> bool:
    return name.lower().replace("-", "_") in SECRET_NAMES


def _masked(found: re.Match[str]) -> str:
    return f"{found['scheme'] or found['user'] or ''}{MASK}"
