"""How a provider is judged: from its live traffic, and from what its free endpoints say."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from llm_service.domain import UpstreamAuthFailed, UpstreamError, UpstreamRateLimited
from llm_service.providers import Account
from llm_service.routing import ProviderFigures, TrippedBreaker
from llm_service.services import Health, health_object, provider_object
from llm_service.services.provider_running import RUNNING_TOPIC, STALE_S, TOLD_S
from tests.support.clock import ManualClock
from tests.support.control import client_of, parts_of
from tests.support.provider_service import Desk, ScriptedProvider
from tests.unit.api.test_openapi import schema

BEGAN = ManualClock().time()
OPEN = TrippedBreaker(upstream_model="m", state="open", cause="5 failures in a row", since=BEGAN - 60)
HALF = TrippedBreaker(upstream_model="n", state="half_open", cause="half of 10 requests failed", since=BEGAN - 30)
DOWN = UpstreamError("The provider's connection failed.")


@pytest.fixture
def desk() -> Desk:
    return Desk(ScriptedProvider("one"), ScriptedProvider("two"), enabled={"two": False})


def told(desk: Desk, name: str = "one") -> dict[str, Any]:
    return health_object(desk.health.report(name))


async def test_nobody_knows_a_provider_that_nobody_has_asked(desk: Desk) -> None:
    known = told(desk)
    assert (known["state"], known["cause"], known["checked_at"]) == ("unknown", "not asked yet", None)
    await desk.probes.ask("one", "catalogue")
    known = told(desk)
    assert (known["state"], known["cause"], known["checked_at"]) == ("ok", None, "2026-11-23T00:16:40Z")


@pytest.mark.parametrize(
    ("figures", "state", "cause"),
    [
        (ProviderFigures(requests=100, failures=9), "ok", None),
        (ProviderFigures(requests=2, failures=2), "ok", None),
        (
            ProviderFigures(requests=100, failures=10, last_error_code="upstream_timeout"),
            "degraded",
            "10 of 100 requests of the last minute failed; the last: upstream_timeout",
        ),
        (ProviderFigures(requests=3, failures=3), "down", "3 of 3 requests of the last minute failed"),
        (
            ProviderFigures(requests=9, deployments=2, tripped=(OPEN,)),
            "degraded",
            "1 of 2 deployments left alone: 5 failures in a row",
        ),
        (
            ProviderFigures(requests=9, deployments=2, tripped=(HALF, OPEN)),
            "down",
            "2 of 2 deployments left alone: 5 failures in a row",
        ),
    ],
)
def test_live_traffic_tells(desk: Desk, figures: ProviderFigures, state: str, cause: str | None) -> None:
    desk.measures.by_provider["one"] = figures
    known = told(desk)
    assert (known["state"], known["cause"]) == (state, cause)
    assert desk.health.is_down("one") == (state == "down")


@pytest.mark.parametrize(("untried_s", "state"), [(0.0, "down"), (59.0, "down"), (60.0, "ok")])
def test_a_half_open_breaker_that_nobody_tries_any_more_says_nothing(desk: Desk, untried_s: float, state: str) -> None:
    untried = replace(HALF, untried_s=untried_s)
    desk.measures.by_provider["one"] = ProviderFigures(requests=1, deployments=1, tripped=(untried,))
    known = told(desk)
    assert (known["state"], known["breaker"]) == (state, "half_open")


@pytest.mark.parametrize(
    ("figures", "ratio", "state"),
    [
        (ProviderFigures(requests=2, failures=5), 1.0, "down"),
        (ProviderFigures(requests=20, failures=5, in_flight=15, pending=15), 1.0, "down"),
        (ProviderFigures(requests=20, failures=5, in_flight=15), 0.25, "degraded"),
        (ProviderFigures(requests=4, in_flight=4, pending=4), None, "ok"),
    ],
)
def test_what_has_no_content_yet_is_no_success(
    desk: Desk, figures: ProviderFigures, ratio: float | None, state: str
) -> None:
    desk.measures.by_provider["one"] = figures
    known = told(desk)
    assert (known["error_ratio"], known["state"]) == (ratio, state)


def test_a_breaker_tells_since_when(desk: Desk) -> None:
    desk.measures.by_provider["one"] = ProviderFigures(requests=9, deployments=2, tripped=(HALF, OPEN))
    known = told(desk)
    assert (known["since"], known["breaker"]) == ("2026-11-23T00:15:40Z", "open")
    assert [one["since"] for one in known["breakers"]] == ["2026-11-23T00:16:10Z", "2026-11-23T00:15:40Z"]


@pytest.mark.parametrize(
    ("fault", "state", "with_traffic"),
    [
        (DOWN, "down", "degraded"),
        (UpstreamAuthFailed("The key is refused."), "down", "degraded"),
        (UpstreamRateLimited("Too often."), "degraded", "degraded"),
    ],
)
async def test_a_free_endpoint_that_fails_weighs_less_than_requests_that_succeed(
    desk: Desk, fault: UpstreamError, state: str, with_traffic: str
) -> None:
    desk.providers["one"].has = fault
    await desk.probes.ask("one", "account")
    assert (told(desk)["state"], told(desk)["cause"]) == (state, f"the account cannot be read: {fault.message}")
    desk.measures.by_provider["one"] = ProviderFigures(requests=5, failures=1)
    assert told(desk)["state"] == with_traffic


async def test_an_account_without_money_is_told_since_when_and_with_what_is_left(desk: Desk) -> None:
    desk.providers["one"].has = Account(usable=False, balance=Decimal("0.00"), currency="USD")
    for _ in range(3):
        await desk.probes.ask("one", "account")
        desk.clock.advance(60)
    known = told(desk)
    assert (known["state"], known["cause"]) == ("down", "the account has no money left")
    assert known["since"] == "2026-11-23T00:16:40Z"
    assert known["balance"] == {"amount": "0.00", "currency": "USD", "limit_remaining_usd": None}


async def test_it_lasts_since_the_first_failure_and_ends_with_the_first_answer(desk: Desk) -> None:
    desk.providers["one"].says = DOWN
    for _ in range(2):
        await desk.probes.ask("one", "catalogue")
        desk.clock.advance(60)
    assert (told(desk)["state"], told(desk)["since"]) == ("down", "2026-11-23T00:16:40Z")
    desk.providers["one"].says = ()
    await desk.probes.ask("one", "catalogue")
    assert (told(desk)["state"], told(desk)["since"]) == ("ok", "2026-11-23T00:18:40Z")


async def test_one_that_is_switched_off_or_drained_says_so(desk: Desk) -> None:
    assert (told(desk, "two")["state"], told(desk, "two")["cause"]) == ("disabled", "switched off in the configuration")
    await desk.states.put("one", "disabled")
    assert (told(desk)["state"], told(desk)["cause"]) == ("disabled", "switched off at run time")
    await desk.states.put("one", "draining")
    desk.measures.by_provider["one"] = ProviderFigures(in_flight=2)
    assert (told(desk)["cause"], desk.health.report("one").drained) == (
        "gets nothing new; 2 requests still running",
        False,
    )
    desk.measures.by_provider["one"] = ProviderFigures()
    assert (told(desk)["cause"], desk.health.report("one").drained) == ("gets nothing new; nothing runs any more", True)


async def test_what_runs_in_other_processes_is_told_until_all_is_drained() -> None:
    here = Desk(ScriptedProvider("one"), alone=False)
    there = Desk(ScriptedProvider("one"), beside=here, alone=False)
    for desk in (here, there):
        await desk.overrides.catch_up()
    there.measures.by_provider["one"] = ProviderFigures(in_flight=3)
    await here.states.put("one", "draining")
    await there.overrides.catch_up()
    assert not here.health.report("one").drained, "nobody has had the time to tell"
    for _ in range(5):
        here.clock.advance(TOLD_S)
        await there.health.tell_running()
        await here.health.tell_running()
        assert (told(here)["cause"], here.health.report("one").running) == (
            "gets nothing new; 3 requests still running", 3,
        )  # fmt: skip
    there.measures.by_provider["one"] = ProviderFigures()
    await there.health.tell_running()
    here.clock.advance(STALE_S)
    assert (here.health.report("one").running, here.health.report("one").drained) == (0, True)


async def test_nobody_says_drained_where_other_machines_are_not_heard_of() -> None:
    desk = Desk(ScriptedProvider("one"), sees_all=False)
    await desk.states.put("one", "draining")
    desk.measures.by_provider["one"] = ProviderFigures(in_flight=1)
    assert (desk.health.report("one").running, desk.health.report("one").drained) == (None, False)
    desk.measures.by_provider["one"] = ProviderFigures()
    report = desk.health.report("one")
    assert (report.running, report.drained) == (None, None)
    assert report.verdict.cause == "gets nothing new; nothing runs any more, as far as this machine knows"
    schema("Provider").validate(provider_object(desk.admin.get("one")))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"provider": "one", "holder": "x", "running": "many"}'])
async def test_what_makes_no_sense_of_other_processes_is_left_alone(text: str) -> None:
    desk = Desk(ScriptedProvider("one"), alone=False)
    await desk.bulletin.publish(RUNNING_TOPIC, text)
    assert desk.health.report("one").running == 0


def test_what_becomes_better_or_worse_is_told_in_the_log_once(desk: Desk) -> None:
    for failures in (0, 0, 5, 5, 0):
        desk.measures.by_provider["one"] = ProviderFigures(requests=10, failures=failures)
        desk.health.notice()
    lines = [(line["level"], line["condition"], line["before"]) for line in desk.log.of("provider")]
    assert lines == [("warning", "degraded", "ok"), ("info", "ok", "degraded")]


async def test_the_whole_report_is_as_described(desk: Desk) -> None:
    desk.measures.by_provider["one"] = ProviderFigures(
        requests=3,
        failures=1,
        first_content_p50_s=0.25,
        first_content_p95_s=1.00004,
        in_flight=1,
        waiting=2,
        deployments=3,
        tripped=(OPEN, HALF),
        last_error_code="upstream_error",
        last_error_at=990.0,
    )
    health = Health(version="1.2.3", sandbox=False, clock=desk.clock, of_providers=desk.health)
    report = (await client_of(parts_of(health=health)).get("/health")).json()
    schema("HealthReport").validate(report)
    assert report["status"] == "degraded"
    one = report["providers"]["one"]
    assert (one["error_ratio"], one["first_content_p50_s"], one["first_content_p95_s"]) == (0.3333, 0.25, 1.0)
    assert (one["in_flight"], one["waiting"]) == (1, 2)
    assert one["last_error"] == {"code": "upstream_error", "at": "2026-11-23T00:16:30Z"}
    assert report["providers"]["two"]["state"] == "disabled"


@pytest.mark.parametrize(("failures", "status"), [(0, "ok"), (5, "degraded"), (10, "degraded")])
async def test_a_provider_that_fails_degrades_the_whole_and_neither_liveness_nor_readiness(
    desk: Desk, failures: int, status: str
) -> None:
    desk.measures.by_provider["one"] = ProviderFigures(requests=10, failures=failures)
    health = Health(version="1.2.3", sandbox=False, clock=desk.clock, of_providers=desk.health)
    client = client_of(parts_of(health=health))
    assert (await client.get("/health")).json()["status"] == status
    assert [(await client.get(f"/health/{one}")).status_code for one in ("live", "ready")] == [200, 200]
    health.draining = True
    assert (await client.get("/health")).json()["status"] == "draining"
