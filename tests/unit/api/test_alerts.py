"""``/admin/alerts`` in JSON: what fires, what happened, silences, tests; every refusal says what is wrong."""

from datetime import timedelta
from typing import Any

import httpx2
import jsonschema
import orjson
import pytest

from llm_service.alerts import Alert
from llm_service.alerts.alert import resolved
from llm_service.alerts.entry import entry_of, of_change, of_notice
from llm_service.api.rest.docs import FILES
from llm_service.api.rest.openapi import openapi_document
from llm_service.services.alerts import MOST_SILENCES
from llm_service.storage import SilenceRow
from tests.support.control import ADMIN_KEY, Parts, client_of, parts_of

NAMES = ("down", "slow", "cost")


@pytest.fixture
def parts() -> Parts:
    return parts_of()


@pytest.fixture
def client(parts: Parts) -> httpx2.AsyncClient:
    client = client_of(parts)
    client.headers["x-api-key"] = ADMIN_KEY
    return client


def alert(parts: Parts, rule: str = "down", *, fires: bool = True, **labels: str) -> Alert:
    now = parts.alerts.clock.now()
    return Alert(
        rule=rule,
        labels=labels,
        severity="critical",
        state="firing" if fires else "pending",
        since=now,
        held_at=now,
        fired_at=now if fires else None,
        value=1.0,
        summary="It is down.",
        notify=("ops",),
    )


def check(name: str, value: Any) -> None:
    """It is as the description says."""
    document = orjson.loads(orjson.dumps(openapi_document("1", page_files=tuple(FILES))))
    jsonschema.Draft202012Validator({**document, "$ref": f"#/components/schemas/{name}"}).validate(value)


async def silence(client: httpx2.AsyncClient, **fields: Any) -> Any:
    body = {"matchers": [{"name": "provider", "value": "a"}], "duration_s": 60, **fields}
    return await client.post("/admin/alerts/silences", json={k: v for k, v in body.items() if v != "-"})


async def test_what_fires_comes_before_what_may_and_what_is_over_does_not_come(
    parts: Parts, client: httpx2.AsyncClient
) -> None:
    now = parts.alerts.clock.now()
    await parts.alerts.know(
        resolved(alert(parts, "slow"), now), alert(parts, provider="b", fires=False), alert(parts, provider="a")
    )
    told = (await client.get("/admin/alerts")).json()
    check("AlertList", told)
    assert [(one["state"], one["labels"]) for one in told["data"]] == [
        ("firing", {"provider": "a"}),
        ("pending", {"provider": "b"}),
    ]
    assert [(one["name"], one["state"]) for one in told["rules"]] == [
        ("down", "firing"),
        ("slow", "inactive"),
        ("cost", "inactive"),
    ]
    assert (told["alone"], told["reach"], told["looked_at"]) == (False, "machine", now.isoformat()[:-6] + "Z")
    assert told["rules"][2]["goes_by"] == {"above": 10, "providers": [], "window_s": 3600}
    assert (told["rules"][2]["for_s"], told["rules"][1]["labels"]) == (300, {"team": "x"})


async def test_before_the_first_look_nothing_is_known(client: httpx2.AsyncClient) -> None:
    told = (await client.get("/admin/alerts")).json()
    assert (told["data"], told["looked_at"], len(told["rules"])) == ([], None, 3)


async def test_history_is_paged_newest_first(parts: Parts, client: httpx2.AsyncClient) -> None:
    now = parts.alerts.clock.now()
    one = alert(parts, provider="a")
    notices = parts.alerts.admin._watch.telling.trials("down", "critical", {}, now)
    events = [of_change(one, now), of_notice(notices[0], "ops", now), of_notice(notices[1], "ops", now, error="no")]
    await parts.alerts.store.append([entry_of(event) for event in events])
    first = (await client.get("/admin/alerts/history", params={"limit": 2})).json()
    check("AlertHistory", first)
    assert [(event["happened"], event["error"]) for event in first["data"]] == [("failed", "no"), ("notified", None)]
    second = (await client.get("/admin/alerts/history", params={"cursor": first["next_cursor"]})).json()
    assert [event["happened"] for event in second["data"]] == ["firing"]
    assert (second["next_cursor"], second["data"][0]["summary"]) == (None, "It is down.")
    nobody = (await client.get("/admin/alerts/history", params={"rule": "nobody"})).json()
    assert nobody == {"data": [], "next_cursor": None}


