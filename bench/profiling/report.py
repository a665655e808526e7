"""A profile as an object that can be kept, as tables, and beside an earlier one; and the calls that are held."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from bench.measuring.made import made
from bench.measuring.tables import figure, table
from bench.profiling.counting import Counts, by_part
from bench.profiling.parts import in_order
from bench.profiling.timing import Times

SLACK_CALLS: Final = 3
SLACK: Final = 0.02
"""So much more, or so many calls, a part may make than is held: what depends on the moment."""
LISTED: Final = 6


def as_object(calls: Mapping[str, Counts], times: Mapping[str, Times]) -> dict[str, Any]:
    scenarios: dict[str, Any] = {}
    for name, counts in calls.items():
        scenarios[name] = {"calls": by_part(counts)}
        if (found := times.get(name)) is not None:
            scenarios[name] |= {
                "us": {part: round(us, 2) for part, us in found.parts.items()},
                "threads_us": {thread: round(us, 2) for thread, us in found.threads.items()},
                "kernel_us": round(found.kernel, 2),
                "total_us": round(found.total, 2),
                "rate": round(found.rate),
            }
    return {**made(), "scenarios": scenarios}


def tables(profile: Mapping[str, Any]) -> str:
    """One table of all scenarios: calls and microseconds of each part."""
    scenarios: Mapping[str, Mapping[str, Any]] = profile["scenarios"]
    heads = ["part", *(f"{name}, {unit}" for name in scenarios for unit in ("calls", "µs"))]
    parts = in_order({part for found in scenarios.values() for part in (*found["calls"], *found.get("us", ()))})
    rows = [[part, *cells(scenarios, part)] for part in parts]
    threads = sorted({thread for found in scenarios.values() for thread in found.get("threads_us", ())})
    rows += [[f"thread {thread}", *others(scenarios, "threads_us", thread)] for thread in threads]
    calls = {name: sum(found["calls"].values()) for name, found in scenarios.items()}
    rows.append(
        ["**all**", *(cell for name, found in scenarios.items() for cell in (calls[name], us(found.get("total_us"))))]
    )
    rows.append(
        ["of it in the kernel", *(cell for found in scenarios.values() for cell in (None, us(found.get("kernel_us"))))]
    )
    rates = [cell for found in scenarios.values() for cell in (None, figure(found.get("rate")))]
    rows.append(["a second, while it was measured", *rates])
    return table(heads, [row for row in rows if any(cell not in (None, "-", 0) for cell in row[1:])])


def cells(scenarios: Mapping[str, Mapping[str, Any]], part: str) -> Iterator[object]:
    for found in scenarios.values():
        yield found["calls"].get(part)
        yield us(found.get("us", {}).get(part))


def others(scenarios: Mapping[str, Mapping[str, Any]], kind: str, name: str) -> Iterator[object]:
    for found in scenarios.values():
        yield None
        yield us(found.get(kind, {}).get(name))


def us(value: float | None) -> str | None:
    return None if value is None else figure(value, 1)


def differences(now: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """What a profile has more or less than an earlier one, by scenario and part: only what differs."""
    rows = []
    for name, found in now["scenarios"].items():
        earlier = before["scenarios"].get(name)
        if earlier is None:
            continue
        parts = in_order({*found["calls"], *earlier["calls"], *found.get("us", ()), *earlier.get("us", ())})
        rows += [row for part in parts if (row := difference(name, part, found, earlier)) is not None]
        rows.append(
            [
                f"**{name}, all**",
                sum(earlier["calls"].values()),
                sum(found["calls"].values()),
                signed(sum(found["calls"].values()) - sum(earlier["calls"].values())),
                us(earlier.get("total_us")),
                us(found.get("total_us")),
                more(found.get("total_us"), earlier.get("total_us")),
            ]
        )
    heads = ["scenario, part", "calls before", "now", "more", "µs before", "now", "more"]
    return f"Against {before['revision']} of {before['made']}:\n\n" + table(heads, rows)


def difference(name: str, part: str, found: Mapping[str, Any], earlier: Mapping[str, Any]) -> list[object] | None:
    """None where it has the same calls, and its time is about the same."""
    calls = [side["calls"].get(part, 0) for side in (earlier, found)]
    times = [side.get("us", {}).get(part) for side in (earlier, found)]
    known = None not in times
    if calls[0] == calls[1] and not (known and abs(times[1] - times[0]) > max(0.5, 0.2 * times[0])):
        return None
    return [
        f"{name}, {part}",
        *calls,
        signed(calls[1] - calls[0]),
        us(times[0]),
        us(times[1]),
        more(times[1], times[0]),
    ]


def more(now: float | None, before: float | None) -> str | None:
    return None if now is None or before is None else f"{now - before:+.1f}"


def signed(calls: int) -> str:
    return f"{calls:+d}" if calls else "0"


def held(calls: Mapping[str, Counts]) -> dict[str, Any]:
    """What is kept in the repository, for later runs to be held to."""
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "calls": {name: dict(sorted(by_part(counts).items())) for name, counts in calls.items()},
    }


def breaches(calls: Mapping[str, Counts], bounds: Mapping[str, Any]) -> list[str]:
    """A sentence for each part that makes more calls than is held."""
    found = []
    for name, counts in calls.items():
        limits = bounds["calls"].get(name, {})
        for part, count in by_part(counts).items():
            limit = limits.get(part, 0)
            if count > limit + max(SLACK_CALLS, round(SLACK * limit)):
                found.append(
                    f"{name}: {part} makes {count} calls, {count - limit} more than the {limit} that are held. "
                    f"Most often: {most_often(counts, part)}."
                )
    return found


def most_often(counts: Counts, part: str) -> str:
    mine = sorted(((count, function) for (of, function), count in counts.items() if of == part), reverse=True)
    return ", ".join(f"{function} ({count})" for count, function in mine[:LISTED])


def least_of(first: Mapping[str, Counts], second: Mapping[str, Counts]) -> dict[str, Counts]:
    """The fewer calls of each function of two countings."""
    return {
        name: {what: min(count, second[name].get(what, 0)) for what, count in counts.items()}
        for name, counts in first.items()
    }
