"""``/admin/keys`` and ``/admin/config``: what they answer, and what they refuse."""

from typing import Any

import httpx2
import jsonschema
import orjson
import pytest

from llm_service.api.rest.wire import MAX_CONTROL_BYTES
from llm_service.bootstrap.doors import no_reload
from llm_service.config import Settings
from llm_service.domain import InvalidRequest, Secret
from llm_service.providers import ProviderOptions
from tests.support.control import ADMIN_KEY, Parts, client_of, parts_of
from tests.unit.api.test_openapi import schema

ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}
JSON = {"content-type": "application/json"}
NEW = {"name": "support", "models": ["fast"], "budget_usd": "5"}


@pytest.fixture
def parts() -> Parts:
    return parts_of()


@pytest.fixture
def client(parts: Parts) -> httpx2.AsyncClient:
    """The admin, from anywhere."""
    client = client_of(parts, keyless=False)
    client.headers.update(ADMIN)
    return client


async def created(client: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/admin/keys", json={**NEW, **fields})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_new_key_is_shown_with_its_secret_and_kept_by_no_cache(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/admin/keys", json=NEW)
    schema("CreatedKey").validate(answer.json())
    assert answer.json()["key"].startswith("llms_")
    assert answer.headers["cache-control"] == "no-store"


async def test_no_other_answer_holds_the_secret_or_its_hash(parts: Parts, client: httpx2.AsyncClient) -> None:
    key = await created(client)
    answers = [
        await client.get("/admin/keys"),
        await client.get(f"/admin/keys/{key['id']}"),
        await client.patch(f"/admin/keys/{key['id']}", json={"user": "x"}),
        await client.delete(f"/admin/keys/{key['id']}"),
    ]
    hashes = [secret.hash for secret in parts.process.world.store.secrets.values()]
    for answer in answers:
        assert answer.status_code == 200
        assert not any(secret in answer.text for secret in (key["key"][-12:], *hashes))
    schema("KeyList").validate(answers[0].json())
    for answer in answers[1:]:
        schema("ApiKey").validate(answer.json())


async def test_a_key_opens_the_door_until_it_is_revoked(parts: Parts, client: httpx2.AsyncClient) -> None:
    key = await created(client)
    own = client_of(parts, keyless=False)
    own.headers["x-api-key"] = key["key"]
    assert (await own.get("/v1/models")).status_code == 200
    assert (await client.delete(f"/admin/keys/{key['id']}")).json()["status"] == "revoked"
    refused = await own.get("/v1/models")
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")


async def test_a_rotated_key_has_a_new_secret(parts: Parts, client: httpx2.AsyncClient) -> None:
    key = await created(client)
    for body in (None, {"overlap_s": 0}):
        answer = await client.post(f"/admin/keys/{key['id']}/rotate", **({"json": body} if body else {}))
        assert answer.status_code == 200
        schema("CreatedKey").validate(answer.json())
        assert answer.json()["key"] != key["key"]
    own = client_of(parts, keyless=False)
    assert (await own.get("/v1/models", headers={"x-api-key": key["key"]})).status_code == 401


async def test_pages_follow_one_another(client: httpx2.AsyncClient) -> None:
    made = [(await created(client, name=str(number)))["id"] for number in range(5)]
    first = (await client.get("/admin/keys", params={"limit": 3})).json()
    rest = (await client.get("/admin/keys", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert sorted(key["id"] for key in first["data"] + rest["data"]) == sorted(made)
    assert (len(first["data"]), rest["next_cursor"]) == (3, None)


async def test_keys_are_found_by_their_words_and_by_their_ids(client: httpx2.AsyncClient) -> None:
    made = [(await created(client, name=f"number {number}"))["id"] for number in range(3)]

    async def ids(**params: str) -> list[str]:
        answer = (await client.get("/admin/keys", params=params)).json()
        return [key["id"] for key in answer["data"]]

    oldest = await ids()
    assert await ids(order="newest") == oldest[::-1]
    assert await ids(find="NUMBER 1") == [made[1]]
    assert sorted(await ids(ids=f"{made[2]},key_of_nobody,{made[0]}")) == sorted([made[0], made[2]])


@pytest.mark.parametrize(
    ("params", "param"),
    [({"order": "best"}, "order"), ({"ids": "key_1", "limit": "2"}, "ids"), ({"ids": "k," * 200}, "ids")],
)
async def test_a_list_that_cannot_be_had_is_refused(
    params: dict[str, str], param: str, client: httpx2.AsyncClient
) -> None:
    answer = await client.get("/admin/keys", params=params)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    "path", ["/admin/keys", "/admin/usage", "/admin/usage/summary", "/admin/usage/export", "/admin/limits"]
)
@pytest.mark.parametrize("name", ["after", "offset"])
async def test_a_parameter_that_no_list_has_is_refused_everywhere(
    client: httpx2.AsyncClient, path: str, name: str
) -> None:
    answer = await client.get(path, params={name: "x"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
    assert f"'{name}' is unknown here" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/admin/keys", "/admin/usage"])
async def test_another_cursor_is_refused_by_its_name(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path, params={"cursor": "x"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "cursor")


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "", "1.5", "9" * 5000, "²"])
async def test_a_page_has_a_sensible_size(client: httpx2.AsyncClient, limit: str) -> None:
    answer = await client.get("/admin/keys", params={"limit": limit})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "limit")


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"{", "invalid_json", None),
        (b"[]", "invalid_json", None),
        (b"", "invalid_json", None),
        (b"{}", "missing_required_parameter", "name"),
        (b'{"name": "\xff"}', "invalid_json", None),
        (b'{"name": 5}', "invalid_value", "name"),
        (b'{"name": "n", "scopes": []}', "invalid_value", "scopes"),
        (b'{"name": "n", "rpm": 5}', "invalid_value", "rpm"),
        (b'{"name": "n", "tags": {"a": 1}}', "invalid_value", "tags.a"),
        (b"[" * 30_000 + b"]" * 30_000, "invalid_json", None),
    ],
)
async def test_what_makes_no_key_is_refused(
    parts: Parts, client: httpx2.AsyncClient, body: bytes, code: str, param: str | None
) -> None:
    answer = await client.post("/admin/keys", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert answer.json()["error"]["param"] == param
    assert parts.process.world.store.keys == {}


async def test_a_body_beyond_the_bound_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/admin/keys", content=b" " * (MAX_CONTROL_BYTES + 1), headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
async def test_a_body_of_another_type_is_refused(client: httpx2.AsyncClient, kind: str) -> None:
    answer = await client.post("/admin/keys", content=orjson.dumps(NEW), headers={"content-type": kind})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "Content-Type")


