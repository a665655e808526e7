"""The way out of an admitted request: its record first, then its lease; estimates where nobody says."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.admission import FREE, Admitted, Held, Size
from llm_service.domain import (
    Caller,
    Candidate,
    Claim,
    Cost,
    Event,
    Head,
    Intent,
    Lease,
    LedgerUnavailable,
    Limit,
    ModelRequest,
    NoDeploymentAvailable,
    Outcome,
    Price,
    PriceTerm,
    Reply,
    Settlement,
    Tried,
    UpstreamError,
    UpstreamTimeout,
    Usage,
    UsageRecord,
    chat_request,
)
from llm_service.pipeline import Account, Accounts, Closing, Exchange
from llm_service.pipeline.base import Try
from llm_service.prices import ModelPrice
from llm_service.runtime import DONE, Tasks
from llm_service.storage import LimitStore
from tests.support.clock import ManualClock
from tests.support.routes import a_route
from tests.support.waiting import loop_turns

PRICE = ModelPrice(terms=(PriceTerm(price=Price(input_usd=Decimal(1), output_usd=Decimal(2))),), origin="operator")
USAGE = Usage(input_tokens=10, output_tokens=20)
CHUNK = b'{"choices":[{"index":0,"delta":{"content":"four words are here"}}]}'
WHOLE = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"four words are here"}}]}'


class Books:
    """A ledger that writes down what it is told, in order, or refuses."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.refuses = False
        self.writing: Awaitable[None] | None = None
        """Until the record has reached the disk; ``None``: it has."""

    def open(self, intent: Intent) -> None:
        if self.refuses:
            raise LedgerUnavailable("full")
        self.told.append(intent)

    def close(self, record: UsageRecord) -> Awaitable[None] | None:
        if self.refuses:
            raise LedgerUnavailable("full")
        self.told.append(record)
        return self.writing

    def settle(self, admitted: Admitted, settlement: Settlement | None) -> Awaitable[None]:
        self.told.append(settlement)
        return DONE


class WordCounter:
    """A token a word."""

    def text(self, model: str, text: str) -> int:
        return len(text.split())

    def ready(self, model: str) -> None:
        pass

    def prompt(self, model: str, request: ModelRequest) -> int:
        return 7


@dataclass
class World:
    stream: bool = True
    admitted: Admitted = FREE
    price: ModelPrice | None = PRICE
    called: bool = True
    books: Books = field(default_factory=Books)

    def __post_init__(self) -> None:
        self.defects: list[BaseException] = []
        self.warnings: list[tuple[str, dict[str, Any]]] = []
        self.clock = ManualClock()
        self.accounts = Accounts(
            admission=cast(Any, self.books),
            ledger=self.books,
            price=lambda candidate: self.price,
            counter=WordCounter(),
            clock=self.clock,
            at_once=True,
            report=lambda work, defect: self.defects.append(defect),
            log=cast(Any, self),
        )
        body = {"model": "p/m", "messages": [{"role": "user", "content": "Hi"}], "stream": self.stream}
        self.exchange = Exchange(
            id="req_1",
            stream_id="str_1",
            surface="rest",
            request=chat_request(body, 60),
            caller=Caller(key_id="key_1", scopes=frozenset()),
            tasks=Tasks(lambda name, failure: pytest.fail(name)),
            received_at=self.clock.monotonic(),
            user="ann",
            tags={"team": "search"},
        )
        self.exchange.marks.append(self.exchange.received_at)
        self.exchange.route = a_route("p")
        self.exchange.order = self.exchange.route.plain
        self.exchange.admitted = self.admitted
        if self.called:
            self.exchange.tries.append(Try(self.exchange.candidate, self.exchange.received_at))
        self.closing = Closing(self.exchange, self.accounts)

    def warning(self, event: str, **facts: Any) -> None:
        self.warnings.append((event, facts))

    def settled(self, outcome: Outcome) -> UsageRecord:
        assert self.closing.settle(outcome) is None
        record = self.exchange.record
        assert record is not None
        return record


