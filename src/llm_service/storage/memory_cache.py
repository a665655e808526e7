"""The response cache of one process: answers in its memory, and an epoch for each group that is purged."""

from collections.abc import Sequence
from typing import Final

from llm_service.domain import KeptAnswer
from llm_service.runtime import Clock
from llm_service.storage.cache_shelf import Eviction, Kept, Shelf
from llm_service.storage.ports import CacheLook, CacheSizes, Reach

REMEMBERED: Final = 4_096
"""Groups of which the last purge is remembered; half of them are forgotten when there are more."""


class MemoryCache:
    """Answers for a single process, see CacheStore. Seconds are those of ``clock.time()``; nothing here waits.

    All purges are numbered together, and the epochs of a look-up are the number of the last one before it. A group's
    epoch is the number of its last purge; of a group that is not remembered it is that of the newest forgotten one, so
    forgetting may spoil an answer but never revives one. A digest is a group of its own.
    """

    __slots__ = ("_epochs", "_floor", "_nothing", "_purges", "reach", "shelf")

    def __init__(self, clock: Clock, *, max_bytes: int, max_entry_bytes: int, eviction: Eviction = "lru") -> None:
        """Sizes are those of Kept; ``max_entry_bytes`` bounds the answer's own."""
        self.reach: Reach = "process"
        self.shelf = Shelf(clock.time, max_bytes=max_bytes, max_entry_bytes=max_entry_bytes, eviction=eviction)
        self._epochs: dict[str | bytes, int] = {}
        self._floor = 0
        self._purges = 0
        self._nothing = CacheLook(None, (0,))  # what a look-up says now that finds nothing

    def look(self, digest: bytes, groups: Sequence[str]) -> CacheLook:
        """The answer, if there is one whose own digest is this one, fresh or stale."""
        kept = self.shelf.get(digest)
        if kept is None:
            return self._nothing
        if kept.purges != self._purges and not self._stands(kept):
            self.shelf.drop(digest)
            return self._nothing
        return CacheLook(kept.answer, self._nothing.epochs)

    def put(self, answer: KeptAnswer, groups: Sequence[str], epochs: tuple[int, ...]) -> bool:
        """Keep an answer. False: it is too large or over, or one of the groups was purged since the look-up."""
        stands = self.stands(answer.digest, groups, epochs)
        return stands and self.shelf.add(Kept(answer, groups, purges=self._purges))

    def stands(self, digest: bytes, groups: Sequence[str], epochs: tuple[int, ...]) -> bool:
        """Whether no purge since a look-up concerns what is made since then."""
        if epochs == self._nothing.epochs:  # no purge at all since then
            return True
        return bool(epochs) and not self._was_purged((digest, *groups), since=epochs[0])

    async def remove(self, digest: bytes) -> int:
        """Forget one answer, and what is on its way in its place. How many there were: 0 or 1."""
        there = self.look(digest, ()).answer is not None
        self._begin_epoch(digest)
        self.shelf.drop(digest)
        return int(there)

    async def purge(self, group: str, *, stored_before: float | None = None) -> int:
        """Forget the answers of a group at once, or, in a while, those of it that are older. How many there were."""
        if stored_before is not None:
            return await self.shelf.clear(lambda kept: group in kept.groups and kept.answer.stored_at < stored_before)
        number = self._begin_epoch(group)
        return await self.shelf.clear(lambda kept: group in kept.groups and kept.purges < number)

    async def sizes(self) -> CacheSizes:
        """How full it is; what is over counts until it is swept."""
        shelf = self.shelf
        return CacheSizes(
            entries=len(shelf),
            bytes=shelf.bytes,
            max_bytes=shelf.max_bytes,
            evictions=shelf.evictions,
            too_large=shelf.too_large,
        )

    async def aclose(self) -> None:
        """Forget all answers."""
        self.shelf.empty()

    def _was_purged(self, groups: Sequence[str | bytes], *, since: int) -> bool:
        """Whether one of these was purged, or may have been, after the purge of this number."""
        epochs, floor = self._epochs, self._floor
        return any(epochs.get(group, floor) > since for group in groups)

    def _stands(self, kept: Kept) -> bool:
        """Whether no group of an answer was purged since it was kept; if so, that is known up to now."""
        if self._was_purged(kept.groups, since=kept.purges):
            return False
        kept.purges = self._purges
        return True

    def _begin_epoch(self, group: str | bytes) -> int:
        self._purges += 1
        self._epochs.pop(group, None)
        self._epochs[group] = self._purges  # the last of them: they stand in the order of their purges
        if len(self._epochs) > REMEMBERED:
            for forgotten in list(self._epochs)[: REMEMBERED // 2]:
                self._floor = self._epochs.pop(forgotten)
        self._nothing = CacheLook(None, (self._purges,))
        return self._purges
