"""Counters in this process's memory: a sliding window of requests or tokens, requests at once, money of a period."""

from abc import ABC, abstractmethod
from typing import Final

from llm_service.domain import WINDOW_S, Limit, Settlement

GONE: Final = -1
"""The second of a bucket that has left its window."""

KEPT_AFTER_END_S: Final = 3600
"""How long a budget outlives its period, so that what began in it can still be settled."""

WINDOW_KEPT_S: Final = 180
"""How long a window outlives what was taken in it; longer than 60 s because clocks are set back."""

MOST_MARKS: Final = 10_000
"""How many of the newest records that were added to a budget are remembered."""


class Bucket:
    """What was taken in one second. Whoever took something keeps the bucket, to give back into the same one."""

    __slots__ = ("reserved", "second", "total")

    def __init__(self, second: int, total: int = 0) -> None:
        self.second = second
        self.total = total
        self.reserved = 0


NOWHERE: Final = Bucket(GONE)
"""For counters that know no seconds."""


class Counter(ABC):
    """What stands against one limit. ``total`` is all of it, ``reserved`` the part that leases may still give back.

    ``looked_at``: the Unix second of the latest look: in the same one there is nothing to be found out by another.
    """

    __slots__ = ("looked_at", "reserved", "total")

    def __init__(self) -> None:
        self.total = 0
        self.reserved = 0
        self.looked_at = GONE

    def stands(self, second: int) -> int:
        """The total at this Unix second; called before anything is taken."""
        if second != self.looked_at:
            self.looked_at = second
            self._let_pass(second)
        return self.total

    def _let_pass(self, second: int) -> None:  # noqa: B027 - to most, time does nothing
        """What time does to it, by itself."""

    @abstractmethod
    def take(self, cost: int, second: int) -> Bucket:
        """Count ``cost`` on top, at the second that was looked at; where it went, for ``settle`` and ``give_back``."""

    @abstractmethod
    def settle(self, cost: int, bucket: Bucket, settlement: Settlement) -> None:
        """Put what was used in place of what was taken."""

    @abstractmethod
    def give_back(self, cost: int, bucket: Bucket) -> None:
        """As if it had never been taken."""

    def take_again(self, cost: int, bucket: Bucket) -> None:
        """As if it had never been given back, at a second that was looked at before that."""
        self.give_back(-cost, bucket)

    @abstractmethod
    def wait_s(self, cost: int, limit: Limit, second: int) -> int | None:
        """Whole seconds until a claim that has no room now may have it; ``None``: waiting is no use."""

    @abstractmethod
    def idle(self, second: int) -> bool:
        """Whether a new counter in its place would say the same."""


class Window(Counter):
    """Requests in any 60 s: the running second's bucket and the 60 whole seconds before it, with a running sum.

    A clock that is set back by up to 60 s goes on in the newest bucket until it has caught up; one that is set back by
    more keeps the sum as if all of it had been used now. A window that holds no bucket any more is as good as a new
    one, so it makes no difference when it is forgotten.
    """

    __slots__ = ("_buckets", "_latest", "_newest")

    def __init__(self) -> None:
        super().__init__()
        self._buckets: list[Bucket] = []
        self._newest = GONE
        self._latest = NOWHERE
        """The bucket of the newest second, if there is one."""

    def take(self, cost: int, second: int) -> Bucket:
        """Count in the newest second; what is first taken begins the window."""
        bucket = self._latest
        if bucket.second != self._newest or bucket.second == GONE:
            bucket = self._begin(second)
        bucket.total += cost
        self.total += cost
        return bucket

    def settle(self, cost: int, bucket: Bucket, settlement: Settlement) -> None:
        """A request was a request, whatever it used."""

    def give_back(self, cost: int, bucket: Bucket) -> None:
        """Out of the bucket where it went, unless that has left the window."""
        self._change(bucket, -cost)

    def wait_s(self, cost: int, limit: Limit, second: int) -> int | None:
        """Until enough of the oldest buckets have left the window."""
        if cost > limit.amount:
            return None
        short = self.total + cost - limit.amount
        for bucket in self._buckets:
            short -= bucket.total
            if short <= 0:
                return bucket.second + WINDOW_S + 1 - second
        raise AssertionError("the buckets hold less than their sum")

    def idle(self, second: int) -> bool:
        """Nothing was taken for long."""
        return second - self._newest > WINDOW_KEPT_S

    def _change(self, bucket: Bucket, by: int) -> None:
        if bucket.second != GONE:
            bucket.total += by
            self.total += by

    def _begin(self, second: int) -> Bucket:
        if self._newest == GONE:
            self._newest = second
        bucket = self._latest = Bucket(self._newest)
        self._buckets.append(bucket)
        return bucket

    def _let_pass(self, second: int) -> None:
        """Drop what has left the window that ends with this second."""
        if self._newest == GONE:
            return
        if second > self._newest:
            self._roll(second)
        elif self._newest - second > WINDOW_S:
            self._begin_again(second)

    def _roll(self, second: int) -> None:
        buckets, oldest = self._buckets, second - WINDOW_S
        while buckets and buckets[0].second < oldest:
            left = buckets.pop(0)
            self.total -= left.total
            self.reserved -= left.reserved
            left.second = GONE
        self._newest = second if buckets else GONE

    def _begin_again(self, second: int) -> None:
        for bucket in self._buckets:
            bucket.second = GONE
        self._latest = Bucket(second, self.total)
        self._buckets = [self._latest]
        self.reserved = 0
        self._newest = second


