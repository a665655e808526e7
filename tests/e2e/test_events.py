"""What happens in a service is told as it happens, at every door and from every worker."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from llm_service.api import AuthOptions, ServerOptions
from llm_service.config import Settings
from llm_service.domain import Candidate, Secret
from llm_service.routing import BreakerOptions, RoutingOptions
from llm_service.runtime import SystemClock
from llm_service.sandbox import Sandbox
from tests.support.graphql import EVENTS, post, results_in, socket_to
from tests.support.listeners import DOORS, WATCH, blocks_of, events_of, heard
from tests.support.measured import Measured
from tests.support.process import place, serving
from tests.support.rest import ask, chat_body, connected
from tests.support.service import Running, running, simulated
from tests.support.timed import within
from tests.support.waiting import until, until_answered

ADMIN_KEY = "admin-key-1234567890"
CHAT = "/v1/chat/completions"
MODEL = "plain/sandbox/chat"


@pytest.fixture
def measured() -> Measured:
    return Measured(SystemClock())


@pytest.fixture
async def service(sandbox: Sandbox, measured: Measured) -> AsyncIterator[Running]:
    """Who shows no key has all rights, as this machine has; silence is filled after 0.2 s."""
    settings = Settings(
        server=ServerOptions(keep_alive_s=0.2),
        auth=AuthOptions(admin_key=Secret(ADMIN_KEY)),
        routing=RoutingOptions(breaker=BreakerOptions(failures=3)),
        providers=simulated(sandbox.address),
    )
    async with running(settings, figures=measured, resilient=True) as service:
        yield service


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Any:
    return DOORS[request.param]


async def issued(service: Running, **fields: Any) -> tuple[str, str]:
    """The id and the secret of a new key."""
    key = await service.stores.keys.create({"name": "listener", **fields})
    return key.key.id, key.secret.reveal()


async def listened(service: Running) -> None:
    """Until the service has somebody who listens."""
    await until(lambda: service.stores.live.events._listening)


# -- what is told, at every door


async def test_a_request_is_told_of_with_its_facts_and_without_its_prompt(service: Running, door: Any) -> None:
    async with door(service.address) as told:
        await listened(service)
        answer = await ask(service.address, "POST", CHAT, chat_body(MODEL))
        event = await heard(told, "request")
    assert event["request_id"] == answer.headers["x-request-id"]
    assert (event["model"], event["provider"], event["status"]) == (MODEL, "plain", "ok")
    assert event["at"].endswith("Z")
    assert "France" not in str(event)


async def test_a_provider_that_is_switched_is_told_of(service: Running, door: Any) -> None:
    async with door(service.address, "provider") as told:
        await listened(service)
        await ask(service.address, "PATCH", "/admin/providers/plain", b'{"enabled": false}')
        event = await heard(told, "provider")
    assert (event["provider"], event["change"], event["state"]) == ("plain", "state", "disabled")


async def test_a_breaker_that_opens_and_closes_is_told_of(service: Running, door: Any) -> None:
    breaker = service.stores.breakers.of(Candidate(provider="plain", upstream_model="m"))
    async with door(service.address, "breaker") as told:
        await listened(service)
        now = time.monotonic()
        for _ in range(3):
            breaker.failed(now, breaker.permits(now), "it answered 503")
        opened = await heard(told, "breaker")
        service.stores.breakers.reset("plain")
        closed = await heard(told, "breaker")
    assert (opened["provider"], opened["state"], opened["cause"]) == ("plain", "open", "it answered 503")
    assert (closed["upstream_model"], closed["state"], closed["cause"]) == ("m", "closed", None)


async def test_figures_come_among_the_events(service: Running, measured: Measured, door: Any) -> None:
    async with door(service.address, "metrics") as told:
        await listened(service)
        await until(lambda: measured.reads)
        measured.request(provider="plain")
        event = await heard(told, "metrics")
    assert event["requests_per_s"] > 0
    assert [one["name"] for one in event["by_provider"]] == ["plain"]


async def test_figures_have_a_subscription_of_their_own(service: Running, measured: Measured) -> None:
    async with socket_to(service.address) as socket:
        await socket.begin()
        await socket.subscribe(WATCH, {"every": 1})
        await until(lambda: measured.reads)
        measured.request(provider="plain", model="m", duration_s=0.2)
        figures = (await socket.receive())["payload"]["data"]["metrics"]
    assert figures["requestsPerS"] > 0
    assert 0.1 < figures["latencyP50S"] < 0.25
    assert figures["byModel"][0]["name"] == "m"
    assert figures["workers"] == 1


async def test_an_interval_out_of_bounds_is_refused_by_name(service: Running) -> None:
    answer = await post(service.address, WATCH, {"every": 0.1}, Accept=EVENTS)
    (result,) = results_in(answer.body)
    assert result["errors"][0]["extensions"]["param"] == "interval_s"


async def test_charts_have_a_series(service: Running, measured: Measured) -> None:
    async def figures() -> Any:
        told = (await ask(service.address, "GET", "/admin/metrics?window_s=5&step_s=1")).json()
        measured.request()
        return any(told["series"]["requests_per_s"]) and told

    told = await until_answered(figures)
    assert (told["step_s"], len(told["at"])) == (1, 5)


# -- how it is told


async def test_silence_is_filled_without_blank_lines(service: Running) -> None:
    async with connected(service.address) as connection:
        connection.send("GET", "/admin/events")
        status, headers = await connection.head()
        pieces = connection.pieces()
        first, *silence = [await anext(pieces) for _ in range(3)]
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert first == b"retry: 2000\n\n"
    assert silence == [b": keep-alive\n"] * 2


async def test_head_ends_where_the_events_would_begin(service: Running) -> None:
    async with connected(service.address) as connection:
        connection.send("HEAD", "/admin/events")
        status, headers = await connection.head()
        assert (status, headers.get("content-length")) == (200, None)
        connection.send("GET", "/health/live")
        assert (await connection.answer()).json() == {"status": "ok"}


async def test_events_are_numbered(service: Running) -> None:
    async with connected(service.address) as connection:
        connection.send("GET", "/admin/events?kinds=store")
        await connection.head()
        await listened(service)
        for _ in range(3):
            service.stores.live.events.tell_here("store", {"up": True})
        blocks = blocks_of(connection)
        told = [block async for block in _some(blocks, 3)]
    assert [block[:2] for block in told] == [["event: store", f"id: {number}"] for number in (1, 2, 3)]


async def _some(blocks: Any, count: int) -> Any:
    async for block in blocks:
        if block[0].startswith("event"):
            yield block
            count -= 1
            if not count:
                return


async def test_who_does_not_read_loses_the_oldest_and_learns_how_many(service: Running) -> None:
    events, count = service.stores.live.events, 4000
    async with connected(service.address) as connection:
        connection.send("GET", "/admin/events?kinds=store")
        await connection.head()
        await listened(service)
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for number in range(count):
            events.tell_here("store", {"number": number, "filled": "x" * 4000})
            if number % 50 == 0:
                await asyncio.sleep(0)
        connection.writer.transport.resume_reading()  # type: ignore[attr-defined]
        told = [data async for _, data in _until_number(events_of(connection), count - 1)]
    dropped = sum(one.get("dropped", 0) for one in told)
    assert dropped > 0
    assert len(told) + dropped == count


async def _until_number(told: Any, last: int) -> Any:
    async with asyncio.timeout(10):
        async for kind, data in told:
            yield kind, data
            if data["number"] == last:
                return


# -- who may listen, and until when


async def test_reading_is_enough_and_asking_models_is_not(service: Running) -> None:
    statuses = {}
    for scope in ("inference", "read", "admin"):
        _, key = await issued(service, scopes=[scope])
        async with connected(service.address) as connection:
            connection.send("GET", "/admin/events", Authorization=f"Bearer {key}")
            statuses[scope], _ = await connection.head()
    assert statuses == {"inference": 403, "read": 200, "admin": 200}


@pytest.mark.timed
async def test_a_key_that_is_revoked_hears_no_more(service: Running, door: Any) -> None:
    key_id, key = await issued(service, scopes=["read"])
    async with door(service.address, key=key) as told:
        await listened(service)
        await service.stores.keys.revoke(key_id)
        begun = time.monotonic()
        event = await heard(told, "error")
        took_s = time.monotonic() - begun
        await until(lambda: not service.stores.live.events._listening)
    assert event["error"]["code"] == "key_revoked"
    within(took_s, 1)


async def test_a_key_that_loses_its_scope_hears_no_more(service: Running, door: Any) -> None:
    key_id, key = await issued(service, scopes=["read"])
    async with door(service.address, key=key) as told:
        await listened(service)
        await service.stores.keys.update(key_id, {"scopes": ["read", "inference"]})
        await service.stores.keys.update(key_id, {"scopes": ["inference"]})
        event = await heard(told, "error")
    assert event["error"]["code"] == "scope_missing"


async def test_a_secret_that_was_exchanged_hears_no_more(service: Running, door: Any) -> None:
    key_id, key = await issued(service, scopes=["read"])
    async with door(service.address, key=key) as told:
        await listened(service)
        await service.stores.keys.rotate(key_id, {"overlap_s": 0})
        event = await heard(told, "error")
    assert event["error"]["code"] == "invalid_api_key"


async def test_figures_end_with_the_scope_as_well(service: Running) -> None:
    key_id, key = await issued(service, scopes=["read"])
    async with socket_to(service.address, Authorization=f"Bearer {key}") as socket:
        await socket.begin()
        await socket.subscribe(WATCH, {"every": 60})
        await listened(service)
        await service.stores.keys.update(key_id, {"scopes": ["inference"]})
        while (message := await socket.receive())["type"] == "next":
            assert message["payload"]["data"]["metrics"]["workers"] == 1  # figures of before
    assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "scope_missing")


async def test_a_key_listens_twenty_times_and_no_more(service: Running) -> None:
    _, key = await issued(service, scopes=["read"])
    listening = [service.stores.live.events.listen(("store",), owner="local") for _ in range(20)]
    answer = await ask(service.address, "GET", "/admin/events")
    assert (answer.status, answer.json()["error"]["code"]) == (429, "concurrency_limit_exceeded")
    async with DOORS["rest"](service.address, key=key):
        pass
    for one in listening:
        one.close()


async def test_who_leaves_is_forgotten(service: Running, door: Any) -> None:
    async with door(service.address):
        await listened(service)
    await until(lambda: not service.stores.live.events._listening)


@pytest.mark.timed
async def test_a_shutdown_does_not_wait_for_listeners(service: Running, door: Any) -> None:
    async with door(service.address) as told:
        await listened(service)
        begun = time.monotonic()
        await service.service.serving.drain(20, hurried=asyncio.Event())
        assert [one async for one in told] == []
    within(time.monotonic() - begun, 2)


# -- as an operator runs it


async def test_changed_settings_are_told_of_before_the_stream_ends(tmp_path: Path) -> None:
    with serving(place(tmp_path)) as service:
        async with DOORS["rest"](service.address, "config") as told:
            await asyncio.sleep(0)
            service.child.signal(signal.SIGHUP)
            async with asyncio.timeout(10):
                events = [one async for one in told]
    assert [(kind, data["generation"]) for kind, data in events] == [("config", 2)]


@pytest.mark.timeout(60)
async def test_a_listener_at_one_worker_hears_of_the_requests_of_all(tmp_path: Path) -> None:
    with serving(place(tmp_path), "--workers", "2") as service:
        async with DOORS["rest"](service.address, "request") as told:
            workers: dict[str, int] = {}
            asked: list[str] = []

            async def listen() -> None:
                async for _, event in told:
                    workers[event["request_id"]] = event["worker"]

            async def heard_both() -> bool:
                answer = await ask(service.address, "POST", CHAT, chat_body("openai/sandbox/chat"))
                asked.append(answer.headers["x-request-id"])
                return set(workers.values()) == {1, 2}

            listening = asyncio.create_task(listen())
            await until_answered(heard_both, within_s=20)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    assert workers.keys() <= {*asked}
