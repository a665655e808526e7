"""What operators do is in the log: who, what, on what, from where, and what came of it; no secret, and no value."""

from typing import Any

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
    told = acts(parts)
    assert [(line["act"], line["outcome"], line.get("fields")) for line in told] == [
        ("POST /admin/keys", "ok", ["budget_usd", "name"]),
        ("PATCH /admin/keys/{id}", "ok", ["name"]),
        ("PATCH /admin/keys/{id}", "invalid_value", None),
        ("POST /admin/keys/{id}/rotate", "ok", None),
        ("DELETE /admin/keys/{id}", "ok", None),
    ]
    assert {(line["on"], line["key_id"], line["peer"]) for line in told} == {(made["id"], "admin", "127.0.0.1")}
    assert not [secret for secret in (made["key"], rotated["key"], "sk-test-private", ADMIN_KEY) if secret in str(told)]


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


async def test_what_is_purged_is_told_by_the_names_of_what_chose_it() -> None:
    parts = parts_of()
    client = client_of(parts, keyless=False)
    await client.delete("/admin/cache?model=fast&secret=sk-test-1", headers=ADMIN)
    await client.delete("/admin/cache?model=fast", headers=ADMIN)
    refused, purged = acts(parts)
    assert (refused["outcome"], refused.get("fields")) == ("invalid_value", None)
    assert (purged["outcome"], purged["fields"]) == ("ok", ["model"])
