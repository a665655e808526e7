"""The response cache that processes share: one script on Valkey or Redis for a look-up; each process keeps copies."""

from collections.abc import Awaitable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from llm_service.domain import KeptAnswer
from llm_service.runtime import Clock
from llm_service.storage.cache_codec import aside, packed, unpacked
from llm_service.storage.cache_shelf import Eviction, Kept, Shelf, over_at
from llm_service.storage.memory_cache import REMEMBERED, MemoryCache
from llm_service.storage.ports import CacheLook, CacheSizes, Reach, StoreUnavailable
from llm_service.storage.scripts import ScriptRunner, script

ENTRY_BYTES: Final = 1_024
"""What an entry takes in the server beside its blob and groups."""
TRIES: Final = 64
"""How often a put asks again because there is no room yet; each time 200 entries have gone."""

KEPT: Final = 1
NO_ROOM_YET: Final = 2
AWAY: Final = 0
"""In place of the store's life, in the epochs of a look-up that the store did not answer."""


class ValkeyCache:
    """Answers of all processes that share a Valkey or Redis, see CacheStore. They expire by its clock and by ours.

    Each look-up asks the store, so that a purge anywhere is seen by the very next one everywhere. This process keeps
    copies in ``here``, with the store's stamp on each: of one that it has it is told the stamp alone.

    While the store is away, what this process has put or heard of since the last purge that it knows of is given out,
    and what it puts it keeps for itself; that goes at the first look-up which the store answers again. A purge that a
    failover has lost with the newest second is undone by it.

    Keys begin with ``<prefix>{adm}:cache:``, so that all are on one node of a cluster, whose memory holds the whole
    cache (see lua/cache_common.lua). There each answer's own digest, in hex, is one of its groups.
    """

    __slots__ = (
        "_base", "_clear", "_clock", "_epochs", "_eviction", "_heard", "_here", "_look", "_max_bytes",
        "_max_entry_bytes", "_meta", "_purge", "_put", "_remove", "_runner", "_shelf", "_sizes", "reach",
    )  # fmt: skip

    def __init__(
        self,
        client: ScriptRunner,
        *,
        prefix: str,
        clock: Clock,
        max_bytes: int,
        max_entry_bytes: int,
        here: MemoryCache,
        eviction: Eviction = "lru",
        reach: Reach = "cluster",
    ) -> None:
        """``max_bytes``: of the store, all told. ``max_entry_bytes``: of one answer, by its own size."""
        self.reach = reach
        self._runner = client
        self._clock = clock
        self._eviction = eviction
        self._max_bytes = max_bytes
        self._max_entry_bytes = max_entry_bytes
        self._here = here
        self._shelf: Shelf = here.shelf
        self._base = f"{prefix}{{adm}}:cache:"
        self._meta = tuple(self._base + name for name in ("index", "expiry", "sizes", "totals", "epochs"))
        self._heard = ("", 0)  # the life of the store that answered last, and the newest purge in it
        self._look, self._put = script("cache_common", "cache_look"), script("cache_common", "cache_put")
        self._remove, self._sizes = script("cache_common", "cache_remove"), script("cache_common", "cache_sizes")
        self._purge, self._clear = script("cache_common", "cache_purge"), script("cache_common", "cache_clear")
        self._epochs = script("cache_common", "cache_epochs")

    async def look(self, digest: bytes, groups: Sequence[str]) -> CacheLook:
        """The answer, if there is one whose own digest is this one, fresh or stale."""
        life, mine = self._runner.run_id, self._shelf.get(digest)
        known = mine.stamp if mine is not None and mine.life == life else b""
        try:
            found = await self._run_on(digest, self._look, known, self._eviction, digest.hex(), *groups)
        except StoreUnavailable:
            return self._look_here(mine)
        stamp, blob, purges, *stand = found
        self._hear(life, purges)
        answer = None
        if stamp and stamp == known and mine is not None:
            mine.purges = purges
            answer = mine.answer
        elif stamp:
            answer = await self._unpack(digest, blob, life=life, stamp=stamp, purges=purges)
        else:
            self._shelf.drop(digest)
        return CacheLook(answer=answer, epochs=(_number(life), purges, *stand))

    async def put(self, answer: KeptAnswer, groups: Sequence[str], epochs: tuple[int, ...]) -> bool:
        """Keep an answer, here alone while the store is away.

        False: it is too large or over, one of the groups was purged since the look-up, or the store's memory is
        another one than then.
        """
        life = self._runner.run_id
        if answer.size > self._max_entry_bytes:
            await self._count_too_large()
            return False
        memory, purges, *stood = epochs
        if memory != AWAY:
            if memory != _number(life):
                return False
            with suppress(StoreUnavailable):
                return await self._put_there(answer, groups, stood, life=life)
        mine = Kept(answer, groups, purges=purges, life=self._heard[0])
        return purges == self._heard[1] and self._shelf.add(mine)

    def stands(self, digest: bytes, groups: Sequence[str], epochs: tuple[int, ...]) -> bool | Awaitable[bool]:
        """Whether no purge since a look-up concerns what is made since then. Asks the store where there was any."""
        _, purges, *_ = epochs
        return purges == self._heard[1] or self._stands_there(digest, groups, epochs)

    async def _stands_there(self, digest: bytes, groups: Sequence[str], epochs: tuple[int, ...]) -> bool:
        life = self._runner.run_id
        memory, _, *stood = epochs
        try:
            purges, *stand = await self._run(self._epochs, digest.hex(), *groups)
        except StoreUnavailable:
            return False
        self._hear(life, purges)
        return memory == _number(life) and stood == stand

    async def remove(self, digest: bytes) -> int:
        """Forget one answer, and what is on its way in its place. How many there were. Raises StoreUnavailable."""
        life = self._runner.run_id
        count, purges = await self._run_on(digest, self._remove, "", REMEMBERED)
        self._hear(life, purges)
        self._shelf.drop(digest)
        return int(count)

    async def purge(self, group: str, *, stored_before: float | None = None) -> int:
        """Forget the answers of a group at once, or, in a while, those of it that are older. How many there were.

        Raises StoreUnavailable, perhaps when they are purged already and only still take room.
        """
        life = self._runner.run_id
        number = await self._run(self._purge, group if stored_before is None else "", REMEMBERED)
        self._hear(life, number)
        which: tuple[str | int, ...] = (
            (group, number, "") if stored_before is None else (group, "", repr(stored_before))
        )

        def is_meant(kept: Kept) -> bool:
            older = kept.purges < number if stored_before is None else kept.answer.stored_at < stored_before
            return older and group in kept.groups

        try:
            return await self._clear_there(which)
        finally:
            await self._shelf.clear(is_meant)

    async def sizes(self) -> CacheSizes:
        """How full the store is, by all processes; what is over counts until it is swept. Raises StoreUnavailable."""
        entries, size, evictions, too_large = await self._run(self._sizes, 0)
        return CacheSizes(
            entries=entries, bytes=size, max_bytes=self._max_bytes, evictions=evictions, too_large=too_large
        )

    async def aclose(self) -> None:
        """Forget the copies; connections belong to the client."""
        await self._here.aclose()

    async def _clear_there(self, which: Sequence[str | int]) -> int:
        count, cursor = 0, b"0"
        while True:
            cursor, some = await self._run(self._clear, cursor, *which)
            count += int(some)
            if cursor == b"0":
                return count

    async def _run(self, source: str, *args: str | int | bytes) -> Any:
        return await self._runner.run(source, self._meta, (self._base, *args))

    async def _run_on(self, digest: bytes, source: str, *args: str | int | bytes) -> Any:
        name = digest.hex()
        return await self._runner.run(source, (*self._meta, self._base + name), (self._base, name, *args))

    def _look_here(self, mine: Kept | None) -> CacheLook:
        """What this process knows by itself."""
        life, purges = self._heard
        sure = mine is not None and (mine.life, mine.purges) == (life, purges)
        return CacheLook(answer=mine.answer if mine is not None and sure else None, epochs=(AWAY, purges))

    async def _unpack(self, digest: bytes, blob: bytes, *, life: str, stamp: bytes, purges: int) -> KeptAnswer | None:
        """The answer that the store has, kept here from now on; what is none, or over, is removed there.

        By our clock it may be over earlier than by the store's. Nobody could claim a flight while it is there.
        """
        found = await aside(len(blob), partial(unpacked, blob, digest=digest, max_bytes=self._max_entry_bytes))
        if found is None or over_at(found[0]) <= self._clock.time():
            with suppress(StoreUnavailable):  # then it is found to be none again
                await self._run_on(digest, self._remove, stamp, REMEMBERED)
            return None
        answer, groups = found
        self._shelf.add(Kept(answer, groups, purges=purges, life=life, stamp=stamp))
        return answer

    async def _put_there(self, answer: KeptAnswer, groups: Sequence[str], epochs: Sequence[int], *, life: str) -> bool:
        """Raises StoreUnavailable."""
        blob = await aside(answer.size, partial(packed, answer, groups, max_bytes=self._max_entry_bytes))
        kept_ms = int((over_at(answer) - self._clock.time()) * 1000)
        if blob is None or kept_ms <= 0:
            return False
        groups = (answer.digest.hex(), *groups)
        size = ENTRY_BYTES + len(blob) + sum(map(len, groups))
        if size > self._max_bytes:
            await self._count_too_large()
            return False
        how = (size, kept_ms, self._max_bytes, self._eviction, repr(answer.stored_at), len(groups))
        said: Any = [NO_ROOM_YET]
        for _ in range(TRIES):
            if said[0] == NO_ROOM_YET:
                said = await self._run_on(answer.digest, self._put, blob, *how, *groups, *epochs)
        if said[0] != KEPT:
            return False
        _, stamp, purges = said
        self._hear(life, purges)
        self._shelf.add(Kept(answer, groups[1:], purges=purges, life=life, stamp=stamp))
        return True

    async def _count_too_large(self) -> None:
        with suppress(StoreUnavailable):  # one figure less
            await self._run(self._sizes, 1)

    def _hear(self, life: str, purges: int) -> None:
        """Remember the newest purge; answers may come in another order than they were given."""
        known, newest = self._heard
        self._heard = (life, max(newest, purges) if life == known else purges)


def _number(life: str) -> int:
    """The name of a memory among the numbers of a look-up; never `AWAY`."""
    return int.from_bytes(b"\1" + life.encode(), "big")
