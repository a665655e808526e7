"""``usage`` and ``limits`` as they are typed, on a database of their own."""

import asyncio
import csv
import sqlite3
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest

from llm_service.domain import UsageRecord
from llm_service.storage import SQLITE_NAME, open_database
from tests.support.clock import ManualClock
from tests.support.ledger_entries import a_ledger, a_retried_record
from tests.support.records import record
from tests.unit.cli.conftest import Command
from tests.unit.cli.test_client import http, run, scripted

RECORDS = [
    record("req_1", model="a", nano_usd=1_500_000, tags={"team": "tides"}),
    record("req_2", model="a", nano_usd=500_000, status="error"),
    record("req_3", model="b", nano_usd=1, key_id="key_2", user="=ann"),
]


def written(folder: Path, records: Sequence[UsageRecord] = RECORDS) -> Path:
    """The database of a service that has recorded these."""

    async def write() -> None:
        async with AsyncExitStack() as held:
            database = await open_database(None, data_dir=folder)
            held.push_async_callback(database.aclose)
            ledger = a_ledger(folder, store=database.ledger, clock=ManualClock())
            held.push_async_callback(ledger.aclose)
            for one in records:
                ledger.close(one)
            await ledger.flush()

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    asyncio.run(write())
    return folder / SQLITE_NAME


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """No provider is configured, so it is the sandbox's."""
    return written(tmp_path / "data" / "sandbox")


def done(command: Command, *arguments: str) -> dict[str, Any]:
    result = command("usage", *arguments, "--data-dir", "data", "--json")
    assert result.exit_code == 0, result.output
    shown: dict[str, Any] = orjson.loads(result.stdout)
    return shown


@pytest.mark.parametrize("arguments", [("report",), ("export", "--out", "usage.csv"), ("verify",), ("reconcile",)])
def test_where_no_database_is_none_is_made(command: Command, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    refused = command("usage", *arguments, "--data-dir", "data", "--json")
    assert refused.exit_code == 2
    missing = tmp_path / "data" / "sandbox" / "llm-service.db"
    assert f"there is no database at {missing}: name the service's" in orjson.loads(refused.stdout)["error"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [("report",), ("export", "--out", "usage.csv"), ("verify",), ("reconcile",)])
def test_beside_configured_providers_the_option_reaches_the_sandboxs_records(
    command: Command, kept: Path, arguments: tuple[str, ...]
) -> None:
    words = ("usage", *arguments, "--data-dir", "data", "--sandbox")
    on, off = (command(*words, word, OPENROUTER_API_KEY="sk-test-0123456789") for word in ("on", "off"))
    assert (on.exit_code, off.exit_code) == (0, 2), on.output
    assert "there is no database" in off.stderr


def test_real_providers_are_not_asked_what_simulated_ones_billed(command: Command, kept: Path) -> None:
    where = ("--data-dir", "data", "--sandbox", "on")
    told = command("usage", "reconcile", *where, OPENROUTER_API_KEY="sk-test-0123456789")
    assert told.stdout == "No configured provider says afterwards what it billed.\n"


# -- report


def test_a_report_sums_by_groups(command: Command, kept: Path) -> None:
    shown = done(command, "report", "--by", "model,status")
    assert [(row["model"], row["status"], row["requests"], row["cost_usd"]) for row in shown["data"]] == [
        ("a", "error", 1, "0.0005"),
        ("a", "ok", 1, "0.0015"),
        ("b", "ok", 1, "0.000000001"),
    ]
    assert (shown["total"]["requests"], shown["total"]["cost_usd"]) == (3, "0.002000001")


def test_people_see_a_table_with_a_total(command: Command, kept: Path) -> None:
    lines = command("usage", "report", "--data-dir", "data").stdout.splitlines()
    assert lines[0].split()[:2] == ["model", "requests"]
    assert [line.split()[0] for line in lines[1:]] == ["a", "b", "total"]
    assert len({len(line) for line in lines}) == 1
    assert command("usage", "report", "--by", "", "--data-dir", "data").stdout.count("\n") == 2


def test_a_report_is_filtered(command: Command, kept: Path) -> None:
    assert done(command, "report", "--tag", "team=tides")["total"]["requests"] == 1
    assert done(command, "report", "--since", "2026-11-26")["total"]["requests"] == 0
    assert done(command, "report", "--key-id", "key_2", "--until", "2026-11-26")["total"]["requests"] == 1


def test_hits_and_what_they_saved_are_reported(command: Command, tmp_path: Path) -> None:
    hit = record("req_1", cache="hit", cache_key="ab" * 16, nano_usd=0, saved_nano_usd=1_500_000)
    written(tmp_path / "data" / "sandbox", [hit, record("req_2", cache="miss", nano_usd=1_500_000)])
    shown = done(command, "report", "--by", "cache")
    assert [(row["cache"], row["hits"], row["cost_usd"], row["saved_usd"]) for row in shown["data"]] == [
        ("hit", 1, "0", "0.0015"),
        ("miss", 0, "0.0015", "0"),
    ]
    assert done(command, "report", "--cache", "hit")["total"]["requests"] == 1
    assert done(command, "export", "--out", "hits.csv", "--cache", "hit")["records"] == 1
    head = command("usage", "report", "--data-dir", "data").stdout.splitlines()[0].split()
    assert head[-2:] == ["saved_usd", "wasted_usd"]
    assert "hits" in head
    assert done(command, "verify")["ok"]


def test_what_attempts_wasted_is_reported_beside_the_cost(command: Command, tmp_path: Path) -> None:
    written(tmp_path / "data" / "sandbox", [a_retried_record(1_500), record("req_2", nano_usd=7)])
    total = done(command, "report")["total"]
    assert (total["cost_usd"], total["wasted_usd"]) == ("0.000001507", "0.0000015")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("report", "--by", "colour"), "'by' must be some of key, user"),
        (("report", "--since", "yesterday"), "'since' must be a moment"),
        (("export", "--out", "x", "--format", "xlsx"), "'format' must be one of csv, parquet"),
    ],
)
def test_what_cannot_be_done_is_said_in_both_ways(
    command: Command, kept: Path, arguments: tuple[str, ...], said: str
) -> None:
    for_people, for_programs = (command("usage", *arguments, "--data-dir", "data", *more) for more in ((), ("--json",)))
    assert (for_people.exit_code, for_people.stdout, for_programs.exit_code) == (1, "", 1)
    assert said in for_people.stderr
    assert said in orjson.loads(for_programs.stdout)["error"]["message"]


