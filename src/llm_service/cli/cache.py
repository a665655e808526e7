"""``cache stats`` and ``cache purge``: the response cache of a running service."""

import asyncio
import sys
from collections.abc import Mapping
from typing import Any, Final

from llm_service.cli.client import Server, Unanswered, complain
from llm_service.cli.output import print_json, print_table, refuse

COLUMNS: Final = (
    "requests",
    "hits",
    "hit_ratio",
    "semantic",
    "coalesced",
    "stale",
    "miss",
    "bypass",
    "replay",
    "saved_usd",
)
PATH: Final = "/admin/cache"


def show_stats(url: str, *, key: str | None, wanted: Mapping[str, str], as_json: bool) -> int:
    """Ask the service, and show what it says; the exit code."""
    try:
        stats = asyncio.run(Server.at(url, key).read(PATH, wanted))
    except Unanswered as unanswered:
        return complain(unanswered, as_json=as_json)
    if as_json:
        print_json(stats)
        return 0
    by = stats["by"]
    lines = [[*(str(row[group] or "-") for group in by), *_figures(row)] for row in stats["data"]]
    total = [*(["total", *[""] * (len(by) - 1)] if by else ()), *_figures(stats["total"])]
    print_table([*by, *COLUMNS], [*lines, total], right=COLUMNS)
    print(f"From {stats['since']} to {stats['until'] or 'now'}, by the records of the requests.")
    print(_fullness(stats))
    if (semantic := stats.get("semantic")) is not None:
        print(_likeness(semantic))
    return 0


def ratio_text(ratio: float | None) -> str:
    """A ratio in percent; ``-`` for none."""
    return "-" if ratio is None else f"{ratio:.1%}"


def _figures(row: Mapping[str, Any]) -> list[str]:
    figures = {**row["by_status"], **row, "hit_ratio": ratio_text(row["hit_ratio"])}
    return [str(figures[name]) for name in COLUMNS]


def _fullness(stats: Mapping[str, Any]) -> str:
    store, holds = stats["store"], f"The cache holds for one {stats['reach']}"
    if store is None:
        return f"{holds}; its shared store does not answer now."
    share = ratio_text(store["bytes"] / store["max_bytes"])
    return (
        f"{holds}: {store['entries']} answers, {store['bytes']} of {store['max_bytes']} bytes ({share}); "
        f"{store['evictions']} made room, {store['too_large']} were too large."
    )


def _likeness(semantic: Mapping[str, Any]) -> str:
    ratio = ratio_text(semantic["false_hit_ratio"])
    given = "were given" if semantic["mode"] == "serve" else "would have been given"
    return (
        f"By likeness ({semantic['mode']}, this process): of {semantic['searched']} questions {semantic['alike']} had "
        f"one like them, the guard refused {semantic['guarded']}, {semantic['would_be']} {given}; "
        f"{semantic['judged']} were judged, {semantic['false_hits']} of them false ({ratio})."
    )


def purge(url: str, *, key: str | None, wanted: Mapping[str, str], certain: bool, as_json: bool) -> int:
    """Have the service forget answers; the exit code. On a terminal, to forget all needs a yes, or ``certain``."""
    named = [name for name in wanted if name != "older_than_s"]
    if len(named) != 1:
        said = "Say what to purge, one at a time: --model, --key-id, --user, --tag, --digest, or --all."
        return refuse(said, as_json=as_json)
    if named == ["all"] and not certain and sys.stdin.isatty() and not _agreed(url):
        return refuse("Nothing was purged.", as_json=as_json)
    try:
        done = asyncio.run(Server.at(url, key).delete(PATH, wanted))
    except Unanswered as unanswered:
        return complain(unanswered, as_json=as_json)
    if as_json:
        print_json(done)
    else:
        count = done["purged"]
        print(f"{count} answer{'' if count == 1 else 's'} purged.")
    return 0


def _agreed(url: str) -> bool:
    print(f"Purge every answer that the service at {url} keeps? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