async def test_a_silence_is_made_shown_and_ended(parts: Parts, client: httpx2.AsyncClient) -> None:
    await parts.alerts.know(alert(parts, provider="a"), alert(parts, provider="b"))
    made = (await silence(client, comment="we know", created_by="anna")).json()
    check("Silence", made)
    assert (made["state"], made["created_by"], made["comment"]) == ("active", "anna", "we know")
    told = (await client.get("/admin/alerts")).json()["data"]
    assert {one["labels"]["provider"]: one["silenced_by"] for one in told} == {"a": [made["id"]], "b": []}
    listed = (await client.get("/admin/alerts/silences")).json()
    check("SilenceList", listed)
    assert listed["data"] == [made]
    parts.alerts.clock.advance(5)
    ended = (await client.delete(f"/admin/alerts/silences/{made['id']}")).json()
    assert (ended["state"], (await client.delete(f"/admin/alerts/silences/{made['id']}")).json()) == ("expired", ended)
    assert (await client.get("/admin/alerts")).json()["data"][0]["silenced_by"] == []


async def test_a_silence_says_whose_it_is_and_may_begin_later(parts: Parts, client: httpx2.AsyncClient) -> None:
    starts = (parts.alerts.clock.now() + timedelta(hours=1)).isoformat()
    made = (await silence(client, starts_at=starts)).json()
    assert (made["created_by"], made["state"], made["comment"]) == ("admin", "pending", "")
    ended = (await client.delete(f"/admin/alerts/silences/{made['id']}")).json()
    assert (ended["state"], ended["starts_at"]) == ("expired", ended["ends_at"])


