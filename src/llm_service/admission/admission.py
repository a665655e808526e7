"""Admission of one request: which limits it meets, what it may take of them at most, and the one decision over all."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from llm_service.admission.admitted import FREE, INNER, Admitted, Foreseen
from llm_service.admission.at_once import SHARE_TO_COUNT, AtOnce
from llm_service.admission.attempt import Attempt
from llm_service.admission.facts import Facts
from llm_service.admission.gate import Gate
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
)
from llm_service.runtime import DONE

TRIES: Final = 4

Granted = TypeVar("Granted")


class Admission:
    """Admits requests, and settles what they held."""

    def __init__(self, gate: Gate, rules: Rules, *, options: LimitsOptions, facts: Facts) -> None:
        self._gate = gate
        self._rules = rules
        self._options = options
        self._facts = facts
        self._memory = gate.memory
        self._at_once = None if gate.memory is None else AtOnce(gate.memory, options=options, facts=facts)

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
        rules = self._rules
        plan = rules.of_caller(caller, user=user, model=request.model)
        providers = rules.of_providers((*candidates, *later) if later else candidates)
        if inner:
            plan, providers = of_inner(plan), [of_inner(one) for one in providers]
        if plan is NO_LIMITS and all(one is NO_LIMITS for one in providers):
            return INNER if inner else FREE
        if self._at_once is not None and not inner:
            admitted = self._at_once.admit(
                request, plan, providers, lease_id=lease_id, candidates=candidates, later=later
            )
            if isinstance(admitted, Refused):
                raise refusal(admitted)
            if admitted is not None:
                return admitted
        attempt = Attempt(self._facts, request, plan, providers, candidates, later)
        outcome = await self._decided(attempt, lease_id, self._gate.admit)
        if isinstance(outcome, Refused):
            raise refusal(outcome)
        admitted = attempt.admitted(outcome)
        return replace(admitted, inner=True) if inner else admitted

    async def _decided(
        self, attempt: Attempt, lease_id: str, decide: Callable[[Ask], Awaitable[Granted | Refused]]
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
        providers = self._rules.of_providers((*candidates, *later))
        attempt = Attempt(self._facts, request, plan, providers, candidates, later)
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

    def _foreseen(self, attempt: Attempt, candidate: int, error: LLMServiceError | None) -> Foreseen:
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

    def _most_output(self, attempt: Attempt) -> int | None:
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
        if self._at_once is not None:
            admitted = self._at_once.admit_free(plan, lease_id=lease_id)
            if isinstance(admitted, Refused):
                raise refusal(admitted)
            return admitted
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
        return plan.claims((1, size.tokens, cost)), cost

    def settle(self, admitted: Admitted, settlement: Settlement | None) -> Awaitable[None]:
        """Settle what a request held; ``None`` gives all back. Never fails.

        Where limits are kept in this process's memory that is done when this returns, and what it returns is ``DONE``.
        """
        held = admitted.held
        if held is None:
            return DONE
        if self._memory is None:
            return self._gate.settle(held, settlement)
        self._memory.settle_at_once(held.lease.id, settlement)
        return DONE

    async def _size(self, attempt: Attempt) -> None:
        """A bound of the prompt, or its count where the bound takes much of what is left; and a cap on the answer."""
        attempt.set_size(self._bound(attempt), cap=self._options.max_output_tokens)
        seen, costs = self._gate.seen, attempt.costs
        for _, code, limit in attempt.plan.sized:
            if costs[code] * SHARE_TO_COUNT > limit.amount - seen(limit):
                await self._count(attempt)
                return

    def _bound(self, attempt: Attempt) -> int:
        return max([self._facts.bound(attempt.request, candidate) for candidate in attempt.all])

    async def _count(self, attempt: Attempt) -> None:
        counted = await self._facts.count(attempt.request, attempt.candidates[0])
        attempt.resize(Size(min(counted, attempt.size.input_tokens), attempt.size.output_tokens, counted=True))

    async def _smaller(self, attempt: Attempt, refused: Refused) -> bool:
        """Ask for less: the prompt's count instead of its bound, then what the refusing limit can pay for."""
        if refused.limit.kind not in ("tokens", "money"):
            return False
        if not attempt.size.counted:
            before = attempt.size
            await self._count(attempt)
            if attempt.size.tokens < before.tokens:
                return True
        return attempt.shrink(refused)
