import pytest

from tests.support.clock import ManualClock
from tests.support.control import client_of, health_of, parts_of

LIVE = ["/health/live", "/health/liveness", "/health/liveliness", "/healthz"]
READY = ["/health/ready", "/health/readiness", "/readyz"]


@pytest.mark.parametrize("path", [*LIVE, *READY])
async def test_a_process_that_serves_is_live_and_ready(path: str) -> None:
    response = await client_of(parts_of()).get(path)
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(("path", "status"), [*((path, 200) for path in LIVE), *((path, 503) for path in READY)])
async def test_a_draining_process_is_live_and_not_ready(path: str, status: int) -> None:
    health = health_of(ManualClock())
    health.draining = True
    assert (await client_of(parts_of(health=health)).get(path)).status_code == status


async def test_the_report_tells_version_time_and_providers() -> None:
    clock = ManualClock()
    health = health_of(clock)
    clock.advance(12.34)
    assert (await client_of(parts_of(health=health)).get("/health")).json() == {
        "status": "ok",
        "version": "1.2.3",
        "uptime_s": 12.3,
        "config": {"generation": 1, "loaded_at": "2026-11-23T00:16:40.000Z"},
        "providers": {"deepseek": {"kind": "deepseek"}},
        "sandbox": False,
    }


async def test_the_report_says_that_providers_are_simulated_and_how_to_change_that() -> None:
    report = (await client_of(parts_of(health=health_of(ManualClock(), sandbox=True))).get("/health")).json()
    assert report["sandbox"] is True
    assert "OPENROUTER_API_KEY" in report["sandbox_note"]
    assert "DEEPSEEK_API_KEY" in report["sandbox_note"]


@pytest.mark.parametrize("path", ["/health", *LIVE, *READY])
async def test_health_needs_no_key(path: str) -> None:
    assert (await client_of(parts_of(), keyless=False).get(path)).status_code == 200