async def test_silences_that_are_over_keep_none_from_being_made(parts: Parts, client: httpx2.AsyncClient) -> None:
    now = parts.alerts.clock.now()
    for number in range(MOST_SILENCES):
        until = now + timedelta(seconds=0 if number else 60)
        await parts.alerts.store.put_silence(SilenceRow(id=f"sil-{number}", until=until, body="{}"))
    assert (await silence(client)).status_code == 200
    for number in range(MOST_SILENCES):
        await parts.alerts.store.put_silence(SilenceRow(id=f"s{number}", until=now + timedelta(hours=1), body="{}"))
    refused = await silence(client)
    assert refused.status_code == 400
    assert "that are not over: end some" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({"matchers": "-"}, "matchers", "'matchers' is required"),
        ({"matchers": []}, "matchers", "a list of 1 to 32"),
        ({"matchers": ["x"]}, "matchers[0]", "an object with name, value"),
        ({"matchers": [{"name": "a"}]}, "matchers[0]", "an object with name, value"),
        ({"matchers": [{"name": "", "value": "x"}]}, "matchers[0].name", "`rule`, `severity` or the name of a label"),
        ({"matchers": [{"name": "a", "value": 3}]}, "matchers[0].value", "must be a text"),
        ({"matchers": [{"name": "a", "value": "x", "operator": "~"}]}, "matchers[0].operator", "'=' or '!='"),
        ({"duration_s": "-"}, "ends_at", "Exactly one of"),
        ({"ends_at": "2030-01-01T00:00:00Z"}, "ends_at", "Exactly one of"),
        ({"duration_s": 0}, "duration_s", "from 1 to"),
        ({"duration_s": True}, "duration_s", "from 1 to"),
        ({"duration_s": None, "ends_at": "2020-01-01T00:00:00Z"}, "ends_at", "in the future"),
        ({"duration_s": None, "ends_at": "2030-01-01T00:00:00Z"}, "ends_at", "within a year"),
        ({"duration_s": None, "ends_at": "soon"}, "ends_at", "RFC 3339"),
        ({"starts_at": "9999-12-31T23:59:59Z"}, "starts_at", "within a year"),
        ({"comment": "x" * 1025}, "comment", "at most 1024 characters"),
        ({"end_at": "x"}, "end_at", "did you mean 'ends_at'"),
    ],
)
async def test_what_is_no_silence_is_refused(client: httpx2.AsyncClient, fields: Any, param: str, said: str) -> None:
    answer = await silence(client, **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert said in error["message"]


async def test_a_test_notice_goes_to_everybody_whom_the_rule_tells(parts: Parts, client: httpx2.AsyncClient) -> None:
    parts.alerts.notifiers["chat"].fails = "it answered 404"
    told = (await client.post("/admin/alerts/down/test")).json()
    check("AlertTrial", told)
    assert told == {
        "rule": "down",
        "notifiers": [
            {"name": "ops", "delivered": True, "cause": None},
            {"name": "chat", "delivered": False, "cause": "it answered 404"},
        ],
    }
    assert [one.status for one in parts.alerts.notifiers["chat"].notices] == ["firing", "resolved"]
    sent = parts.alerts.notifiers["ops"].notices
    assert [one.status for one in sent] == ["firing", "resolved"]
    assert sent[0].alerts[0].labels == {"test": "true"}


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("POST", "/admin/alerts/nobody/test", 404, "there are: down, slow, cost"),
        ("POST", "/admin/alerts/slow/test", 400, "tells nobody: set its `notify`"),
        ("DELETE", "/admin/alerts/silences/nobody", 404, "There is no silence `nobody`"),
        ("GET", "/admin/alerts/history?cursor=x", 400, "'cursor' must be"),
        ("GET", "/admin/alerts/history?rule=%00", 400, "'rule' must be the name of a rule"),
        ("GET", "/admin/alerts/history?limit=0", 400, "'limit' must be"),
        ("GET", "/admin/alerts?state=firing", 400, "'state' is unknown here"),
    ],
)
async def test_every_refusal_says_what_is_wrong(
    client: httpx2.AsyncClient, method: str, path: str, status: int, said: str
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]


async def test_readers_see_alerts_and_admins_alone_silence_and_test_them(parts: Parts) -> None:
    reader = (await parts.process.issue(scopes=["read"])).secret.reveal()
    client = client_of(parts, keyless=False)
    client.headers["x-api-key"] = reader
    assert (await client.get("/admin/alerts")).json()["rules"]
    assert (await client.get("/admin/alerts/history")).json() == {"data": [], "next_cursor": None}
    refused = [
        await client.get("/admin/alerts/silences"),
        await silence(client),
        await client.delete("/admin/alerts/silences/x"),
        await client.post("/admin/alerts/down/test"),
    ]
    assert {(one.status_code, one.json()["error"]["code"]) for one in refused} == {(403, "scope_missing")}
    assert not await parts.alerts.store.silences()
    assert not parts.alerts.notifiers["ops"].notices


@pytest.mark.parametrize("path", ["/admin/alerts", "/admin/alerts/history", "/admin/alerts/silences"])
async def test_without_the_database_it_is_said_so(parts: Parts, client: httpx2.AsyncClient, path: str) -> None:
    parts.alerts.store.away = True
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ledger_unavailable")
    assert "Alerts cannot be read or changed now" in answer.json()["error"]["message"]


async def test_a_state_that_is_not_understood_is_shown_as_none(parts: Parts, client: httpx2.AsyncClient) -> None:
    now = parts.alerts.clock.now()
    await parts.alerts.store.take("x", now=now, until=now)
    await parts.alerts.store.save("x", version=0, state="[]", entries=())
    assert (await client.get("/admin/alerts")).json()["data"] == []
