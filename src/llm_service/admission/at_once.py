"""The way of a request that nothing hinders, where limits are kept in this process's memory: of nearly all."""

from collections.abc import Sequence
from typing import Final

from llm_service.admission.admitted import Admitted
from llm_service.admission.facts import Facts
from llm_service.admission.gate import Held
from llm_service.admission.options import LimitsOptions
from llm_service.admission.rules import Costs, Plan
from llm_service.admission.size import Size, output_of
from llm_service.domain import Ask, Candidate, Claim, Lease, ModelRequest, Refused
from llm_service.storage import MemoryLimits

SHARE_TO_COUNT: Final = 8
"""A bound above this part of what is left of a limit is replaced by a count."""
NO_CLAIMS: Final[Sequence[Sequence[Claim]]] = ((),)
"""Of candidates whose providers have no limits: the first of them has room."""
NOBODY: Final = frozenset[Candidate]()


class AtOnce:
    """Decides as the general way of `Admission` does, in one go and without a wait.

    What is not plain it leaves to that one, and has taken nothing then: a price that nobody knows, a prompt to be
    counted, a budget whose spending has to be learned, and refusals that a smaller ask may avoid.
    """

    def __init__(self, store: MemoryLimits, *, options: LimitsOptions, facts: Facts) -> None:
        self._store = store
        self._life = store.life
        self._most_output = options.max_output_tokens
        self._facts = facts

    def admit(
        self,
        request: ModelRequest,
        plan: Plan,
        providers: Sequence[Plan],
        *,
        lease_id: str,
        candidates: Sequence[Candidate],
        later: Sequence[Candidate],
    ) -> Admitted | Refused | None:
        """What was granted, or the refusal of a limit of requests; ``None``: it takes the general way.

        ``providers``: the plans of the candidates, then of the later ones.
        """
        sized, money, limited = bool(plan.sized), plan.counts_money, False
        for one in providers:
            if one.limits:
                sized, money, limited = sized or bool(one.sized), money or one.counts_money, True
        first = providers[: len(candidates)] if later else providers
        if not sized:
            return self._decided(Ask(lease_id, plan.places, [one.places for one in first] if limited else NO_CLAIMS))
        everyone = (*candidates, *later) if later else candidates
        facts = self._facts
        input_tokens = 0
        for candidate in everyone:
            if (bound := facts.bound(request, candidate)) > input_tokens:
                input_tokens = bound
        cap, output_tokens = output_of(request, everyone, most_output=facts.most_output, at_most=self._most_output)
        nano_usd = self._worst_cases(everyone, input_tokens, output_tokens) if money else [0] * len(everyone)
        tokens = input_tokens + output_tokens
        costs = (1, tokens, max(nano_usd, default=0))
        if not nano_usd or self._is_to_be_counted(plan, costs):
            return None
        offered = NO_CLAIMS
        if limited:
            offered = [one.claims((1, tokens, cost)) for one, cost in zip(first, nano_usd, strict=False)]
        ask = Ask(lease_id, plan.claims(costs), offered)
        return self._decided(ask, cap, Size(input_tokens, output_tokens), nano_usd)

    def _worst_cases(self, candidates: Sequence[Candidate], input_tokens: int, output_tokens: int) -> Sequence[int]:
        """What the request costs at most at each, in nano-USD; nothing where that is not known of one."""
        price, worst = self._facts.price, []
        for candidate in candidates:
            known = price(candidate)
            if known is None:
                return ()
            worst.append(known.worst_case_nano(input_tokens=input_tokens, output_tokens=output_tokens))
        return worst

    def _is_to_be_counted(self, plan: Plan, costs: Costs) -> bool:
        """Whether the prompt is: where the request claims much of what is left of a limit."""
        counters = self._store.at_hand(plan.met)
        for place, code, limit in plan.sized:
            stood = (self._store.seen(limit) or 0) if counters is None else counters[place].total
            if costs[code] * SHARE_TO_COUNT > limit.amount - stood:
                return True
        return False

    def admit_free(self, plan: Plan, *, lease_id: str) -> Admitted | Refused:
        """The same for a request that somebody else's call answers, where the plan has places for such."""
        decision = self._store.admit_at_once(Ask(lease_id, plan.free, ()))
        if isinstance(decision, Lease):
            return Admitted(Held(decision, self._store, self._life))
        if isinstance(decision, Refused):
            return decision
        raise AssertionError("a place is no money, of which one may not know what was spent")

    def _decided(
        self, ask: Ask, cap: int | None = None, size: Size | None = None, nano_usd: Sequence[int] = ()
    ) -> Admitted | Refused | None:
        decision = self._store.admit_at_once(ask)
        if isinstance(decision, Lease):
            chosen = decision.candidate
            held = Held(decision, self._store, self._life)
            return Admitted(held, chosen, NOBODY, cap, size, nano_usd[chosen] if nano_usd else 0)
        if isinstance(decision, Refused) and decision.limit.kind not in ("tokens", "money"):
            return decision
        return None
