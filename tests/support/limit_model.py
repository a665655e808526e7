"""What a limit store does, told plainly: a list of everything taken, and a look at all of it for each question."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from llm_service.domain import Ask, Claim, Limit, Refused, Settlement, Unknown

WINDOW_S = 60


@dataclass(eq=False)
class Entry:
    """What one lease took from one limit. ``lease`` is None for what a clock that was set back has left."""

    limit: Limit
    lease: str | None
    part: str
    second: int
    cost: int
    reserved: int


@dataclass
class Budget:
    used: int
    mark: int
    added: set[int] = field(default_factory=set)


@dataclass
class Granted:
    candidate: int
    second: int
    used: list[int]


Answer = Granted | Refused | Unknown


class LimitModel:
    """The clock is given with each call, in whole seconds."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.newest: dict[str, int] = {}
        """Up to which second time has passed, for the windows that have begun."""
        self.taken: dict[str, int] = {}
        """The second in which something was last taken from such a window."""
        self.budgets: dict[str, Budget] = {}
        self.holders: dict[str, str] = {}
        """Lease to holder, of those not settled."""
        self.provider: dict[str, list[Limit]] = {}
        """Lease to the limits of its provider, also where nothing of it stands any more."""
        self.answers: dict[str, Granted] = {}
        self.early: dict[str, dict[int, int]] = {}
        self.beyond: dict[str, int] = {}
        """By how much a limit may be exceeded: by overruns, and by what was spent without a lease."""

    def admit(self, holder: str, ask: Ask, second: int) -> Answer:
        if ask.lease_id in self.holders:
            return self.answers[ask.lease_id]
        no = self._obstacle(ask.callers, second)
        if no is not None:
            return no
        found = self._first(ask.candidates, second)
        if not isinstance(found, int):
            return found
        self._take(ask.lease_id, "callers", ask.callers, second)
        self._take(ask.lease_id, "provider", ask.candidates[found], second)
        self.holders[ask.lease_id] = holder
        used = [self._stands(claim.limit) for claim in ask.callers]
        self.answers[ask.lease_id] = Granted(found, second, used)
        return self.answers[ask.lease_id]

    def swap(self, lease: str, ask: Ask, second: int, *, called: bool) -> Answer:
        for limit in self.provider[lease]:
            if not (called and limit.kind == "requests"):
                self._look(limit, second)
        own = [entry for entry in self.entries if (entry.lease, entry.part) == (lease, "provider")]
        lasting = [entry for entry in own if called and entry.limit.kind == "requests"]
        own = [entry for entry in own if entry not in lasting]
        self.entries = [entry for entry in self.entries if entry not in own]
        found = self._first(ask.candidates, second)
        if not isinstance(found, int):
            self.entries += own
            return found
        for entry in lasting:
            entry.part = "called"
        self._take(lease, "provider", ask.candidates[found], second)
        return Granted(found, second, self.answers[lease].used)

    def settle(self, lease: str, settlement: Settlement | None) -> bool:
        if self.holders.pop(lease, None) is None:
            return False
        for entry in [entry for entry in self.entries if entry.lease == lease and entry.part != "called"]:
            back = settlement is None or (entry.part == "provider" and not settlement.provider)
            self._put(entry, _real(entry, None if back else settlement))
        return True

    def reap(self, holder: str) -> int:
        """As if all that is held had been used."""
        lost = [lease for lease, its in self.holders.items() if its == holder]
        for lease in lost:
            del self.holders[lease]
            for entry in [entry for entry in self.entries if entry.lease == lease]:
                self._put(entry, 0 if entry.limit.kind == "concurrency" else entry.cost)
        return len(lost)

    def seed(self, limit: Limit, *, used: int, mark: int) -> None:
        if limit.key not in self.budgets:
            self.budgets[limit.key] = Budget(used, mark)
            self._exceed(limit, max(used - limit.amount, 0))
            for early, cost in self.early.pop(limit.key, {}).items():
                self.add(limit, cost=cost, mark=early)

    def add(self, limit: Limit, *, cost: int, mark: int) -> None:
        budget = self.budgets.get(limit.key)
        if budget is None:
            self.early.setdefault(limit.key, {}).setdefault(mark, cost)
        elif mark > budget.mark and mark not in budget.added:
            budget.added.add(mark)
            budget.used += cost
            self._exceed(limit, cost)

    def read(self, limit: Limit, second: int) -> tuple[int | None, int | None]:
        self._look(limit, second)
        if limit.kind == "money" and limit.key not in self.budgets:
            return None, None
        reserved = self._reserved(limit)
        return self._stands(limit) - reserved, reserved

    def _take(self, lease: str, part: str, claims: Sequence[Claim], second: int) -> None:
        if part == "provider":
            self.provider[lease] = [claim.limit for claim in claims]
        for limit, cost in claims:
            windowed = limit.kind in {"requests", "tokens"}
            at = self.newest.setdefault(limit.key, second) if windowed else second
            self.taken[limit.key] = at
            reserved = cost if limit.kind in {"tokens", "money"} else 0
            self.entries.append(Entry(limit, lease, part, at, cost, reserved))

    def _put(self, entry: Entry, real: int) -> None:
        limit = entry.limit
        self._exceed(limit, max(real - entry.cost, 0))
        if limit.kind in {"requests", "tokens"}:
            entry.cost, entry.reserved, entry.lease = real, 0, None
            return
        self.entries.remove(entry)
        if limit.kind == "money":
            self.budgets[limit.key].used += real

    def _exceed(self, limit: Limit, by: int) -> None:
        self.beyond[limit.key] = self.beyond.get(limit.key, 0) + by

    def _first(self, candidates: Sequence[Sequence[Claim]], second: int) -> int | Refused | Unknown:
        refusals: list[Refused] = []
        for rank, claims in enumerate(candidates):
            no = self._obstacle(claims, second)
            if no is None:
                return rank
            if isinstance(no, Unknown):
                return no
            refusals.append(no)
        return min(refusals, key=_patience)

    def _obstacle(self, claims: Sequence[Claim], second: int) -> Refused | Unknown | None:
        refusals: list[Refused] = []
        for limit, cost in claims:
            self._look(limit, second)
            if limit.kind == "money" and limit.key not in self.budgets:
                return Unknown(limit=limit)
            stands, reserved = self._stands(limit), self._reserved(limit)
            if stands + cost > limit.amount:
                wait_s = self._wait_s(limit, cost, second)
                refusals.append(Refused(limit=limit, used=stands - reserved, reserved=reserved, wait_s=wait_s))
        return max(refusals, key=_patience, default=None)

    def _wait_s(self, limit: Limit, cost: int, second: int) -> int | None:
        if limit.kind == "money":
            return None if self._stands(limit) - self._reserved(limit) + cost > limit.amount else 1
        if cost > limit.amount:
            return None
        if limit.kind == "concurrency":
            return 1
        wait_s = 1
        while self._in_window(limit, max(self.newest[limit.key], second + wait_s)) + cost > limit.amount:
            wait_s += 1
        return wait_s

    def _look(self, limit: Limit, second: int) -> None:
        """Time passes for a window that has begun. It ends when nothing in it is of the last 60 s.

        A clock set back by more than the window's length: all was used now.
        """
        newest = self.newest.get(limit.key)
        if newest is None:
            return
        if newest - second > WINDOW_S:
            left = Entry(limit, None, "", second, self._stands(limit), 0)
            self._forget(limit)
            self.entries.append(left)
            self.newest[limit.key] = self.taken[limit.key] = second
        elif second - self.taken[limit.key] > WINDOW_S:
            self._forget(limit)
        else:
            self.newest[limit.key] = max(newest, second)

    def _forget(self, limit: Limit) -> None:
        del self.newest[limit.key]
        self.entries = [entry for entry in self.entries if entry.limit.key != limit.key]

    def _stands(self, limit: Limit) -> int:
        if limit.kind in {"requests", "tokens"}:
            return self._in_window(limit, self.newest.get(limit.key, 0))
        spent = self.budgets[limit.key].used if limit.kind == "money" else 0
        return spent + sum(entry.cost for entry in self._of(limit))

    def _reserved(self, limit: Limit) -> int:
        since = self.newest.get(limit.key, 0) - WINDOW_S
        return sum(entry.reserved for entry in self._of(limit) if entry.second >= since)

    def _in_window(self, limit: Limit, second: int) -> int:
        return sum(entry.cost for entry in self._of(limit) if second - WINDOW_S <= entry.second)

    def _of(self, limit: Limit) -> Iterator[Entry]:
        return (entry for entry in self.entries if entry.limit.key == limit.key)


def _real(entry: Entry, settlement: Settlement | None) -> int:
    """What stays of an entry; nothing where all is given back."""
    if settlement is None or entry.limit.kind == "concurrency":
        return 0
    used = {"requests": entry.cost, "tokens": settlement.tokens, "money": settlement.nano_usd}
    return used[entry.limit.kind]


def _patience(refused: Refused) -> float:
    return float("inf") if refused.wait_s is None else refused.wait_s
