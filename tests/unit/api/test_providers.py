"""``/admin/providers`` as administrators use it."""

from typing import Any

import pytest

from llm_service.domain import UpstreamAuthFailed
from llm_service.routing import ProviderFigures
from tests.support.control import ADMIN_KEY, client_of, parts_of
from tests.support.provider_service import Desk, ScriptedProvider
from tests.unit.api.test_openapi import schema

REFUSED = UpstreamAuthFailed("The provider refused the gateway's credential: check its api_key.")


@pytest.fixture
def desk() -> Desk:
    return Desk(ScriptedProvider("one"), ScriptedProvider("two", says=REFUSED), enabled={"two": False})


async def changed(desk: Desk, body: Any, name: str = "one") -> Any:
    return await client_of(parts_of(desk=desk)).patch(f"/admin/providers/{name}", json=body)


async def test_all_are_listed_with_their_health(desk: Desk) -> None:
    await desk.models.refresh("one")
    body = (await client_of(parts_of(desk=desk)).get("/admin/providers")).json()
    schema("ProviderList").validate(body)
    one, two = body["data"]
    assert (one["name"], one["state"], one["models"], one["override"]) == ("one", "enabled", 1, None)
    assert (two["state"], two["configured"], two["models"], two["health"]["state"]) == (
        "disabled", "disabled", None, "disabled",
    )  # fmt: skip


async def test_one_is_switched_off_and_put_back(desk: Desk) -> None:
    off = (await changed(desk, {"enabled": False})).json()
    schema("Provider").validate(off)
    assert (off["state"], off["configured"], off["override"]) == (
        "disabled", "enabled", {"state": "disabled", "since": "2026-11-23T00:16:40Z"},
    )  # fmt: skip
    assert desk.states.state_of("one") == "disabled"
    back = (await changed(desk, {"enabled": None})).json()
    assert (back["state"], back["override"]) == ("enabled", None)
    assert desk.facts.facts == {}


async def test_a_draining_one_is_drained_when_nothing_runs_any_more(desk: Desk) -> None:
    desk.measures.by_provider["one"] = ProviderFigures(in_flight=1)
    draining = (await changed(desk, {"drain": True})).json()
    assert (draining["state"], draining["drained"], draining["health"]["in_flight"]) == ("draining", False, 1)
    desk.measures.by_provider["one"] = ProviderFigures()
    seen = (await client_of(parts_of(desk=desk)).get("/admin/providers/one")).json()
    assert seen["drained"] is True


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "enabled"),
        ({"enabled": 0}, "enabled"),
        ({"weight": 1}, "weight"),
        ({"enabled": False, "drain": True}, "drain"),
    ],
)
async def test_what_cannot_be_meant_is_refused_and_changes_nothing(desk: Desk, body: Any, param: str) -> None:
    refused = await changed(desk, body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
    assert desk.facts.facts == {}


async def test_a_name_that_is_not_configured_is_a_404_that_names_those_that_are(desk: Desk) -> None:
    client = client_of(parts_of(desk=desk))
    answers = [
        await client.get("/admin/providers/three"),
        await changed(desk, {"enabled": False}, name="three"),
        await client.post("/admin/providers/three/test", json={}),
    ]
    assert [answer.status_code for answer in answers] == [404] * 3
    assert "one, two" in answers[0].json()["error"]["message"]


async def test_the_end_of_a_drain_leaves_what_another_process_decided_meanwhile(desk: Desk) -> None:
    await changed(desk, {"drain": True})
    await Desk(ScriptedProvider("one"), beside=desk).states.put("one", "disabled")
    assert (await changed(desk, {"drain": False})).json()["state"] == "disabled"


async def test_while_the_database_is_away_nothing_is_changed(desk: Desk) -> None:
    desk.facts.away = True
    refused = await changed(desk, {"enabled": False})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "ledger_unavailable")
    assert desk.states.state_of("one") == "enabled"


@pytest.mark.parametrize(("name", "ok"), [("one", True), ("two", False)])
async def test_one_is_tried_whatever_its_state(desk: Desk, name: str, ok: bool) -> None:
    answer = await client_of(parts_of(desk=desk)).post(f"/admin/providers/{name}/test", json={})
    assert answer.status_code == 200
    schema("ProviderTrial").validate(answer.json())
    assert answer.json()["ok"] is ok
    assert ("remedy" in answer.json()) is not ok


async def test_only_admins_may(desk: Desk) -> None:
    client = client_of(parts_of(desk=desk), keyless=False)
    paths = ("/admin/providers", "/admin/providers/one")
    assert [(await client.get(path)).status_code for path in paths] == [401, 401]
    admin = {"authorization": f"Bearer {ADMIN_KEY}"}
    assert [(await client.get(path, headers=admin)).status_code for path in paths] == [200, 200]
