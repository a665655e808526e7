"""What no log line may show is taken out here, and nowhere else: every line of the general log passes."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from llm_service.domain import MASK, Secret

SECRET_NAMES: Final = frozenset(
    """api_key apikey x_api_key admin_key access_key private_key secret client_secret password passwd passphrase
    authorization proxy_authorization cookie set_cookie token access_token refresh_token id_token session_token
    credential credentials""".split()
)
"""Names of facts whose values are never shown, with ``-`` read as ``_`` and capitals as small letters."""
_LOOKS: Final = re.compile(
    r"""
    (?P<scheme>\b(?i:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}          # a header's value
    | (?P<user>://[^\s/@:"']*:)[^\s/@"']+(?=@)                        # the password in a URL
    | \b(?:sk|rk|pk)[-_][A-Za-z0-9_-]{8,}                             # OpenAI, OpenRouter, DeepSeek, Anthropic, Stripe
    | \bllms_[A-Za-z0-9_-]{8,}                                        # ours
    | \b(?:gsk_|hf_|xai-|pplx-|nvapi-|ghp_|xox[abps]-|AIza|AKIA)[A-Za-z0-9_-]{12,}
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*       # a JSON web token
    """,
    re.VERBOSE,
)
_SHOWN_ENDS: Final = (12, 8)
"""Whoever shortens a key shows its last characters."""
_SHORTEST: Final = 6
"""What is shorter is no secret, and would be found in every other word."""
_DEEPEST: Final = 8
REMEMBERED: Final = 256


class Redaction:
    """Masks the secrets that are given, whatever looks like a key, and what has a secret's name."""

    __slots__ = ("_known", "often")

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        parts = {part for secret in secrets for part in _parts(secret.reveal())}
        longest_first = sorted(parts, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if parts else None
        self.often = lru_cache(REMEMBERED)(self.text)
        """The same as ``text``, at no cost for texts that come again and again: what a provider that fails says."""

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
    return {part for part in (secret, *(secret[-end:] for end in _SHOWN_ENDS)) if len(part) >= _SHORTEST}


def _is_secret(name: str) -> bool:
    return name.lower().replace("-", "_") in SECRET_NAMES


def _masked(found: re.Match[str]) -> str:
    return f"{found['scheme'] or found['user'] or ''}{MASK}"
