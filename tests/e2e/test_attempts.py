"""Attempts: what clients, records and the log are told of them, through every door."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import orjson
import pytest

from llm_service.api import ServerOptions
from llm_service.config import Settings
from llm_service.ledger import verify
from llm_service.routing import BreakerOptions, RoutingOptions
from llm_service.sandbox import Sandbox
from tests.support.doors import Door, Options, StreamingDoor, chat
from tests.support.doors.asks import DEEPSEEK, OPENROUTER, each_door, each_streaming
from tests.support.rest import ask, chat_body, events_of
from tests.support.service import Running, running, simulated
from tests.support.shared_answers import record_of

CHAT = "/v1/chat/completions"
HASTY = RoutingOptions(
    backoff_s=0.001, backoff_max_s=0.001, breaker=BreakerOptions(failures=10_000, min_requests=100_000)
)


@pytest.fixture
async def service(sandbox: Sandbox) -> AsyncIterator[Running]:
    """One that asks again, almost at once."""
    settings = Settings(providers=simulated(sandbox.address), routing=HASTY)
    async with running(settings, resilient=True) as service:
        yield service


def line_of(service: Running, request_id: str | None) -> dict[str, object]:
    (line,) = [line for line in service.log.of("request") if line["request_id"] == request_id]
    return line


def errors_in(record: dict[str, Any]) -> list[str | None]:
    return [one["error_code"] for one in record["tries"]]


@each_door
async def test_the_attempts_of_an_answer_stand_in_its_record(service: Running, door: Door) -> None:
    told = await door.ask(service.address, chat(OPENROUTER, sandbox="error-500+first-1"))
    assert (told.code, told.attempts) == (None, 2)
    record = await record_of(service, told.request_id or "")
    assert (record["attempts"], record["status"], errors_in(record)) == (2, "ok", ["upstream_error", None])
    assert {(one["provider"], one["upstream_model"]) for one in record["tries"]} == {
        (record["provider"], record["upstream_model"])
    }
    assert sum(one["duration_ms"] for one in record["tries"]) < record["duration_ms"]
    assert Decimal(record["cost_usd"]) == Decimal(told.cost_usd or "0") > 0
    assert line_of(service, told.request_id)["attempts"] == 2


@each_door
async def test_a_failure_tells_how_often_the_provider_was_asked(service: Running, door: Door) -> None:
    told = await door.ask(service.address, chat(DEEPSEEK, sandbox="error-500"))
    assert (told.code, told.attempts) == ("upstream_error", 3)
    record = await record_of(service, told.request_id or "")
    assert (record["status"], errors_in(record)) == ("error", ["upstream_error"] * 3)
    assert (record["cost_usd"], record["wasted_usd"]) == ("0", "0")
    assert line_of(service, told.request_id)["attempts"] == 3


@each_door
async def test_one_attempt_that_fails_is_told_and_recorded_too(service: Running, door: Door) -> None:
    told = await door.ask(service.address, chat(OPENROUTER, sandbox="error-401"))
    assert (told.code, told.attempts) == ("upstream_auth_failed", 1)
    record = await record_of(service, told.request_id or "")
    assert (record["attempts"], errors_in(record)) == (1, ["upstream_auth_failed"])
    assert "attempts" not in line_of(service, told.request_id)


@each_door
async def test_what_is_refused_before_a_provider_is_asked_tells_no_attempts(service: Running, door: Door) -> None:
    told = await door.ask(service.address, chat(OPENROUTER, messages=[]))
    assert (told.code, told.attempts) == ("invalid_value", None)


@each_door
async def test_an_answer_at_the_first_attempt_has_nothing_to_tell(service: Running, door: Door) -> None:
    told = await door.ask(service.address, chat(OPENROUTER), options=Options())
    record = await record_of(service, told.request_id or "")
    assert (told.attempts, record["attempts"], record["tries"], record["wasted_usd"]) == (1, 1, [], "0")
    assert "attempts" not in line_of(service, told.request_id)


async def test_what_a_failed_attempt_bills_is_wasted_and_charged_to_nobody(service: Running) -> None:
    """OpenRouter answers with a finish reason ``error``, and with what that cost."""
    billed = chat_body(OPENROUTER, sandbox="error-mid-in-choice+first-1")
    answer = await ask(service.address, "POST", CHAT, billed)
    record = await record_of(service, answer.headers["x-request-id"])
    failed, answered = record["tries"]
    assert (answer.status, record["attempts"], answered["wasted_usd"]) == (200, 2, "0")
    assert Decimal(record["wasted_usd"]) == Decimal(failed["wasted_usd"]) > 0
    assert record["cost_usd"] == answer.headers["x-llm-cost-usd"]
    await service.stores.ledger.flush()
    sums = (await ask(service.address, "GET", "/admin/usage/summary")).json()["data"]
    assert [(one["cost_usd"], one["wasted_usd"]) for one in sums] == [(record["cost_usd"], record["wasted_usd"])]
    assert (await verify(service.stores.database.ledger)).sound


async def test_a_stream_whose_head_had_to_go_out_early_tells_the_attempts_in_its_last_event(sandbox: Sandbox) -> None:
    settings = Settings(server=ServerOptions(keep_alive_s=0.02), providers=simulated(sandbox.address), routing=HASTY)
    async with running(settings, resilient=True) as service:
        failing = chat_body(DEEPSEEK, stream=True, sandbox="error-500+slow-head-100ms")
        answer = await ask(service.address, "POST", CHAT, failing)
        assert (answer.status, "x-llm-attempts" in answer.headers) == (200, False)
        (event,) = events_of(answer.body)
        assert (event["error"]["code"], event["attempts"]) == ("upstream_error", 3)
        late = chat_body(DEEPSEEK, stream=True, sandbox="error-500+slow-head-100ms+first-1")
        events = events_of((await ask(service.address, "POST", CHAT, late)).body)
        (facts,) = [event["llm"] for event in events if isinstance(event, dict) and "llm" in event]
        assert facts["attempts"] == 2


@each_streaming
async def test_a_stream_that_breaks_off_tells_the_attempts_that_its_beginning_took(
    service: Running, streaming: StreamingDoor
) -> None:
    told = await streaming.ask(service.address, chat(OPENROUTER, sandbox="cut-after-3"))
    assert (told.code, told.attempts) == ("stream_interrupted", 1)
    record = await record_of(service, told.request_id or "")
    assert (record["attempts"], record["tries"], record["error_code"]) == (1, [], "stream_interrupted")


async def test_graphql_shows_the_attempts_of_a_record_and_what_they_wasted(service: Running) -> None:
    answer = await ask(service.address, "POST", CHAT, chat_body(OPENROUTER, sandbox="error-mid-in-choice+first-1"))
    record = await record_of(service, answer.headers["x-request-id"])
    await service.stores.ledger.flush()
    query = """query ($id: ID!) {
      generation(id: $id) { wasted tries { provider upstreamModel errorCode durationMs wasted } }
      usage { total { cost wasted } }
    }"""
    asked = orjson.dumps({"query": query, "variables": {"id": record["request_id"]}})
    told = (await ask(service.address, "POST", "/graphql", asked)).json()["data"]
    assert told["generation"]["wasted"] == told["usage"]["total"]["wasted"] == record["wasted_usd"]
    assert [tuple(one.values()) for one in told["generation"]["tries"]] == [
        tuple(one.values()) for one in record["tries"]
    ]
