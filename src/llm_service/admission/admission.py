"""Admission of one request: which limits it meets, what it may take of them at most, and the one decision over all."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from llm_service.admission.gate import Gate, Held
from llm_service.admission.options import LimitsOptions
from llm_service.admission.refusal import refusal
from llm_service.admission.rules import NO_LIMITS, Plan, Rules, of_inner
from llm_service.admission.size import Size, asked_cap, choices
from llm_service.domain import (
    Ask,
    Caller,
    Candidate,
    Claim,
    LedgerUnavailable,
    LLMServiceError,
    ModelRequest,
    PriceUnknown,
    Refused,
    Settlement,
    fact,
)

LEAST_CAP: Final = 256
"""An answer that a limit would cut to less than this many tokens is not begun."""
SHARE_TO_COUNT: Final = 8
"""A bound above this part of what is left of a limit is replaced by a count."""
TRIES: Final = 4

Granted = TypeVar("Granted")


class WorstCase(Protocol):
    """A deployment's price, as far as admission needs it."""

    def worst_case_nano(self, *, input_tokens: int, output_tokens: int) -> int:
        """The most that so many tokens can cost, in whole nano-USD, rounded up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What admission asks others for.

    ``price``: of a deployment, ``None`` where nobody knows. ``most_output``: tokens that a deployment's model can
    answer with, where that is known. ``bound`` is never less than the prompt's tokens; ``count`` counts them.
    """

    price: Callable[[Candidate], WorstCase | None]
    most_output: Callable[[Candidate], int | None]
    bound: Callable[[ModelRequest, Candidate], int]
    count: Callable[[ModelRequest, Candidate], Awaitable[int]]


@fact
class Admitted:
    """What was granted. ``held`` is ``None`` where no limit applies.

    ``candidate``: index of the one to call first. ``unpriced``: those that a budget does not allow, since nobody knows
    what they cost. ``cap``: output tokens of one choice to send upstream, ``None``: as
    the request has it. ``size`` and ``nano_usd``: the most that the request may use, where a limit asked for it.
    ``inner``: it is for the sake of another one, which holds the places.
    """

    held: Held | None = None
    candidate: int = 0
    unpriced: frozenset[Candidate] = frozenset()
    cap: int | None = None
    size: Size | None = None
    nano_usd: int = 0
    inner: bool = False


FREE: Final = Admitted()
INNER: Final = Admitted(inner=True)
"""The same for a request of our own."""


@fact
class Foreseen:
    """What admission would decide, and what the request would take.

    ``callers``: its claims on the limits of its caller; ``providers``: on those of each candidate's provider, the later
    ones among them; without a claim for those of unknown price that a budget does not allow (``unpriced``).
    ``candidate``: index of the one to be called first. ``cap``: as in `Admitted`. ``input_tokens``: what the prompt has
    at most; ``output_tokens``: the most of all choices of the answer, ``None`` where nothing bounds it.
    """

    callers: Sequence[Claim]
    providers: Mapping[Candidate, Sequence[Claim]]
    input_tokens: int
    output_tokens: int | None
    candidate: int = 0
    cap: int | None = None
    unpriced: frozenset[Candidate] = frozenset()
    error: LLMServiceError | None = None


