"""Every FactStore keeps its word, on both engines."""

import asyncio

from llm_service.storage import Database
from tests.conformance.storage.conftest import Place


async def test_a_fact_is_kept_replaced_and_removed(database: Database) -> None:
    facts = database.facts
    assert await facts.get("a") is None
    await facts.put("a", "1")
    await facts.put("a", "2")
    await facts.put("b", "")
    assert (await facts.get("a"), await facts.get("b")) == ("2", "")
    await facts.put("a", None)
    await facts.put("a", None)
    assert await facts.get("a") is None


async def test_the_first_value_is_kept(database: Database) -> None:
    assert await database.facts.put_if_absent("a", "1") == "1"
    assert await database.facts.put_if_absent("a", "2") == "1"
    assert await database.facts.get("a") == "1"


async def test_all_who_come_at_once_get_the_same_value(place: Place) -> None:
    stores = [await place.open() for _ in range(4)]
    asked = (store.facts.put_if_absent("a", str(number)) for number, store in enumerate(stores * 5))
    assert len(set(await asyncio.gather(*asked))) == 1


async def test_a_fact_outlives_the_process(place: Place) -> None:
    first = await place.open()
    await first.facts.put("a", "1")
    await first.aclose()
    assert await (await place.open()).facts.get("a") == "1"


async def test_facts_are_found_by_how_their_names_begin(database: Database) -> None:
    for name in ("provider:b", "provider:a", "provider", "Provider:c", "other", "provider:%"):
        await database.facts.put(name, name.upper())
    found = await database.facts.having("provider:")
    assert found == {name: name.upper() for name in ("provider:a", "provider:b", "provider:%")}
    assert await database.facts.having("provider:_") == {}
