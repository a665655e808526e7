"""``/v1/generations``, ``/admin/usage`` and ``/admin/limits``: what they answer, and what they refuse."""

from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from llm_service.admission import AllowanceOptions, LimitsOptions
from llm_service.config import Settings
from llm_service.services import exports
from tests.support.control import ADMIN_KEY, Parts, client_of, parts_of
from tests.unit.api.test_openapi import document, schema

ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}


@pytest.fixture
def parts() -> Parts:
    limits = LimitsOptions(
        everybody=AllowanceOptions(requests_per_minute=100), per_key=AllowanceOptions(tokens_per_minute=1000)
    )
    return parts_of(settings=Settings(limits=limits))


@pytest.fixture
def client(parts: Parts) -> httpx2.AsyncClient:
    """The admin, from anywhere."""
    client = client_of(parts, keyless=False)
    client.headers.update(ADMIN)
    return client


async def refusal(client: httpx2.AsyncClient, path: str) -> tuple[int, str, str | None]:
    answer = await client.get(path)
    error: Mapping[str, Any] = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


@pytest.mark.parametrize("path", ["/v1/generations/req_1", "/generations/req_1", "/v1/generations/gen-1/"])
async def test_a_generation_is_as_described(path: str, parts: Parts, client: httpx2.AsyncClient) -> None:
    await parts.books.keep("req_1", upstream_id="gen-1", nano_usd=5_000, cost_source="estimate")
    await parts.books.keep("req_1.billed", upstream_id="gen-1", nano_usd=-1, adjusts="req_1", cost_source="provider")
    answer = await client.get(path)
    schema("Generation").validate(answer.json())
    assert (answer.json()["request_id"], answer.json()["cost_usd"]) == ("req_1", "0.000004999")


async def test_pages_are_as_described(parts: Parts, client: httpx2.AsyncClient) -> None:
    for number in range(3):
        await parts.books.keep(f"req_{number}", key_id="key_1" if number else "key_2")
    first = (await client.get("/admin/usage?limit=2")).json()
    rest = (await client.get("/admin/usage", params={"cursor": first["next_cursor"]})).json()
    for page in (first, rest):
        schema("UsagePage").validate(page)
    assert [one["request_id"] for one in first["data"] + rest["data"]] == ["req_2", "req_1", "req_0"]
    of_one = (await client.get("/admin/usage?key_id=key_2")).json()
    assert [one["request_id"] for one in of_one["data"]] == ["req_0"]


async def test_records_of_hits_are_found_and_as_described(parts: Parts, client: httpx2.AsyncClient) -> None:
    await parts.books.keep("req_1", cache="hit", cache_key="ab" * 16, nano_usd=0, saved_nano_usd=1_500)
    await parts.books.keep("req_2", cache="miss")
    page = (await client.get("/admin/usage?cache=hit")).json()
    schema("UsagePage").validate(page)
    (hit,) = page["data"]
    assert (hit["request_id"], hit["cache_key"], hit["saved_usd"]) == ("req_1", "ab" * 16, "0.0000015")


async def test_a_summary_is_as_described(parts: Parts, client: httpx2.AsyncClient) -> None:
    await parts.books.keep("req_1", nano_usd=3)
    await parts.books.keep("req_2", nano_usd=0, cache="hit", saved_nano_usd=2)
    answer = (await client.get("/admin/usage/summary")).json()
    schema("UsageSums").validate(answer)
    assert (answer["by"], answer["data"][0]["requests"], answer["data"][0]["cost_usd"]) == ([], 2, "0.000000003")
    assert (answer["data"][0]["hits"], answer["data"][0]["saved_usd"]) == (1, "0.000000002")


async def test_exports_are_downloads(parts: Parts, client: httpx2.AsyncClient) -> None:
    await parts.books.keep("req_1")
    described = document()["paths"]["/admin/usage/export"]["get"]["responses"]["200"]["content"]
    for form, name in (("", "usage.csv"), ("?format=parquet", "usage.parquet")):
        answer = await client.get(f"/admin/usage/export{form}")
        assert answer.status_code == 200
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert answer.headers["content-type"].partition(";")[0] in described
        assert len(answer.content) == int(answer.headers["content-length"])
    assert answer.content[:4] == b"PAR1"


async def test_an_export_without_the_package_names_it(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "find_spec", lambda name: None)
    answer = await client.get("/admin/usage/export?format=parquet")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "format")
    assert "duckdb" in answer.json()["error"]["message"]


async def test_limits_are_as_described(parts: Parts, client: httpx2.AsyncClient) -> None:
    issued = await parts.process.issue(budget_usd="5", budget_period="day")
    configured = (await client.get("/admin/limits")).json()
    of_key = (await client.get(f"/admin/limits?key_id={issued.key.id}&user=ann")).json()
    for answer in (configured, of_key):
        schema("Limits").validate(answer)
    assert [one["scope"] for one in configured["data"]] == ["global"]
    assert [(one["kind"], one["limit"]) for one in of_key["data"]] == [("tokens", 1000), ("money", "5")]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/generations/req_9", (404, "not_found", None)),
        ("/admin/usage?limit=0", (400, "invalid_value", "limit")),
        ("/admin/usage?limit=1001", (400, "invalid_value", "limit")),
        ("/admin/usage?cursor=x", (400, "invalid_value", "cursor")),
        ("/admin/usage?since=yesterday", (400, "invalid_value", "since")),
        ("/admin/usage?kye_id=key_1", (400, "invalid_value", "kye_id")),
        ("/admin/usage?status=", (400, "invalid_value", "status")),
        ("/admin/usage?cache=cold", (400, "invalid_value", "cache")),
        ("/admin/usage?user=a&user=b", (400, "invalid_value", "user")),
        ("/admin/usage/summary?by=colour", (400, "invalid_value", "by")),
        ("/admin/usage/summary?cursor=1", (400, "invalid_value", "cursor")),
        ("/admin/usage/summary?tag=team", (400, "invalid_value", "tag")),
        ("/admin/usage/export?format=xlsx", (400, "invalid_value", "format")),
        ("/admin/usage/export?until=2026-13-01", (400, "invalid_value", "until")),
        ("/admin/limits?key_id=key_9", (404, "not_found", None)),
        ("/admin/limits?key=key_9", (400, "invalid_value", "key")),
    ],
)
async def test_what_cannot_be_answered_is_said(
    path: str, expected: tuple[int, str, str | None], client: httpx2.AsyncClient
) -> None:
    assert await refusal(client, path) == expected


@pytest.mark.parametrize(
    "path", ["/v1/generations/req_1", "/admin/usage", "/admin/usage/summary", "/admin/usage/export"]
)
async def test_while_the_database_is_away_nothing_is_read(path: str, parts: Parts, client: httpx2.AsyncClient) -> None:
    parts.books.ledger.away = True
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ledger_unavailable")
    assert answer.headers["retry-after"] == "1"


async def test_a_key_reads_its_own_generation_alone(parts: Parts) -> None:
    owner, other = await parts.process.issue(), await parts.process.issue()
    reader = await parts.process.issue(scopes=["read"])
    await parts.books.keep("req_1", key_id=owner.key.id)
    client = client_of(parts, keyless=False)
    statuses = [
        (await client.get("/v1/generations/req_1", headers={"x-api-key": who.secret.reveal()})).status_code
        for who in (owner, other, reader)
    ]
    assert statuses == [200, 404, 200]
