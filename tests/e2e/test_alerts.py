"""A provider goes down, the alert fires, somebody is told, and again when it is over; over every door, in seconds."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from llm_service.alerts import AlertingOptions, AlertOptions, NotifierOptions
from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.sandbox import Sandbox
from tests.support.deployment import ADMIN, Deployment, body, flood, machines, one_service, served_by
from tests.support.graphql import data_of
from tests.support.postgres import PostgresServer
from tests.support.process import Serving
from tests.support.raw_server import read_request, serving
from tests.support.rest import ask, chat_body, connected
from tests.support.service import Running, running, simulated
from tests.support.timed import within
from tests.support.valkey import Server
from tests.support.waiting import until, until_answered
from tests.support.workers import gone, workers_of

PLAIN = "plain/sandbox/tokens-5+pace-0ms"
QUICK = {"quick": served_by("tokens-5+pace-0ms")}
INTERVAL_S = 1.0
GAUGES_S = 1.0
"""How often gauges are set."""
SLACK_S = 2.0
"""For requests on a busy machine."""
FAILING = AlertOptions(
    name="plain-fails",
    kind="error_ratio",
    per="provider",
    above=0.4,
    window="2s",
    min_count=3,
    for_="0",
    keep_firing_for="0",
    severity="critical",
    notify=("hook",),
)
ALERTS = "{ alerts { rule labels { name value } severity state since firedAt value summary silencedBy notify } }"


@dataclass
class Receiver:
    """A webhook's receiver."""

    address: str = ""
    bodies: list[Any] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.bodies.append(json.loads((await read_request(reader)).partition(b"\r\n\r\n")[2]))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(body["status"], alert["labels"]["alertname"]) for body in self.bodies for alert in body["alerts"]]


@dataclass
class Site:
    service: Running
    sandbox: Sandbox
    receiver: Receiver


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with AsyncExitStack() as held:
        sandbox = await held.enter_async_context(Sandbox(pace_s=0.0))
        receiver = Receiver()
        receiver.address = await held.enter_async_context(serving(receiver.handle))
        hook = NotifierOptions(kind="webhook", url=Secret(f"{receiver.address}/hook"))
        settings = Settings(
            providers=simulated(sandbox.address),
            notifiers={"hook": hook},
            alerts=(FAILING, AlertOptions(name="tells-nobody", kind="store_down")),
            alerting=AlertingOptions(interval_s=0.2, group_wait_s=0, group_interval_s=0),
        )
        service = await held.enter_async_context(running(settings))
        service.service.alerts.watch.start()
        yield Site(service, sandbox, receiver)


async def seen(site: Site) -> Any:
    return (await ask(site.service.address, "GET", "/admin/alerts")).json()


async def asked_until(site: Site, met: Any) -> None:
    """Requests go on until it is so."""

    async def once() -> bool:
        await ask(site.service.address, "POST", "/v1/chat/completions", chat_body(PLAIN))
        return bool(await met())

    await until_answered(once, within_s=15)


async def heard(site: Site, *, count: int) -> list[Any]:
    """So many events of alerts, as they are told live."""
    async with connected(site.service.address) as connection:
        connection.send("GET", "/admin/events?kinds=alert")
        await connection.head()
        said = b""
        async for piece in connection.pieces():
            said += piece
            lines = [line[6:] for line in said.split(b"\n") if line.startswith(b"data: ")]
            if len(lines) == count and said.endswith(b"\n\n"):
                return [orjson.loads(line) for line in lines]
    raise AssertionError(said)


async def control(site: Site, method: str, body: Any = None) -> None:
    answer = await ask(site.sandbox.address, method, "/_control", b"" if body is None else orjson.dumps(body))
    assert answer.status < 300


@pytest.mark.timeout(60)
async def test_an_alert_fires_and_ends_over_every_door(site: Site) -> None:
    at = site.service.address

    async def fires() -> bool:
        shown[:] = [*(await seen(site))["data"], *(await data_of(at, ALERTS))["alerts"]]
        return len(shown) == 2

    async def is_over() -> bool:
        return not (await seen(site))["data"]

    shown: list[Any] = []
    live = asyncio.ensure_future(heard(site, count=2))
    await control(site, "POST", {"behaviour": "error-500", "match": {"provider": "openai"}})
    await asked_until(site, fires)
    told, same = shown
    assert (told["rule"], told["labels"], told["state"]) == ("plain-fails", {"provider": "plain"}, "firing")
    assert (same["rule"], same["labels"]) == (told["rule"], [{"name": "provider", "value": "plain"}])
    assert (same["severity"], same["state"]) == ("CRITICAL", "FIRING")
    assert (same["since"], same["firedAt"], same["notify"]) == (told["since"], told["fired_at"], ["hook"])
    await until(lambda: site.receiver.told == [("firing", "plain-fails")])
    metrics = (await ask(at, "GET", "/metrics")).body.decode()
    assert 'llm_alert_notices_total{channel="hook",outcome="delivered"} 1' in metrics

    await control(site, "DELETE")
    await asked_until(site, is_over)
    await until(lambda: site.receiver.told == [("firing", "plain-fails"), ("resolved", "plain-fails")])
    assert (await data_of(at, ALERTS))["alerts"] == []
    assert [(one["rule"], one["state"]) for one in await live] == [
        ("plain-fails", "firing"),
        ("plain-fails", "resolved"),
    ]

    async def all_is_kept() -> bool:
        history = (await ask(at, "GET", "/admin/alerts/history")).json()["data"]
        return [event["happened"] for event in history] == ["notified", "resolved", "notified", "firing"]

    await until_answered(all_is_kept)