LEASE = Lease("req_1", callers=[], candidate=0, provider=[], second=0)
HELD = Admitted(held=Held(LEASE, cast(LimitStore, object()), "a life"), size=Size(100, 200), nano_usd=300)
BUDGET = Claim(Limit(key="b", scope="key", subject="key_1", kind="money", amount=10**9, period="month"), 500_000)
PAID = Lease("req_1", callers=[BUDGET], candidate=0, provider=[], second=0)
BUDGETED = Admitted(held=Held(PAID, cast(LimitStore, object()), "a life"), size=Size(100, 200), nano_usd=500_000)


async def test_the_record_has_what_the_provider_counted_and_what_that_costs() -> None:
    record = World().settled(Outcome(status="ok", usage=USAGE, upstream_id="gen_1"))
    assert (record.input_tokens, record.output_tokens, record.nano_usd) == (10, 20, 50_000)
    assert (record.cost_source, record.status, record.upstream_id) == ("catalog", "ok", "gen_1")
    assert (record.key_id, record.user, record.tags, record.provider) == ("key_1", "ann", {"team": "search"}, "p")


async def test_the_provider_s_own_figure_wins() -> None:
    record = World().settled(Outcome(status="ok", usage=USAGE, cost=Cost(Decimal("0.000000007"), "provider")))
    assert (record.nano_usd, record.cost_source) == (7, "provider")


async def test_the_record_is_written_before_the_lease_is_settled() -> None:
    world = World(admitted=HELD)
    record = world.settled(Outcome(status="ok", usage=USAGE))
    assert world.books.told == [record, Settlement(tokens=30, nano_usd=50_000, provider=True)]


async def test_the_lease_is_settled_also_when_the_record_cannot_be_written() -> None:
    world = World(admitted=HELD)
    world.books.refuses = True
    with pytest.raises(LedgerUnavailable):
        world.closing.settle(Outcome(status="ok", usage=USAGE))
    assert world.books.told == [Settlement(tokens=30, nano_usd=50_000, provider=True)]


async def test_a_lease_is_not_settled_before_its_record_has_reached_the_disk() -> None:
    world = World(admitted=HELD)
    written = world.books.writing = asyncio.get_running_loop().create_future()
    closing = world.closing.settle(Outcome(status="ok", usage=USAGE))
    assert closing is not None
    settling = asyncio.ensure_future(closing)
    await loop_turns()
    assert world.books.told == [world.exchange.record]
    written.set_exception(LedgerUnavailable("gone"))
    with pytest.raises(LedgerUnavailable):
        await settling
    assert world.books.told[1:] == [Settlement(tokens=30, nano_usd=50_000, provider=True)]


async def test_more_than_was_set_aside_is_told_with_both_figures() -> None:
    world = World(admitted=BUDGETED)
    world.settled(Outcome(status="ok", usage=Usage(input_tokens=100, output_tokens=201)))
    ((event, told),) = world.warnings
    assert (event, told["request_id"], told["key_id"]) == ("overrun", "req_1", "key_1")
    assert (told["reserved_tokens"], told["used_tokens"]) == (300, 301)
    assert (told["reserved_usd"], told["cost_usd"]) == ("0.0005", "0.000502")


@pytest.mark.parametrize(
    ("admitted", "cost", "told"),
    [("budgeted", 500_000, 0), ("budgeted", 500_001, 1), ("without a budget", 500_001, 0), ("free", 500_001, 0)],
)
async def test_money_beyond_what_was_set_aside_is_told_where_a_budget_set_it_aside(
    admitted: str, cost: int, told: int
) -> None:
    world = World(admitted={"budgeted": BUDGETED, "without a budget": HELD, "free": FREE}[admitted])
    world.settled(Outcome(status="ok", usage=USAGE, cost=Cost(Decimal(cost) / 10**9, "provider")))
    assert len(world.warnings) == told


async def test_a_stream_that_was_left_is_counted_from_what_was_sent() -> None:
    world = World()
    for seq in (1, 2):
        event = Event(seq, CHUNK)
        assert world.closing.see(event) is event
    record = world.settled(Outcome(status="aborted"))
    assert (record.input_tokens, record.output_tokens, record.cost_source) == (7, 7, "estimate")
    assert (record.status, record.nano_usd) == ("aborted", 21_000)


