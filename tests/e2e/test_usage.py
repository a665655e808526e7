"""What a whole service records of requests, and who may read it: tokens, cost and status for every way to end."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest

from llm_service.admission import AllowanceOptions, LimitsOptions
from llm_service.api import AuthOptions, ServerOptions
from llm_service.bootstrap import build_corrections
from llm_service.config import Settings
from llm_service.domain import Secret, usd_text
from llm_service.ledger import verify
from llm_service.runtime import SystemClock
from llm_service.sandbox import Sandbox
from tests.support.rest import Answer, ask, chat_body, connected, events_of
from tests.support.service import Running, running, simulated
from tests.support.waiting import until

ADMIN_KEY = "sk-test-admin-of-the-usage-0123456789"
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
PRICED = "openrouter/deepseek/deepseek-v4-pro"
CHAT = "/v1/chat/completions"


@pytest.fixture
async def guarded(sandbox: Sandbox) -> AsyncIterator[Running]:
    """A service that wants keys, with a few limits."""
    settings = Settings(
        server=ServerOptions(keep_alive_s=0.3),
        auth=AuthOptions(admin_key=Secret(ADMIN_KEY), required="always"),
        providers=simulated(sandbox.address, connect_s=1, first_chunk_s=2, idle_s=1.5, total_s=20),
        limits=LimitsOptions(
            everybody=AllowanceOptions(requests_per_minute=1000, budget_usd=Decimal(50)),
            per_provider={"plain": AllowanceOptions(concurrent_requests=7)},
            unknown_price="allow",
        ),
    )
    async with running(settings) as service:
        yield service


async def a_key(service: Running, **fields: Any) -> tuple[str, dict[str, str]]:
    """An issued key's id, and how it is presented."""
    answer = await ask(service.address, "POST", "/admin/keys", orjson.dumps({"name": "of a test", **fields}), **ADMIN)
    assert answer.status == 200, answer.body
    return answer.json()["id"], {"Authorization": f"Bearer {answer.json()['key']}"}


async def generation(service: Running, answer: Answer, headers: dict[str, str]) -> dict[str, Any]:
    """The record of the request that was answered so."""
    found = await ask(service.address, "GET", f"/v1/generations/{answer.headers['x-request-id']}", **headers)
    assert found.status == 200, found.body
    record: dict[str, Any] = found.json()
    return record


async def test_a_whole_answer_has_its_record_at_once(guarded: Running) -> None:
    key_id, headers = await a_key(guarded, user="ann", tags={"team": "tides"})
    answer = await ask(guarded.address, "POST", CHAT, chat_body(PRICED), **headers)
    record = await generation(guarded, answer, headers)
    usage = answer.json()["usage"]
    assert (record["input_tokens"], record["output_tokens"]) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert record["cost_usd"] == answer.headers["x-llm-cost-usd"] != "0"
    assert (record["cost_source"], record["status"], record["error_code"]) == ("provider", "ok", None)
    assert (record["key_id"], record["user"], record["tags"]) == (key_id, "ann", {"team": "tides"})
    assert (record["model"], record["provider"], record["corrections"]) == (PRICED, "openrouter", [])
    assert (record["stream_id"], record["adjusts"]) == (None, None)


async def test_a_stream_has_the_figures_of_its_last_chunk(guarded: Running) -> None:
    _, headers = await a_key(guarded)
    body = chat_body(PRICED, stream=True, stream_options={"include_usage": True})
    answer = await ask(guarded.address, "POST", CHAT, body, **headers)
    record = await generation(guarded, answer, headers)
    last = events_of(answer.body)[-2]
    assert record["output_tokens"] == last["usage"]["completion_tokens"] > 0
    assert (record["cost_usd"], record["cost_source"]) == (last["llm"]["cost_usd"], last["llm"]["cost_source"])
    assert (record["status"], record["stream_id"]) == ("ok", last["llm"]["stream_id"])
    assert record["first_chunk_ms"] <= record["duration_ms"]


@pytest.mark.parametrize("stream", [False, True])
async def test_usage_that_no_request_can_have_is_counted_here_and_marked(guarded: Running, *, stream: bool) -> None:
    _, headers = await a_key(guarded)
    body = chat_body("plain/sandbox/usage-huge", stream=stream)
    record = await generation(guarded, await ask(guarded.address, "POST", CHAT, body, **headers), headers)
    assert (record["status"], record["cost_source"]) == ("ok", "estimate")
    assert 0 < record["input_tokens"] < 1000 > record["output_tokens"] > 0


