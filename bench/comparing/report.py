"""What several rounds came to: tables in Markdown, plots, and what is to be known of them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.comparing.peers import FEATURES, NO
from bench.measuring.plots import dots, lines
from bench.measuring.summaries import rounds
from bench.measuring.tables import figure, table

Results = Mapping[str, Any]
Round = Mapping[str, Any]
Take = Callable[[Round], float | None]
DIRECT: Final = "direct"

CAVEATS: Final = """\
- Every answer was checked: status, content that names its request, for streams each chunk once and in order, usage, and
  the end. Wrong answers are counted in the last column, and are in no other figure.
- **CPU** is that of the gateway's whole tree of processes, its kernel time included, from before a load to one second
  after it, by requests or chunks answered. On a busy machine it moves least of all; requests a second move most.
- A cell is the median of the rounds, with the least and the most behind it. Rounds alternate: each gateway runs once a
  round, and the order turns from round to round.
- These gateways do different work: see what is switched on. A reverse proxy shows what HTTP costs, not what a gateway
  costs. What is off at one and on at another is to the advantage of the first.
- One worker each, on one processor, load and upstream on another; all over the loopback interface, no TLS.
- Burst: chunks without gaps, several to a read, so that a chunk costs less than one that comes alone.
  Paced: 20 ms apart.