class Admission:
    """Admits requests, and settles what they held."""

    def __init__(self, gate: Gate, rules: Rules, *, options: LimitsOptions, facts: Facts) -> None:
        self._gate = gate
        self._rules = rules
        self._options = options
        self._facts = facts

    async def admit(
        self,
        request: ModelRequest,
        *,
        lease_id: str,
        caller: Caller,
        user: str | None,
        candidates: Sequence[Candidate],
        later: Sequence[Candidate] = (),
        inner: bool = False,
    ) -> Admitted:
        """Room in every limit, or an error and nothing taken.

        ``later``: those that may be called in the end and are not to be called first; what is set aside pays for them.
        ``inner``: it is for the sake of another one that is admitted.
        Raises LimitReached, with the limit that refuses, and LedgerUnavailable.
        """
        plan = self._rules.of_caller(caller, user=user, model=request.model)
        both = (*candidates, *later) if later else candidates
        providers = [self._rules.of_provider(candidate.provider) for candidate in both]
        if inner:
            plan, providers = of_inner(plan), [of_inner(one) for one in providers]
        if plan is NO_LIMITS and providers.count(NO_LIMITS) == len(providers):
            return INNER if inner else FREE
        attempt = _Attempt(self._facts, request, plan, providers, candidates, later)
        outcome = await self._decided(attempt, lease_id, self._gate.admit)
        if isinstance(outcome, Refused):
            raise refusal(outcome)
        admitted = attempt.admitted(outcome)
        return replace(admitted, inner=True) if inner else admitted

    async def _decided(
        self, attempt: "_Attempt", lease_id: str, decide: Callable[[Ask], Awaitable[Granted | Refused]]
    ) -> Granted | Refused:
        """What is decided of a request as it is sized, or of less, where that may find room. Raises PriceUnknown."""
        attempt.drop_unpriced(refuse=self._options.unknown_price == "refuse")
        if attempt.sized:
            await self._size(attempt)
        outcome = await decide(attempt.ask(lease_id))
        for _ in range(TRIES):
            if not isinstance(outcome, Refused) or not attempt.sized or not await self._smaller(attempt, outcome):
                break
            outcome = await decide(attempt.ask(lease_id))
        return outcome

    async def foresee(
        self,
        request: ModelRequest,
        *,
        lease_id: str,
        caller: Caller,
        user: str | None,
        candidates: Sequence[Candidate],
        later: Sequence[Candidate] = (),
    ) -> Foreseen:
        """What `admit` would say now: the decision is made as there, and nothing is taken."""
        plan = self._rules.of_caller(caller, user=user, model=request.model)
        providers = [self._rules.of_provider(candidate.provider) for candidate in (*candidates, *later)]
        attempt = _Attempt(self._facts, request, plan, providers, candidates, later)
        outcome: int | Refused = 0
        error: LLMServiceError | None = None
        try:
            outcome = await self._decided(attempt, lease_id, self._gate.foresee)
        except (PriceUnknown, LedgerUnavailable) as refused:
            error = refused
            if attempt.sized and not attempt.size.tokens:
                await self._size(attempt)
        if isinstance(outcome, Refused):
            error, outcome = refusal(outcome), 0
        return self._foreseen(attempt, outcome, error)

    def _foreseen(self, attempt: "_Attempt", candidate: int, error: LLMServiceError | None) -> Foreseen:
        size = attempt.size
        input_tokens, output_tokens = size.input_tokens, self._most_output(attempt)
        if not attempt.sized:
            input_tokens = self._bound(attempt)
        return Foreseen(
            callers=attempt.ask("").callers,
            providers=attempt.provider_claims(),
            input_tokens=input_tokens,
            output_tokens=size.output_tokens if attempt.sized else output_tokens,
            candidate=attempt.index(candidate),
            cap=attempt.cap,
            unpriced=attempt.unpriced,
            error=error,
        )

    def _most_output(self, attempt: "_Attempt") -> int | None:
        """The most that an answer has that no limit caps: by the request itself, else by the models."""
        request = attempt.request
        if request.operation == "embedding":
            return 0
        cap = asked_cap(request)
        if cap is None:
            known = [self._facts.most_output(one) for one in attempt.all]
            cap = None if None in known else max(filter(None, known), default=None)
        return None if cap is None else cap * choices(request)

    async def count(self, request: ModelRequest, candidate: Candidate) -> int:
        """Tokens of a request's prompt at a candidate."""
        return await self._facts.count(request, candidate)

    async def foresee_free(self, request: ModelRequest, *, lease_id: str, caller: Caller, user: str | None) -> Foreseen:
        """What `admit_free` would say now, taking nothing."""
        plan = self._rules.of_caller(caller, user=user, model=request.model)
        outcome: int | Refused = -1
        if plan.free:
            outcome = await self._gate.foresee(Ask(lease_id=lease_id, callers=plan.free, candidates=()))
        error = refusal(outcome) if isinstance(outcome, Refused) else None
        return Foreseen(callers=plan.free, providers={}, input_tokens=0, output_tokens=0, error=error)

    async def admit_free(
        self, request: ModelRequest, *, lease_id: str, caller: Caller, user: str | None, inner: bool = False
    ) -> Admitted:
        """The same for a request that somebody else's call answers: of the caller's limits a place, and nothing else.

        Raises LimitReached.
        """
        plan = self._rules.of_caller(caller, user=user, model=request.model)
        if inner:
            return INNER
        if not plan.free:
            return FREE
        outcome = await self._gate.admit(Ask(lease_id=lease_id, callers=plan.free, candidates=()))
        if isinstance(outcome, Refused):
            raise refusal(outcome)
        return Admitted(held=outcome)

    async def swap(self, admitted: Admitted, candidate: Candidate, *, called: bool) -> Admitted | None:
        """For another attempt: the candidate's part in place of the provider's that is held; the rest stays as it is.

        ``called``: the provider whose part it was has been asked, so that the permit of its request stays taken.
        ``None``: the candidate's provider has no room, or a budget of unknown cost; nothing has changed then.
        """
        held = admitted.held
        if candidate in admitted.unpriced:
            return None
        plan = self._of_provider(admitted, candidate)
        if held is None or (plan is NO_LIMITS and not held.lease.provider):
            return admitted
        claims, nano_usd = self._part(admitted, plan, candidate)
        outcome = await self._gate.swap(
            held, Ask(lease_id=held.lease.id, callers=(), candidates=[claims]), called=called
        )
        if isinstance(outcome, Refused):
            return None
        return replace(admitted, held=outcome, nano_usd=nano_usd)

    async def beside(self, admitted: Admitted, candidate: Candidate, *, lease_id: str) -> Admitted | None:
        """For an attempt beside the first one: the candidate's part alone, under a lease of its own.

        ``None``: its provider has no room. What is granted is to be settled by itself.
        """
        if candidate in admitted.unpriced:
            return None
        plan = self._of_provider(admitted, candidate)
        if plan is NO_LIMITS:
            return FREE
        claims, nano_usd = self._part(admitted, plan, candidate)
        outcome = await self._gate.admit(Ask(lease_id=lease_id, callers=(), candidates=[claims]))
        return None if isinstance(outcome, Refused) else Admitted(held=outcome, nano_usd=nano_usd)

    def _of_provider(self, admitted: Admitted, candidate: Candidate) -> Plan:
        plan = self._rules.of_provider(candidate.provider)
        return of_inner(plan) if admitted.inner else plan

    def _part(self, admitted: Admitted, plan: Plan, candidate: Candidate) -> tuple[Sequence[Claim], int]:
        """What a request of this size claims from a candidate's provider, and what it may cost there."""
        size = admitted.size
        if size is None:
            return plan.places, 0
        price = self._facts.price(candidate)
        cost = 0
        if price is not None:
            cost = price.worst_case_nano(input_tokens=size.input_tokens, output_tokens=size.output_tokens)
        return [Claim(limit, (1, size.tokens, cost)[code]) for limit, code in plan.coded], cost

    async def settle(self, admitted: Admitted, settlement: Settlement | None) -> None:
        """Settle what a request held; ``None`` gives all back. Never fails."""
        if admitted.held is not None:
            await self._gate.settle(admitted.held, settlement)

    async def _size(self, attempt: "_Attempt") -> None:
        """A bound of the prompt, or its count where the bound takes much of what is left; and a cap on the answer."""
        attempt.set_size(self._bound(attempt), cap=self._options.max_output_tokens)
        seen, costs = self._gate.seen, attempt.costs
        for limit, code in attempt.plan.sized:
            if costs[code] * SHARE_TO_COUNT > limit.amount - seen(limit):
                await self._count(attempt)
                return

    def _bound(self, attempt: "_Attempt") -> int:
        return max([self._facts.bound(attempt.request, candidate) for candidate in attempt.all])

    async def _count(self, attempt: "_Attempt") -> None:
        counted = await self._facts.count(attempt.request, attempt.candidates[0])
        attempt.resize(Size(min(counted, attempt.size.input_tokens), attempt.size.output_tokens, counted=True))

    async def _smaller(self, attempt: "_Attempt", refused: Refused) -> bool:
        """Ask for less: the prompt's count instead of its bound, then what the refusing limit can pay for."""
        if refused.limit.kind not in ("tokens", "money"):
            return False
        if not attempt.size.counted:
            before = attempt.size
            await self._count(attempt)
            if attempt.size.tokens < before.tokens:
                return True
        return attempt.shrink(refused)


