"""Port to api keys."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from llm_service.domain import ApiKey, KeySecret


class KeyStore(Protocol):
    """Api keys and their secrets' hashes."""

    async def insert(self, key: ApiKey, secret: KeySecret) -> None:
        """A new key with its first secret."""

    async def find(self, prefix: str) -> tuple[ApiKey, KeySecret] | None:
        """The key and the secret that a presented key's prefix names: one indexed look-up."""

    async def get(self, key_id: str) -> ApiKey | None:
        """One key."""

    async def several(self, key_ids: Sequence[str]) -> Sequence[ApiKey]:
        """Those of the keys that there are, in any order."""

    async def page(
        self, *, after: str | None, count: int, newest_first: bool = False, find: str | None = None
    ) -> Sequence[ApiKey]:
        """Keys in the order of their ids, or the other way round, those behind ``after``.

        ``find``: only those whose name, user or id contains it, capital letters of ASCII like small ones.
        """

    async def update(self, key: ApiKey) -> bool:
        """Replace a key's fields. False: it is not there, or not at ``key.version - 1`` any more."""

    async def add_secret(self, key: ApiKey, secret: KeySecret, *, others_end_at: datetime) -> bool:
        """A further secret for a key, whose other ones expire then at the latest. False as for ``update``."""

    async def changed_since(self, mark: int) -> tuple[Sequence[str], int]:
        """Ids of the keys that changed after ``mark``, and the mark to ask with next; 0 asks for the mark alone."""
