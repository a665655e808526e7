"""``usage``: what was recorded, straight from the database, with the service stopped or running."""

import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from llm_service.bootstrap import build_corrections, build_provider
from llm_service.cli.faults import fault_line, fault_object
from llm_service.cli.output import Progress, print_table, refuse
from llm_service.cli.stored import Shown, Stored, acted, run_on_database
from llm_service.cli.where import Where
from llm_service.config import secrets_of
from llm_service.domain import Intent, LedgerUnavailable, Settlement
from llm_service.ledger import Ledger, LedgerOptions, verify
from llm_service.observability import Redaction, build_log
from llm_service.runtime import RandomIds, SystemClock, system_random, written_whole
from llm_service.services import (
    Corrections,
    Usage,
    corrected_object,
    read_filter,
    read_format,
    read_groups,
    sum_object,
    write_export,
)

RECORDS: Final = "The records"
TOKENS: Final = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")
COLUMNS: Final = ("requests", "errors", "hits", *TOKENS, "cost_usd", "saved_usd", "wasted_usd")
MOST_FAULTS_SHOWN: Final = 100


def report(where: Where, *, by: str, given: Mapping[str, str], as_json: bool) -> int:
    """Show sums by groups, and those of all; the exit code."""

    async def act(stored: Stored) -> Shown:
        usage, which, groups = Usage(stored.database.ledger), read_filter(given), read_groups(by)
        data = [sum_object(one) for one in await usage.summary(which, by=groups)]
        (total,) = [sum_object(one) for one in await usage.summary(which)]
        return {"by": groups, "data": data, "total": total}

    return run_on_database(where, act, show_report, what=RECORDS, as_json=as_json)


def show_report(shown: Shown) -> None:
    """A table with a line for each group, and one for all."""
    groups = shown["by"]
    lines = [[*(str(row[group] or "-") for group in groups), *_figures(row)] for row in shown["data"]]
    if not groups:
        print_table(COLUMNS, lines, right=COLUMNS)
        return
    total = ["total", *[""] * (len(groups) - 1), *_figures(shown["total"])]
    print_table([*groups, *COLUMNS], [*lines, total], right=COLUMNS)


def _figures(row: Mapping[str, Any]) -> list[str]:
    return [str(row[name]) for name in COLUMNS]


def export(where: Where, *, form: str, out: Path, given: Mapping[str, str], as_json: bool) -> int:
    """Write records into a file, which is there when it is complete; the exit code."""
    progress = Progress("records")

    async def act(stored: Stored) -> Shown:
        usage, kind, which = Usage(stored.database.ledger), read_format(form), read_filter(given)
        with written_whole(out) as file:
            count = await write_export(usage.rows(which), file, form=kind, progress=progress)
        return {"ok": True, "records": count, "file": str(out)}

    try:
        return run_on_database(where, act, show_export, what=RECORDS, as_json=as_json)
    except OSError as error:
        return refuse(f"{out} cannot be written: {error.strerror or error}.", as_json=as_json)
    finally:
        progress.end()


def show_export(shown: Shown) -> None:
    """How many records are where."""
    print(f"{shown['records']} records in {shown['file']}")


def verify_chains(where: Where, *, as_json: bool) -> int:
    """Check all records against their chains and seals; 1 when one is not as it was written."""
    progress = Progress("records")

    async def act(stored: Stored) -> Shown:
        found = await verify(stored.database.ledger, progress=progress)
        progress.end()
        faults = [fault_object(fault) for fault in found.faults]
        looked_at = {"processes": found.writers, "records": found.records, "removed_by_retention": found.removed}
        return {"ok": found.sound, **looked_at, "faults": faults}

    return run_on_database(where, act, show_verified, what=RECORDS, as_json=as_json)


def show_verified(shown: Shown) -> None:
    """All is well, or a line for each fault."""
    looked_at = f"{shown['records']} records of {shown['processes']} processes"
    removed = shown["removed_by_retention"]
    if removed:
        looked_at += f" ({removed} more were removed when their time was over)"
    if shown["ok"]:
        print(f"{looked_at}: all as they were written.")
        return
    faults = shown["faults"]
    print("\n".join(fault_line(fault) for fault in faults[:MOST_FAULTS_SHOWN]))
    if len(faults) > MOST_FAULTS_SHOWN:
        print(f"... and {len(faults) - MOST_FAULTS_SHOWN} more, which --json lists.")
    print(f"{looked_at}: NOT as they were written ({len(faults)} faults).", file=sys.stderr)


def reconcile(where: Where, *, as_json: bool) -> int:
    """Correct estimates by what providers say they billed, and show how far off they were; the exit code."""

    async def corrected(stored: Stored) -> Shown:
        async with AsyncExitStack() as held:
            done = await (await _corrections(stored, held)).round()
        if done is None:
            raise LedgerUnavailable(
                "Another process corrects estimates now, or was ended while it did: try again in 15 minutes at most."
            )
        return {"ok": True, "providers": {name: corrected_object(one) for name, one in done.items()}}

    async def act(stored: Stored) -> Shown:
        return await acted(stored, "usage.reconcile", corrected(stored))

    return run_on_database(where, act, show_reconciled, what=RECORDS, as_json=as_json)


async def _corrections(stored: Stored, held: AsyncExitStack) -> Corrections:
    """Writes through a journal of this process, which is not started: no other's journal is adopted from here."""
    clock, source = SystemClock(), system_random()
    redaction = Redaction(secrets_of(stored.settings))
    log = build_log(stored.settings.observability, clock=clock, stream=sys.stderr, redaction=redaction)
    providers = {
        name: build_provider(name, options, clock=clock, on_failure=_on_failure)
        for name, options in stored.settings.providers.items()
        if options.enabled and not stored.sandboxed  # a real one knows nothing of what a simulated one answered
    }
    for provider in providers.values():
        held.push_async_callback(provider.aclose)
    ledger = Ledger(
        stored.data_dir,
        writer=RandomIds(clock, source).new("proc"),
        store=stored.database.ledger,
        options=LedgerOptions(fsync="interval"),
        clock=clock,
        dice=source,
        log=log,
        on_lost=_NothingIsLost(),
        on_failure=_on_failure,
    )
    held.push_async_callback(ledger.aclose)
    return build_corrections(stored.database, ledger, providers, clock=clock, log=log)


class _NothingIsLost:
    """No journal of another process is adopted here."""

    async def settled(
        self, *, holder: str, request_id: str, settlement: Settlement, intent: Intent | None, mark: int
    ) -> None:
        """Never called."""

    async def told_all(self, *, holder: str) -> None:
        """Never called."""


def _on_failure(work: str, failure: BaseException) -> None:
    print(f"{work}: {failure!r}", file=sys.stderr)


def show_reconciled(shown: Shown) -> None:
    """A line for each provider."""
    if not shown["providers"]:
        print("No configured provider says afterwards what it billed.")
    for name, one in shown["providers"].items():
        line = f"{name}: {one['corrections']} corrected"
        if one["corrections"]:
            line += f", estimated {one['estimated_usd']} USD, billed {one['billed_usd']} USD"
        if one["cost_ratio"] is not None:
            line += f" (estimates were {one['cost_ratio']} of it)"
        print(line + (f", {one['unknown']} not known there (yet)" if one["unknown"] else ""))
