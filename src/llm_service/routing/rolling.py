"""How often something happened lately, or how much of it."""

from typing import Final

NEVER: Final = -1


class Rolling:
    """Counts over the last ``buckets`` times ``bucket_s`` seconds: the running bucket and the whole ones before it.

    So the count is of at least ``(buckets - 1) * bucket_s`` and less than ``buckets * bucket_s`` seconds. Moments never
    go back. What is added costs the same whatever was counted, and makes nothing new.
    """

    __slots__ = ("_at", "_bucket", "_bucket_s", "_counts", "_sum", "_turns_at")

    def __init__(self, buckets: int, bucket_s: float) -> None:
        self._bucket_s = bucket_s
        self._counts = [0] * buckets
        self._sum = 0
        self._bucket = NEVER  # the running one, counted from the clock's beginning
        self._at = 0  # and its place
        self._turns_at = float("-inf")

    def add(self, now: float, amount: int = 1) -> None:
        """It happened, or so much of it did."""
        if now >= self._turns_at:
            self._turn(now)
        self._counts[self._at] += amount
        self._sum += amount

    def value(self, now: float) -> int:
        """How often it happened."""
        if now >= self._turns_at:
            self._turn(now)
        return self._sum

    def clear(self) -> None:
        """Forget all."""
        self._counts = [0] * len(self._counts)
        self._sum = 0

    def _turn(self, now: float) -> None:
        """Begin a bucket, and let go of those that are too old now."""
        counts, bucket = self._counts, int(now / self._bucket_s)
        for old in range(self._bucket + 1, min(bucket, self._bucket + len(counts)) + 1):
            self._sum -= counts[old % len(counts)]
            counts[old % len(counts)] = 0
        self._bucket, self._at = bucket, bucket % len(counts)
        self._turns_at = (bucket + 1) * self._bucket_s