async def test_a_type_with_its_character_set_is_json_all_the_same(client: httpx2.AsyncClient) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    assert (await client.post("/admin/keys", content=orjson.dumps(NEW), headers=headers)).status_code == 200


@pytest.mark.parametrize("id", ["key_0", "key_" + "0" * 26, "x" * 2000, "%00", "..", "' OR 1=1 --"])
async def test_a_key_that_is_not_there_is_a_404(client: httpx2.AsyncClient, id: str) -> None:  # noqa: A002
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate")):
        answer = await client.request(method, f"/admin/keys/{id}{path}", content=b"{}", headers=JSON)
        assert answer.status_code in (404, 405)
    assert answer.json()["error"]["code"] in ("not_found", "method_not_allowed")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/admin/keys", "GET, HEAD, POST"),
        ("DELETE", "/admin/keys", "GET, HEAD, POST"),
        ("POST", "/admin/keys/key_1", "DELETE, GET, HEAD, PATCH"),
        ("GET", "/admin/keys/key_1/rotate", "POST"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("POST", "/admin/config", "GET, HEAD, PATCH"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    client: httpx2.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.json()["error"]["code"] == "method_not_allowed"


async def test_without_the_database_it_may_be_tried_again(parts: Parts, client: httpx2.AsyncClient) -> None:
    parts.process.world.store.away = True
    answer = await client.get("/admin/keys")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ledger_unavailable")
    assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == ("1", "true")


async def test_a_page_of_another_site_makes_no_key(parts: Parts) -> None:
    local = client_of(parts)
    for headers in ({"origin": "https://evil.example"}, {"content-type": "text/plain"}):
        answer = await local.post("/admin/keys", content=orjson.dumps(NEW), headers={**JSON, **headers})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "not_local")
    for method in ("PATCH", "DELETE"):
        answer = await local.request(method, "/admin/keys/key_1", headers={"origin": "https://evil.example"})
        assert answer.status_code == 403
    assert parts.process.world.store.keys == {}


async def test_the_configuration_is_shown_without_its_secrets() -> None:
    providers = {"openai": ProviderOptions(api_key=Secret("canary4provider8credential"))}
    client = client_of(parts_of(settings=Settings(providers=providers)))
    answer = await client.get("/admin/config")
    schema("Configuration").validate(answer.json())
    assert answer.json()["settings"]["providers"]["openai"]["api_key"] == "***"
    assert "canary" not in answer.text


# -- the description says what is checked

FIELDS = {
    "name": ["n", "", 5, "a" * 257],
    "user": ["u", None, "", 5],
    "scopes": [["read"], [], ["all"], None, "read"],
    "models": [["m"], ["a/*"], ["a*b"], [], None, "m", ["m"] * 257],
    "requests_per_minute": [1, 0, 1.5, None, 10**9 + 1],
    "tokens_per_minute": [1, 0, 10**12 + 1],
    "concurrent_requests": [1, 0],
    "budget_usd": ["1.5", "-1", 5, "1e3", None],
    "budget_period": ["day", "year", None],
    "tags": [{}, {"a": "b"}, {"a b": "c"}, {"a": 5}, None, []],
    "on_disconnect": ["cancel", "stop", None],
    "semantic_cache": [True, False, None, "true", 1],
    "unknown": [1],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in FIELDS.items() for value in values])
async def test_a_field_is_described_as_it_is_checked(client: httpx2.AsyncClient, name: str, value: Any) -> None:
    body = {"name": "n", name: value}
    answer = await client.post("/admin/keys", json=body)
    assert schema("NewKey").is_valid(body) == (answer.status_code == 200)
    patched = await client.patch(f"/admin/keys/{(await created(client))['id']}", json={name: value})
    assert schema("KeyPatch").is_valid({name: value}) == (patched.status_code == 200)


@pytest.mark.parametrize(
    "body", [{}, {"overlap_s": 0}, {"overlap_s": None}, {"overlap_s": -1}, {"x": 1}, {"overlap_s": 2**40}]
)
async def test_a_rotation_is_described_as_it_is_checked(client: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    answer = await client.post(f"/admin/keys/{(await created(client))['id']}/rotate", json=body)
    assert schema("KeyRotation").is_valid(body) == (answer.status_code == 200)


def test_the_example_makes_a_key() -> None:
    from llm_service.api.rest.openapi.admin import KEY_EXAMPLE

    assert isinstance(schema("NewKey"), jsonschema.Draft202012Validator)
    schema("NewKey").validate(KEY_EXAMPLE)


async def test_a_reload_tells_the_generation_that_is_in_force(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/admin/config/reload", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["generation"]) == (200, 2)


async def test_settings_that_were_given_once_cannot_be_read_again() -> None:
    with pytest.raises(InvalidRequest, match="cannot be read again"):
        await no_reload()
