"""What a soak came to: its figures, what of its promises is not kept, and its plot."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.measuring.timelines import Mark, Panel, Series, timeline
from bench.measuring.trends import Trend, trend
from bench.workloads.support_assistant import Account

from tests.support.deployment import percentile
from tests.support.soak.load import Sent
from tests.support.soak.watch import Sample

MIB: Final = 2**20
MOST_ERRORS: Final = 0.001
LEAST_AVAILABLE: Final = 0.999
LEAST_HITS: Final = 0.8
MOST_BYTES: Final = 1024 * MIB
STEP_S: Final = 10.0
ABOUT: Final = """\
Two workers on a Valkey and a PostgreSQL of their own, in front of simulated providers; clients, providers and
servers share the machine's processors with them. Requests begin at their times, whatever becomes of earlier ones:
the declared workload (`bench/workloads`) through all six doors, REST over kept connections, the others over new
ones; clients that leave; a key that asks half as often again as it may, one that asks twice as much at once, one
that spends its budget. What was made to fail, and when, is in the picture. Every answer says which request it
belongs to, and is compared character for character.

The load is moderate, since all of them and others' work share the processors: how much of them the workers used is
in the table. The cache may take 3 MiB in each worker, so that it is full, and forgets, before memory is looked at.

An **error of our own making** is a request whose client did not get all of the right answer, and that no other had
to answer for: it did not leave, no limit of its key refused it, and no provider's error was told while a provider
was made to fail or within 2 s after. Connections cut by `kill -9` count, and nobody asks again. *Available* is the
share of all others.

A limit is wrong where more requests surely ran within a minute (they began and ended in it) or at once (by the
times of the records) than it lets pass, where one was refused that had room even if every request that may have
counted did, where used and reserved money were ever more than the budget, where they are not what the records add
up to in the end, or where a lease is left. A record is right when its status, its cost and its cache are what the
client was told.