async def test_who_leaves_before_the_first_word_pays_for_the_prompt() -> None:
    record = World().settled(Outcome(status="aborted"))
    assert (record.input_tokens, record.output_tokens, record.cost_source) == (7, 0, "estimate")


async def test_a_provider_that_timed_out_may_have_worked() -> None:
    record = World().settled(Outcome(status="error", error=UpstreamTimeout("late")))
    assert (record.input_tokens, record.cost_source, record.error_code) == (7, "estimate", "upstream_timeout")


async def test_a_provider_that_refused_has_used_nothing() -> None:
    record = World().settled(Outcome(status="error", error=UpstreamError("no")))
    assert (record.input_tokens, record.output_tokens, record.nano_usd) == (0, 0, 0)


# -- attempts


def another(world: World, provider: str = "p", **facts: Any) -> Try:
    """A further attempt of the request, half a second later."""
    world.clock.advance(0.5)
    one = Try(Candidate(provider=provider, upstream_model="m"), world.clock.monotonic())
    for name, value in facts.items():
        setattr(one, name, value)
    world.exchange.tries.append(one)
    return one


async def test_one_attempt_that_answers_needs_no_words() -> None:
    record = World().settled(Outcome(status="ok", usage=USAGE))
    assert (record.attempts, record.tries, record.wasted_nano_usd) == (1, (), 0)


async def test_attempts_are_told_in_the_order_in_which_they_began() -> None:
    world = World()
    (first,) = world.exchange.tries
    first.fails(UpstreamError("down", provider="p"))
    first.ended_at = first.begun_at + 0.25
    another(world, "lost", error_code="lost", nano_usd=90)
    another(world, "won")
    record = world.settled(Outcome(status="ok", usage=USAGE))
    assert (record.attempts, record.wasted_nano_usd, record.nano_usd) == (3, 90, 50_000)
    assert record.tries == (
        Tried(provider="p", upstream_model="m", error_code="upstream_error", duration_ms=250.0),
        Tried(provider="lost", upstream_model="m", error_code="lost", nano_usd=90),
        Tried(provider="won", upstream_model="m"),
    )


def billing(usage: Usage | None = None, cost: str | None = None) -> UpstreamError:
    error = UpstreamError("no", provider="p")
    error.usage, error.cost = usage, None if cost is None else Cost(Decimal(cost), "provider")
    return error


@pytest.mark.parametrize(
    ("error", "wasted"),
    [
        (billing(USAGE), 50_000),
        (billing(USAGE, "0.000000007"), 7),
        (billing(None, "0.000000007"), 7),
        (billing(USAGE, "0"), 0),
        (billing(), 0),
    ],
)
async def test_what_a_failed_attempt_bills_is_charged_to_nobody(error: UpstreamError, wasted: int) -> None:
    world = World(admitted=HELD)
    world.exchange.tries[0].fails(error)
    another(world)
    record = world.settled(Outcome(status="ok", usage=USAGE))
    assert (record.nano_usd, record.wasted_nano_usd, record.tries[0].nano_usd) == (50_000, wasted, wasted)
    assert world.books.told[-1] == Settlement(tokens=30, nano_usd=50_000, provider=True)


async def test_a_request_that_failed_is_not_charged_with_what_its_attempts_bill() -> None:
    world = World()
    world.exchange.tries[0].fails(error := billing(USAGE))
    record = world.settled(Outcome(status="error", error=error))
    assert (record.nano_usd, record.wasted_nano_usd, len(record.tries)) == (0, 50_000, 1)


async def test_an_attempt_that_cannot_be_priced_stands_in_the_record_all_the_same() -> None:
    world = World()
    world.exchange.tries[0].fails(billing(USAGE))
    object.__setattr__(world.accounts, "price", lambda candidate: 1 / 0)
    record = world.settled(Outcome(status="ok", cost=Cost(Decimal("0.000000007"), "provider")))
    assert (len(record.tries), record.wasted_nano_usd, record.nano_usd) == (1, 0, 7)
    assert [type(defect) for defect in world.defects] == [ZeroDivisionError]


COSTS = st.none() | st.integers(0, 10**12).map(lambda nano: Decimal(nano) / 10**9)
MAYBE_USAGE = st.none() | st.builds(Usage, input_tokens=st.integers(0, 10**6), output_tokens=st.integers(0, 10**6))


