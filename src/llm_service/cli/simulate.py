"""``cache simulate``: recorded requests, and what caches of other settings would have made of them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from llm_service.cache import Traffic, simulate
from llm_service.cli.cache import ratio_text
from llm_service.cli.line_chart import line_chart
from llm_service.cli.output import Progress, print_json, print_table, refuse
from llm_service.cli.trials import Grid, WrongGrid, result_object
from llm_service.cli.usage_log import UnreadableLog, read_log
from llm_service.domain import usd_text

COLUMNS: Final = (
    "scope", "max_bytes", "ttl", "hit_ratio", "coalesced", "saved_usd", "peak_entries", "peak_bytes", "evictions",
)  # fmt: skip
ESTIMATES: Final = (
    "Bytes are estimated from output tokens. The log does not tell what an answer's Cache-Control was, nor whether it "
    "was cut off at its cap, which no cache keeps: real hits may be fewer."
)
TENANTS: Final = (
    "A record's cache_key holds the tenant that cache.scope made of its caller: from a log of the scope '{}' not every "
    "scope can be told. What is marked >= counts only those hits that the log can prove."
)
NOTHING: Final = (
    "No record of this log could be answered by a cache: the cache was off, or no request was one that it keeps."
)


def run_trials(log: Path, grid: Grid, *, plot: Path | None, as_json: bool) -> int:
    """Read the log, try the settings, show what came of it; the exit code."""
    progress = Progress("records")
    try:
        recorded = grid.recorded_scope
        traffic = Traffic(read_log(log, progress=progress), recorded_scope=recorded)
        trials = grid.trials(traffic)
        results = [result_object(simulate(traffic, trial)) for trial in trials]
        if plot is not None:
            plot.write_text(draw(results), encoding="utf-8")
    except (WrongGrid, UnreadableLog) as wrong:
        return refuse(str(wrong), as_json=as_json)
    except OSError as error:
        return refuse(f"{error.filename or log}: {error.strerror or error}.", as_json=as_json)
    finally:
        progress.end()
    shown = {"log": _log_object(traffic), "trials": results, "notes": _notes(traffic, results)}
    if as_json:
        print_json(shown)
    else:
        _show(shown)
    return 0


def draw(results: Sequence[Mapping[str, Any]]) -> str:
    """The hit ratio by the time of freshness: a line for each scope and size."""
    ttls_s = sorted({result["ttl_s"] for result in results})
    lines: dict[str, list[float | None]] = {}
    for result in results:
        name = f"{'>= ' if result['at_least'] else ''}{result['scope']}, {size_text(result['max_bytes'])}"
        line = lines.setdefault(name, [None] * len(ttls_s))
        line[ttls_s.index(result["ttl_s"])] = result["hit_ratio"]
    return line_chart("Hit ratio by time of freshness", [seconds_text(ttl_s) for ttl_s in ttls_s], lines)


def seconds_text(seconds: float) -> str:
    """In the largest unit that leaves no rest: ``10 min``."""
    for unit_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit_s and seconds % unit_s == 0:
            return f"{seconds / unit_s:g} {unit}"
    return f"{seconds:g} s"


def size_text(size: int) -> str:
    """In the largest unit that leaves no rest: ``256 MiB``."""
    for unit_bytes, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size % unit_bytes == 0:
            return f"{size // unit_bytes} {unit}"
    return f"{size} B"


def _log_object(traffic: Traffic) -> dict[str, Any]:
    lookups = len(traffic.requests)
    return {
        "requests": traffic.count,
        "lookups": lookups,
        "since": _moment(traffic.first_at),
        "until": _moment(traffic.last_at),
        "scope": traffic.recorded_scope,
        "hit_ratio": round(traffic.recorded_hits / lookups, 6) if lookups else None,
        "saved_usd": usd_text(traffic.recorded_saved_nano_usd),
    }


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _notes(traffic: Traffic, results: Sequence[Mapping[str, Any]]) -> list[str]:
    if not traffic.requests:
        return [NOTHING]
    marked = any(result["at_least"] for result in results)
    told = [TENANTS.format(traffic.recorded_scope)] if marked or traffic.recorded_scope != "global" else []
    return [ESTIMATES, *told]


def _show(shown: Mapping[str, Any]) -> None:
    log = shown["log"]
    period = f", from {log['since']} to {log['until']}" if log["requests"] else ""
    print(f"{log['requests']} requests{period}; {log['lookups']} of them a cache could have to do with.")
    if log["lookups"]:
        print(f"At the time: hit ratio {ratio_text(log['hit_ratio'])}, {log['saved_usd']} USD saved.\n")
        print_table(COLUMNS, [_cells(result) for result in shown["trials"]], right=COLUMNS[1:])
        print()
    print("\n".join(shown["notes"]))


def _cells(result: Mapping[str, Any]) -> list[str]:
    mark = ">= " if result["at_least"] else ""
    return [
        result["scope"],
        size_text(result["max_bytes"]),
        seconds_text(result["ttl_s"]),
        mark + ratio_text(result["hit_ratio"]),
        ratio_text(result["coalesced_ratio"]),
        mark + result["saved_usd"],
        str(result["peak_entries"]),
        str(result["peak_bytes"]),
        str(result["evictions"]),
    ]
