"""What each part takes of the CPU, by samples, scaled to what the process takes when nothing samples it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bench.measuring import our_service
from bench.measuring.processes import Cpu, ask, cpu_of_threads, free_port, processors, run_load, started, until_well
from bench.profiling.service import Service, watched
from bench.traffic.made import program

SETTLED_S: Final = 1.5
"""In which the records of a load reach the database after it."""
CHUNKS: Final = 50

LOADS: Final[Mapping[str, Mapping[str, Any]]] = {
    "pass-through": {},
    "stream chunk": {"connections": 100, "chunks": CHUNKS, "gap_ms": 20},
    "cache hit": {"same": 1},
    "refusal": {"expect": 429},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Microseconds of CPU of one request or chunk."""

    parts: Mapping[str, float]
    """Of the event loop's thread, the kernel's work for it included."""
    threads: Mapping[str, float]
    """Of all others."""
    kernel: float
    """How much of all that the kernel takes."""
    rate: float
    """Requests or chunks a second while it was measured."""

    @property
    def total(self) -> float:
        return sum(self.parts.values()) + sum(self.threads.values())


def measure_times(*, seconds: float) -> dict[str, Times]:
    """By scenario. Raises RuntimeError where an answer is not as it should be."""
    upstream_port = free_port()
    own_cpu, other_cpu = processors()
    with (
        started(
            (*program("upstream"), str(upstream_port)), environment=our_service.environment(), cpu=other_cpu
        ) as other,
        watched("times", upstream_port=upstream_port, cpu=own_cpu) as service,
    ):
        until_well(lambda: ask(upstream_port, "/counts")[0] == 200, other, within_s=10)
        return {name: timed(service, name, seconds=seconds, cpu=other_cpu) for name in LOADS}


def timed(service: Service, name: str, *, seconds: float, cpu: int | None) -> Times:
    key = service.exhausted_key if name == "refusal" else service.key
    if name == "refusal":
        send(service, key, name, 0.1, cpu=cpu, check=False)  # the first of them is answered
    send(service, key, name, min(1.0, seconds), cpu=cpu)
    threads = service.threads()
    before = cpu_of_threads(service.pid)
    result = send(service, key, name, seconds, cpu=cpu)
    after = cpu_of_threads(service.pid)
    with service.watching() as found:
        send(service, key, name, seconds, cpu=cpu)
    taken = {number: spent.since(before.get(number, Cpu(0, 0))) for number, spent in after.items()}
    units = result["chunks"] or result["ok"]
    return per_unit(
        {threads.get(number, "others"): spent for number, spent in taken.items() if number != service.pid},
        main=taken[service.pid],
        samples=found["spent_ns"],
        units=units,
        seconds=result["seconds"],
    )


def send(
    service: Service, key: str, name: str, seconds: float, *, cpu: int | None, check: bool = True
) -> dict[str, Any]:
    result = run_load(
        program("load"), cpu=cpu, port=service.port, key=key, model=our_service.MODEL, seconds=seconds, **LOADS[name]
    )
    if check and (result["errors"] or not result["ok"]):
        raise RuntimeError(f"{name}: {result['errors']} wrong answers, {result['problems']}: {result['example']}")
    time.sleep(SETTLED_S)
    return result


def per_unit(threads: Mapping[str, Cpu], *, main: Cpu, samples: Mapping[str, int], units: int, seconds: float) -> Times:
    """``samples``: what was spent in each part while it was sampled; its shares are those of ``main``."""
    sampled = sum(samples.values()) or 1
    scale = 1e6 / units
    return Times(
        parts={part: spent / sampled * main.total_s * scale for part, spent in samples.items()},
        threads={name: spent.total_s * scale for name, spent in threads.items() if spent.total_s * scale >= 0.05},
        kernel=(main.kernel_s + sum(spent.kernel_s for spent in threads.values())) * scale,
        rate=units / seconds,
    )
