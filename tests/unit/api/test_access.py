"""Who may ask what: closed unless a list says open, and by scope."""

import re

import pytest

from llm_service.api.rest.app import hot_paths
from llm_service.domain import Caller, ModelInfo
from llm_service.services import Authenticator
from tests.support.clock import ManualClock
from tests.support.control import ADMIN_KEY, Catalogue, client_of, models_of, parts_of

OPEN = {
    "/health",
    "/health/live",
    "/health/liveness",
    "/health/liveliness",
    "/healthz",
    "/health/ready",
    "/health/readiness",
    "/readyz",
    "/dashboard",
    "/dashboard/session",
    "/dashboard/{name}",
}
SCOPES = {
    "/v1/models": "inference",
    "/models": "inference",
    "/metrics": "read",
    "/docs": "read",
    "/openapi.json": "read",
    "/": "read",
}


def concrete(path: str) -> str:
    return re.sub(r"{\w+(:path)?}", "x", path)


def test_nothing_is_open_but_health_and_the_way_into_the_dashboard() -> None:
    assert {route.path for route in parts_of().routes if route.access == "open"} == OPEN


def test_everything_below_admin_asks_for_the_admin_scope_but_to_see_what_was_used_and_is_done_reading_is_enough() -> (
    None
):
    routes = parts_of().routes
    below = {route.path: route.scopes for route in routes if route.path.startswith("/admin/")}
    seen = {path for path in below if path.startswith(("/admin/usage", "/admin/metrics", "/admin/events"))}
    seen |= {"/admin/alerts", "/admin/alerts/history"}
    assert {below[path] for path in seen} == {("read", "admin")}
    assert {below[path] for path in below.keys() - seen} == {("admin",)}
    assert not [route.path for route in routes if route.scopes == ("admin",) and route.path not in below]


async def test_every_route_in_every_spelling_refuses_who_shows_no_key() -> None:
    parts = parts_of()
    client = client_of(parts, keyless=False)
    for route in parts.routes:
        path = concrete(route.path).rstrip("/")
        for spelling in (path or "/", f"{path}/"):
            status = (await client.request(route.method, spelling)).status_code
            assert (status == 401) != (route.access == "open"), f"{route.method} {spelling}: {status}"


async def test_every_route_refuses_a_key_without_its_scope_and_only_that() -> None:
    parts = parts_of()
    client = client_of(parts, keyless=False)
    for scope in ("inference", "read", "admin"):
        issued = await parts.process.issue(scopes=[scope])
        headers = {"x-api-key": issued.secret.reveal()}
        for route in parts.routes:
            answer = await client.request(route.method, concrete(route.path), headers=headers)
            missing = answer.status_code == 403 and answer.json()["error"]["code"] == "scope_missing"
            refused = route.access != "open" and scope not in route.scopes
            assert missing == refused, f"{scope}: {route.method} {route.path}"


@pytest.mark.parametrize(("path", "scope"), SCOPES.items())
async def test_a_missing_scope_is_named(path: str, scope: str) -> None:
    parts = parts_of()
    issued = await parts.process.issue(scopes=["admin"])
    answer = await client_of(parts, keyless=False).get(path, headers={"x-api-key": issued.secret.reveal()})
    assert answer.json()["error"]["type"] == "permission_error"
    assert f"scope `{scope}`" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "path",
    [
        "/admin//keys",
        "//admin/keys",
        "/Admin/keys",
        "/admin/keys;x",
        "/v1/../admin/keys",
        "/admin%2Fkeys",
        "/admin/keys%00",
    ],
)
async def test_no_other_spelling_opens_an_admin_route(path: str) -> None:
    parts = parts_of()
    client = client_of(parts, keyless=False)
    assert (await client.get(path, headers={"host": "127.0.0.1:8080/admin/keys?"})).status_code in (401, 404)


async def test_the_hot_routes_have_no_second_door() -> None:
    client = client_of(parts_of(), keyless=False)
    assert {(await client.post(path)).status_code for path in hot_paths()} == {405}


async def test_models_that_a_key_may_not_use_are_not_shown_to_it() -> None:
    catalogue = Catalogue([ModelInfo(id=name, owned_by="o") for name in ("small", "small-2", "large")])
    parts = parts_of(models=models_of({"p": catalogue}, ManualClock()))
    issued = await parts.process.issue(models=["p/small*", "fast"])
    client = client_of(parts, keyless=False)
    client.headers["x-api-key"] = issued.secret.reveal()
    listed = (await client.get("/v1/models")).json()["data"]
    assert [model["id"] for model in listed] == ["p/small", "p/small-2"]
    assert (await client.get("/v1/models/p/small")).status_code == 200
    for name in ("p/large", "nobody/knows"):
        refused = await client.get(f"/v1/models/{name}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_allowed")


async def test_a_defect_while_a_key_is_looked_up_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = parts_of()
    issued = await parts.process.issue()
    monkeypatch.setattr(parts.process.world.store, "find", lambda prefix: 1 / 0)
    answer = await client_of(parts).get("/v1/models", headers={"x-api-key": issued.secret.reveal()})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")


def test_without_issued_keys_the_admin_key_alone_opens() -> None:
    from llm_service.domain import Secret
    from tests.support.key_service import credentials

    authenticator = Authenticator(admin_key=Secret(ADMIN_KEY), keyless=False, allowed_origins=())
    found = authenticator.authenticate(credentials(ADMIN_KEY))
    assert isinstance(found, Caller)
    assert found.key_id == "admin"
    authenticator.on_revoked(lambda key_id: None)
