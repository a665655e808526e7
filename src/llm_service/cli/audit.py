"""``audit``: what operators did, straight from the database, with the service stopped or running."""

import sys
from collections.abc import Mapping
from typing import Any, Final

from llm_service.cli.output import print_table
from llm_service.cli.stored import Shown, Stored, run_on_database
from llm_service.cli.where import Where
from llm_service.services import Audit, audit_object, read_audit_filter

COLUMNS: Final = ("at", "who", "from", "door", "act", "subject", "fields", "outcome", "times")


def show_audit(where: Where, *, given: Mapping[str, str], cursor: str | None, limit: int, as_json: bool) -> int:
    """Show a page of the audit log, newest first; the exit code."""

    async def act(stored: Stored) -> Shown:
        page = await Audit(stored.database.audit).page(read_audit_filter(given), cursor=cursor, count=limit)
        return {"data": [audit_object(one) for one in page.entries], "next_cursor": page.next_cursor}

    return run_on_database(where, act, show_page, what="The audit log", as_json=as_json)


def show_page(shown: Shown) -> None:
    """A table with a line for each entry."""
    if not shown["data"]:
        print("There are no such acts.")
        return
    print_table(COLUMNS, [line_of(entry) for entry in shown["data"]], right=("times",))
    if shown["next_cursor"] is not None:
        print(f"There are more: --cursor {shown['next_cursor']}", file=sys.stderr)


def line_of(entry: Mapping[str, Any]) -> list[str]:
    """An entry as a row of the table; nothing that others wrote does anything to a terminal."""
    who, name = entry["key_id"] or "-", entry["key_name"]
    cells = (
        entry["at"],
        f"{who} ({name})" if name else who,
        entry["peer"] or "-",
        entry["door"],
        entry["act"],
        entry["subject"] or "-",
        " ".join(entry["fields"]) or "-",
        entry["error_code"] or entry["outcome"],
        str(entry["times"]),
    )
    return ["".join(one if one.isprintable() else "?" for one in cell) for cell in cells]