async def left(service: Running, headers: dict[str, str]) -> str:
    """The request of a client that has left in the middle of its answer, once its record is written."""
    async with connected(service.address) as connection:
        connection.send("POST", CHAT, chat_body("openrouter/sandbox/tokens-200+pace-20ms", stream=True), **headers)
        status, head = await connection.head()
        assert status == 200
        async for piece in connection.pieces():
            if piece.startswith(b"id:"):  # on a busy machine a keep-alive comment may come before
                break
    request_id = head["x-request-id"]
    await until(lambda: service.stores.ledger.state.open_requests == 0)
    return request_id


async def test_who_hangs_up_has_a_record_of_what_came(guarded: Running) -> None:
    _, headers = await a_key(guarded)
    request_id = await left(guarded, headers)
    record = (await ask(guarded.address, "GET", f"/v1/generations/{request_id}", **headers)).json()
    assert (record["status"], record["cost_source"], record["cost_usd"]) == ("aborted", "estimate", "0")
    assert 0 < record["output_tokens"] < 200
    assert record["input_tokens"] > 0


async def test_a_provider_that_refuses_has_a_record_of_nothing(guarded: Running) -> None:
    _, headers = await a_key(guarded)
    answer = await ask(guarded.address, "POST", CHAT, chat_body("openrouter/sandbox/error-400"), **headers)
    assert answer.status == 400
    record = await generation(guarded, answer, headers)
    assert record["status"] in ("error", "refused")
    assert (record["error_code"], record["cost_usd"]) == (answer.json()["error"]["code"], "0")
    assert (record["input_tokens"], record["output_tokens"]) == (0, 0)


async def test_what_a_limit_refuses_was_not_accepted_and_has_no_record(guarded: Running) -> None:
    key_id, headers = await a_key(guarded, requests_per_minute=1)
    await ask(guarded.address, "POST", CHAT, chat_body(PRICED), **headers)
    refused = await ask(guarded.address, "POST", CHAT, chat_body(PRICED), **headers)
    assert refused.status == 429
    found = await ask(guarded.address, "GET", f"/v1/generations/{refused.headers['x-request-id']}", **headers)
    assert (found.status, found.json()["error"]["code"]) == (404, "not_found")
    await guarded.stores.ledger.flush()
    page = (await ask(guarded.address, "GET", f"/admin/usage?key_id={key_id}", **ADMIN)).json()
    assert len(page["data"]) == 1


async def test_a_key_sees_its_own_requests_alone(guarded: Running) -> None:
    _, ours = await a_key(guarded)
    _, theirs = await a_key(guarded)
    _, reader = await a_key(guarded, scopes=["read"])
    answer = await ask(guarded.address, "POST", CHAT, chat_body(PRICED), **ours)
    path = f"/generations/{answer.headers['x-request-id']}"
    for shipped in (False, True):
        statuses = [(await ask(guarded.address, "GET", path, **who)).status for who in (ours, theirs, reader, ADMIN)]
        assert statuses == [200, 404, 200, 200], shipped
        await guarded.stores.ledger.flush()
    refused = await ask(guarded.address, "GET", path, **theirs)
    nowhere = await ask(guarded.address, "GET", "/generations/req_none", **theirs)
    assert refused.json()["error"]["code"] == nowhere.json()["error"]["code"] == "not_found"


async def test_a_record_is_found_by_the_upstreams_id(guarded: Running) -> None:
    _, headers = await a_key(guarded)
    answer = await ask(guarded.address, "POST", CHAT, chat_body(PRICED), **headers)
    await guarded.stores.ledger.flush()
    record = await generation(guarded, answer, headers)
    by_upstream = await ask(guarded.address, "GET", f"/v1/generations/{record['upstream_id']}", **headers)
    assert by_upstream.json() == record


async def test_the_summary_adds_up_what_the_records_say(guarded: Running) -> None:
    key_id, headers = await a_key(guarded)
    for model in (PRICED, PRICED, "plain/sandbox/tokens-9"):
        await ask(guarded.address, "POST", CHAT, chat_body(model), **headers)
    await guarded.stores.ledger.flush()
    page = (await ask(guarded.address, "GET", f"/admin/usage?key_id={key_id}&limit=2", **ADMIN)).json()
    rest = (
        await ask(guarded.address, "GET", f"/admin/usage?key_id={key_id}&cursor={page['next_cursor']}", **ADMIN)
    ).json()
    records = [*page["data"], *rest["data"]]
    assert (len(records), rest["next_cursor"]) == (3, None)
    summed = (await ask(guarded.address, "GET", "/admin/usage/summary?by=model,key", **ADMIN)).json()
    by_model = {row["model"]: row for row in summed["data"] if row["key"] == key_id}
    assert by_model[PRICED]["requests"] == 2
    outputs = sum(one["output_tokens"] for one in records if one["model"] == PRICED)
    assert by_model[PRICED]["output_tokens"] == outputs


