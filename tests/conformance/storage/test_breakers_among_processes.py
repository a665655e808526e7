"""Eight processes share a deployment that is down: one request of all tries it, and when it went well all go on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support import breaker_prober

CHECKOUT = Path(__file__).parents[3]
PROCESSES = 8
ROUNDS = 12


class Probers:
    """The processes."""

    def __init__(self, url: str) -> None:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{CHECKOUT / 'src'}:{CHECKOUT}"}
        program, prefix = [sys.executable, "-P", str(breaker_prober.__file__), url], f"{uuid4().hex}:"
        self._processes = [
            subprocess.Popen(
                [*program, prefix, f"{number}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                text=True,
            )
            for number in range(PROCESSES)
        ]

    def do(self, what: str, model: str, *numbers: int) -> list[int]:
        """What those answer, after all were told; all of them where none is named."""
        told = [self._processes[number] for number in numbers or range(PROCESSES)]
        for process in told:
            assert process.stdin is not None
            print(what, model, file=process.stdin, flush=True)
        return [int(process.stdout.readline()) for process in told if process.stdout is not None]

    def close(self) -> None:
        for process in self._processes:
            process.communicate(timeout=20)


@pytest.fixture(params=["_valkey", "_valkey_cluster"])
def probers(request: pytest.FixtureRequest) -> Iterator[Probers]:
    """By the service's own client to a server, and to a cluster of three nodes."""
    made = Probers(request.getfixturevalue(request.param).url)
    yield made
    made.close()


@pytest.mark.timeout(120)
def test_of_eight_processes_exactly_one_probes(probers: Probers) -> None:
    for number in range(ROUNDS):
        model = f"m{number}"
        probers.do("fail", model, number % PROCESSES)
        tried = probers.do("try", model)
        assert sum(tried) == 1, tried
        probers.do("succeed", model, tried.index(1))
        assert probers.do("see", model) == [1] * PROCESSES
