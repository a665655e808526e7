"""However long a list is, its fields ask the stores a fixed number of times."""

from collections import Counter
from typing import Any

import pytest

from llm_service.storage import UsageFilter
from tests.support.graphql import PLAIN, chat_input, data_of, error_of
from tests.support.service import Running
from tests.support.waiting import until

CREATE = "mutation ($name: String!) { createKey(input: {name: $name}) { secret key { id } } }"
CHAT = "mutation ($i: ChatInput!) { chat(input: $i) { cost } }"
COUNTED = {
    "keys": ("get", "several", "page"),
    "ledger": ("find", "page", "sums"),
}
LISTS = {
    "generations with their keys": (
        "{ generations { edges { node { requestId key { name usage { requests } } } } } }",
        {"ledger.page": 1, "keys.several": 1, "ledger.sums": 1},
    ),
    "keys with their usage": (
        "{ keys { edges { node { id name usage { requests cost } } } } }",
        {"keys.page": 1, "ledger.sums": 1},
    ),
    "sums by groups": (
        "{ usage(groupBy: [KEY, MODEL]) { total { cost } edges { node { group { value } sums { cost } } } } }",
        {"ledger.sums": 1},
    ),
    "providers with their models": ("{ models { id } providers { models { id } } }", {"catalogue": 1}),
}


@pytest.fixture
async def used(gateway: Running) -> Running:
    """Six keys, each used once."""
    for number in range(6):
        made = (await data_of(gateway.address, CREATE, {"name": f"key {number}"}))["createKey"]
        await data_of(gateway.address, CHAT, {"i": chat_input(PLAIN)}, Authorization=f"Bearer {made['secret']}")
    await until(lambda: gateway.stores.ledger.state.open_requests == 0)
    await gateway.stores.ledger.flush()
    return gateway


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_asks_a_fixed_number_of_times(used: Running, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    query, expected = LISTS[name]
    asked: Counter[str] = Counter()

    def count(owner: Any, method: str, label: str) -> None:
        original = getattr(owner, method)

        async def counted(*arguments: Any, **named: Any) -> Any:
            asked[label] += 1
            return await original(*arguments, **named)

        monkeypatch.setattr(owner, method, counted)

    for store, methods in COUNTED.items():
        for method in methods:
            count(getattr(used.stores.database, store), method, f"{store}.{method}")
    count(type(used.service.models), "list", "catalogue")
    told = await data_of(used.address, query)
    assert len(str(told)) > 200
    assert dict(asked) == expected


async def test_the_total_is_the_same_however_it_is_grouped(used: Running) -> None:
    sums = "{ requests errors hits inputTokens outputTokens cachedInputTokens reasoningTokens cost saved wasted }"
    tagged = chat_input(PLAIN, options={"tags": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]})
    await data_of(used.address, CHAT, {"i": tagged})
    await until(lambda: used.stores.ledger.state.open_requests == 0)
    await used.stores.ledger.flush()
    totals = [
        (await data_of(used.address, f"{{ usage{by} {{ total {sums} }} }}"))["usage"]["total"]
        for by in ("", "(groupBy: [KEY, MODEL], first: 1)", "(groupBy: [HOUR])", "(groupBy: [KEY, TAG])")
    ]
    assert totals == [totals[0]] * 4
    assert totals[0]["requests"] == 7
    nothing = '{ usage(groupBy: KEY, filter: {user: "nobody"}) { total { requests cost } edges { cursor } } }'
    assert (await data_of(used.address, nothing))["usage"] == {"total": {"requests": 0, "cost": "0"}, "edges": []}


async def test_the_usage_of_a_page_of_keys_is_asked_for_these_alone(
    used: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[UsageFilter] = []
    original = used.stores.database.ledger.sums

    async def noted(which: UsageFilter, *, by: Any) -> Any:
        asked.append(which)
        return await original(which, by=by)

    monkeypatch.setattr(used.stores.database.ledger, "sums", noted)
    told = await data_of(used.address, "{ keys(first: 2) { edges { node { id usage { requests } } } } }")
    nodes = [edge["node"] for edge in told["keys"]["edges"]]
    assert [node["usage"]["requests"] for node in nodes] == [1, 1]
    assert asked == [UsageFilter(key_ids=[node["id"] for node in nodes])]


async def test_a_page_of_a_wrong_length_asks_the_ledger_for_nothing(
    used: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(used.stores.database.ledger, "sums", None)
    error = await error_of(used.address, "{ usage(groupBy: KEY, first: 0) { total { requests } } }")
    assert (error["extensions"]["code"], error["extensions"]["param"]) == ("invalid_value", "first")
