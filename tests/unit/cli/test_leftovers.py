"""``usage ship`` as it is typed."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from llm_service.ledger import LedgerOptions
from llm_service.runtime import open_data_dir
from llm_service.storage import open_database
from tests.support.clock import ManualClock
from tests.support.ledger_entries import a_ledger, a_record, an_intent
from tests.support.memory_ledger import MemoryLedger
from tests.unit.cli.conftest import Command


def left(folder: Path) -> None:
    """A service that has ended, with its database away: a record and an open request are in its journal."""

    async def end() -> None:
        await made(folder)
        away = MemoryLedger()
        away.away = True
        options = LedgerOptions(shipping_grace_s=0.01)
        ledger = a_ledger(folder, store=away, clock=ManualClock(), options=options)
        ledger.close(a_record(1))
        ledger.open(an_intent(2))
        await ledger.aclose()

    with open_data_dir(folder):
        asyncio.run(end())


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """No provider is configured, so it is the sandbox's."""
    folder = tmp_path / "data" / "sandbox"
    left(folder)
    return folder


def shipped(command: Command, *arguments: str, code: int = 0) -> dict[str, Any]:
    result = command("usage", "ship", *arguments, "--data-dir", "data", "--json")
    assert result.exit_code == code, result.output
    shown: dict[str, Any] = orjson.loads(result.stdout)
    return shown


def test_what_was_left_is_in_the_database_and_the_folder_may_go(command: Command, data_dir: Path) -> None:
    expected = {"ok": True, "data_dir": str(data_dir), "shipped": 1, "waiting": 0, "living": 0}
    assert shipped(command) == expected
    report = command("usage", "report", "--by", "status", "--data-dir", "data", "--json")
    assert {row["status"]: row["requests"] for row in orjson.loads(report.stdout)["data"]} == {
        "interrupted": 1,
        "ok": 1,
    }
    assert shipped(command) == expected | {"shipped": 0}
    assert "holds no record that the database lacks" in command("usage", "ship", "--data-dir", "data").stdout


def test_what_keeps_it_is_said(command: Command, data_dir: Path) -> None:
    (segment,) = (data_dir / "journal").glob("*.journal")
    segment.rename(segment.with_name("host-a1.one.journal"))  # no number: nobody can read that
    assert shipped(command, "--within", "0", code=1)["waiting"] == 1
    refused = command("usage", "ship", "--within", "0", "--data-dir", "data")
    assert refused.exit_code == 1
    assert "1 journal could not be shipped" in refused.stderr


def test_a_folder_without_a_service_is_no_empty_one(command: Command, tmp_path: Path) -> None:
    """A volume that was mounted elsewhere must not be told to hold nothing."""
    folder = tmp_path / "data" / "sandbox"
    folder.mkdir(parents=True, mode=0o700)
    asyncio.run(made(folder))
    refused = command("usage", "ship", "--data-dir", "data")
    assert refused.exit_code == 2
    assert "no service has had its data in" in refused.stderr


async def made(folder: Path) -> None:
    await (await open_database(None, data_dir=folder)).aclose()
