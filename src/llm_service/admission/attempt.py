"""One request's way to a decision: what it asks for, and how far that may shrink."""

from collections.abc import Mapping, Sequence
from typing import Final

from llm_service.admission.admitted import Admitted
from llm_service.admission.facts import Facts, WorstCase
from llm_service.admission.gate import Held
from llm_service.admission.rules import Costs, Plan
from llm_service.admission.size import Size, choices, output_of
from llm_service.domain import Ask, Candidate, Claim, ModelRequest, PriceUnknown, Refused

LEAST_CAP: Final = 256
"""An answer that a limit would cut to less than this many tokens is not begun."""


class Attempt:
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
        self.costs: Costs = (1, 0, 0)
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
        self.cap, output_tokens = output_of(self.request, self.all, most_output=self._facts.most_output, at_most=cap)
        self.resize(Size(input_tokens, output_tokens))

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
        tokens = self.size.tokens
        return Ask(
            lease_id=lease_id,
            callers=self.plan.claims(self.costs),
            candidates=[one.claims((1, tokens, cost)) for one, cost in zip(first, self._costs, strict=False)],
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
            one: list(plan.claims((1, tokens, cost)))
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
