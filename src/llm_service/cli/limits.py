"""``limits``: where the limits of a running service stand."""

import asyncio
from typing import Any

from llm_service.cli.client import Server, Unanswered, complain
from llm_service.cli.output import print_json, print_table

COLUMNS = ("scope", "subject", "kind", "limit", "used", "reserved", "remaining", "per", "resets_at")
NUMBERS = ("limit", "used", "reserved", "remaining")


def show_limits(url: str, *, key: str | None, key_id: str | None, user: str | None, as_json: bool) -> int:
    """Ask the service, and show what it says; the exit code."""
    wanted = {name: text for name, text in (("key_id", key_id), ("user", user)) if text is not None}
    try:
        answer = asyncio.run(Server.at(url, key).read("/admin/limits", wanted))
    except Unanswered as unanswered:
        return complain(unanswered, as_json=as_json)
    if as_json:
        print_json(answer)
        return 0
    rows = [[text_of(row, name) for name in COLUMNS] for row in answer["data"]]
    if rows:
        print_table(COLUMNS, rows, right=NUMBERS)
    else:
        print("There are no limits." if wanted else "No limits are configured beside those of keys and users.")
    if answer["stands_in"]:
        print("The shared store is away: these are the figures of one process, which counts alone until it is back.")
    return 0


def text_of(row: dict[str, Any], name: str) -> str:
    """A field as text; ``-`` for what cannot be known now."""
    if name == "per":
        return row["period"] or (f"{row['window_s']} s" if row["window_s"] else "at once")
    value = row.get(name)
    return ("-" if name in NUMBERS else "") if value is None else str(value)
