"""Providers are switched off, drained and put back: over every door, in every process, across restarts."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from llm_service.config import Settings
from llm_service.routing import DeploymentOptions, ModelOptions
from llm_service.sandbox import Sandbox
from tests.support.deployment import ADMIN, body, flood, machines, sandbox_process, served_by, serving_one
from tests.support.graphql import data_of, error_of
from tests.support.postgres import PostgresServer
from tests.support.process import place, run
from tests.support.rest import ask, chat_body, connected
from tests.support.service import Running, running, simulated
from tests.support.timed import within
from tests.support.valkey import Server
from tests.support.waiting import until, until_answered

WITHIN_S = 1.0
QUICK = {"quick": served_by("tokens-5+pace-0ms")}
PLAIN = "plain/sandbox/tokens-5+pace-0ms"
SWITCH = "mutation ($name: String!, $on: Boolean!) { setProviderEnabled(name: $name, enabled: $on) { state } }"
DRAIN = 'mutation ($drain: Boolean!) { drainProvider(name: "plain", drain: $drain) { state drained } }'
SEEN = '{ provider(name: "plain") { state configured overriddenSince health { state cause } models { id } } }'


async def admin(address: str, method: str, path: str, fields: Any = None) -> Any:
    content = b"" if fields is None else orjson.dumps(fields)
    answer = await ask(address, method, f"/admin{path}", content, authorization=ADMIN)
    assert answer.status == 200, answer.body
    return answer.json()


async def said_at(address: str) -> str:
    """What becomes of a request there: 200, or the error's code."""
    (one,) = await flood([address], [body("quick")])
    assert one.answer is not None
    return "200" if one.status == 200 else f"{one.status} {one.answer.json()['error']['code']}"


async def until_said(address: str, said: str) -> float:
    """Seconds until a request there meets this."""
    begun_at = time.monotonic()

    async def met() -> bool:
        return await said_at(address) == said

    await until_answered(met, within_s=20)
    return time.monotonic() - begun_at


@pytest.mark.timed
@pytest.mark.timeout(120)
async def test_what_one_process_decides_holds_in_the_other_within_a_second_with_messages_and_without(
    tmp_path: Path, valkey: Server, postgres_server: PostgresServer
) -> None:
    url = await postgres_server.new_database()
    with machines(tmp_path, store_url=valkey.url, database_url=url, models=QUICK) as deployment:
        one, other = deployment.addresses
        took_s = []
        for with_store in (True, False):
            if not with_store:
                await asyncio.to_thread(valkey.kill)
            assert [await said_at(one), await said_at(other)] == ["200", "200"]
            await admin(one, "PATCH", "/providers/plain", {"enabled": False})
            took_s.append(await until_said(other, "503 provider_disabled"))
            assert await said_at(one) == "503 provider_disabled"
            assert (await admin(other, "GET", "/providers/plain"))["state"] == "disabled"
            await admin(other, "PATCH", "/providers/plain", {"enabled": None})
            took_s.append(await until_said(one, "200"))
    print({"with_messages_s": took_s[:2], "without_s": took_s[2:]})
    within(max(took_s), WITHIN_S)


@pytest.mark.timeout(120)
async def test_what_the_command_line_decides_holds_at_once_and_outlasts_reload_and_restart(tmp_path: Path) -> None:
    home = place(tmp_path / "home0")
    with sandbox_process(tmp_path / "upstream") as sandbox:
        with serving_one(tmp_path, 0, sandbox, models=QUICK) as service:
            assert await said_at(service.address) == "200"
            done = await asyncio.to_thread(run, home, "providers", "disable", "plain", "--json")
            assert (done.code, done.json()["state"]) == (0, "disabled")
            assert await until_said(service.address, "503 provider_disabled") < WITHIN_S
            await admin(service.address, "POST", "/config/reload", {})
            assert await said_at(service.address) == "503 provider_disabled"
        with serving_one(tmp_path, 0, sandbox, models=QUICK) as service:
            assert await said_at(service.address) == "503 provider_disabled"
            assert await admin(service.address, "GET", "/config") | {"settings": None} == {
                "settings": None,
                "overrides": {"providers": {"plain": done.json()["override"]}, "log_level": None},
            }
            assert (await asyncio.to_thread(run, home, "providers", "enable", "plain")).code == 0
            assert await until_said(service.address, "200") < WITHIN_S


@pytest.fixture
async def service() -> AsyncIterator[Running]:
    async with Sandbox(pace_s=0.0) as sandbox, running(Settings(providers=simulated(sandbox.address))) as service:
        yield service


async def test_graphql_and_rest_decide_and_tell_the_same(service: Running) -> None:
    at = service.address
    assert (await data_of(at, SWITCH, {"name": "plain", "on": False}))["setProviderEnabled"] == {"state": "DISABLED"}
    seen = (await data_of(at, SEEN))["provider"]
    told = (await ask(at, "GET", "/admin/providers/plain")).json()
    assert (seen["state"], seen["configured"], seen["models"]) == ("DISABLED", "ENABLED", [])
    assert seen["health"] == {"state": "DISABLED", "cause": "switched off at run time"}
    assert (told["state"], told["override"]["since"]) == ("disabled", seen["overriddenSince"])
    assert (await data_of(at, DRAIN, {"drain": True}))["drainProvider"] == {"state": "DRAINING", "drained": True}
    assert (await data_of(at, DRAIN, {"drain": False}))["drainProvider"]["state"] == "ENABLED"
    assert (await data_of(at, '{ provider(name: "nobody") { name } }'))["provider"] is None
    error = await error_of(at, SWITCH, {"name": "nobody", "on": True})
    assert error["extensions"]["code"] == "not_found"