class TokenWindow(Window):
    """Tokens in any 60 s: what is settled, and what leases hold."""

    __slots__ = ()

    def take(self, cost: int, second: int) -> Bucket:
        """Reserve in the newest second."""
        bucket = self._latest
        if bucket.second != self._newest or bucket.second == GONE:
            bucket = self._begin(second)
        bucket.total += cost
        self.total += cost
        bucket.reserved += cost
        self.reserved += cost
        return bucket

    def settle(self, cost: int, bucket: Bucket, settlement: Settlement) -> None:
        """The real number, in the second of the grant."""
        if bucket.second != GONE:
            by = settlement.tokens - cost
            bucket.total += by
            self.total += by
            bucket.reserved -= cost
            self.reserved -= cost

    def give_back(self, cost: int, bucket: Bucket) -> None:
        """Neither used nor reserved."""
        if bucket.second != GONE:
            bucket.total -= cost
            self.total -= cost
            bucket.reserved -= cost
            self.reserved -= cost


class Presence(Counter):
    """Requests at once."""

    __slots__ = ()

    def take(self, cost: int, second: int) -> Bucket:
        """One more is here."""
        self.total += cost
        return NOWHERE

    def settle(self, cost: int, bucket: Bucket, settlement: Settlement) -> None:
        """It has gone."""
        self.total -= cost

    def give_back(self, cost: int, bucket: Bucket) -> None:
        """It has gone."""
        self.total -= cost

    def wait_s(self, cost: int, limit: Limit, second: int) -> int | None:
        """Nobody knows when one will go: a second."""
        return None if cost > limit.amount else 1

    def idle(self, second: int) -> bool:
        """Nobody is here."""
        return self.total == 0


class Budget(Counter):
    """Nano-USD of a period. ``mark``: up to which of the ledger's records the seed had counted."""

    __slots__ = ("_added", "ends_at", "mark")

    def __init__(self, *, used: int, mark: int, ends_at: int | None) -> None:
        super().__init__()
        self.total = used
        self.mark = mark
        self.ends_at = ends_at
        self._added: dict[int, None] = {}

    def take(self, cost: int, second: int) -> Bucket:
        """Reserve."""
        self.total += cost
        self.reserved += cost
        return NOWHERE

    def settle(self, cost: int, bucket: Bucket, settlement: Settlement) -> None:
        """Spent in place of reserved."""
        self.total += settlement.nano_usd - cost
        self.reserved -= cost

    def give_back(self, cost: int, bucket: Bucket) -> None:
        """Not reserved any more."""
        self.total -= cost
        self.reserved -= cost

    def add(self, cost: int, mark: int) -> None:
        """Count a record that no lease stood for, once."""
        if mark <= self.mark or mark in self._added:
            return
        self._added[mark] = None
        if len(self._added) > MOST_MARKS:
            del self._added[next(iter(self._added))]
        self.total += cost

    def wait_s(self, cost: int, limit: Limit, second: int) -> int | None:
        """A second where only reservations are in the way; no use where the money is spent."""
        return None if self.total - self.reserved + cost > limit.amount else 1

    def idle(self, second: int) -> bool:
        """Its period is long over."""
        return self.ends_at is not None and second > self.ends_at + KEPT_AFTER_END_S