- Latencies are added over those of the upstream alone, in the same round; below zero is noise. Those at a fixed rate
  count from when a request was due."""


def take(*path: str) -> Take:
    """The figure of a round at a path; None where it has none."""

    def taken(found: Round) -> float | None:
        value: Any = found
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value if isinstance(value, int | float) else None

    return taken


COLUMNS: Final[Sequence[tuple[str, Take, int]]] = (
    ("1 KiB, CPU µs", take("pass_1k", "cpu_us"), 1),
    ("of it kernel", take("pass_1k", "kernel_us"), 1),
    ("1 KiB, requests/s", take("pass_1k", "rate"), 0),
    ("16 KiB, CPU µs", take("pass_16k", "cpu_us"), 1),
    ("burst, CPU µs a chunk", take("burst", "cpu_us"), 1),
    ("paced, CPU µs a chunk", take("paced", "cpu_us"), 1),
    ("cache hit, CPU µs", take("hit", "cpu_us"), 1),
    ("hits", take("hit", "hit_ratio"), 3),
)
MEMORY: Final[Sequence[tuple[str, Take, int]]] = (
    ("start, s", take("start_s"), 2),
    ("idle, MB", take("idle_mb"), 0),
    ("after the load, MB", take("after_mb"), 0),
)
ADDED: Final = (
    ("+p50 µs at 1,000/s", ("latency", "latency_us", "p50")),
    ("+p99 µs at 1,000/s", ("latency", "latency_us", "p99")),
    ("paced, +p50 µs to the first chunk", ("paced", "first_us", "p50")),
    ("paced, +p50 µs a chunk", ("paced", "chunk_us", "p50")),
    ("paced, +p99 µs a chunk", ("paced", "chunk_us", "p99")),
)


def written(results: Results, folder: Path) -> None:
    """Tables and plots, into a folder."""
    (folder / "report.md").write_text(markdown(results), encoding="utf-8")
    for name, plot in plots(results).items():
        (folder / f"{name}.svg").write_text(plot, encoding="utf-8")


def markdown(results: Results) -> str:
    head = (
        f"{results['made']}, revision {results['revision']}, Python {results['python']}, {results['machine']}, "
        f"{results['processors']} processors; load and upstream in {results['traffic']}; {results['rounds']} rounds, "
        f"{results['seconds']:g} s a load."
    )
    parts = [
        "# Gateways on one machine",
        head,
        "## What is switched on",
        features(results),
        "## CPU",
        costs(results),
        "## Latency, memory, and what becomes of streams",
        behaviour(results),
        "## What to know of these figures",
        CAVEATS,
    ]
    if results["left_out"]:
        rows = sorted(results["left_out"].items())
        parts += ["## Left out", table(["gateway", "why"], rows).replace("|---|--:|", "|---|---|")]
    return "\n\n".join(parts) + "\n"


def features(results: Results) -> str:
    rows = [
        [name, peer["version"], *(peer["on"].get(feature, NO) for feature in FEATURES), peer["note"]]
        for name, peer in results["peers"].items()
    ]
    return table(["gateway", "version", *FEATURES, "to know"], rows).replace("--:", "---")


def costs(results: Results) -> str:
    rows = [
        [name, *(spread(found, taken, digits) for _, taken, digits in COLUMNS), wrong(found)]
        for name, found in results["found"].items()
        if name != DIRECT
    ]
    return table(["gateway", *(name for name, _, _ in COLUMNS), "wrong answers"], rows)


def behaviour(results: Results) -> str:
    direct = results["found"].get(DIRECT, [])
    rows = []
    for name, found in results["found"].items():
        if name == DIRECT:
            continue
        added = [middle(over(found, direct, path)) for _, path in ADDED]
        memory = [spread(found, taken, digits) for _, taken, digits in MEMORY]
        rows.append([name, *added, *memory, cancelled(found), drained(found)])
    heads = [*(name for name, _ in ADDED), *(name for name, _, _ in MEMORY), "upstreams cancelled", "streams drained"]
    return table(["gateway", *heads], rows)


def over(found: Sequence[Round], direct: Sequence[Round], path: Sequence[str]) -> list[float | None]:
    """What each round has more than the upstream alone had in the same round."""
    taken = take(*path)
    pairs = [(taken(with_it), taken(without)) for with_it, without in zip(found, direct, strict=False)]
    return [None if None in pair else pair[0] - pair[1] for pair in pairs]  # type: ignore[operator]


def spread(found: Sequence[Round], taken: Take, digits: int) -> str:
    """The median; and the least and the most where they differ from it."""
    summed = rounds(map(taken, found))
    if summed is None:
        return "-"
    least, median, most = (figure(value, digits) for value in (summed.least, summed.median, summed.most))
    return median if least == most else f"{median} ({least} to {most})"


def middle(values: Sequence[float | None]) -> str:
    summed = rounds(values)
    return "-" if summed is None else figure(summed.median)


def wrong(found: Sequence[Round]) -> str:
    """How many answers were wrong, and in which way most of them."""
    loads = [load for each in found for load in each.values() if isinstance(load, Mapping) and "problems" in load]
    problems: dict[str, int] = {}
    for load in loads:
        for problem, count in load["problems"].items():
            problems[problem] = problems.get(problem, 0) + count
    if not problems:
        return "0"
    return f"{sum(problems.values())} ({max(problems, key=lambda problem: problems[problem])})"


def cancelled(found: Sequence[Round]) -> str:
    return worst([(each["cancel"]["cancelled"], each["cancel"]["streams"]) for each in found if "cancel" in each])


def drained(found: Sequence[Round]) -> str:
    drains = [each["drain"] for each in found if "drain" in each]
    ended = rounds(drain["exit_s"] for drain in drains)
    after = "never gone" if ended is None else f"{ended.median:.1f} s"
    return f"{worst([(drain['whole'], drain['streams']) for drain in drains])}, {after}" if drains else "-"


def worst(parts: Sequence[tuple[int, int]]) -> str:
    """Of several rounds the one of which most is missing."""
    if not parts:
        return "-"
    did, of = min(parts, key=lambda part: part[0] - part[1])
    return f"{did}/{of}"


def plots(results: Results) -> dict[str, str]:
    """By the name of the file."""

    def figures(*path: str) -> dict[str, list[float]]:
        taken = take(*path)
        return {
            name: [value for each in found if (value := taken(each)) is not None]
            for name, found in results["found"].items()
            if name != DIRECT
        }

    def by_round(*path: str) -> dict[str, list[float | None]]:
        return {name: [take(*path)(each) for each in found] for name, found in results["found"].items()}

    return {
        "pass-1k": dots("Pass-through, 1 KiB", "CPU µs a request", figures("pass_1k", "cpu_us")),
        "pass-16k": dots("Pass-through, 16 KiB", "CPU µs a request", figures("pass_16k", "cpu_us")),
        "burst": dots("Streams in bursts", "CPU µs a chunk", figures("burst", "cpu_us")),
        "paced": dots("Paced streams", "CPU µs a chunk", figures("paced", "cpu_us")),
        "hit": dots("Cache hits", "CPU µs a request", figures("hit", "cpu_us")),
        "memory": dots("Memory, idle", "MB", figures("idle_mb")),
        "p50": lines("Latency at 1,000 requests a second, p50", "µs", by_round("latency", "latency_us", "p50")),
        "p99": lines("Latency at 1,000 requests a second, p99", "µs", by_round("latency", "latency_us", "p99")),
    }
