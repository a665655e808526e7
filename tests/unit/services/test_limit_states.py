"""Where limits stand: configured ones, and those of one key or user, whatever store counts them."""

from typing import Any

import pytest

from llm_service.admission import AllowanceOptions, LimitsOptions
from llm_service.domain import Allowance, ApiKey, Caller, NotFound
from llm_service.services import LimitStates, standings_object
from llm_service.storage import MemoryLimits, StoreUnavailable
from tests.support.records import key
from tests.support.usage_service import Books

KEY = key("key_1", allowance=Allowance(requests_per_minute=5, budget_nano_usd=2_500_000_000, budget_period="day"))
CALLER = Caller(key_id="key_1", scopes=KEY.scopes, key=KEY)
LIMITS = LimitsOptions(
    everybody=AllowanceOptions(requests_per_minute=100),
    per_key=AllowanceOptions(tokens_per_minute=1000),
    per_user=AllowanceOptions(concurrent_requests=2),
    per_model={"m": AllowanceOptions(requests_per_minute=50)},
    per_provider={"p": AllowanceOptions(requests_per_minute=30)},
)


class AwayLimits(MemoryLimits):
    """A shared store that does not answer."""

    async def read(self, limits: Any) -> Any:
        raise StoreUnavailable("it does not answer")

    admit = read  # type: ignore[assignment]


async def find(key_id: str) -> ApiKey:
    if key_id != KEY.id:
        raise NotFound("There is no such key.")
    return KEY


def states_of(books: Books) -> LimitStates:
    return LimitStates(books.rules, books.gate, key=find)


async def shown(books: Books, **whose: Any) -> dict[tuple[str, str], dict[str, Any]]:
    found = standings_object(await states_of(books).states(**whose))
    return {(one["scope"], one["kind"]): one for one in found["data"]}


async def test_the_configured_limits_are_those_of_everybody_models_and_providers() -> None:
    books = Books(limits=LIMITS)
    await books.take(CALLER)
    found = await shown(books)
    assert [(scope, one["subject"], one["used"], one["remaining"]) for (scope, _), one in found.items()] == [
        ("global", None, 1, 99),
        ("model", "m", 1, 49),
        ("provider", "p", 0, 30),
    ]


async def test_a_key_has_its_own_limits_and_the_common_ones_of_other_kinds() -> None:
    books = Books(limits=LIMITS)
    await books.keep("req_1", key_id="key_1", nano_usd=400_000_000)
    found = await shown(books, key_id="key_1")
    assert found["key", "tokens"] == {
        "scope": "key", "subject": "key_1", "kind": "tokens", "window_s": 60, "period": None,
        "limit": 1000, "used": 0, "reserved": 0, "remaining": 1000,
    }  # fmt: skip
    assert found["key", "requests"]["limit"] == 5
    money = found["key", "money"]
    assert (money["limit"], money["used"], money["reserved"], money["remaining"]) == ("2.5", "0.4", "0", "2.1")
    assert (money["period"], money["window_s"], money["resets_at"]) == ("day", None, "2026-11-24T00:00:00Z")


async def test_a_user_has_the_limits_of_users() -> None:
    found = await shown(Books(limits=LIMITS), user="ann")
    assert [(one["subject"], one["limit"]) for one in found.values()] == [("ann", 2)]


@pytest.mark.parametrize("key_id", ["local", "admin"])
async def test_callers_without_an_issued_key_have_the_common_limits(key_id: str) -> None:
    found = await shown(Books(limits=LIMITS), key_id=key_id)
    assert [(one["subject"], one["kind"]) for one in found.values()] == [(key_id, "tokens")]


async def test_an_unknown_key_is_not_found() -> None:
    with pytest.raises(NotFound):
        await states_of(Books()).states(key_id="key_9")


async def test_a_budget_is_unknown_while_the_database_is_away() -> None:
    books = Books(limits=LIMITS)
    books.ledger.away = True
    money = (await shown(books, key_id="key_1"))["key", "money"]
    assert (money["limit"], money["used"], money["remaining"]) == ("2.5", None, None)


async def test_a_shared_store_that_is_away_leaves_all_unknown_until_this_process_stands_in() -> None:
    books = Books(limits=LIMITS)
    books = Books(limits=LIMITS, clock=books.clock, store=AwayLimits(books.clock))
    before = standings_object(await states_of(books).states())
    assert {one["used"] for one in before["data"]} == {None}
    await books.take(Caller(key_id="local", scopes=frozenset()))
    after = standings_object(await states_of(books).states())
    assert (after["stands_in"], after["reach"]) == (True, "process")
    assert after["data"][0]["used"] == 1
