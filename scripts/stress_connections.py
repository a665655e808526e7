"""What hostile connections do to everybody else: see scripts/stress-connections, which runs it."""

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Final

import psutil

from tests.support.certificates import certificate
from tests.support.hostile import crowd_elsewhere
from tests.support.process import executed_place, serving
from tests.support.steady_load import Load, steady_load

RELEASED_WITHIN_S: Final = 120
SETTLED_S: Final = 3
PHASES: Final = ("alone", "as they come", "beside", "as they are let go", "afterwards")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time, and the CPU time that the service took in it."""

    begin: float
    end: float
    cpu_s: float


@dataclass
class Run:
    """What is measured of one service."""

    service: psutil.Process
    spans: dict[str, list[Span]] = field(default_factory=lambda: {phase: [] for phase in PHASES})

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """What goes on in the block is of this phase."""
        begin, cpu_s = time.monotonic(), self._cpu_s()
        yield
        self.spans[name].append(Span(begin=begin, end=time.monotonic(), cpu_s=self._cpu_s() - cpu_s))

    def _cpu_s(self) -> float:
        taken = self.service.cpu_times()
        return float(taken.user + taken.system)

    def tell(self, load: Load) -> None:
        """The table, each figure of its best round: whoever else has the machine only ever adds.

        CPU: what the event loop took from a request to its answer, its own work for others included.
        """
        print(f"{'':20} requests   p50 ms   p99 ms  slowest ms   p99 ms of CPU  CPU of the service")
        p99_ms: dict[str, tuple[float, float]] = {}
        for name, spans in self.spans.items():
            rounds = [
                [*zip(*took, strict=True)] for span in spans if len(took := load.between(span.begin, span.end)) > 1
            ]
            if not rounds:
                continue
            p50, p99 = (min(quantiles(waits, n=100)[at] for waits, _ in rounds) for at in (49, 98))
            p99_cpu = min(quantiles(taken, n=100)[98] for _, taken in rounds)
            p99_ms[name] = (p99, p99_cpu)
            cpu = min(span.cpu_s / (span.end - span.begin) for span in spans)
            slowest, count = min(max(waits) for waits, _ in rounds), sum(len(waits) for waits, _ in rounds)
            print(f"{name:20} {count:8} {p50:8.1f} {p99:8.1f} {slowest:11.1f} {p99_cpu:15.2f} {cpu:19.0%}")
        waits, taken = (beside / alone for beside, alone in zip(p99_ms["beside"], p99_ms["alone"], strict=True))
        print(f"p99 beside:          {waits:.2f} times that alone, in CPU {taken:.2f} times; {load.failures} failures")


def measure(address: str, pid: int, trusted: Path | None, wanted: argparse.Namespace) -> None:
    run = Run(psutil.Process(pid))
    host, _, port = address.rpartition("://")[2].rpartition(":")
    with steady_load(address, pid, rate=wanted.rate, trusted=trusted) as load:
        time.sleep(SETTLED_S)
        files, before_bytes = run.service.num_fds(), run.service.memory_info().rss
        for left in reversed(range(wanted.rounds)):
            with run.phase("alone"):
                time.sleep(wanted.seconds)
            with crowd_elsewhere(host, int(port), wanted.connections) as crowd:
                with run.phase("as they come"):
                    held = crowd.held()
                came = time.monotonic()
                time.sleep(SETTLED_S)
                with run.phase("beside"):
                    time.sleep(wanted.seconds)
                grown = run.service.memory_info().rss - before_bytes
                print(f"held:     {held}; {grown / 2**20:+.1f} MiB", flush=True)
                if not left:
                    with run.phase("as they are let go"):
                        while (held := crowd.held()).total() and time.monotonic() < came + RELEASED_WITHIN_S:
                            time.sleep(1)
                    print(f"released: all but {held.total()} by the service, {time.monotonic() - came:.0f} s after")
            time.sleep(SETTLED_S)
        with run.phase("afterwards"):
            time.sleep(wanted.seconds)
        left_bytes = run.service.memory_info().rss - before_bytes
        print(f"left:     {run.service.num_fds() - files} files, {left_bytes / 2**20:+.1f} MiB")
    run.tell(load)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tls", action="store_true")
    wanted = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    with tempfile.TemporaryDirectory() as folder:
        own = certificate(Path(folder), "own") if wanted.tls else None
        settings = "sandbox: on\n" + ("" if own is None else f"server: {{tls: {{cert: {own.cert}, key: {own.key}}}}}\n")
        (Path(folder) / "llm-service.yaml").write_text(settings)
        with serving(executed_place(Path(folder))) as service:
            measure(service.address, service.pid, own.cert if own else None, wanted)


if __name__ == "__main__":
    main()
