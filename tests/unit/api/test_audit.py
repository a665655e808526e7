"""``/admin/audit``: what it answers, what it lets be asked, and to whom."""

from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from llm_service.services import AUDIT_FILTERS
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


async def asked(client: httpx2.AsyncClient, **query: Any) -> Any:
    answer = await client.get("/admin/audit", params=query)
    assert answer.status_code == 200, answer.text
    schema("AuditPage").validate(answer.json())
    return answer.json()


async def test_it_tells_what_was_done_newest_first(client: httpx2.AsyncClient) -> None:
    made = (await client.post("/admin/keys", json={"name": "n"})).json()
    await client.delete(f"/admin/keys/{made['id']}")
    revoked, created = (await asked(client))["data"]
    assert created == {
        **revoked,
        "act": "key.create",
        "fields": ["name"],
        **{n: created[n] for n in ("id", "request_id")},
    }
    assert {name: revoked[name] for name in ("key_id", "key_name", "peer", "door", "act", "subject", "outcome")} == {
        "key_id": "admin",
        "key_name": None,
        "peer": "127.0.0.1",
        "door": "rest",
        "act": "key.revoke",
        "subject": made["id"],
        "outcome": "done",
    }
    assert (revoked["error_code"], revoked["times"], revoked["fields"]) == (None, 1, [])
    assert revoked["at"].endswith("Z")


async def test_pages_follow_each_other(client: httpx2.AsyncClient) -> None:
    for number in range(5):
        await client.post("/admin/keys", json={"name": str(number)})
    cursor: Mapping[str, str] = {}
    seen, lengths = [], []
    while True:
        page = await asked(client, limit=2, **cursor)
        seen += [one["subject"] for one in page["data"]]
        lengths.append(len(page["data"]))
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert lengths == [2, 2, 1]
    assert len(set(seen)) == 5
    assert seen == [one["subject"] for one in (await asked(client))["data"]]


async def test_it_is_asked_by_act_key_subject_outcome_and_time(parts: Parts, client: httpx2.AsyncClient) -> None:
    made = (await client.post("/admin/keys", json={"name": "n"})).json()
    await client.patch(f"/admin/keys/{made['id']}", json={"nonsense": 1})
    await parts.trail.kept()
    later = parts.process.world.clock.now().isoformat().replace("+00:00", "Z")
    for query, acts in (
        ({"act": "key.create"}, ["key.create"]),
        ({"key_id": "admin", "subject": made["id"]}, ["key.update", "key.create"]),
        ({"outcome": "refused"}, ["key.update"]),
        ({"door": "graphql"}, []),
        ({"key_id": "key_x"}, []),
        ({"since": later}, ["key.update", "key.create"]),
        ({"until": later}, []),
    ):
        assert [one["act"] for one in (await asked(client, **query))["data"]] == acts, query


@pytest.mark.parametrize(
    ("query", "param"),
    [("?acts=x", "acts"), ("?since=now", "since"), ("?limit=1001", "limit"), ("?cursor=x", "cursor"),
     ("?outcome=ok", "outcome")],
)  # fmt: skip
async def test_what_cannot_be_asked_is_refused(client: httpx2.AsyncClient, query: str, param: str) -> None:
    answer = await client.get(f"/admin/audit{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_reading_is_for_admins_and_no_act(parts: Parts, client: httpx2.AsyncClient) -> None:
    issued = await parts.process.issue(scopes=["read", "inference"])
    answer = await client_of(parts, keyless=False).get("/admin/audit", headers={"x-api-key": issued.secret.reveal()})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "scope_missing")
    assert (await asked(client))["data"] == []


async def test_without_the_database_it_says_so(parts: Parts, client: httpx2.AsyncClient) -> None:
    parts.audit.away = True
    answer = await client.get("/admin/audit")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ledger_unavailable")


def test_the_description_names_every_way_of_asking() -> None:
    parameters = {one["name"] for one in document()["paths"]["/admin/audit"]["get"]["parameters"]}
    assert parameters == {*AUDIT_FILTERS, "cursor", "limit"}