@given(st.lists(st.tuples(MAYBE_USAGE, COSTS, st.integers(0, 10**9)), min_size=1, max_size=6), st.booleans())
async def test_what_is_wasted_is_the_sum_of_the_attempts_and_changes_no_charge(
    told: list[tuple[Usage | None, Decimal | None, int]], answered: bool
) -> None:
    world, plain = World(), World()
    world.exchange.tries.clear()
    for usage, cost, lost in told:
        one = another(world, error_code="upstream_error", usage=usage, nano_usd=lost)
        one.cost = None if cost is None else Cost(cost, "provider")
    if answered:
        another(world)
    outcome = Outcome(status="ok", usage=USAGE) if answered else Outcome(status="error", error=UpstreamError("no"))
    record, same = world.settled(outcome), plain.settled(outcome)
    assert (
        record.wasted_nano_usd
        == sum(one.nano_usd for one in record.tries)
        == sum(lost + (int(cost * 10**9) if cost is not None else bill_of(usage)) for usage, cost, lost in told)
    )
    assert (record.nano_usd, record.cost_source, record.input_tokens) == (
        same.nano_usd, same.cost_source, same.input_tokens
    )  # fmt: skip


def bill_of(usage: Usage | None) -> int:
    """At one and two dollars for a million tokens."""
    return 0 if usage is None else usage.input_tokens * 1_000 + usage.output_tokens * 2_000


async def test_a_whole_answer_without_counts_is_counted_from_its_text() -> None:
    world = World(stream=False)
    world.closing.reply = a_reply(WHOLE)
    record = world.settled(Outcome(status="ok"))
    assert (record.input_tokens, record.output_tokens, record.cost_source) == (7, 4, "estimate")


async def test_without_a_call_nothing_is_used_and_the_provider_s_part_goes_back() -> None:
    world = World(called=False, admitted=HELD)
    record = world.settled(Outcome(status="refused", error=NoDeploymentAvailable("off")))
    assert (record.provider, record.attempts, record.input_tokens) == (None, 0, 0)
    assert world.books.told[-1] == Settlement(tokens=0, nano_usd=0, provider=False)


async def test_an_unknown_price_is_no_cost_and_says_so() -> None:
    record = World(price=None).settled(Outcome(status="ok", usage=USAGE))
    assert (record.nano_usd, record.cost_source) == (0, "none")


async def test_a_request_that_cannot_be_priced_still_has_its_record() -> None:
    world = World(price=cast(ModelPrice, "no price"))
    record = world.settled(Outcome(status="ok", usage=USAGE))
    assert (record.input_tokens, record.nano_usd, record.cost_source) == (10, 0, "none")
    assert [type(defect) for defect in world.defects] == [AttributeError]


async def test_whole_answers_are_not_looked_at_on_their_way() -> None:
    assert (World(stream=False).closing.looks, World().closing.looks) == (False, True)


async def test_the_journal_learns_of_a_call_before_it_is_made() -> None:
    world = World(called=False, admitted=HELD)
    seen: list[Any] = []

    async def proceed(exchange: Exchange) -> Reply:
        seen.extend(world.books.told)
        return a_reply(WHOLE)

    await Account(world.accounts)(world.exchange, proceed)
    (intent,) = seen
    assert (intent.request_id, intent.held, intent.nano_usd) == (
        "req_1",
        Usage(input_tokens=100, output_tokens=200),
        300,
    )


async def test_nothing_is_called_that_could_not_be_accounted_for() -> None:
    world = World(called=False)
    world.books.refuses = True

    async def proceed(exchange: Exchange) -> Reply:
        pytest.fail("the upstream was called")

    with pytest.raises(LedgerUnavailable):
        await Account(world.accounts)(world.exchange, proceed)
    assert not world.exchange.called


def a_reply(whole: bytes) -> Reply:
    class Answer(Reply):
        def attach(self, sink: Any, after: int = 0) -> Any:
            raise NotImplementedError

        async def aclose(self) -> None:
            return None

    answer = Answer()
    answer.head = Head(provider="p", model="p/m", upstream_model="m")
    answer.whole = whole
    answer.outcome = None
    return answer
