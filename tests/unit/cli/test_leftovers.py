"""``usage ship`` as it is typed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from llm_service.cli.database import CannotOpen, opened_database
from llm_service.cli.leftovers import opened_until
from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.ledger import LedgerOptions
from llm_service.runtime import open_data_dir
from llm_service.storage import Database, StoreOptions, open_database
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


def test_what_was_left_is_in_the_database_and_so_is_the_folder_needed(command: Command, data_dir: Path) -> None:
    nothing_left = {"waiting": 0, "living": 0}
    expected = {"ok": False, "data_dir": str(data_dir), "holds_database": True, "shipped": 1, **nothing_left}
    assert shipped(command, code=1) == expected
    report = command("usage", "report", "--by", "status", "--data-dir", "data", "--json")
    assert {row["status"]: row["requests"] for row in orjson.loads(report.stdout)["data"]} == {
        "interrupted": 1,
        "ok": 1,
    }
    assert shipped(command, code=1) == expected | {"shipped": 0}
    said = command("usage", "ship", "--data-dir", "data")
    assert "holds no record that the database lacks" in said.stdout
    assert f"Keep {data_dir}: the database itself is in it" in said.stderr


def test_what_keeps_it_is_said(command: Command, data_dir: Path) -> None:
    (segment,) = (data_dir / "journal").glob("*.journal")
    segment.rename(segment.with_name("host-a1.one.journal"))  # no number: nobody can read that
    assert shipped(command, "--within", "0", code=1)["waiting"] == 1
    refused = command("usage", "ship", "--within", "0", "--data-dir", "data")
    assert (refused.exit_code, "holds no record" in refused.stdout) == (1, False)
    assert "1 journal could not be shipped" in refused.stderr


def test_a_folder_without_a_service_is_no_empty_one(command: Command, tmp_path: Path) -> None:
    """A volume that was mounted elsewhere must not be told to hold nothing."""
    folder = tmp_path / "data" / "sandbox"
    folder.mkdir(parents=True, mode=0o700)
    asyncio.run(made(folder))
    refused = command("usage", "ship", "--data-dir", "data")
    assert refused.exit_code == 2
    assert "no service has had its data in" in refused.stderr


async def test_a_database_that_is_away_is_asked_again_until_the_time_is_over(tmp_path: Path) -> None:
    clock, asked = ManualClock(), list[float]()
    settings = Settings(store=StoreOptions(database_url=Secret("postgresql://test@127.0.0.1:1/test")))

    @asynccontextmanager
    async def away(_: Settings, folder: Path) -> AsyncIterator[Database]:
        asked.append(clock.monotonic())
        if len(asked) % 3:
            raise CannotOpen("it is away")
        async with opened_database(Settings(), folder) as database:
            yield database

    async def opened(within_s: float) -> None:
        async with opened_until(clock.monotonic() + within_s, clock, away)(settings, tmp_path):
            pass

    async def tried(within_s: float) -> None:
        trying = asyncio.create_task(opened(within_s))
        while not trying.done():
            clock.advance(0.5)
            await asyncio.sleep(0)
        await trying

    with open_data_dir(tmp_path):
        pass
    await tried(within_s=60)
    assert [at - asked[0] for at in asked] == [0, 1, 2]
    with pytest.raises(CannotOpen, match="it is away"):
        await tried(within_s=0)
    assert len(asked) == 4


async def made(folder: Path) -> None:
    await (await open_database(None, data_dir=folder)).aclose()