**Growth** is that of the workers' own pages (USS) together, over the part in which the same two serve and are warm:
each sort of outage has come once before, and comes once more. It is a straight line by least squares through the means
of twelve equal spans, with Student's interval of 95 %. It is flat when the interval holds zero, and the test fails
where all of the interval is growth."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Times are seconds since the beginning. ``ours``: the requests that failed by our own making."""

    seconds: float
    steady_from_s: float
    rate_per_s: float
    sent: Sequence[Sent]
    ours: Sequence[Sent]
    account: Account
    marks: Sequence[Mark]
    samples: Sequence[Sample]
    whole_bytes: Sequence[tuple[float, int]]
    readiness: Sequence[tuple[float, bool]]
    records: int
    lost_or_wrong: Sequence[str]
    wrong_limits: Sequence[str]
    most_in_a_minute: int
    most_at_once: int
    log_lines: int
    log_bytes: int

    # -- what it comes to

    @property
    def error_ratio(self) -> float:
        return len(self.ours) / len(self.sent)

    @property
    def ready_ratio(self) -> float:
        return sum(ready for _, ready in self.readiness) / len(self.readiness)

    @property
    def growth(self) -> Trend:
        """Of both workers' own memory, in bytes a second, from when they are warm."""
        steady = [(at, value) for at, value in self.own_bytes() if at >= self.steady_from_s]
        return trend([at for at, _ in steady], [value for _, value in steady])

    def own_bytes(self) -> list[tuple[float, int]]:
        """Of all workers together, at each look."""
        at_once: dict[float, int] = {}
        for one in self.samples:
            at_once[one.at] = at_once.get(one.at, 0) + one.own_bytes
        return sorted(at_once.items())

    @property
    def cores(self) -> float:
        """How many the workers used on average."""
        return sum({one.pid: one.cpu_s for one in self.samples}.values()) / self.seconds

    def took_s(self, *caches: str) -> list[float]:
        """Of whole answers to the workload, one after the other: streams take as long as their upstream does."""
        return [
            one.took_s
            for one in self.sent
            if one.sort == "work" and one.ending == "ok" and one.cache in caches and one.door == "rest-whole"
        ]

    def problems(self) -> list[str]:
        """Which of the promises that any soak can show are not kept."""
        said = [*self.lost_or_wrong[:10], *self.wrong_limits[:10]]
        if max(size for _, size in self.whole_bytes) > MOST_BYTES:
            said.append("more than a GiB of memory")
        return said

    def long_problems(self) -> list[str]:
        """Those that only a long one can."""
        kept = {
            "errors of our own making": self.error_ratio < MOST_ERRORS,
            "availability": 1 - self.error_ratio > LEAST_AVAILABLE and self.ready_ratio > LEAST_AVAILABLE,
            "hit ratio": self.account.hit_ratio > LEAST_HITS,
            "memory stays": self.growth.low <= 0,
        }
        return [name for name, is_kept in kept.items() if not is_kept]

    def figures(self) -> Mapping[str, object]:
        endings = Counter(f"{one.sort}: {one.ending} {one.code}".strip() for one in self.sent if one.ending != "ok")
        growth, hits = self.growth, sorted(self.took_s("hit"))
        per_hour = [value * 3600 / MIB for value in (growth.slope, growth.low, growth.high)]
        return {
            "seconds": round(self.seconds),
            "requests": len(self.sent),
            "requests of the declared workload a second": self.rate_per_s,
            "through each door": in_words(Counter(one.door for one in self.sent)),
            "answered whole and right": sum(one.ending == "ok" for one in self.sent),
            "all others, by sort of client": in_words(endings),
            "failed by our own making": f"{len(self.ours)} ({self.error_ratio:.4%})",
            "available to clients": f"{1 - self.error_ratio:.4%}",
            "ready, asked twice a second": f"{self.ready_ratio:.3%} of {len(self.readiness)}",
            "records in the ledger": self.records,
            "records lost, doubled or wrong": len(self.lost_or_wrong),
            "limits that let too much pass, or refused too early": len(self.wrong_limits),
            "most requests in a minute (90 allowed; 270 while workers count alone)": self.most_in_a_minute,
            "most requests at once (3 allowed; 6 while workers count alone)": self.most_at_once,
            "hit ratio of the declared workload": f"{self.account.hit_ratio:.2%}",
            "its misses": in_words(self.account.misses),
            "hits over REST, p50 and p99, ms": ", ".join(
                f"{percentile(hits, part) * 1000:.1f}" for part in (0.5, 0.99)
            ),
            "memory of the whole service at most, MiB": round(max(size for _, size in self.whole_bytes) / MIB),
            "growth of both workers, MiB an hour, and its interval of 95 %": "{:+.2f} ({:+.2f} to {:+.2f})".format(
                *per_hour
            ),
            "file descriptors of a worker at most": max(one.descriptors for one in self.samples),
            "CPU of the workers, cores": round(self.cores, 3),
            "log, bytes a request": round(self.log_bytes / len(self.sent)),
        }

    # -- to look at

    def plot(self) -> str:
        minutes = self.seconds / 60
        marks = [Mark(one.name, one.begin / 60, one.end / 60) for one in self.marks]
        return timeline("The soak", "minutes", [*self._of_requests(), self._of_memory()], marks, until=minutes)

    def _of_requests(self) -> list[Panel]:
        work = [one for one in self.sent if one.sort == "work" and one.ending == "ok"]
        rate = Series(name="requests", points=by_step(self.sent, lambda found: len(found) / STEP_S))
        bad = Series(
            name="failed by our making", points=by_step(self.ours, lambda found: len(found) / STEP_S), joins=STEP_S / 50
        )
        p50 = Series(name="p50", points=by_step(work, lambda found: 1000 * of_times(found, 0.5)))
        p99 = Series(name="p99", points=by_step(work, lambda found: 1000 * of_times(found, 0.99)))
        hits = by_step(work, lambda found: 100 * sum(one.cache in ("hit", "coalesced") for one in found) / len(found))
        return [
            Panel(title="requests a second", series=[rate, bad]),
            Panel(title="answers to the workload, ms", series=[p50, p99], least=10),
            Panel(title="hits of it, %", series=[Series(name="", points=hits)], least=100, bounds=[80]),
        ]

    def _of_memory(self) -> Panel:
        pids = dict.fromkeys(one.pid for one in self.samples)
        lives = [
            Series(name="", points=[(one.at / 60, one.own_bytes / MIB) for one in self.samples if one.pid == pid])
            for pid in pids
        ]
        growth, end = self.growth, self.seconds
        fitted = [
            (at / 60, (growth.begins + growth.slope * (at - self.steady_from_s)) / 2 / MIB)
            for at in (self.steady_from_s, end)
        ]
        line = Series(name="a worker of the last two, by the line through their sum", points=fitted, dashed=True)
        return Panel(title="memory of each worker, MiB", series=[line, *lives])


def by_step(sent: Sequence[Sent], figure: Callable[[Sequence[Sent]], float]) -> list[tuple[float, float]]:
    """A figure for each ten seconds in which requests began, at its middle in minutes."""
    found: dict[int, list[Sent]] = {}
    for one in sent:
        found.setdefault(int(one.begun_at / STEP_S), []).append(one)
    return [((step + 0.5) * STEP_S / 60, figure(found[step])) for step in sorted(found)]


def of_times(sent: Sequence[Sent], share: float) -> float:
    return percentile([one.took_s for one in sent], share)


def in_words(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda one: -one[1])
    return "; ".join(f"{count} {name}" for name, count in ordered) or "none"