async def test_a_silenced_alert_is_shown_and_not_told(site: Site) -> None:
    silence = {"matchers": [{"name": "rule", "value": "plain-*"}], "duration_s": 60}
    made = await ask(site.service.address, "POST", "/admin/alerts/silences", orjson.dumps(silence))
    await control(site, "POST", {"behaviour": "error-500", "match": {"provider": "openai"}})

    async def fires() -> bool:
        alerts = (await data_of(site.service.address, ALERTS))["alerts"]
        shown[:] = [*(await seen(site))["data"], *alerts]
        return len(shown) == 2

    shown: list[Any] = []
    await asked_until(site, fires)
    assert [shown[0]["silenced_by"], shown[1]["silencedBy"]] == [[made.json()["id"]]] * 2
    assert site.receiver.told == []


async def test_a_test_notice_is_sent_and_its_end(site: Site) -> None:
    at = site.service.address
    answer = await ask(at, "POST", "/admin/alerts/plain-fails/test", b"{}")
    assert answer.json()["notifiers"] == [{"name": "hook", "delivered": True, "cause": None}]
    assert [body["status"] for body in site.receiver.bodies] == ["firing", "resolved"]
    assert site.receiver.bodies[0]["commonLabels"]["test"] == "true"
    refused = await ask(at, "POST", "/admin/alerts/tells-nobody/test", b"{}")
    assert (refused.status, refused.json()["error"]["code"]) == (400, "invalid_value")


def settings_for(receiver: Receiver) -> dict[str, Any]:
    """A rule about all requests of the last seconds."""
    rule = {"name": "fails", "kind": "error_ratio", "above": 0.4, "window": "4s", "min_count": 3, "for": "0"}
    return {
        "notifiers": {"hook": {"kind": "webhook", "url": f"{receiver.address}/hook"}},
        "alerting": {"interval_s": INTERVAL_S, "group_wait_s": 0, "group_interval_s": 0, "notify": ["hook"]},
        "alerts": [{**rule, "keep_firing_for": "0"}],
        "models": QUICK,
    }


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with serving(receiver.handle) as receiver.address:
        yield receiver


@pytest.mark.timed
@pytest.mark.timeout(120)
async def test_of_two_machines_one_looks_and_when_it_is_killed_the_other_goes_on_and_tells_nothing_twice(
    tmp_path: Path, receiver: Receiver, valkey: Server, postgres_server: PostgresServer
) -> None:
    url = await postgres_server.new_database()
    with machines(tmp_path, store_url=valkey.url, database_url=url, **settings_for(receiver)) as two:
        await fails(two, receiver)
        looking = await until_answered(lambda: who_looks(two))
        assert len(looking) == 1
        (other,) = [service.address for service in two.services if service is not looking[0]]
        os.kill(looking[0].pid, signal.SIGKILL)
        await goes_on(other, within_s=2 * INTERVAL_S + GAUGES_S + SLACK_S)
        await ends(two, other, receiver)
    assert receiver.told == [("firing", "fails"), ("resolved", "fails")]


@pytest.mark.timed
@pytest.mark.timeout(120)
async def test_the_successor_of_a_killed_worker_goes_on_and_tells_nothing_twice(
    tmp_path: Path, receiver: Receiver
) -> None:
    with one_service(tmp_path, **settings_for(receiver)) as deployment:
        (service,) = deployment.services
        await fails(deployment, receiver)
        await until_answered(lambda: who_looks(deployment))
        killed = workers_of(service)[1]
        os.kill(killed, signal.SIGKILL)
        await gone([killed])
        await goes_on(service.address, within_s=2 * INTERVAL_S + GAUGES_S + SLACK_S)
        await ends(deployment, service.address, receiver)
    assert receiver.told == [("firing", "fails"), ("resolved", "fails")]


async def fails(deployment: Deployment, receiver: Receiver) -> None:
    """Until somebody is told."""
    await ask(deployment.sandbox, "POST", "/_control", orjson.dumps({"behaviour": "error-500"}))
    await flooded_until(deployment.addresses, lambda: receiver.told)


async def who_looks(deployment: Deployment) -> list[Serving]:
    return [service for service in deployment.services if await fires_by_metrics(service.address)]


async def fires_by_metrics(address: str) -> bool:
    return "llm_alerts_firing{" in await metrics_of(address)


async def goes_on(address: str, *, within_s: float) -> None:
    """It fires there."""
    begun_at = time.monotonic()
    await flooded_until([address], lambda: fires_by_metrics(address))
    within(time.monotonic() - begun_at, within_s)


async def ends(deployment: Deployment, address: str, receiver: Receiver) -> None:
    """Until somebody is told of that."""
    await ask(deployment.sandbox, "DELETE", "/_control")
    await flooded_until([address], lambda: len(receiver.told) > 1)


async def metrics_of(address: str) -> str:
    return (await ask(address, "GET", "/metrics", authorization=ADMIN)).body.decode()


async def flooded_until(addresses: list[str], met: Any) -> None:
    """A few requests again and again until it is so."""

    async def once() -> bool:
        await flood(addresses, [body("quick", seed=number) for number in range(4)])
        found = met()
        return bool(await found if asyncio.iscoroutine(found) else found)

    await until_answered(once, within_s=40)
