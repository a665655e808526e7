"""Where a process keeps answers in its memory, bounded in bytes: what is over goes first, then what is used least."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from math import inf
from typing import Final, Literal

from llm_service.domain import KeptAnswer, text_bytes

Eviction = Literal["lru", "lfu"]

FAR_S: Final = 2**31
"""No answer is kept for longer, whatever it says."""
BUCKET_S: Final = 10
BUCKET_SIZE: Final = 500
"""Answers that are over within the same so many seconds are found together, and so many of them at once."""
SWEPT_PER_ADD: Final = 4
LOOKED_AT_ONCE: Final = 1_000
"""A piece of `clear`: about a millisecond."""
USE: Final = 8
MOST_WEIGHT: Final = 32 * USE
"""What a use adds to an answer's weight, and how much that may be."""
AGEING: Final = 16
"""Each time that an answer is spared, its weight falls by 1 and by this part of it."""
CANDIDATES: Final = 16
"""How many of those that stand foremost are compared by their weights, at most."""


class Bucket:
    """Digests of answers that are over by the end of one period of BUCKET_S."""

    __slots__ = ("digests", "period")

    def __init__(self, period: int) -> None:
        self.period = period
        self.digests: set[bytes] = set()


class Kept:
    """An answer on the shelf. ``own_size``: the answer's; ``size``: with its groups, whose tags may be long.

    ``purges``: the number of the last purge that it is known to have outlived. ``life`` and ``stamp``: what a shared
    store calls it, empty where none has it. ``bucket`` and ``weight`` are the shelf's.
    """

    __slots__ = ("answer", "bucket", "groups", "life", "own_size", "purges", "size", "stamp", "until", "weight")

    def __init__(
        self, answer: KeptAnswer, groups: Sequence[str], *, purges: int, life: str = "", stamp: bytes = b""
    ) -> None:
        self.answer = answer
        self.groups = tuple(groups)
        self.purges = purges
        self.life = life
        self.stamp = stamp
        self.own_size = answer.size
        self.size = self.own_size + text_bytes(self.groups)
        self.until = over_at(answer)
        self.bucket: Bucket | None = None
        self.weight = 0


class Shelf:
    """Answers by their digests, at most ``max_bytes`` by their sizes at every moment. Seconds are those of ``time``.

    ``lru`` evicts what was not used for longest. ``lfu`` evicts the least used of the few that stand foremost; those
    that it spares go to the end with less weight, so that what was wanted once does not stay for ever.
    """

    __slots__ = (
        "_buckets", "_kept", "_lfu", "_max_entry_bytes", "_open", "_over", "_period", "_time", "bytes", "evictions",
        "max_bytes", "too_large",
    )  # fmt: skip

    def __init__(
        self, time: Callable[[], float], *, max_bytes: int, max_entry_bytes: int, eviction: Eviction = "lru"
    ) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self.evictions = 0
        self.too_large = 0
        self._max_entry_bytes = max_entry_bytes
        self._lfu = eviction == "lfu"
        self._time = time
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._buckets: dict[Bucket, None] = {}  # in the order in which they were begun
        self._open: dict[int, Bucket] = {}
        self._over: list[Bucket] = []
        self._period = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, digest: bytes) -> Kept | None:
        """The answer of this digest, unless it is over; counts as a use."""
        kept = self._kept.get(digest)
        if kept is None:
            return None
        if kept.until <= self._time() or kept.answer.digest != digest:
            self.drop(digest)
            return None
        if not self._lfu:
            self._kept.move_to_end(digest)
        elif kept.weight < MOST_WEIGHT:
            kept.weight += USE
        return kept

    def add(self, kept: Kept) -> bool:
        """Keep it, in place of one of the same digest. False: it is too large, or over."""
        if kept.own_size > self._max_entry_bytes or kept.size > self.max_bytes:
            self.too_large += 1
            return False
        now = self._time()
        if kept.until <= now:
            return False
        digest, size = kept.answer.digest, kept.size
        if digest in self._kept:
            self.drop(digest)
        if self._over or now // BUCKET_S != self._period:
            self._sweep(now)
        if self.bytes + size > self.max_bytes:
            self._make_room(size)
        self._kept[digest] = kept
        bucket = kept.bucket = self._bucket_of(kept)
        bucket.digests.add(digest)
        self.bytes += size
        return True

    def drop(self, digest: bytes) -> bool:
        """Forget it. Whether it was there."""
        kept = self._kept.pop(digest, None)
        if kept is None:
            return False
        self.bytes -= kept.size
        if (bucket := kept.bucket) is not None:
            bucket.digests.discard(digest)
            if not bucket.digests:
                del self._buckets[bucket]
                if self._open.get(bucket.period) is bucket:
                    del self._open[bucket.period]
        return True

    async def clear(self, which: Callable[[Kept], bool]) -> int:
        """Forget those that are on the shelf now and of which this holds. How many were not over yet.

        Lets others run in between, so that no number of answers holds up the loop.
        """
        count = looked_at = 0
        for bucket in list(self._buckets):
            looked_at += len(bucket.digests)
            if looked_at > LOOKED_AT_ONCE:
                await asyncio.sleep(0)
                looked_at = len(bucket.digests)
            now = self._time()
            for digest in list(bucket.digests):
                kept = self._kept.get(digest)
                if kept is not None and which(kept):
                    count += kept.until > now
                    self.drop(digest)
        return count

    def empty(self) -> None:
        """Forget all at once."""
        self._kept.clear()
        self._buckets.clear()
        self._open.clear()
        self._over.clear()
        self.bytes = 0

    def _make_room(self, size: int) -> None:
        while self.bytes + size > self.max_bytes:
            if not self._drop_over():
                self.drop(self._victim())
                self.evictions += 1

    def _victim(self) -> bytes:
        if not self._lfu:
            return next(iter(self._kept))
        victim, least = b"", inf
        for _ in range(min(CANDIDATES, len(self._kept))):
            digest = next(iter(self._kept))
            kept = self._kept[digest]
            if not kept.weight:
                return digest
            if kept.weight < least:
                victim, least = digest, kept.weight
            kept.weight -= 1 + kept.weight // AGEING
            self._kept.move_to_end(digest)
        return victim

    def _bucket_of(self, kept: Kept) -> Bucket:
        period = int(kept.until // BUCKET_S)
        bucket = self._open.get(period)
        if bucket is None or len(bucket.digests) >= BUCKET_SIZE:
            bucket = self._open[period] = Bucket(period)
            self._buckets[bucket] = None
        return bucket

    def _sweep(self, now: float) -> None:
        period = int(now // BUCKET_S)
        if period != self._period:  # also when the clock was set back: then fewer are over
            self._period = period
            self._over = [bucket for bucket in self._buckets if bucket.period < period]
        for _ in range(SWEPT_PER_ADD):
            if not self._drop_over():
                return

    def _drop_over(self) -> bool:
        """Drop one that is over. False: none is known."""
        while self._over:
            digests = self._over[-1].digests
            if digests:
                self.drop(next(iter(digests)))
                return True
            self._over.pop()
        return False


def over_at(answer: KeptAnswer) -> float:
    """Unix second from which on an answer may not be given any more."""
    return answer.stored_at + min(answer.kept_s, FAR_S)
