"""Whether the service takes more memory with every request: loads of all sorts, round after round."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from bench.measuring.processes import memory_mb_of_tree, processors
from bench.sizing.serving import LOADS, measured

SMALL: Final[dict[str, Any]] = {"cache": {"enabled": True, "max_bytes": 3 * 2**20}, "streams": {"retention_s": 10}}
"""Room for little, so that what is kept on purpose is there soon."""


class Grown(NamedTuple):
    """After how many requests, and how much memory there is."""

    requests: int
    memory_mb: float


def growth(*, rounds: int, seconds: float) -> Iterator[Grown]:
    """A figure for each round; those of the first few are the warming up."""
    cpus, count = processors(), 0
    with measured(cpus=cpus, **SMALL) as service:
        for _ in range(rounds):
            for name in LOADS:
                count += service.send(name, seconds, cpu=cpus[1])["ok"]
            yield Grown(count, memory_mb_of_tree(service.process.pid))
