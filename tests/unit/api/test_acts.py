"""What operators do is in the log and in the audit log: who, what, on what, from where, and what came of it; no secret,
and no value."""

import asyncio
from typing import Any

import pytest

from llm_service.api.acts import WORDS
from llm_service.api.graphql.access import ACCESS
from llm_service.services import Keys
from llm_service.services.refusals import MOST_KINDS
from tests.support.control import ADMIN_KEY, Parts, client_of, parts_of

ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}
OWN = {"origin": "http://127.0.0.1:8080"}


def acts(parts: Parts) -> list[dict[str, Any]]:
    """The lines, without what differs from run to run."""
    told = parts.log.of("admin")
    assert all(str(line.pop("request_id")).startswith("req_") and line.pop("level") == "info" for line in told)
    return told


async def test_a_key_from_its_making_to_its_end() -> None:
    parts = parts_of()
    client = client_of(parts, keyless=False)
    made = (await client.post("/admin/keys", headers=ADMIN, json={"name": "sk-test-private", "budget_usd": "7"})).json()
    path = f"/admin/keys/{made['id']}"
    await client.patch(path, headers=ADMIN, json={"name": "other"})
    await client.patch(path, headers=ADMIN, json={"nonsense": 1})
    rotated = (await client.post(f"{path}/rotate", headers=ADMIN)).json()
    await client.delete(path, headers=ADMIN)
    await client.get(path, headers=ADMIN)
    ids = [line["request_id"] for line in parts.log.of("admin")]
    told = acts(parts)
    assert [(line["act"], line["outcome"], line.get("fields")) for line in told] == [
        ("POST /admin/keys", "ok", ["budget_usd", "name"]),
        ("PATCH /admin/keys/{id}", "ok", ["name"]),
        ("PATCH /admin/keys/{id}", "invalid_value", None),
        ("POST /admin/keys/{id}/rotate", "ok", None),
        ("DELETE /admin/keys/{id}", "ok", None),
    ]
    assert {(line["on"], line["key_id"], line["peer"]) for line in told} == {(made["id"], "admin", "127.0.0.1")}
    secrets = (made["key"], rotated["key"], "sk-test-private", ADMIN_KEY)
    assert not [secret for secret in secrets if secret in f"{told} {parts.audit.entries}"]
    await parts.trail.kept()
    assert [(one.act, one.outcome, one.error_code, one.fields) for one in parts.audit.entries] == [
        ("key.create", "done", None, ("budget_usd", "name")),
        ("key.update", "done", None, ("name",)),
        ("key.update", "refused", "invalid_value", ()),
        ("key.rotate", "done", None, ()),
        ("key.revoke", "done", None, ()),
    ]
    assert [one.request_id for one in parts.audit.entries] == ids
    assert {(one.subject, one.key_id, one.key_name, one.peer, one.door) for one in parts.audit.entries} == {
        (made["id"], "admin", None, "127.0.0.1", "rest")
    }


async def test_who_may_not_is_told_of_by_name_and_who_is_nobody_is_not() -> None:
    parts = parts_of()
    client = client_of(parts, keyless=False)
    issued = await parts.process.issue(scopes=["inference"])
    await client.delete("/admin/keys/key_7", headers={"x-api-key": issued.secret.reveal()})
    await client.delete("/admin/keys/key_8", headers={"x-api-key": "guess"})
    await client.delete("/admin/keys/key_9")
    (told,) = acts(parts)
    assert told == {
        "event": "admin",
        "act": "DELETE /admin/keys/{id}",
        "outcome": "scope_missing",
        "key_id": issued.key.id,
        "peer": "127.0.0.1",
        "on": "key_7",
    }
    await parts.trail.kept()
    (entry,) = parts.audit.entries
    assert (entry.act, entry.outcome, entry.error_code, entry.subject) == (
        "key.revoke", "refused", "scope_missing", "key_7"
    )  # fmt: skip
    assert (entry.key_id, entry.key_name, entry.peer) == (issued.key.id, "of a test", "127.0.0.1")


async def test_who_comes_into_the_dashboard_and_leaves_it() -> None:
    parts = parts_of()
    client = client_of(parts, keyless=False)
    issued = await parts.process.issue(scopes=["inference"])
    await client.post("/dashboard/session", headers=OWN, json={"key": ADMIN_KEY})
    await client.post("/dashboard/session", headers=OWN, json={"key": issued.secret.reveal()})
    await client.delete("/dashboard/session", headers=ADMIN)
    told = acts(parts)
    assert [(line["act"], line["outcome"], line["key_id"]) for line in told] == [
        ("POST /dashboard/session", "ok", "admin"),
        ("POST /dashboard/session", "scope_missing", issued.key.id),
        ("DELETE /dashboard/session", "ok", "admin"),
    ]
    assert ADMIN_KEY not in str(told)
    assert [(one.act, one.outcome, one.door, one.key_id) for one in parts.audit.entries] == [
        ("session.open", "done", "dashboard", "admin"),
        ("session.open", "refused", "dashboard", issued.key.id),
        ("session.close", "done", "dashboard", "admin"),
    ]


