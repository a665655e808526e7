"""``/admin/cache``: what it answers, whom, and what it refuses."""

from datetime import timedelta

import httpx2
import pytest

from tests.support.answers import kept_answer
from tests.support.control import ADMIN_KEY, Parts, client_of, parts_of
from tests.unit.api.test_openapi import document, schema

ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}


@pytest.fixture
def parts() -> Parts:
    return parts_of()


@pytest.fixture
def client(parts: Parts) -> httpx2.AsyncClient:
    """The admin, from anywhere."""
    client = client_of(parts, keyless=False)
    client.headers.update(ADMIN)
    return client


def keep(parts: Parts, name: str, *groups: str) -> None:
    answer = kept_answer(name, at=parts.books.clock.time())
    assert parts.cache.put(answer, ("all", *groups), parts.cache.look(answer.digest, ("all", *groups)).epochs)


async def test_statistics_are_as_described(parts: Parts, client: httpx2.AsyncClient) -> None:
    keep(parts, "a")
    at = parts.books.clock.now() - timedelta(hours=1)
    await parts.books.keep("req_1", cache="miss", at=at)
    await parts.books.keep("req_2", cache="hit", at=at, nano_usd=0, saved_nano_usd=1_000)
    for query in ("", "?by=model,hour", "?since=2026-11-01&until=2026-12-01"):
        stats = (await client.get(f"/admin/cache{query}")).json()
        schema("CacheStats").validate(stats)
        assert (stats["total"]["hit_ratio"], stats["total"]["saved_usd"]) == (0.5, "0.000001")
        assert stats["store"]["entries"] == 1


async def test_a_purge_is_as_described(parts: Parts, client: httpx2.AsyncClient) -> None:
    keep(parts, "a", "model:fast")
    keep(parts, "b", "model:slow")
    purged = (await client.delete("/admin/cache", params={"model": "fast"})).json()
    schema("Purged").validate(purged)
    assert purged == {"purged": 1}
    assert (await parts.cache.sizes()).entries == 1


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("", "missing_required_parameter", None),
        ("?model=a&all=true", "invalid_value", "all"),
        ("?model=a&model=b", "invalid_value", "model"),
        ("?model=", "invalid_value", "model"),
        ("?midel=a", "invalid_value", "midel"),
    ],
)
async def test_a_purge_that_is_not_clear_is_refused(
    query: str, code: str, param: str | None, parts: Parts, client: httpx2.AsyncClient
) -> None:
    keep(parts, "a", "model:a")
    answer = await client.delete(f"/admin/cache{query}")
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["param"]) == (400, code, param)
    assert (await parts.cache.sizes()).entries == 1


async def test_readers_may_look_and_admins_alone_purge(parts: Parts) -> None:
    client = client_of(parts, keyless=False)
    statuses = {}
    for scope in ("inference", "read", "admin"):
        headers = {"x-api-key": (await parts.process.issue(scopes=[scope])).secret.reveal()}
        looked = await client.get("/admin/cache", headers=headers)
        purged = await client.delete("/admin/cache?all=true", headers=headers)
        statuses[scope] = (looked.status_code, purged.status_code)
    assert statuses == {"inference": (403, 403), "read": (200, 403), "admin": (200, 200)}


def test_every_parameter_that_is_taken_is_described() -> None:
    described = document()["paths"]["/admin/cache"]
    assert {one["name"] for one in described["get"]["parameters"]} == {"since", "until", "by"}
    assert {one["name"] for one in described["delete"]["parameters"]} == {
        "key_id", "user", "model", "tag", "digest", "all", "older_than_s",
    }  # fmt: skip