# -- export


def test_an_export_is_a_whole_file(command: Command, kept: Path, tmp_path: Path) -> None:
    shown = done(command, "export", "--out", "usage.csv")
    assert shown == {"ok": True, "records": 3, "file": "usage.csv"}
    with (tmp_path / "usage.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["request_id"], row["user"]) for row in rows] == [("req_3", "'=ann"), ("req_2", ""), ("req_1", "")]
    assert command("usage", "export", "--out", "usage.parquet", "--format", "parquet", "--data-dir", "data").stdout == (
        "3 records in usage.parquet\n"
    )
    assert (tmp_path / "usage.parquet").read_bytes()[:4] == b"PAR1"


def test_a_file_that_cannot_be_written_is_told_and_nothing_is_left(
    command: Command, kept: Path, tmp_path: Path
) -> None:
    refused = command("usage", "export", "--out", "nowhere/usage.csv", "--data-dir", "data")
    assert refused.exit_code == 2
    assert "nowhere/usage.csv cannot be written: No such file" in refused.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


# -- verify


def test_records_as_they_were_written_are_verified(command: Command, kept: Path) -> None:
    assert command("usage", "verify", "--data-dir", "data").stdout == (
        "3 records of 1 processes: all as they were written.\n"
    )
    assert done(command, "verify")["records"] == 3


DAMAGE = {
    "changed": ("UPDATE ledger SET nano_usd = 0 WHERE seq = 2", "changed: record 2 of host-a1 (request req_2): "),
    "missing": ("DELETE FROM ledger WHERE seq = 2", "missing: record 2 of host-a1: "),
}


@pytest.mark.parametrize(("statement", "said"), DAMAGE.values(), ids=list(DAMAGE))
def test_what_was_done_to_the_records_is_said_and_fails(
    command: Command, kept: Path, statement: str, said: str
) -> None:
    with sqlite3.connect(kept) as connection:
        connection.execute(statement)
    connection.close()
    for_people, for_programs = (command("usage", "verify", "--data-dir", "data", *more) for more in ((), ("--json",)))
    assert (for_people.exit_code, for_programs.exit_code) == (1, 1)
    assert said in for_people.stdout
    assert "NOT as they were written (1 faults)" in for_people.stderr
    told = orjson.loads(for_programs.stdout)
    assert (told["ok"], [fault["first_seq"] for fault in told["faults"]]) == (False, [2])


# -- reconcile


def test_without_a_provider_that_tells_nothing_is_corrected(command: Command, kept: Path) -> None:
    told = command("usage", "reconcile", "--data-dir", "data")
    assert (told.exit_code, told.stdout) == (0, "No configured provider says afterwards what it billed.\n")
    assert not list((kept.parent / "journal").iterdir())


# -- limits

STATE = {
    "scope": "key", "subject": "key_1", "kind": "money", "window_s": None, "period": "day", "limit": "5",
    "used": "1.25", "reserved": None, "remaining": "3.75", "resets_at": "2026-11-26T00:00:00Z",
}  # fmt: skip


async def test_limits_of_a_running_service_are_a_table(command: Command) -> None:
    answer = orjson.dumps({"data": [STATE], "reach": "cluster", "stands_in": True})
    async with scripted(lambda _: http(answer)) as server:
        for_people = await run(command, server, "limits", "--key-id", "key_1", "--user", "a&b")
        for_programs = await run(command, server, "limits", "--json")
    assert server.requests[0].startswith(b"GET /admin/limits?key_id=key_1&user=a%26b HTTP/1.1")
    head, row, note = for_people.stdout.splitlines()
    assert head.split() == ["scope", "subject", "kind", "limit", "used", "reserved", "remaining", "per", "resets_at"]
    assert row.split() == ["key", "key_1", "money", "5", "1.25", "-", "3.75", "day", "2026-11-26T00:00:00Z"]
    assert "counts alone" in note
    assert orjson.loads(for_programs.stdout)["data"] == [STATE]


async def test_a_service_without_limits_says_so(command: Command) -> None:
    answer = orjson.dumps({"data": [], "reach": "process", "stands_in": False})
    async with scripted(lambda _: http(answer)) as server:
        told = await run(command, server, "limits")
    assert told.stdout == "No limits are configured beside those of keys and users.\n"
