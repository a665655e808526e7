"""Every KeyStore keeps its word, on both engines."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from llm_service.domain import Allowance
from llm_service.storage import Conflict, Database
from tests.conformance.storage.conftest import Place
from tests.support.records import NOON, key, secret

FULL = key(
    "key_full",
    name="Ünïcode 🙂 'quoted'; --",
    scopes=frozenset({"inference", "read", "admin"}),
    user="alice",
    models=("deepseek/*", "fast"),
    allowance=Allowance(
        requests_per_minute=60,
        tokens_per_minute=2**40,
        concurrent_requests=3,
        budget_nano_usd=12_340_000_000,
        budget_period="day",
    ),
    tags={"team": "search", "": "empty name"},
    on_disconnect="finish",
    semantic_cache=True,
    created_at=datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC),
    expires_at=NOON + timedelta(days=30, microseconds=1),
    revoked_at=NOON,
    version=7,
)


@pytest.mark.parametrize("kept", [FULL, key(), key("key_none", models=())], ids=lambda kept: kept.id)
async def test_a_key_comes_back_as_it_was_put(kept: object, database: Database) -> None:
    given = secret(kept.id, expires_at=NOON + timedelta(hours=1))
    await database.keys.insert(kept, given)
    assert await database.keys.find(given.prefix) == (kept, given)
    assert await database.keys.get(kept.id) == kept


@pytest.mark.parametrize("name", ["llms_other", "", "llms_key_1%", "nul\0", "'; DROP TABLE api_keys"])
async def test_an_unknown_prefix_or_id_finds_nothing(name: str, database: Database) -> None:
    await database.keys.insert(key(), secret())
    assert await database.keys.find(name) is None
    assert await database.keys.get(name) is None


@pytest.mark.parametrize("second", [("key_1", "llms_b"), ("key_2", "llms_key_1")], ids=["the id", "the prefix"])
async def test_what_is_taken_is_refused_and_nothing_of_it_stays(second: tuple[str, str], database: Database) -> None:
    await database.keys.insert(key(), secret())
    key_id, prefix = second
    with pytest.raises(Conflict):
        await database.keys.insert(key(key_id, name="another"), secret(key_id, prefix))
    assert [kept.name for kept in await database.keys.page(after=None, count=10)] == ["a key"]


async def test_pages_hold_each_key_once_in_the_order_of_ids(database: Database) -> None:
    ids = ["B", "a", "key_10", "key_2", "ä", "_", "Z9"]
    for key_id in ids:
        await database.keys.insert(key(key_id), secret(key_id))
    seen: list[str] = []
    while page := await database.keys.page(after=seen[-1] if seen else None, count=3):
        seen += [kept.id for kept in page]
    assert seen == sorted(ids)


async def test_pages_go_the_other_way_too(database: Database) -> None:
    ids = ["B", "a", "key_10", "key_2", "ä", "_", "Z9", "\U0001f642"]
    for key_id in ids:
        await database.keys.insert(key(key_id), secret(key_id))
    seen: list[str] = []
    while page := await database.keys.page(after=seen[-1] if seen else None, count=3, newest_first=True):
        seen += [kept.id for kept in page]
    assert seen == sorted(ids, reverse=True)


@pytest.mark.parametrize(
    ("find", "found"),
    [
        ("SEARCH", ["key_1", "key_2"]),
        ("Ü", ["key_3"]),
        ("100%", ["key_3"]),
        ("0_%", []),
        ("!", ["key_4"]),
        ("ey_2", ["key_2"]),
        ("nobody", []),
        ("nul\0", []),
    ],
)
async def test_keys_are_found_by_a_part_of_name_user_or_id(find: str, found: list[str], database: Database) -> None:
    given = [
        ("Search engine", None),
        ("Chat", "team-search"),
        ("Ünits, 100% of them", "alice"),
        ("wow! 'quoted'", None),
    ]
    for number, (name, user) in enumerate(given, 1):
        await database.keys.insert(
            key(f"key_{number}", name=name, user=user), secret(f"key_{number}", f"llms_{number}")
        )
    assert [one.id for one in await database.keys.page(after=None, count=9, find=find)] == found
    newest = await database.keys.page(after=None, count=1, find=find, newest_first=True)
    assert [one.id for one in newest] == found[-1:]


async def test_several_keys_are_found_at_once(database: Database) -> None:
    for number in range(3):
        await database.keys.insert(key(f"key_{number}"), secret(f"key_{number}", f"llms_{number}"))
    found = await database.keys.several(["key_2", "key_of_nobody", "nul\0", "key_0"])
    assert sorted(found, key=lambda one: one.id) == [key("key_0"), key("key_2")]
    assert not await database.keys.several([])


async def test_an_update_replaces_every_field(database: Database) -> None:
    await database.keys.insert(key("key_full", version=6), secret("key_full"))
    assert await database.keys.update(FULL)
    assert await database.keys.get("key_full") == FULL


@pytest.mark.parametrize("version", [1, 3, 0])
async def test_an_update_of_another_version_changes_nothing(version: int, database: Database) -> None:
    await database.keys.insert(key(), secret())
    assert not await database.keys.update(key(name="changed", version=version))
    assert await database.keys.get("key_1") == key()


async def test_an_update_of_no_key_says_so(database: Database) -> None:
    assert not await database.keys.update(key(version=2))
    assert not await database.keys.add_secret(key(version=2), secret(), others_end_at=NOON)
    assert await database.keys.find(secret().prefix) is None


async def test_one_of_two_updates_of_the_same_version_wins(place: Place) -> None:
    one, other = await place.open(), await place.open()
    await one.keys.insert(key(), secret())
    won = [await store.keys.update(key(name=name, version=2)) for store, name in ((one, "one"), (other, "other"))]
    assert won == [True, False]
    assert await other.keys.get("key_1") == key(name="one", version=2)


async def test_a_further_secret_ends_the_others_at_the_latest_then(database: Database) -> None:
    soon, late, ending = NOON + timedelta(minutes=1), NOON + timedelta(days=9), NOON + timedelta(hours=1)
    await database.keys.insert(key(), secret(prefix="llms_forever"))
    await database.keys.add_secret(key(version=2), secret(prefix="llms_soon", expires_at=soon), others_end_at=late)
    await database.keys.insert(key("key_2"), secret("key_2"))
    new = secret(prefix="llms_new")
    assert await database.keys.add_secret(key(version=3), new, others_end_at=ending)
    found = {prefix: await database.keys.find(prefix) for prefix in ("llms_forever", "llms_soon", "llms_new")}
    ends = {prefix: pair and pair[1].expires_at for prefix, pair in found.items()}
    assert ends == {"llms_forever": ending, "llms_soon": soon, "llms_new": None}
    assert found["llms_new"] == (key(version=3), new)
    assert await database.keys.find("llms_key_2") == (key("key_2"), secret("key_2"))


async def test_a_further_secret_for_another_version_is_not_kept(database: Database) -> None:
    await database.keys.insert(key(), secret())
    assert not await database.keys.add_secret(key(version=3), secret(prefix="llms_new"), others_end_at=NOON)
    assert await database.keys.find("llms_new") is None
    assert await database.keys.find(secret().prefix) == (key(), secret())


async def test_changes_are_told_after_a_mark(database: Database) -> None:
    keys = database.keys
    ids, start = await keys.changed_since(0)
    assert ids == ()
    assert start > 0  # so that it is no question for the mark alone
    await keys.insert(key(), secret())
    await keys.insert(key("key_2"), secret("key_2"))
    assert (await keys.changed_since(start))[0] == ["key_1", "key_2"]
    _, mark = await keys.changed_since(start)
    await keys.update(key(version=2))
    changed, later = await keys.changed_since(mark)
    assert changed == ["key_1"]
    await keys.add_secret(key("key_2", version=2), secret("key_2", "llms_b"), others_end_at=NOON)
    assert (await keys.changed_since(later))[0] == ["key_2"]
    assert (await keys.changed_since(0))[0] == ()


async def test_after_nothing_nothing_has_changed(database: Database) -> None:
    await database.keys.insert(key(), secret())
    _, mark = await database.keys.changed_since(0)
    assert await database.keys.changed_since(mark) == ([], mark)


async def test_a_mark_from_before_a_restored_backup_says_that_all_changed(database: Database) -> None:
    await database.keys.insert(key(), secret())
    _, mark = await database.keys.changed_since(0)
    assert await database.keys.changed_since(mark + 50) == (["key_1"], mark)


async def test_a_change_is_seen_by_another_process_at_once(place: Place) -> None:
    one, other = await place.open(), await place.open()
    await one.keys.insert(key(), secret())
    assert await other.keys.find(secret().prefix) == (key(), secret())
    revoked = replace(key(), revoked_at=NOON, version=2)
    await other.keys.update(revoked)
    assert await one.keys.get("key_1") == revoked
