"""One start of one gateway, and what is measured of it."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.measuring.processes import (
    ask,
    cpu_of_tree,
    memory_mb_of_tree,
    pinned,
    run_load,
    started,
    switch,
    until_well,
)
from bench.traffic.made import program
from bench.traffic.messages import request_body

SETTLED_S: Final = 1.0
"""What a gateway still does for requests that it has answered counts, if it does it by then."""
STARTS_WITHIN_S: Final = 120.0
LEAST_CPU_S: Final = 0.1
"""Of less there is no figure: CPU is counted in steps of some milliseconds."""
BEGUN_WITHIN_S: Final = 5.0
LEFT_WITHIN_S: Final = 4.0
RATE: Final = 1_000
BUSY: Final = 0.6
"""Latency at a fixed rate is measured where that is at most this part of what the gateway can do."""
CANCELLED: Final = {"connections": 40, "chunks": 400, "gap_ms": 20, "seconds": 30}
DRAINED: Final = {"connections": 20, "requests": 20, "chunks": 75, "gap_ms": 20, "seconds": 5}

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """How a running gateway is asked."""

    port: int
    key: str
    model: str
    headers: Sequence[str] = ()

    def switches(self) -> dict[str, Any]:
        return {"port": self.port, "key": self.key, "model": self.model, "header": list(self.headers)}

    def answers(self) -> bool:
        """Whether it answers a chat as it should."""
        body = request_body("first-0", model=self.model, prompt_bytes=200)
        named = dict(header.split(": ", 1) for header in self.headers)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}", **named}
        status, answer = ask(self.port, "/v1/chat/completions", body=body, headers=headers)
        return status == 200 and b"id=first-0 " in answer


class Site:
    """Measures one gateway while it runs."""

    def __init__(
        self, target: Target, *, pid: int, upstream_port: int, cpu: int | None, seconds: float, paced_streams: int
    ) -> None:
        self._target = target
        self._pid = pid
        self._upstream_port = upstream_port
        self._cpu = cpu
        self._seconds = seconds
        self._paced_streams = paced_streams

    def loaded(self, *, seconds: float | None = None, **switches: Any) -> Figures:
        """What a load came to, with the CPU of the gateway, whatever it does afterwards for these requests included."""
        before = cpu_of_tree(self._pid)
        result = run_load(
            program("load"), cpu=self._cpu, seconds=seconds or self._seconds, **self._target.switches(), **switches
        )
        time.sleep(SETTLED_S)
        taken = cpu_of_tree(self._pid).since(before)
        units = result["chunks"] or result["ok"]
        enough = units and taken.total_s >= LEAST_CPU_S
        cpu_us = taken.total_s / units * 1e6 if enough else None
        kernel_us = taken.kernel_s / units * 1e6 if enough else None
        return {**result, "cpu_us": rounded(cpu_us), "kernel_us": rounded(kernel_us)}

    def latency(self, most_rate: float) -> Figures | None:
        """None where a thousand requests a second would be nearly all that it can do, or more."""
        if most_rate * BUSY < RATE:
            return None
        return self.loaded(rate=RATE, connections=64, seconds=max(3.0, self._seconds))

    def paced(self) -> Figures:
        return self.loaded(connections=self._paced_streams, chunks=50, gap_ms=20)

    def hits(self) -> Figures:
        """The answers to one request over and over, and which part of them the upstream was not asked for."""
        self.loaded(same=1, connections=1, requests=3, seconds=1.0)
        asked = self._upstream("requests")
        result = self.loaded(same=1)
        result["hit_ratio"] = round(1 - (self._upstream("requests") - asked) / max(1, result["sent"]), 4)
        return result

    def cancelled(self) -> Figures:
        """Of forty streams whose clients leave, how many are ended at the upstream within four seconds.

        Fewer than forty where not all begin within five seconds.
        """
        streams, left = self._upstream("streams"), self._upstream("left")
        named = [part for item in {**self._target.switches(), **CANCELLED}.items() for part in switch(*item)]
        clients = subprocess.Popen(  # noqa: S603 - our own load
            pinned((*program("load"), *named), self._cpu), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        begun = time.monotonic()
        while (
            self._upstream("streams") - streams < CANCELLED["connections"] and time.monotonic() - begun < BEGUN_WITHIN_S
        ):
            time.sleep(0.05)
        clients.kill()
        clients.wait()
        begun, streams = time.monotonic(), self._upstream("streams") - streams
        while (ended := self._upstream("left") - left) < streams and time.monotonic() - begun < LEFT_WITHIN_S:
            time.sleep(0.02)
        return {"streams": streams, "cancelled": ended, "seconds": round(time.monotonic() - begun, 2)}

    def drained(self, ask_to_end: Callable[[], object], ended: Callable[[float], bool]) -> Figures:
        """Of twenty streams that run when it is asked to end, how many come to their end, and when it is gone."""
        result: Figures = {}
        arguments = {**self._target.switches(), **DRAINED}
        clients = threading.Thread(target=lambda: result.update(run_load(program("load"), cpu=self._cpu, **arguments)))
        clients.start()
        time.sleep(0.6)
        begun = time.monotonic()
        ask_to_end()
        gone = ended(15.0)
        taken = time.monotonic() - begun
        clients.join()
        return {"streams": 20, "whole": result.get("ok", 0), "exit_s": round(taken, 2) if gone else None}

    def _upstream(self, name: str) -> int:
        return int(json.loads(ask(self._upstream_port, "/counts")[1])[name])


def measured(site: Site, *, caches: bool) -> Figures:
    """All figures of a gateway that runs, but those of its start and end."""
    site.loaded(seconds=1.0)  # so that whatever is made with the first requests is there
    whole = site.loaded()
    found: Figures = {
        "pass_1k": whole,
        "pass_16k": site.loaded(prompt_bytes=16_384),
        "latency": site.latency(whole["rate"]),
        "burst": site.loaded(chunks=50),
        "paced": site.paced(),
        "cancel": site.cancelled(),
    }
    if caches:
        found["hit"] = site.hits()
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a gateway is started."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    target: Target
    stops_by: int
    prepare: Callable[[], Target] | None = None
    """What is to be done once it is up, such as to issue a key; how it is asked from then on."""
    is_up: Callable[[], bool] | None = None


def run_once(
    start: Start,
    *,
    upstream_port: int,
    cpus: tuple[int | None, int | None],
    seconds: float,
    paced_streams: int,
    caches: bool,
) -> Figures:
    """One round of one gateway. Raises RuntimeError, with the end of its log, where it does not come up or fails."""
    own_cpu, other_cpu = cpus
    log = start.folder / "log"
    begun = time.monotonic()
    with started(start.command, environment=start.environment, folder=start.folder, log=log, cpu=own_cpu) as process:
        try:
            target = start.target
            until_well(start.is_up or target.answers, process, within_s=STARTS_WITHIN_S)
            if start.prepare is not None:
                target = start.prepare()
                until_well(target.answers, process, within_s=10.0)
            start_s = time.monotonic() - begun
            time.sleep(1.5)
            site = Site(
                target,
                pid=process.pid,
                upstream_port=upstream_port,
                cpu=other_cpu,
                seconds=seconds,
                paced_streams=paced_streams,
            )
            found: Figures = {"start_s": round(start_s, 2), "idle_mb": memory_mb_of_tree(process.pid)}
            found |= measured(site, caches=caches)
            found["after_mb"] = memory_mb_of_tree(process.pid)
            found["drain"] = site.drained(lambda: os.kill(process.pid, start.stops_by), lambda s: gone(process, s))
            return found
        except (RuntimeError, OSError) as error:
            raise RuntimeError(f"{error}; its log ends: {log.read_text(errors='replace')[-600:].strip()}") from error


def gone(process: subprocess.Popen[bytes], within_s: float) -> bool:
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def run_direct(*, upstream_port: int, cpu: int | None, seconds: float) -> Figures:
    """The same loads without a gateway: what the latencies of all others are compared with."""
    target = {"port": upstream_port, "key": "none", "model": "mock-model"}

    def load(**switches: Any) -> Figures:
        return run_load(program("load"), cpu=cpu, **target, **switches)

    return {
        "pass_1k": load(seconds=seconds),
        "latency": load(seconds=max(3.0, seconds), rate=RATE, connections=64),
        "paced": load(seconds=seconds, connections=200, chunks=50, gap_ms=20),
    }


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
