"""How the process is, in `/health`: figures that fit the description of the interface."""

from pathlib import Path

from llm_service.routing import Overload, OverloadOptions
from llm_service.runtime import Pressure
from llm_service.services import Health, SystemHealth
from tests.support.clock import ManualClock
from tests.support.control import client_of, parts_of
from tests.support.service import LogLines
from tests.unit.api.test_openapi import schema


async def test_the_report_is_as_the_interface_is_described(tmp_path: Path) -> None:
    clock = ManualClock()
    pressure = Pressure(tmp_path, clock=clock)
    options = OverloadOptions(max_in_flight=3)
    overload = Overload(pressure, options, workers=1, clock=clock, log=LogLines(), give_back=lambda: None)
    health = Health(version="1.2.3", sandbox=False, providers={}, clock=clock, system=SystemHealth(pressure, overload))
    pressure.lag.note(0.25, now=1.0)
    pressure.lag.note(0.05, now=1.1)
    pressure.memory_bytes, pressure.memory_limit_bytes = 300, 400
    pressure.in_flight = 3
    report = (await client_of(parts_of(health=health)).get("/health")).json()
    schema("HealthReport").validate(report)
    system = report["system"]
    assert system["event_loop_lag_ms"] == {"mean": 150.0, "worst": 250.0}
    assert (system["memory_bytes"], system["memory_limit_bytes"]) == (300, 400)
    assert 0 < system["descriptors"] <= system["descriptors_limit"]
    assert system["disk_free_bytes"] > 0
    assert (system["requests_in_flight"], system["shedding"]) == (3, "requests_in_flight")
    pressure.in_flight = 2
    assert SystemHealth(pressure, overload).report()["shedding"] is None
