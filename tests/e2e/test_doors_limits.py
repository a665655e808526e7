"""One suite, six doors: what is refused through one of them is refused through all, and limits are counted once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest

from llm_service.admission import AllowanceOptions, LimitsOptions
from llm_service.prices import PriceOptions
from llm_service.sandbox import Sandbox
from tests.support.doors import DOORS, STREAMING, Door, Options, StreamingDoor, chat
from tests.support.doors.asks import OPENROUTER, PLAIN, REFERENCE, each_door, each_streaming
from tests.support.rest import ask
from tests.support.service import Running, running
from tests.support.shared_answers import ADMIN, TurnedClock, all_records, called, calls, settings_for
from tests.support.waiting import until

pytestmark = pytest.mark.timed

HELD = {"sandbox": "tokens-5+slow-head-20s"}


@asynccontextmanager
async def limited(sandbox: Sandbox, **allowed: Any) -> AsyncIterator[Running]:
    """A service with a limit for everybody."""
    limits = LimitsOptions(everybody=AllowanceOptions(**allowed))
    prices = {"plain/*": PriceOptions(input_usd=Decimal(3), output_usd=Decimal(7))}
    async with running(settings_for(sandbox, limits=limits, prices=prices)) as service:
        yield service


@asynccontextmanager
async def guarded(sandbox: Sandbox, clock: TurnedClock | None = None) -> AsyncIterator[Running]:
    async with running(settings_for(sandbox, guarded=True), clock=clock) as service:
        yield service


async def new_key(service: Running, **fields: Any) -> tuple[str, str]:
    """Id and secret of an issued key."""
    made = await ask(service.address, "POST", "/admin/keys", orjson.dumps({"name": "of a test", **fields}), **ADMIN)
    assert made.status == 200, made.body
    return made.json()["id"], made.json()["key"]


# -- limits


async def test_a_spent_limit_of_requests_refuses_the_same_way_everywhere(sandbox: Sandbox) -> None:
    async with limited(sandbox, requests_per_minute=1) as service:
        assert (await REFERENCE.ask(service.address, chat(PLAIN))).failure is None
        await all_are_refused(
            service, "rate_limit_exceeded", {"kind": "requests", "limit": 1, "used": 1, "reserved": 0, "window_s": 60}
        )
    assert len(calls(sandbox)) == 1


async def test_a_spent_limit_of_tokens_refuses_the_same_way_everywhere(sandbox: Sandbox) -> None:
    async with limited(sandbox, tokens_per_minute=1_000) as service:
        told = await REFERENCE.ask(service.address, chat(PLAIN, max_tokens=900, sandbox="tokens-800"))
        assert told.usage is not None
        used = told.usage.input + told.usage.output
        await all_are_refused(
            service,
            "rate_limit_exceeded",
            {"kind": "tokens", "limit": 1_000, "used": used, "reserved": 0, "window_s": 60},
        )


async def test_a_spent_budget_refuses_the_same_way_everywhere(sandbox: Sandbox) -> None:
    async with limited(sandbox, budget_usd=Decimal("0.0006"), budget_period="total") as service:
        told = await REFERENCE.ask(service.address, chat(OPENROUTER, max_tokens=900, sandbox="tokens-800"))
        expected = {"kind": "money", "limit": "0.0006", "used": told.cost_usd, "reserved": "0", "window_s": None}
        await all_are_refused(service, "budget_exceeded", expected, model=OPENROUTER)


@each_door
async def test_what_one_door_has_running_refuses_the_others(sandbox: Sandbox, door: Door) -> None:
    async with limited(sandbox, concurrent_requests=1) as service:
        running_one = asyncio.ensure_future(door.ask(service.address, chat(PLAIN, **HELD)))
        await called(sandbox)
        expected = {"kind": "concurrency", "limit": 1, "used": 1, "reserved": 0, "window_s": None}
        await all_are_refused(service, "concurrency_limit_exceeded", expected)
        running_one.cancel()
        await asyncio.gather(running_one, return_exceptions=True)
        await until(lambda: service.stores.ledger.state.open_requests == 0)
        assert (await door.ask(service.address, chat(PLAIN))).failure is None


async def all_are_refused(service: Running, code: str, limit: Mapping[str, Any], *, model: str = PLAIN) -> None:
    """Every door tells the same error with the same limit, and when to come again."""
    answers = {door.name: await door.ask(service.address, chat(model, max_tokens=900)) for door in DOORS}
    failures = {name: told.failure for name, told in answers.items()}
    expected = failures[REFERENCE.name]
    assert expected is not None
    assert expected.code == code
    assert expected.limit == {"scope": "global", **limit}
    for name, failure in failures.items():
        assert failure is not None, name
        assert (failure.kind, failure.limit) == (expected.kind, expected.limit), name
        assert (failure.retry_after_s is None) == (expected.retry_after_s is None), name
        assert failure.retry_after_s is None or 0 < failure.retry_after_s <= 61, name


@pytest.mark.parametrize(
    ("allowed", "code"),
    [
        ({"requests_per_minute": 17}, "rate_limit_exceeded"),
        ({"tokens_per_minute": 18 * 10_000 - 1}, "rate_limit_exceeded"),
        ({"concurrent_requests": 17}, "concurrency_limit_exceeded"),
        # 18 answers of 10,000 tokens at 7 USD a million would cost 1.26
        ({"budget_usd": Decimal("1.259999999"), "budget_period": "total"}, "budget_exceeded"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)
async def test_of_sixty_at_once_through_all_doors_exactly_as_many_pass_as_may(
    sandbox: Sandbox, allowed: Mapping[str, Any], code: str
) -> None:
    body = chat(PLAIN, max_tokens=10_000, sandbox="tokens-5+slow-head-2s")
    async with limited(sandbox, **allowed) as service:
        await DOORS[1].ask(service.address, chat("plain/sandbox/chat", messages=[]))  # its door is built
        answers = await asyncio.gather(*(DOORS[at % len(DOORS)].ask(service.address, body) for at in range(60)))
        records = await all_records(service)
    assert Counter(told.code for told in answers) == {None: 17, code: 43}
    assert len(calls(sandbox)) == 17
    assert Counter(one["status"] for one in records)["ok"] == 17


# -- keys


@each_door
async def test_a_key_is_needed_where_one_is(sandbox: Sandbox, door: Door) -> None:
    async with guarded(sandbox) as service:
        assert (await door.ask(service.address, chat(PLAIN), key="llms_wrong")).code == "invalid_api_key"
        _, key = await new_key(service, user="ada", tags={"team": "search"})
        told = await door.ask(service.address, chat(PLAIN), key=key)
        (record,) = await all_records(service, ADMIN)
    assert told.failure is None
    assert (record["request_id"], record["user"], record["surface"]) == (told.request_id, "ada", door.surface)
    assert len(calls(sandbox)) == 1


@each_door
async def test_a_key_may_use_its_models_only_and_only_for_its_scopes(sandbox: Sandbox, door: Door) -> None:
    async with guarded(sandbox) as service:
        _, narrow = await new_key(service, models=["plain/*"])
        _, reader = await new_key(service, scopes=["read"])
        expected, refused = [await one.ask(service.address, chat(OPENROUTER), key=narrow) for one in (REFERENCE, door)]
        assert refused.failure == expected.failure
        assert refused.code == "model_not_allowed"
        assert (await door.ask(service.address, chat(PLAIN), key=narrow)).failure is None
        assert (await door.ask(service.address, chat(PLAIN), key=reader)).code == "scope_missing"


@each_door
async def test_a_key_works_until_it_is_revoked_or_expires(sandbox: Sandbox, door: Door) -> None:
    clock = TurnedClock()
    async with guarded(sandbox, clock) as service:
        expires_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        key_id, revoked = await new_key(service)
        _, expired = await new_key(service, expires_at=expires_at)
        for key in (revoked, expired):
            assert (await door.ask(service.address, chat(PLAIN), key=key)).failure is None
        await ask(service.address, "DELETE", f"/admin/keys/{key_id}", b"", **ADMIN)
        clock.ahead_s = 3601.0
        for key in (revoked, expired):
            assert (await door.ask(service.address, chat(PLAIN), key=key)).code == "invalid_api_key"


@each_streaming
async def test_a_revoked_key_ends_what_has_not_begun_to_be_answered(sandbox: Sandbox, streaming: StreamingDoor) -> None:
    async with guarded(sandbox) as service:
        key_id, key = await new_key(service)
        asking = asyncio.ensure_future(streaming.ask(service.address, chat(PLAIN, sandbox="stall-head"), key=key))
        await called(sandbox)
        await ask(service.address, "DELETE", f"/admin/keys/{key_id}", b"", **ADMIN)
        assert (await asking).code == "key_revoked"
        await until(lambda: sandbox.stats()["open"] == 0, within_s=1)
        (record,) = await all_records(service, ADMIN)
    assert record["status"] == "aborted"


@each_streaming
async def test_a_revoked_key_ends_what_is_read_on_with_it(sandbox: Sandbox, streaming: StreamingDoor) -> None:
    """Also where nobody reads any more through the door that the stream was begun at."""
    async with guarded(sandbox) as service:
        key_id, key = await new_key(service)
        body, options = chat(PLAIN, sandbox="tokens-400+pace-20ms"), Options(on_disconnect="finish")
        async with STREAMING[0].stream(service.address, body, key=key, options=options) as reading:
            (first,) = await reading.take(1)
        async with streaming.resume(service.address, first.cursor, key=key) as reading:
            await reading.take(1)
            await ask(service.address, "DELETE", f"/admin/keys/{key_id}", b"", **ADMIN)
            told = await reading.told()
        assert told.code == "key_revoked"
        await until(lambda: sandbox.stats()["open"] == 0, within_s=1)


@each_streaming
async def test_a_revoked_key_ends_what_runs_with_an_error(sandbox: Sandbox, streaming: StreamingDoor) -> None:
    async with guarded(sandbox) as service:
        key_id, key = await new_key(service)
        body = chat(PLAIN, sandbox="tokens-400+pace-20ms")
        async with streaming.stream(service.address, body, key=key) as reading:
            await reading.take(1)
            await ask(service.address, "DELETE", f"/admin/keys/{key_id}", b"", **ADMIN)
            told = await reading.told()
        assert told.code == "key_revoked"
        await until(lambda: sandbox.stats()["open"] == 0, within_s=1)
        (record,) = await all_records(service, ADMIN)
    assert (record["status"], record["error_code"]) == ("aborted", None)
