"""Caches that other processes may share: what is asked of them has to be waited for."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from llm_service.domain import KeptAnswer
from llm_service.storage import CacheLook, CacheSizes, MemoryCache, Reach
from tests.support.clock import ManualClock


class SlowCache:
    """A CacheStore of another process: what is asked of it has to be waited for. ``put_gate`` holds up what is kept."""

    def __init__(self, clock: ManualClock) -> None:
        self.reach: Reach = "machine"
        self.memory = MemoryCache(clock, max_bytes=10**7, max_entry_bytes=10**6)
        self.put_gate = asyncio.Event()
        self.put_gate.set()
        self.looks = 0

    async def look(self, digest: bytes, groups: Sequence[str]) -> CacheLook:
        self.looks += 1
        await asyncio.sleep(0)
        return self.memory.look(digest, groups)

    async def put(self, answer: KeptAnswer, groups: Sequence[str], epochs: tuple[int, ...]) -> bool:
        await self.put_gate.wait()
        return self.memory.put(answer, groups, epochs)

    async def stands(self, digest: bytes, groups: Sequence[str], epochs: tuple[int, ...]) -> bool:
        await asyncio.sleep(0)
        return self.memory.stands(digest, groups, epochs)

    async def remove(self, digest: bytes) -> int:
        return await self.memory.remove(digest)

    async def purge(self, group: str, *, stored_before: float | None = None) -> int:
        return await self.memory.purge(group, stored_before=stored_before)

    async def sizes(self) -> CacheSizes:
        return await self.memory.sizes()

    async def aclose(self) -> None:
        await self.memory.aclose()


class NumberedCache(SlowCache):
    """As the shared one: epochs begin with the number of all purges, whatever they concern."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.purges = 0

    async def look(self, digest: bytes, groups: Sequence[str]) -> CacheLook:
        look = await super().look(digest, groups)
        return replace(look, epochs=(self.purges, *look.epochs))

    async def put(self, answer: KeptAnswer, groups: Sequence[str], epochs: tuple[int, ...]) -> bool:
        return await super().put(answer, groups, epochs[1:])

    async def stands(self, digest: bytes, groups: Sequence[str], epochs: tuple[int, ...]) -> bool:
        return await super().stands(digest, groups, epochs[1:])

    async def remove(self, digest: bytes) -> int:
        self.purges += 1
        return await super().remove(digest)

    async def purge(self, group: str, *, stored_before: float | None = None) -> int:
        self.purges += 1
        return await super().purge(group, stored_before=stored_before)
