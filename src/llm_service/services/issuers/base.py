"""What verifying a token asks of others: keys that verify, and where they come from."""

from collections.abc import Callable
from typing import Literal, Protocol

Verdict = Literal["signed", "forged", "unknown_key"]


class KeySet(Protocol):
    """The public keys of an issuer; made once, and never changed."""

    def verdict(self, token: str, *, kid: str | None, algorithm: str) -> Verdict:
        """Whether the key of this id has signed the token; without an id the only one that could have.

        ``unknown_key``: there is no such key, or none that signs in this way.
        """


ReadKeys = Callable[[bytes], KeySet]
"""A key set of its text (RFC 7517, 5). Raises ValueError, with the end of a sentence about it."""


class KeysAway(Exception):
    """An issuer's keys cannot be had now; the message says why."""


class KeySource(Protocol):
    """Where the keys of one issuer are."""

    async def fetch(self) -> bytes:
        """Their text. Raises KeysAway, in a bounded time."""