async def test_limits_say_where_they_stand(guarded: Running) -> None:
    key_id, headers = await a_key(guarded, concurrent_requests=3, budget_usd="2.5")
    answer = await ask(guarded.address, "POST", CHAT, chat_body(PRICED), **headers)
    cost = answer.headers["x-llm-cost-usd"]
    everybody = (await ask(guarded.address, "GET", "/admin/limits", **ADMIN)).json()
    assert (everybody["reach"], everybody["stands_in"]) == ("process", False)
    states = {(one["scope"], one["kind"]): one for one in everybody["data"]}
    assert states["global", "requests"]["used"] == 1
    assert states["global", "money"]["used"] == cost
    assert (states["provider", "concurrency"]["subject"], states["provider", "concurrency"]["used"]) == ("plain", 0)
    own = (await ask(guarded.address, "GET", f"/admin/limits?key_id={key_id}", **ADMIN)).json()["data"]
    assert {(one["subject"], one["kind"], one["limit"]) for one in own} == {
        (key_id, "concurrency", 3),
        (key_id, "money", "2.5"),
    }
    assert {one["used"] for one in own} == {0, cost}


async def test_health_tells_how_the_stores_are(guarded: Running) -> None:
    stores = (await ask(guarded.address, "GET", "/health")).json()["stores"]
    assert (stores["limits"]["reach"], stores["limits"]["up"], stores["limits"]["stands_in"]) == (
        "process",
        True,
        False,
    )
    assert (stores["database"]["reach"], stores["database"]["up"], stores["database"]["cause"]) == (
        "machine",
        True,
        None,
    )
    assert stores["cache"] == {"reach": "process", "up": True, "cause": None, "since": None}
    assert (stores["ledger"]["open_requests"], stores["ledger"]["error"]) == (0, None)


class Later(SystemClock):
    """A minute ahead: providers write their records some seconds after the end."""

    def now(self) -> datetime:
        return super().now() + timedelta(minutes=1)


async def test_what_nobody_could_price_is_corrected_once_by_what_was_billed(guarded: Running) -> None:
    _, headers = await a_key(guarded)
    request_id = await left(guarded, headers)
    stores, providers = guarded.stores, guarded.service.parts.providers
    await stores.ledger.flush()
    corrections = build_corrections(stores.database, stores.ledger, providers, clock=Later(), log=guarded.log)
    first, again = await corrections.round(), await corrections.round()
    assert first is not None
    assert again is not None
    assert [(*done, done["openrouter"].written) for done in (first, again)] == [("openrouter", 1), ("openrouter", 0)]
    record = (await ask(guarded.address, "GET", f"/v1/generations/{request_id}", **headers)).json()
    (correction,) = record["corrections"]
    assert (record["cost_source"], correction["adjusts"]) == ("provider", request_id)
    assert record["cost_usd"] == correction["cost_usd"] == usd_text(first["openrouter"].drift.billed_nano_usd) != "0"
    assert (await verify(stores.database.ledger)).faults == []
    listed = (await ask(guarded.address, "GET", "/admin/usage", **ADMIN)).json()["data"]
    assert [one["adjusts"] for one in listed] == [request_id, None]


async def test_upkeep_asks_for_the_prices_of_live_catalogues(guarded: Running) -> None:
    guarded.service.upkeep.start()
    await until(lambda: guarded.service.models.told("openrouter", "deepseek/deepseek-v4-pro") is not None)


async def test_an_export_holds_every_record_and_runs_no_formula(guarded: Running) -> None:
    _, headers = await a_key(guarded, user="=cmd()")
    for _ in range(2):
        await ask(guarded.address, "POST", CHAT, chat_body(PRICED), **headers)
    await guarded.stores.ledger.flush()
    answer = await ask(guarded.address, "GET", "/admin/usage/export", **ADMIN)
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    listed = (await ask(guarded.address, "GET", "/admin/usage", **ADMIN)).json()["data"]
    assert [row["request_id"] for row in rows] == [one["request_id"] for one in listed]
    assert [row["cost_usd"] for row in rows] == [one["cost_usd"] for one in listed]
    assert {row["user"] for row in rows} == {"'=cmd()"}
    async with connected(guarded.address) as connection:
        connection.send("HEAD", "/admin/usage/export", **ADMIN)
        status, head = await connection.head()
    assert (status, int(head["content-length"])) == (200, len(answer.body))
