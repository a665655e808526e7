"""Looking on from outside: memory and descriptors of the processes, readiness, budgets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

import psutil

from tests.support.rest import ask
from tests.support.soak.site import Site

READINESS_EVERY_S = 0.5


class Sample(NamedTuple):
    """A worker at a moment. ``own_bytes``: pages that no other process shares (USS)."""

    at: float
    pid: int
    own_bytes: int
    descriptors: int
    cpu_s: float


@dataclass
class Watch:
    """All that was seen; times are of the event loop. ``whole_bytes``: of all processes of the service, shared pages
    divided (Pss)."""

    site: Site
    every_s: float
    samples: list[Sample] = field(default_factory=list)
    whole_bytes: list[tuple[float, int]] = field(default_factory=list)
    readiness: list[tuple[float, bool]] = field(default_factory=list)
    overspent: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def looking(self) -> AsyncIterator["Watch"]:
        tasks = [asyncio.create_task(work()) for work in (self._processes, self._ready, self._budget)]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            for failure in await asyncio.gather(*tasks, return_exceptions=True):
                if not isinstance(failure, asyncio.CancelledError):
                    raise failure

    async def _processes(self) -> None:
        while True:
            await asyncio.to_thread(self._sample, asyncio.get_running_loop().time())
            await asyncio.sleep(self.every_s)

    def _sample(self, at: float) -> None:
        whole = 0
        service = psutil.Process(self.site.house.service.pid)
        for process in (service, *self.site.workers()):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):  # it has just been killed
                memory = process.memory_full_info()
                whole += memory.pss
                if process.pid != service.pid:
                    cpu = process.cpu_times()
                    self.samples.append(Sample(at, process.pid, memory.uss, process.num_fds(), cpu.user + cpu.system))
        self.whole_bytes.append((at, whole))

    async def _ready(self) -> None:
        """A new connection each time, as a load balancer's."""
        loop = asyncio.get_running_loop()
        while True:
            at = loop.time()
            try:
                async with asyncio.timeout(2.0):
                    ready = (await ask(self.site.address, "GET", "/health/ready")).status == 200
            except (OSError, EOFError, TimeoutError):
                ready = False
            self.readiness.append((at, ready))
            await asyncio.sleep(max(0.0, at + READINESS_EVERY_S - loop.time()))

    async def _budget(self) -> None:
        """At no moment is more spent and reserved than there is."""
        while True:
            with suppress(OSError, EOFError):  # whoever was asked has just been killed
                for one in await self.site.limits_of("poor"):
                    if one["used"] is not None and Decimal(one["used"]) + Decimal(one["reserved"]) > Decimal(
                        one["limit"]
                    ):
                        self.overspent.append(f"{one['used']} used and {one['reserved']} reserved of {one['limit']}")
            await asyncio.sleep(self.every_s)