async def test_who_tries_to_sign_in_with_a_wrong_key_is_in_the_audit_log_as_nobody() -> None:
    parts = parts_of()
    client = client_of(parts, keyless=False)
    for _ in range(3):
        await client.post("/dashboard/session", headers=OWN, json={"key": "guess"})
    await client.post("/dashboard/session", headers=OWN, json={"nonsense": "guess"})
    assert acts(parts) == []
    await parts.trail.aclose()
    assert [(one.act, one.key_id, one.error_code, one.peer, one.times) for one in parts.audit.entries] == [
        ("session.open", None, "invalid_api_key", "127.0.0.1", 1),
        ("session.open", None, "invalid_api_key", "127.0.0.1", 2),
    ]
    assert "guess" not in str(parts.audit.entries)


async def test_pages_of_the_dashboard_act_through_it() -> None:
    parts = parts_of()
    client = client_of(parts, keyless=False)
    opened = await client.post("/dashboard/session", headers=OWN, json={"key": ADMIN_KEY})
    page = {**OWN, "sec-fetch-site": "same-origin", "x-llm-csrf": opened.json()["csrf"]}
    assert (await client.delete("/admin/cache?all=true", headers=page)).status_code == 200
    assert (parts.audit.entries[-1].act, parts.audit.entries[-1].door) == ("cache.purge", "dashboard")


async def test_providers_are_told_by_what_became_of_them() -> None:
    parts = parts_of()
    client = client_of(parts, keyless=False)
    for change in ({"enabled": False}, {"enabled": True}, {"drain": True}, {"drain": "x"}):
        await client.patch("/admin/providers/deepseek", headers=ADMIN, json=change)
    await parts.trail.kept()
    assert [(one.act, one.subject, one.fields) for one in parts.audit.entries] == [
        ("provider.disable", "deepseek", ("enabled",)),
        ("provider.enable", "deepseek", ("enabled",)),
        ("provider.drain", "deepseek", ("drain",)),
        ("provider.change", "deepseek", ()),
    ]


async def test_what_fails_or_is_cut_off_is_told_of_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = parts_of()
    client = client_of(parts, keyless=False)
    hangs = asyncio.Event()

    async def hang(*_: object) -> None:
        hangs.set()
        await asyncio.get_running_loop().create_future()

    async def break_(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(Keys, "revoke", break_)
    assert (await client.delete("/admin/keys/key_1", headers=ADMIN)).status_code == 500
    monkeypatch.setattr(Keys, "revoke", hang)
    asked = asyncio.get_running_loop().create_task(client.delete("/admin/keys/key_2", headers=ADMIN))
    await hangs.wait()
    asked.cancel()
    await asyncio.wait([asked])
    assert [(line["on"], line["outcome"]) for line in acts(parts)] == [
        ("key_1", "internal_error"), ("key_2", "internal_error")
    ]  # fmt: skip
    await parts.trail.kept()
    assert parts.audit.told == [("key.revoke", "failed", "key_1", 1), ("key.revoke", "failed", "key_2", 1)]


async def test_an_act_is_done_and_in_the_log_while_the_database_is_away() -> None:
    parts = parts_of()
    client = client_of(parts, keyless=False)
    parts.audit.away = True
    assert (await client.delete("/admin/cache?all=true", headers=ADMIN)).status_code == 200
    assert [line["act"] for line in acts(parts)] == ["DELETE /admin/cache"]
    assert [line["level"] for line in parts.log.of("acts_are_kept_back")] == ["error"]
    parts.audit.away = False
    await parts.trail.aclose()
    assert parts.audit.told == [("cache.purge", "done", None, 1)]


async def test_a_flood_of_refusals_has_its_lines_and_a_few_entries() -> None:
    parts = parts_of()
    client = client_of(parts, keyless=False)
    issued = await parts.process.issue(scopes=["inference"])
    for number in range(30):
        await client.delete(f"/admin/keys/{number}", headers={"x-api-key": issued.secret.reveal()})
        await client.post("/admin/keys", headers={"x-api-key": issued.secret.reveal()})
    await parts.trail.aclose()
    assert len(acts(parts)) == 60
    assert parts.audit.told == [
        ("key.revoke", "refused", "0", 1),
        ("key.create", "refused", None, 1),
        ("key.revoke", "refused", None, 29),
        ("key.create", "refused", None, 29),
    ]
    assert len(parts.audit.entries) <= 2 * MOST_KINDS + 1


def test_every_act_has_a_word_of_its_own_in_the_audit_log() -> None:
    routes = {f"{one.method} {one.path}" for one in parts_of().routes if one.for_operators and one.method != "GET"}
    mutations = {path for path, scopes in ACCESS.items() if path.startswith("Mutation.") and "inference" not in scopes}
    assert set(WORDS) == routes | mutations


async def test_what_is_purged_is_told_by_the_names_of_what_chose_it() -> None:
    parts = parts_of()
    client = client_of(parts, keyless=False)
    await client.delete("/admin/cache?model=fast&secret=sk-test-1", headers=ADMIN)
    await client.delete("/admin/cache?model=fast", headers=ADMIN)
    refused, purged = acts(parts)
    assert (refused["outcome"], refused.get("fields")) == ("invalid_value", None)
    assert (purged["outcome"], purged["fields"]) == ("ok", ["model"])
