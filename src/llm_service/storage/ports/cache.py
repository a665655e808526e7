"""Port to the cached answers."""

from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any, Protocol

from llm_service.domain import KeptAnswer, fact, fact_in_order
from llm_service.storage.ports.base import Reach


@fact_in_order
class CacheLook:
    """What a look-up found. ``epochs``: what the store knew of purges then; `put` and `stands` take it again."""

    answer: KeptAnswer | None
    epochs: tuple[int, ...]


@fact
class CacheSizes:
    """How full the cache is, in this process (``reach`` of the store says whether there is more)."""

    entries: int
    bytes: int
    max_bytes: int
    evictions: int
    too_large: int


class CacheStore(Protocol):
    """Complete answers by their digest, bounded in bytes.

    Each answer is in ``groups`` (``all``, ``model:<name>``, ``tenant:<name>``, ``tag:<name>=<value>``). A group that is
    purged begins a new epoch, for all processes at once: no look-up that begins afterwards finds an answer of before,
    and no answer whose generation looked the cache up before is kept, or `stands`. So does one answer that is removed.
    `look`, `put` and `stands` answer at once where they need not wait, and something to await otherwise.

    They never raise: an answer that cannot be had is not there, and one that cannot be kept is not. What administers
    the cache raises StoreUnavailable.
    """

    reach: Reach

    def look(self, digest: bytes, groups: Sequence[str]) -> CacheLook | Coroutine[Any, Any, CacheLook]:
        """The answer, if there is one whose own digest is this one, fresh or stale."""

    def put(self, answer: KeptAnswer, groups: Sequence[str], epochs: tuple[int, ...]) -> bool | Awaitable[bool]:
        """Keep an answer. False: it is too large, or one of the groups was purged since the look-up."""

    def stands(self, digest: bytes, groups: Sequence[str], epochs: tuple[int, ...]) -> bool | Awaitable[bool]:
        """Whether what is made since a look-up may be shared: no purge since then concerns it, as far as is known."""

    async def remove(self, digest: bytes) -> int:
        """Forget one answer. How many there were: 0 or 1."""

    async def purge(self, group: str, *, stored_before: float | None = None) -> int:
        """Forget the answers of a group, or those of it that are older (Unix seconds). How many there were."""

    async def sizes(self) -> CacheSizes:
        """How full it is."""

    async def aclose(self) -> None:
        """Let go of what it holds."""
