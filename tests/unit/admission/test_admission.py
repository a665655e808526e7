"""Admission of one request: what it asks for, how far that shrinks, and what a caller is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from llm_service.admission import FREE, Admission, AllowanceOptions, Arrears, Facts, Gate, LimitsOptions, Rules
from llm_service.domain import (
    BudgetExceeded,
    Caller,
    Candidate,
    ConcurrencyLimited,
    Limit,
    ModelRequest,
    PriceUnknown,
    RateLimited,
    Settlement,
    chat_request,
    embedding_request,
)
from llm_service.pipeline import counting
from llm_service.runtime import Tasks
from llm_service.storage import MemoryLimits
from tests.support.clock import ManualClock
from tests.support.service import LogLines

CALLER = Caller(key_id="key_1", scopes=frozenset({"inference"}))
P, Q = Candidate(provider="p", upstream_model="m"), Candidate(provider="q", upstream_model="m")
NANO_A_TOKEN = 1000


@dataclass
class Flat:
    """A dollar for a million tokens, whichever."""

    def worst_case_nano(self, *, input_tokens: int, output_tokens: int) -> int:
        return NANO_A_TOKEN * (input_tokens + output_tokens)


@dataclass
class World:
    options: LimitsOptions
    bound: int = 1000
    counted: int = 100
    prices: Mapping[Candidate, Flat] = field(default_factory=lambda: {P: Flat(), Q: Flat()})
    most_output: int | None = None
    counts: int = 0

    def __post_init__(self) -> None:
        self.clock = clock = ManualClock()
        tasks = Tasks(lambda work, failure: pytest.fail(f"{work}: {failure!r}"))
        self.store = MemoryLimits(clock)

        async def count(request: ModelRequest, candidate: Candidate) -> int:
            self.counts += 1
            return self.counted

        async def spent(limit: Limit) -> tuple[int, int]:
            return 0, 0

        gate = Gate(
            self.store,
            here=lambda: MemoryLimits(clock),
            spent=spent,
            when_shipped=lambda request_id, callback: None,
            arrears=Arrears(self.store, clock=clock, tasks=tasks),
            holder="proc_1",
            log=LogLines(),
        )
        facts = Facts(
            price=self.prices.get,
            most_output=lambda candidate: self.most_output,
            bound=lambda request, candidate: self.bound,
            count=count,
        )
        rules = Rules(self.options, now=lambda: datetime(2026, 11, 25, tzinfo=UTC), time=clock.time)
        self.admission = Admission(gate, rules, options=self.options, facts=facts)
        self._number = 0

    async def admit(self, *candidates: Candidate, operation: str = "chat", **fields: Any) -> Any:
        self._number += 1
        return await self.admission.admit(
            embedding(**fields) if operation == "embedding" else chat(**fields),
            lease_id=f"req_{self._number}",
            caller=CALLER,
            user=None,
            candidates=candidates or (P,),
        )


def chat(**fields: Any) -> ModelRequest:
    return chat_request({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}, 60)


def embedding(**fields: Any) -> ModelRequest:
    return embedding_request({"model": "m", "input": "Hi", **fields}, 30)


def per_key(**limits: Any) -> LimitsOptions:
    return LimitsOptions(per_key=AllowanceOptions(**limits))


async def test_without_limits_nothing_is_asked_of_the_store() -> None:
    world = World(LimitsOptions())
    assert await world.admit() is FREE


async def test_a_limit_of_requests_sizes_nothing() -> None:
    admitted = await World(per_key(requests_per_minute=1)).admit()
    assert (admitted.cap, admitted.size) == (None, None)


async def test_tokens_are_reserved_for_the_prompt_and_the_whole_answer() -> None:
    admitted = await World(per_key(tokens_per_minute=1_000_000)).admit()
    assert (admitted.cap, admitted.size.input_tokens, admitted.size.output_tokens) == (32_000, 1000, 32_000)


async def test_a_request_s_own_cap_is_reserved_for_each_choice_and_left_as_it_is() -> None:
    admitted = await World(per_key(tokens_per_minute=1_000_000)).admit(max_tokens=500, n=3)
    assert (admitted.cap, admitted.size.output_tokens) == (None, 1500)


async def test_no_more_is_reserved_than_the_model_can_answer() -> None:
    admitted = await World(per_key(tokens_per_minute=1_000_000), most_output=8000).admit()
    assert admitted.cap == 8000


async def test_embeddings_have_no_answer_to_reserve_for() -> None:
    admitted = await World(per_key(tokens_per_minute=1_000_000)).admit(operation="embedding")
    assert (admitted.cap, admitted.size.tokens) == (None, 1000)


async def test_a_bound_that_takes_much_of_what_is_left_is_replaced_by_a_count() -> None:
    world = World(per_key(tokens_per_minute=40_000))
    admitted = await world.admit(max_tokens=256)
    plenty = await World(per_key(tokens_per_minute=400_000)).admit(max_tokens=256)
    assert (admitted.size.input_tokens, plenty.size.input_tokens, world.counts) == (1000, 1000, 0)
    scarce = World(per_key(tokens_per_minute=8_000))
    assert ((await scarce.admit(max_tokens=256)).size.input_tokens, scarce.counts) == (100, 1)


async def test_the_cap_shrinks_to_what_the_tightest_limit_can_pay_for() -> None:
    admitted = await World(per_key(tokens_per_minute=5000, budget_usd=Decimal(1))).admit()
    assert (admitted.cap, admitted.size.tokens) == (4900, 5000)


async def test_the_cap_shrinks_to_what_the_budget_pays_for() -> None:
    admitted = await World(per_key(budget_usd=Decimal("0.002"))).admit()
    assert (admitted.cap, admitted.nano_usd) == (1900, 2_000_000)


async def test_an_answer_of_less_than_256_tokens_is_not_begun() -> None:
    world = World(per_key(tokens_per_minute=355))
    with pytest.raises(RateLimited):
        await world.admit()
    assert (await World(per_key(tokens_per_minute=356)).admit()).cap == 256


async def test_a_cap_of_the_request_s_own_does_not_shrink() -> None:
    with pytest.raises(RateLimited) as caught:
        await World(per_key(tokens_per_minute=5000)).admit(max_tokens=6000)
    assert (caught.value.retry_after_s, caught.value.retryable) == (None, False)
    assert "shorten its prompt or lower max_tokens" in caught.value.message


async def test_a_refusal_says_how_long_to_wait_and_takes_nothing() -> None:
    world = World(per_key(requests_per_minute=2))
    for _ in range(2):
        await world.admit()
    with pytest.raises(RateLimited) as caught:
        await world.admit()
    error = caught.value
    assert (
        error.message == "The limit of this api key of 2 requests a minute has no room: 2 are taken. Try again in 61 s."
    )
    assert (error.retry_after_s, error.used, error.limit is not None) == (61.0, 2, True)


async def test_a_request_without_a_cap_waits_for_the_least_that_is_begun() -> None:
    world = World(per_key(tokens_per_minute=1000))
    admitted = await world.admit(max_tokens=900)
    await world.admission.settle(admitted, Settlement(tokens=950, nano_usd=0))
    with pytest.raises(RateLimited) as caught:
        await world.admit()
    assert (caught.value.retry_after_s, caught.value.retryable) == (61.0, True)
    world.clock.advance(61)
    assert (await world.admit()).cap == 900


async def test_too_many_at_once() -> None:
    world = World(per_key(concurrent_requests=1))
    admitted = await world.admit()
    with pytest.raises(ConcurrencyLimited):
        await world.admit()
    await world.admission.settle(admitted, Settlement(tokens=0, nano_usd=0))
    await world.admit()


async def test_a_spent_budget_is_told_in_usd() -> None:
    world = World(per_key(budget_usd=Decimal("0.01"), budget_period="day"))
    admitted = await world.admit(max_tokens=9000)
    await world.admission.settle(admitted, Settlement(tokens=9100, nano_usd=9_900_000))
    with pytest.raises(BudgetExceeded) as caught:
        await world.admit(max_tokens=1000)
    assert "0.01 USD a day" in caught.value.message
    assert "0.0099 USD are spent or reserved" in caught.value.message
    assert not caught.value.retryable


async def test_under_a_budget_an_unknown_price_is_refused() -> None:
    with pytest.raises(PriceUnknown):
        await World(per_key(budget_usd=Decimal(1)), prices={}).admit()


async def test_an_unknown_price_can_be_allowed() -> None:
    options = LimitsOptions(per_key=AllowanceOptions(budget_usd=Decimal(1)), unknown_price="allow")
    assert (await World(options, prices={}).admit()).nano_usd == 0


async def test_a_candidate_of_unknown_price_is_passed_over() -> None:
    admitted = await World(per_key(budget_usd=Decimal(1)), prices={Q: Flat()}).admit(P, Q)
    assert admitted.candidate == 1


async def test_a_provider_without_room_is_passed_over() -> None:
    world = World(LimitsOptions(per_provider={"p": AllowanceOptions(requests_per_minute=1)}))
    chosen = [(await world.admit(P, Q)).candidate for _ in range(3)]
    assert chosen == [0, 1, 1]


async def test_a_provider_s_limit_refuses_when_no_candidate_has_room() -> None:
    one = AllowanceOptions(requests_per_minute=1)
    world = World(LimitsOptions(per_provider={"p": one, "q": one}))
    for _ in range(2):
        await world.admit(P, Q)
    with pytest.raises(RateLimited) as caught:
        await world.admit(P, Q)
    assert caught.value.limit is not None
    assert caught.value.limit.scope == "provider"


async def test_what_somebody_else_pays_for_takes_a_place_and_nothing_else() -> None:
    world = World(
        LimitsOptions(
            per_key=AllowanceOptions(requests_per_minute=2, tokens_per_minute=1, budget_usd=Decimal("0.000000001")),
            per_provider={"p": AllowanceOptions(requests_per_minute=1)},
        )
    )
    free = [
        await world.admission.admit_free(chat(), lease_id=f"free_{number}", caller=CALLER, user=None)
        for number in range(2)
    ]
    assert [[claim.cost for claim in one.held.lease.callers] for one in free if one.held] == [[1, 0], [1, 0]]
    with pytest.raises(RateLimited):
        await world.admission.admit_free(chat(), lease_id="free_3", caller=CALLER, user=None)


async def test_what_a_filter_refuses_takes_a_request_and_nothing_else() -> None:
    options = per_key(
        requests_per_minute=2, concurrent_requests=1, tokens_per_minute=10_000, budget_usd=Decimal("0.001")
    )
    world = World(options, bound=100, counted=100)
    counted = counting(world.admission)

    def refused(number: int) -> Any:
        return SimpleNamespace(id=f"req_{number}", request=chat(), caller=CALLER, user=None)

    for number in range(2):
        await counted(refused(number))
    with pytest.raises(RateLimited):
        await counted(refused(2))
    world.clock.advance(61)
    await counted(refused(3))


async def test_what_somebody_else_pays_for_needs_no_limit() -> None:
    assert await World(LimitsOptions()).admission.admit_free(chat(), lease_id="a", caller=CALLER, user=None) is FREE


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        (LimitsOptions(), {}),
        (per_key(requests_per_minute=0 + 1), {}),
        (per_key(tokens_per_minute=1_300), {}),
        (per_key(tokens_per_minute=200), {"max_tokens": 500}),
        (per_key(budget_usd=Decimal("0.001")), {}),
        (per_key(budget_usd=Decimal("0.000001")), {}),
        (LimitsOptions(per_provider={"p": AllowanceOptions(tokens_per_minute=10)}), {}),
    ],
)
async def test_what_is_foreseen_is_what_is_admitted(options: LimitsOptions, fields: dict[str, Any]) -> None:
    world = World(options)
    request = chat(**fields)
    for _ in range(2):  # with room, then with less of it
        foreseen = await world.admission.foresee(
            request, lease_id="explain", caller=CALLER, user=None, candidates=(P, Q)
        )
        if foreseen.error is not None:
            with pytest.raises(type(foreseen.error)) as refused:
                await world.admit(P, Q, **fields)
            assert str(refused.value) == str(foreseen.error)
            continue
        admitted = await world.admit(P, Q, **fields)
        assert (foreseen.candidate, foreseen.cap) == (admitted.candidate, admitted.cap)
        if admitted.held is not None:
            assert foreseen.callers == admitted.held.lease.callers
            assert foreseen.providers[(P, Q)[admitted.candidate]] == list(admitted.held.lease.provider)
        if admitted.size is not None:
            assert (foreseen.input_tokens, foreseen.output_tokens) == (
                admitted.size.input_tokens, admitted.size.output_tokens,
            )  # fmt: skip


async def test_a_price_that_nobody_knows_is_foreseen() -> None:
    world = World(per_key(budget_usd=Decimal(1)), prices={Q: Flat()})
    foreseen = await world.admission.foresee(chat(), lease_id="x", caller=CALLER, user=None, candidates=(P, Q))
    assert (foreseen.candidate, foreseen.unpriced, foreseen.error) == (1, {P}, None)
    foreseen = await world.admission.foresee(chat(), lease_id="x", caller=CALLER, user=None, candidates=(P,))
    assert isinstance(foreseen.error, PriceUnknown)