async def test_health_tells_the_same_over_both_doors(service: Running) -> None:
    at = service.address
    await ask(at, "PATCH", "/admin/providers/plain", orjson.dumps({"drain": True}))
    for name in ("plain", "deepseek", "openrouter"):
        for endpoint in ("catalogue", "account"):
            await service.service.parts.probes.ask(name, endpoint)
    report = (await ask(at, "GET", "/health")).json()
    fields = "name health { state cause balance }"
    told = (await data_of(at, f"{{ health {{ status providers {{ {fields} }} }} }}"))["health"]
    assert (report["status"], told["status"]) == ("ok", "ok")
    for one in told["providers"]:
        known = report["providers"][one["name"]]
        assert one["health"] == {"state": known["state"].upper(), "cause": known["cause"], "balance": known["balance"]}
    assert report["providers"]["deepseek"]["balance"]["currency"] in ("USD", "CNY")
    assert report["providers"]["plain"]["state"] == "draining"


async def test_a_stream_that_has_begun_finishes_while_its_provider_is_drained(service: Running) -> None:
    at = service.address
    slow = chat_body("plain/sandbox/tokens-20+pace-20ms", stream=True)
    async with connected(at) as connection:
        connection.send("POST", "/v1/chat/completions", slow)
        status, _ = await connection.head()
        await ask(at, "PATCH", "/admin/providers/plain", orjson.dumps({"drain": True}))
        refused = await ask(at, "POST", "/v1/chat/completions", chat_body(PLAIN))
        stream = b"".join([piece async for piece in connection.pieces()])
    assert (status, refused.status, refused.json()["error"]["code"]) == (200, 503, "provider_disabled")
    assert stream.rstrip().endswith(b"data: [DONE]")


@pytest.mark.parametrize(("spare", "status"), [(True, 200), (False, 503)])
async def test_what_waits_for_a_provider_that_is_switched_off_goes_elsewhere_or_fails_at_once(
    spare: bool, status: int
) -> None:
    deployments = [DeploymentOptions(provider="plain", model="sandbox/stall-head")]
    if spare:
        deployments.append(DeploymentOptions(provider="deepseek", model="sandbox/tokens-5+pace-0ms"))
    models = {"slow": ModelOptions(deployments=tuple(deployments))}
    async with Sandbox(pace_s=0.0) as upstream, AsyncExitStack() as held:
        settings = Settings(providers=simulated(upstream.address), models=models)
        service = await held.enter_async_context(running(settings))
        asked = asyncio.create_task(ask(service.address, "POST", "/v1/chat/completions", chat_body("slow")))
        await until(lambda: service.stores.fleet.figures("plain", 0.0).in_flight)
        await ask(service.address, "PATCH", "/admin/providers/plain", orjson.dumps({"enabled": False}))
        answer = await asyncio.wait_for(asked, 5)
    assert answer.status == status
    if spare:
        assert answer.headers["x-llm-provider"] == "deepseek"
    else:
        assert answer.json()["error"]["code"] == "provider_disabled"


async def test_health_tells_of_a_breaker_that_has_opened_and_why() -> None:
    async with Sandbox(pace_s=0.0) as upstream, AsyncExitStack() as held:
        settings = Settings(providers=simulated(upstream.address))
        service = await held.enter_async_context(running(settings, resilient=True))
        for number in range(6):
            failing = chat_body("plain/sandbox/error-500", seed=number)
            await ask(service.address, "POST", "/v1/chat/completions", failing)
        report = (await ask(service.address, "GET", "/health")).json()
        alive = [await ask(service.address, "GET", f"/health/{one}") for one in ("live", "ready")]
    plain = report["providers"]["plain"]
    assert (report["status"], plain["state"], plain["breaker"]) == ("degraded", "down", "open")
    assert (plain["breakers"][0]["model"], plain["error_ratio"]) == ("sandbox/error-500", 1.0)
    assert plain["breakers"][0]["cause"] in plain["cause"]
    since = datetime.fromisoformat(plain["since"])
    assert timedelta(0) <= datetime.now(UTC) - since < timedelta(minutes=1)
    assert plain["last_error"]["code"] == "upstream_error"
    assert [one.status for one in alive] == [200, 200]


async def test_models_of_a_provider_that_is_switched_off_are_absent(service: Running) -> None:
    at = service.address
    listed = {one["provider"] for one in (await ask(at, "GET", "/v1/models")).json()["data"]}
    assert listed == {"plain", "deepseek", "openrouter"}
    await ask(at, "PATCH", "/admin/providers/deepseek", orjson.dumps({"enabled": False}))
    listed = {one["provider"] for one in (await ask(at, "GET", "/v1/models")).json()["data"]}
    assert listed == {"plain", "openrouter"}
    answers = [await ask(at, "GET", f"/v1/models/{name}") for name in ("deepseek/deepseek-flash", "deepseek-chat")]
    assert [answer.status for answer in answers] == [404, 404]


async def test_a_provider_is_tried_over_rest(service: Running) -> None:
    trial = (await ask(service.address, "POST", "/admin/providers/openrouter/test", b"{}")).json()
    assert (trial["ok"], trial["limit_remaining_usd"]) == (True, "74.5")
