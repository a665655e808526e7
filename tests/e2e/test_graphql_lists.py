"""However long a list is, its fields ask the stores a fixed number of times."""

from collections import Counter
from typing import Any

import pytest

from tests.support.graphql import PLAIN, chat_input, data_of
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
        {"ledger.sums": 2},
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
