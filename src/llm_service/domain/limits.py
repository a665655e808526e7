"""Limits, what one request takes from them, and what became of asking: the words of admission."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, Self, overload

from llm_service.domain.fact import fact, fact_in_order

LimitScope = Literal["global", "model", "key", "user", "provider"]
LimitKind = Literal["requests", "tokens", "concurrency", "money"]
BudgetPeriod = Literal["hour", "day", "week", "month", "total"]

WINDOW_S = 60


@fact
class Limit:
    """One limit on one subject, as a store counts it.

    ``key``: the store's name of the counter, unique among all limits; that of a budget names its period as well.
    ``subject``: which model, key, user or provider; empty for the global scope.
    ``amount``: requests or tokens in any 60 s, requests at once, nano-USD in the period.
    ``period`` and ``ends_at`` (Unix seconds, ``None`` for ``total``): of a budget only.
    """

    key: str
    scope: LimitScope
    subject: str
    kind: LimitKind
    amount: int
    period: BudgetPeriod | None = None
    ends_at: int | None = None


class Claim(NamedTuple):
    """What one request takes from one limit at most: permits, tokens or nano-USD."""

    limit: Limit
    cost: int


class LimitSet:
    """Limits that many requests meet together, and what follows from them before one comes. Equal to itself alone.

    ``budgets``: those of money. ``rates``: of requests and of tokens, by their kind the place and amount of each.
    """

    __slots__ = ("amounts", "budgets", "limits", "rates")

    def __init__(self, limits: Iterable[Limit]) -> None:
        self.limits = tuple(limits)
        self.amounts = tuple(limit.amount for limit in self.limits)
        self.budgets = tuple(limit for limit in self.limits if limit.kind == "money")
        rates: dict[LimitKind, tuple[tuple[int, int], ...]] = {}
        for place, limit in enumerate(self.limits):
            if limit.kind in ("requests", "tokens"):
                rates[limit.kind] = (*rates.get(limit.kind, ()), (place, limit.amount))
        self.rates = tuple(rates.items())


class Claims(Sequence[Claim]):
    """What one request takes at most from each of a set of limits, in their order: a `Claim` is made where one looks.

    So a request under eight limits makes one object in place of nine.
    """

    __slots__ = ("costs", "of")

    def __init__(self, of: LimitSet, costs: Sequence[int]) -> None:
        self.of = of
        self.costs = costs

    @classmethod
    def among(cls, claims: Sequence[Claim]) -> Self:
        """The same claims in this form."""
        if isinstance(claims, cls):
            return claims
        return cls(LimitSet(limit for limit, _ in claims), tuple(cost for _, cost in claims))

    def __len__(self) -> int:
        return len(self.costs)

    @overload
    def __getitem__(self, index: int) -> Claim: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Claim]: ...
    def __getitem__(self, index: int | slice) -> Claim | Sequence[Claim]:
        return tuple(self)[index]

    def __iter__(self) -> Iterator[Claim]:
        return map(Claim, self.of.limits, self.costs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


def limits_among(claims: Sequence[Claim]) -> Sequence[Limit]:
    """The limits that are claimed, in their order."""
    if type(claims) is Claims:
        return claims.of.limits
    return [limit for limit, _ in claims] if claims else ()


def budgets_among(claims: Sequence[Claim]) -> Sequence[Limit]:
    """Those of them that are about money."""
    if type(claims) is Claims:
        return claims.of.budgets
    return [limit for limit, _ in claims if limit.kind == "money"] if claims else ()


@fact_in_order
class Ask:
    """One request for admission: ``callers`` must all have room, and one of ``candidates``, tried in order.

    ``lease_id`` names the lease that would be granted; asking again under it gets the first answer again.
    ``candidates`` holds the claims on each candidate's provider, none for one without limits.
    """

    lease_id: str
    callers: Sequence[Claim]
    candidates: Sequence[Sequence[Claim]]


class Lease:
    """What was granted, until it is settled.

    ``candidate``: index of the one that had room. ``second``: the store's Unix second of the grant, into whose bucket
    refunds go. ``local``: granted by this process alone while the shared store was away.
    """

    __slots__ = ("callers", "candidate", "id", "local", "provider", "second", "used")

    def __init__(
        self,
        id: str,  # noqa: A002 - the word of the contract
        *,
        callers: Sequence[Claim],
        candidate: int,
        provider: Sequence[Claim],
        second: int,
        used: Sequence[int] = (),
        local: bool = False,
    ) -> None:
        self.id = id
        self.callers = callers
        self.candidate = candidate
        self.provider = provider
        self.second = second
        self.used = used
        """What stands against each of the caller's limits with this lease, in their order."""
        self.local = local


@fact
class Refused:
    """No room, and nothing was taken anywhere.

    ``used`` and ``reserved``: what stands against ``limit`` already. ``wait_s``: whole seconds until there may be
    room; ``None`` when waiting is no use (the claim is larger than the limit, or a budget is spent).
    """

    limit: Limit
    used: int
    reserved: int
    wait_s: int | None


@fact
class Unknown:
    """The store does not know what was spent of this budget: seed it from the ledger, and ask again."""

    limit: Limit


Decision = Lease | Refused | Unknown


@fact
class Settlement:
    """What a request really used. Request permits are kept, concurrency is given back.

    ``provider``: whether the provider was called; if not, its part is given back whole.
    """

    tokens: int
    nano_usd: int
    provider: bool = True


@fact
class LimitState:
    """Where a limit stands now; ``None``: a budget that nobody has asked for since the store began."""

    limit: Limit
    used: int | None
    reserved: int | None
