"""Api keys from their making to their end, and what is said of wrong fields."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import InvalidValue, LedgerUnavailable, MissingParameter, NotFound, Scope
from llm_service.services import key_object
from llm_service.services.key_fields import DEFAULTS, new_key, read_fields, with_fields
from tests.support.key_service import Process, World

NOW = datetime(2026, 11, 23, tzinfo=UTC)
WHOLE: dict[str, Any] = {
    "name": "support",
    "user": "team-7",
    "scopes": ["inference", "read"],
    "models": ["fast", "deepseek/*"],
    "requests_per_minute": 60,
    "tokens_per_minute": 100_000,
    "concurrent_requests": 5,
    "budget_usd": "12.5",
    "budget_period": "day",
    "tags": {"team": "support"},
    "expires_at": "2030-01-31T12:00:00Z",
    "on_disconnect": "finish",
    "semantic_cache": True,
}


# -- making


async def test_a_key_has_the_fields_it_was_made_with(process: Process) -> None:
    issued = await process.keys.create(WHOLE)
    told = key_object(issued.key, now=NOW)
    assert {name: told[name] for name in WHOLE} == WHOLE
    assert (told["status"], told["version"], told["revoked_at"]) == ("active", 1, None)
    assert await process.keys.get(issued.key.id) == issued.key


async def test_a_key_with_nothing_but_a_name_may_ask_every_model_and_nothing_else(process: Process) -> None:
    told = key_object((await process.keys.create({"name": "n"})).key, now=NOW)
    assert (told["scopes"], told["models"], told["budget_period"], told["expires_at"]) == (
        ["inference"],
        None,
        "month",
        None,
    )


async def test_a_secret_has_its_form_and_is_never_the_same(process: Process) -> None:
    secrets = {(await process.issue()).secret.reveal() for _ in range(50)}
    assert len(secrets) == len({secret[:17] for secret in secrets}) == len({secret[18:] for secret in secrets}) == 50
    assert all(len(secret) == 5 + 12 + 1 + 52 for secret in secrets)


async def test_a_key_without_a_name_is_refused(process: Process) -> None:
    with pytest.raises(MissingParameter) as refused:
        await process.keys.create({})
    assert refused.value.param == "name"


WRONG: dict[str, list[Any]] = {
    "name": [None, "", "  ", 5, "a" * 257, "line\nbreak", "\u202eback", ["n"]],
    "user": ["", 5, "a\0b"],
    "requests_per_minute": [0, -1, 1.5, "60", True, 10**9 + 1],
    "tokens_per_minute": [0, True, [], 10**12 + 1],
    "concurrent_requests": [0, "5"],
    "budget_usd": [5, 5.5, "", "-1", "1e3", "1.", ".5", "NaN", "0.0000000001", "9999999", "12,5", " 1", "\u0661"],
    "budget_period": ["year", "", 5, ["day"]],
    "models": [[], "fast", [""], ["a b"], ["*a"], ["a*b"], ["a**"], [5], ["é"], ["x" * 257], ["m"] * 257, {}],
    "scopes": [[], "inference", ["all"], [["read"]], ["read", 5]],
    "tags": [[], {"a b": "c"}, {"": "c"}, {"a": 5}, {"a": ""}, {"a": "x\ny"}, {f"t{n}": "v" for n in range(33)}],
    "expires_at": ["2030-01-31", "2030-01-31T12:00:00", "tomorrow", 5, "2030-02-31T12:00:00Z", "2020-01-01T00:00:00Z",
                   "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2030-01-31T12:00:60Z", "20300131T120000Z",
                   "2026-11-23T00:00:00Z"],
    "on_disconnect": ["stop", 5, [], ""],
    "semantic_cache": ["true", 1, 0, []],
    "request_per_minute": [5],
    "id": ["key_1"],
    "revoked_at": [None],
    "secret": ["x"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_refused_and_its_field_named(name: str, value: Any) -> None:
    with pytest.raises(InvalidValue) as refused:
        read_fields({name: value}, now=NOW)
    assert (refused.value.param or "").startswith(name)
    assert f"'{name}" in refused.value.message


def test_an_unknown_field_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(InvalidValue, match="did you mean 'requests_per_minute'"):
        read_fields({"request_per_minute": 5}, now=NOW)
    with pytest.raises(InvalidValue, match="there are: name, user"):
        read_fields({"x" * 500: 5}, now=NOW)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2030-01-31t12:00:00z", "2030-01-31T12:00:00Z"),
        ("2030-01-31T12:00:00.25+02:00", "2030-01-31T10:00:00.250000Z"),
        ("2030-01-31 12:00:00-00:30", "2030-01-31T12:30:00Z"),
    ],
)
def test_moments_are_read_in_every_form_of_rfc_3339(text: str, moment: str) -> None:
    key = new_key(read_fields({"name": "n", "expires_at": text}, now=NOW), key_id="key_1", now=NOW)
    assert key_object(key, now=NOW)["expires_at"] == moment


@pytest.mark.parametrize(
    ("text", "nano"), [("0", 0), ("0.000000001", 1), ("12.50", 12_500_000_000), ("007", 7 * 10**9)]
)
def test_a_budget_is_kept_in_whole_nano_usd(text: str, nano: int) -> None:
    assert read_fields({"budget_usd": text}, now=NOW)["budget_usd"] == nano


# -- changing: what is not given stays, null is the default, the rest is what was given

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "name": st.sampled_from(["a", "b"]),
    "user": st.sampled_from([None, "u", "v"]),
    "scopes": st.sampled_from([None, ["read"], ["inference", "admin"]]),
    "models": st.sampled_from([None, ["m"], ["a/*", "b"]]),
    "requests_per_minute": st.none() | st.integers(1, 10**9),
    "tokens_per_minute": st.none() | st.integers(1, 10**12),
    "concurrent_requests": st.none() | st.integers(1, 10**9),
    "budget_usd": st.sampled_from([None, "0", "0.1", "12.5", "9000000"]),
    "budget_period": st.sampled_from([None, "hour", "total"]),
    "tags": st.sampled_from([None, {}, {"a": "b"}]),
    "expires_at": st.sampled_from([None, "2030-01-31T12:00:00Z", "2031-01-31T12:00:00Z"]),
    "on_disconnect": st.sampled_from([None, "cancel", "finish"]),
    "semantic_cache": st.sampled_from([None, True, False]),
}
PATCHES = st.fixed_dictionaries({}, optional=VALUES)
TOLD_DEFAULTS = {
    **dict.fromkeys(DEFAULTS),
    "scopes": ["inference"],
    "budget_period": "month",
    "tags": {},
    "semantic_cache": False,
}


@given(VALUES["name"], PATCHES, st.lists(PATCHES, max_size=4))
def test_patches_merge_as_json_merge_patches_do(
    name: str, first: dict[str, Any], patches: list[dict[str, Any]]
) -> None:
    key = new_key(read_fields({**first, "name": name}, now=NOW), key_id="key_1", now=NOW)
    expected = {**TOLD_DEFAULTS, **first, "name": name}
    for patch in patches:
        key = with_fields(key, read_fields(patch, now=NOW))
        expected |= patch
    expected = {field: TOLD_DEFAULTS[field] if value is None else value for field, value in expected.items()}
    told = orjson.loads(orjson.dumps(key_object(key, now=NOW)))
    assert {field: told[field] for field in expected} == expected


async def test_a_change_makes_a_new_version_and_leaves_the_rest(process: Process) -> None:
    issued = await process.keys.create(WHOLE)
    changed = await process.keys.update(issued.key.id, {"requests_per_minute": None, "user": "other"})
    before, after = (key_object(key, now=NOW) for key in (issued.key, changed))
    assert after == {**before, "requests_per_minute": None, "user": "other", "version": 2}


async def test_a_change_of_a_version_that_is_past_is_refused(process: Process) -> None:
    issued = await process.issue()
    await process.keys.update(issued.key.id, {"user": "a", "version": 1})
    with pytest.raises(InvalidValue, match="'version' is 2 by now"):
        await process.keys.update(issued.key.id, {"user": "b", "version": 1})
    assert (await process.keys.get(issued.key.id)).user == "a"


async def test_two_changes_at_once_both_take_effect(world: World, process: Process) -> None:
    issued = await process.issue()

    def somebody_is_quicker() -> None:
        world.store.before_write = lambda: None
        key = world.store.keys[issued.key.id]
        world.store.keys[key.id] = with_fields(key, {"user": "theirs"})
        object.__setattr__(world.store.keys[key.id], "version", 2)

    world.store.before_write = somebody_is_quicker
    changed = await process.keys.update(issued.key.id, {"requests_per_minute": 7})
    assert (changed.user, changed.allowance.requests_per_minute, changed.version) == ("theirs", 7, 3)


async def test_a_key_that_others_change_all_the_time_is_given_up_on(world: World, process: Process) -> None:
    issued = await process.issue()

    def somebody_is_quicker() -> None:
        key = world.store.keys[issued.key.id]
        object.__setattr__(key, "version", key.version + 1)

    world.store.before_write = somebody_is_quicker
    with pytest.raises(LedgerUnavailable, match="changed by others"):
        await process.keys.update(issued.key.id, {"user": "x"})


# -- rotating


async def test_both_secrets_work_during_the_overlap_and_the_new_one_after_it(world: World, process: Process) -> None:
    issued = await process.issue()
    rotated = await process.keys.rotate(issued.key.id)
    assert (await process.caller(issued)).key_id == (await process.caller(rotated)).key_id
    world.clock.advance(86_400)
    assert "replaced by a newer one" in str(await process.refusal(issued))
    assert (await process.caller(rotated)).key_id == issued.key.id


async def test_without_an_overlap_the_former_secret_ends_now(process: Process) -> None:
    issued = await process.issue()
    await process.caller(issued)
    rotated = await process.keys.rotate(issued.key.id, {"overlap_s": 0})
    assert "replaced by a newer one" in str(await process.refusal(issued))
    assert (await process.caller(rotated)).key_id == issued.key.id


async def test_a_second_rotation_does_not_lengthen_the_overlap_of_the_first(world: World, process: Process) -> None:
    first = await process.issue()
    await process.keys.rotate(first.key.id, {"overlap_s": 10})
    await process.keys.rotate(first.key.id, {"overlap_s": 1000})
    world.clock.advance(10)
    assert "replaced" in str(await process.refusal(first))


@pytest.mark.parametrize("body", [{"overlap_s": -1}, {"overlap_s": 1.5}, {"overlap_s": "1"}, {"overlap_s": 10**9}])
async def test_a_wrong_overlap_is_refused_and_nothing_is_rotated(
    world: World, process: Process, body: dict[str, Any]
) -> None:
    issued = await process.issue()
    with pytest.raises(InvalidValue) as refused:
        await process.keys.rotate(issued.key.id, body)
    assert refused.value.param == "overlap_s"
    assert len(world.store.secrets) == 1


async def test_an_unknown_word_in_a_rotation_is_refused(process: Process) -> None:
    issued = await process.issue()
    with pytest.raises(InvalidValue, match="'overlap' is unknown here; there is: overlap_s"):
        await process.keys.rotate(issued.key.id, {"overlap": 0})


# -- ending


async def test_a_revoked_key_is_revoked_for_good(world: World, process: Process) -> None:
    issued = await process.issue()
    revoked = await process.keys.revoke(issued.key.id)
    world.clock.advance(5)
    assert await process.keys.revoke(issued.key.id) == revoked
    for change in (
        process.keys.update(issued.key.id, {"user": "x"}),
        process.keys.rotate(issued.key.id),
        process.keys.expire(issued.key.id),
    ):
        with pytest.raises(InvalidValue, match="is revoked, and that is final"):
            await change
    assert key_object(await process.keys.get(issued.key.id), now=NOW)["status"] == "revoked"


async def test_an_expired_key_can_be_opened_again(world: World, process: Process) -> None:
    issued = await process.issue()
    await process.keys.expire(issued.key.id)
    assert "expired" in str(await process.refusal(issued))
    later = (world.clock.now() + timedelta(hours=1)).isoformat()
    await process.keys.update(issued.key.id, {"expires_at": later})
    assert (await process.caller(issued)).key_id == issued.key.id


# -- looking


async def test_pages_bring_every_key_once_in_the_order_of_their_making(world: World, process: Process) -> None:
    made = []
    for number in range(7):
        made.append((await process.issue(name=str(number))).key.id)
        world.clock.advance(1)
    seen: list[str] = []
    cursor = None
    while True:
        page = await process.keys.list(after=cursor, count=3)
        seen += [key.id for key in page.keys]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == made


ON_ONE: list[Callable[[Process, str], Any]] = [
    lambda process, key_id: process.keys.get(key_id),
    lambda process, key_id: process.keys.update(key_id, {}),
    lambda process, key_id: process.keys.rotate(key_id),
    lambda process, key_id: process.keys.revoke(key_id),
    lambda process, key_id: process.keys.expire(key_id),
]


@pytest.mark.parametrize("ask", ON_ONE)
async def test_a_key_that_is_not_there_is_not_found(process: Process, ask: Callable[[Process, str], Any]) -> None:
    with pytest.raises(NotFound, match="There is no api key `key_0`"):
        await ask(process, "key_0")


async def test_what_was_put_in_the_place_of_an_id_is_not_repeated(process: Process) -> None:
    with pytest.raises(NotFound, match=r"There is no such api key\.$"):
        await process.keys.get("sk-a-provider-s-key-in-the-wrong-place")


@pytest.mark.parametrize(
    "ask",
    [
        *ON_ONE,
        lambda process, _: process.keys.list(after=None, count=1),
        lambda process, _: process.keys.create({"name": "n"}),
    ],
)
async def test_without_the_database_everything_may_be_tried_again(
    world: World, process: Process, ask: Callable[[Process, str], Any]
) -> None:
    issued = await process.issue()
    world.store.away = True
    with pytest.raises(LedgerUnavailable) as refused:
        await ask(process, issued.key.id)
    assert refused.value.retryable


# -- secrecy


async def test_a_secret_is_seen_nowhere_but_where_it_was_made(world: World, process: Process) -> None:
    issued = await process.issue()
    rotated = await process.keys.rotate(issued.key.id)
    await process.caller(issued)
    refusals = [await process.refusal(one.secret.reveal()[:-1]) for one in (issued, rotated)]
    page = await process.keys.list(after=None, count=10)
    seen = [
        repr(page),
        repr(issued),
        repr(rotated),
        repr(refusals),
        repr(process.log.lines),
        repr(world.store.__dict__),
    ]
    seen += [repr(key_object(key, now=NOW)) for key in page.keys] + [repr(vars(process.keys)), str(issued.secret)]
    hashes = [secret.hash for secret in world.store.secrets.values()]
    for one in (issued, rotated):
        assert not any(one.secret.reveal()[-12:] in text for text in seen)
    assert not any(digest in text for digest in hashes for text in seen[0:2] + seen[6:])


# -- the guide


def test_the_guide_has_the_row_of_every_field() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "keys.md").read_text(encoding="utf-8")
    table = guide.partition("## What a key says")[2].partition("###")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == sorted(DEFAULTS, key=[*WHOLE].index)
    scopes = guide.partition("### Scopes")[2].partition("###")[0]
    assert re.findall(r"^\| `(\w+)` \|", scopes, re.MULTILINE) == [*get_args(Scope)]
