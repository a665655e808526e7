"""Eight processes ask one store for more than there is: exactly as many pass as may, and all sums are right after."""

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

import pytest

from llm_service.storage import ValkeyLimits
from tests.support import limit_hammer
from tests.support.clock import ManualClock
from tests.support.direct_valkey import open_runner, valkey_socket
from tests.support.evidence import Evidence
from tests.support.limit_hammer import COSTS, Tally, Task, limits

__all__ = ["valkey_socket"]

CHECKOUT = Path(__file__).parents[3]
PROCESSES = 8
ATTEMPTS = 10_000
BOUNDED_ATTEMPTS = 4_000
SCARCE = tuple(key for key in limits(dict.fromkeys((*(f"key:{kind}" for kind in COSTS), "provider:requests",
    "provider:concurrency"), 0)) if not key.startswith("global"))  # fmt: skip


class Hammers:
    """The processes; each task is done by all of them at once."""

    def __init__(self, address: str) -> None:
        self.address = address
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{CHECKOUT / 'src'}:{CHECKOUT}"}
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-P", str(limit_hammer.__file__), address, f"{number}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                text=True,
            )
            for number in range(PROCESSES)
        ]

    def all_do(self, task: Task) -> Tally:
        """What they were granted and used, together."""
        for process in self._processes:
            assert process.stdin is not None
            print(json.dumps(asdict(task)), file=process.stdin, flush=True)
        granted: Counter[str] = Counter()
        used: Counter[str] = Counter()
        for process in self._processes:
            assert process.stdout is not None
            tally = Tally(**json.loads(process.stdout.readline()))
            granted.update(tally.granted)
            used.update(tally.used)
        return Tally(granted=dict(granted), used=dict(used))

    def close(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.wait(20)
            process.stdout.close()


@pytest.fixture(scope="module", params=["scripts alone", "client", "cluster"])
def hammers(request: pytest.FixtureRequest) -> Iterator[Hammers]:
    """By the shortest way to a server, by the service's own client, and by that to a cluster of three nodes."""
    match request.param:
        case "client":
            address = request.getfixturevalue("_valkey").url
        case "cluster":
            address = request.getfixturevalue("_valkey_cluster").url
        case _:
            address = request.getfixturevalue("valkey_socket")
    made = Hammers(address)
    yield made
    made.close()


async def exactly_as_many_pass_as_may(hammers: Hammers, seed: int, *, attempts: int) -> float:
    """How many attempts a second that were."""
    dice = random.Random(seed)
    share = attempts // 5  # of each kind of limit, and of the two providers together
    room = {key: dice.randint(1, share - 1) // (2 if key.startswith("provider") else 1) for key in SCARCE}
    task = Task(prefix=f"{uuid4().hex}:", seed=seed, take=True, attempts=attempts // PROCESSES, room=room)
    runner = await open_runner(hammers.address)
    store = ValkeyLimits(runner, prefix=task.prefix, holder="test", clock=ManualClock())
    counted = limits(room)
    for limit in counted.values():
        if limit.kind == "money":
            await store.seed(limit, used=0, mark=0)

    begun = time.perf_counter()
    granted = hammers.all_do(task).granted
    per_s = attempts / (time.perf_counter() - begun)
    assert {key: granted.get(key, 0) for key in SCARCE} == room
    held = {key: granted.get(key, 0) * COSTS[limit.kind] for key, limit in counted.items()}
    states = {state.limit.key: state for state in await store.read(list(counted.values()))}
    assert {key: (state.used or 0) + (state.reserved or 0) for key, state in states.items()} == held

    used = hammers.all_do(Task(**{**asdict(task), "take": False})).used
    states = {state.limit.key: state for state in await store.read(list(counted.values()))}
    assert {key: state.used for key, state in states.items()} == {key: used.get(key, 0) for key in counted}
    assert not any(state.reserved for state in states.values())
    await runner.aclose()
    return per_s


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", range(3))
async def test_exactly_as_many_pass_as_may(hammers: Hammers, seed: int) -> None:
    await exactly_as_many_pass_as_may(hammers, seed, attempts=BOUNDED_ATTEMPTS)


@pytest.mark.full
@pytest.mark.timeout(1_800)
async def test_exactly_as_many_pass_as_may_with_every_seed(
    hammers: Hammers, evidence: Evidence, request: pytest.FixtureRequest
) -> None:
    way = request.node.callspec.params["hammers"]
    rates = [await exactly_as_many_pass_as_may(hammers, seed, attempts=ATTEMPTS) for seed in range(100)]
    figures = {
        "runs, each with limits of its own": len(rates),
        "processes": PROCESSES,
        "attempts in a run": ATTEMPTS,
        "runs in which more or fewer passed than may, or a sum was wrong after settling": 0,
        "attempts a second, least": f"{min(rates):.0f}",
        "attempts a second, median": f"{sorted(rates)[len(rates) // 2]:.0f}",
    }
    title = f"Limits among eight processes on Valkey ({way})"
    evidence.record(f"limits-among-processes-{way.replace(' ', '-')}", title=title, figures=figures)