class _Attempt:
    """One request's way to a decision: what it asks for, and how far that may shrink."""

    def __init__(
        self,
        facts: Facts,
        request: ModelRequest,
        plan: Plan,
        providers: Sequence[Plan],
        candidates: Sequence[Candidate],
        later: Sequence[Candidate],
    ) -> None:
        """``providers``: the plans of the candidates, then of the later ones."""
        self.request = request
        self.candidates = candidates
        self.later = later
        self.all = (*candidates, *later) if later else candidates
        self.unpriced: frozenset[Candidate] = frozenset()
        self.size = Size(0, 0)
        self.costs = (1, 0, 0)
        """What a place, the tokens and the money come to, by the codes of a plan; money at the dearest candidate."""
        self.cap: int | None = None
        self._facts = facts
        self.plan = plan
        self._providers = providers
        self._indices: Sequence[int] = range(len(candidates))
        self._prices: list[WorstCase | None] = [None] * len(self.all)
        self._costs = [0] * len(self.all)
        self._money = plan.counts_money or any(one.counts_money for one in providers)
        self.sized = self._money or plan.counts_tokens or any(one.counts_tokens for one in providers)
        self._choices = choices(request) if self.sized else 1
        self._asked_cap = asked_cap(request) if self.sized else None

    def drop_unpriced(self, *, refuse: bool) -> None:
        """Under a budget a deployment of unknown price is no candidate. Raises PriceUnknown when none is left."""
        if not self._money:
            return
        self._prices = [self._facts.price(candidate) for candidate in self.all]
        if not refuse:
            return
        if None not in self._prices:
            return
        priced = [i for i, price in enumerate(self._prices) if price is not None or not self._budget_for(i)]
        kept = [i for i in priced if i < len(self.candidates)]
        if not kept:
            raise PriceUnknown(
                f"A budget applies, and the price of `{self.request.model[:200]}` is not known: set its price, or "
                "limits.unknown_price: allow."
            )
        self.unpriced = frozenset(one for i, one in enumerate(self.all) if i not in priced)
        self._providers = [self._providers[i] for i in priced]
        self._prices = [self._prices[i] for i in priced]
        self.candidates = [self.all[i] for i in kept]
        self.all = [self.all[i] for i in priced]
        self._costs = [0] * len(priced)
        self._indices = kept

    def _budget_for(self, index: int) -> bool:
        return self.plan.counts_money or self._providers[index].counts_money

    def set_size(self, input_tokens: int, *, cap: int) -> None:
        """Size the request; ``cap`` is what one choice may have where the request names no cap."""
        if self.request.operation == "embedding":
            self.resize(Size(input_tokens, 0))
            return
        if self._asked_cap is None:
            known = [most for one in self.all if (most := self._facts.most_output(one)) is not None]
            self.cap = min([cap, *known])
        self.resize(Size(input_tokens, (self._asked_cap or self.cap or 0) * self._choices))

    def resize(self, size: Size) -> None:
        """Take a size, and reckon what it costs at each candidate, in nano-USD."""
        self.size = size
        if self._money:
            self._costs = [self._cost(price) for price in self._prices]
        self.costs = (1, size.tokens, max(self._costs))

    def ask(self, lease_id: str) -> Ask:
        """The claims of the request as it is sized now; callers' budgets pay for the dearest candidate."""
        first = self._providers[: len(self.candidates)]
        if not self.sized:
            return Ask(lease_id=lease_id, callers=self.plan.places, candidates=[one.places for one in first])
        costs, tokens = self.costs, self.size.tokens
        return Ask(
            lease_id=lease_id,
            callers=[Claim(limit, costs[code]) for limit, code in self.plan.coded],
            candidates=[
                [Claim(limit, (1, tokens, cost)[code]) for limit, code in one.coded] if one.coded else ()
                for one, cost in zip(first, self._costs, strict=False)
            ],
        )

    def admitted(self, held: Held) -> Admitted:
        """What was granted, by the caller's own order of candidates."""
        chosen = held.lease.candidate
        return Admitted(
            held=held,
            candidate=self._indices[chosen],
            unpriced=self.unpriced,
            cap=self.cap,
            size=self.size if self.sized else None,
            nano_usd=self._costs[chosen],
        )

    def index(self, candidate: int) -> int:
        """The place of a candidate of the ask in the caller's own order."""
        return self._indices[candidate] if 0 <= candidate < len(self._indices) else 0

    def provider_claims(self) -> Mapping[Candidate, Sequence[Claim]]:
        """What the request claims of each candidate's provider, the later ones among them."""
        tokens = self.size.tokens
        return {
            one: [Claim(limit, (1, tokens, cost)[code]) for limit, code in plan.coded]
            for one, plan, cost in zip(self.all, self._providers, self._costs, strict=True)
        }

    def shrink(self, refused: Refused) -> bool:
        """Lower the cap to what the limit can still pay for, if need be to the least that is begun at all.

        With that one the limit refuses again, and says rightly when there may be room: to wait for the whole of a large
        cap may be no use. False: the request set its own cap, or it is as low as that already.
        """
        if self.cap is None or self.cap <= LEAST_CAP:
            return False
        left = refused.limit.amount - refused.used - refused.reserved
        cap = max(self._payable(refused.limit.kind == "money", left) // self._choices, LEAST_CAP)
        if cap >= self.cap:
            return False
        self.cap = cap
        self.resize(Size(self.size.input_tokens, cap * self._choices, counted=self.size.counted))
        return True

    def _payable(self, money: bool, left: int) -> int:  # noqa: FBT001 - one of two kinds
        """Output tokens that what is left of a limit pays for, beside the prompt."""
        if not money:
            return left - self.size.input_tokens
        most = self.size.output_tokens
        least = 0
        while least < most:  # prices have tiers, so the cost is not a straight line; it never falls
            middle = (least + most + 1) // 2
            if max(self._cost(price, output_tokens=middle) for price in self._prices) <= left:
                least = middle
            else:
                most = middle - 1
        return least

    def _cost(self, price: WorstCase | None, *, output_tokens: int | None = None) -> int:
        if price is None:
            return 0
        output = self.size.output_tokens if output_tokens is None else output_tokens
        return price.worst_case_nano(input_tokens=self.size.input_tokens, output_tokens=output)
