"""Records as files: every field, exact money, no formulas, and nothing but what is installed."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from llm_service.domain import InvalidValue
from llm_service.services import exports, read_format, record_object, write_export
from llm_service.services.exports import COLUMNS
from llm_service.storage import LedgerRow
from tests.support.ledger_entries import a_retried_record
from tests.support.records import record, row

ROWS = [
    row(
        "req_1",
        seq=1,
        user='a "quoted", one',
        tags={"team": "tides"},
        nano_usd=4_276_200,
        duration_ms=1.5,
        price_date="2026-11-01",
        cache="hit",
        cache_key="00ff" * 8,
        saved_nano_usd=4_276_200,
    ),
    row("req_2", seq=2, user="", upstream_id=None, nano_usd=-1, adjusts="req_1"),
]


async def pages(*pages: Sequence[LedgerRow]) -> AsyncIterator[Sequence[LedgerRow]]:
    for page in pages:
        yield page


def test_there_is_a_column_for_each_field() -> None:
    assert list(COLUMNS) == list(record_object(record()))


async def test_csv_has_a_line_for_each_record_and_exact_money() -> None:
    file, told = io.BytesIO(), list[int]()
    assert await write_export(pages(ROWS[:1], ROWS[1:]), file, form="csv", progress=told.append) == 2
    first, second = csv.DictReader(io.StringIO(file.getvalue().decode(), newline=""))
    assert (first["request_id"], first["user"], first["tags"]) == ("req_1", 'a "quoted", one', '{"team":"tides"}')
    assert (first["cost_usd"], second["cost_usd"], second["adjusts"]) == ("0.0042762", "-0.000000001", "req_1")
    assert (first["at"], first["queue_ms"], first["duration_ms"]) == ("2026-11-25T12:00:00Z", "", "1.5")
    assert (first["price_date"], second["price_date"]) == ("2026-11-01", "")
    assert (first["cache_key"], first["saved_usd"]) == ("00ff" * 8, "0.0042762")
    assert (second["cache_key"], second["saved_usd"]) == ("", "0")
    assert told == [1, 2]


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r"])
async def test_a_text_that_a_spreadsheet_would_run_is_made_harmless(begins: str) -> None:
    file = io.BytesIO()
    hostile = row("req_1", user=f"{begins}1+1", model=f"{begins}cmd", nano_usd=-5)
    await write_export(pages([hostile]), file, form="csv")
    (only,) = csv.DictReader(io.StringIO(file.getvalue().decode(), newline=""))
    assert (only["user"], only["model"], only["cost_usd"]) == (f"'{begins}1+1", f"'{begins}cmd", "-0.000000005")


async def test_no_records_are_a_file_with_a_head() -> None:
    file = io.BytesIO()
    assert await write_export(pages(), file, form="csv") == 0
    assert file.getvalue().decode() == ",".join(COLUMNS) + "\r\n"


async def test_parquet_keeps_types(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    written = tmp_path / "usage.parquet"
    with written.open("wb") as file:
        assert await write_export(pages(ROWS), file, form="parquet") == 2
    with duckdb.connect() as connection:
        found = connection.read_parquet(str(written)).fetchall()
    first, second = (dict(zip(COLUMNS, one, strict=True)) for one in found)
    assert (first["cost_usd"], second["cost_usd"]) == (Decimal("0.004276200"), Decimal("-0.000000001"))
    assert first["at"].astimezone(UTC) == datetime(2026, 11, 25, 12, tzinfo=UTC)
    assert (first["tags"], second["user"], second["upstream_id"]) == ({"team": "tides"}, "", None)
    assert first["user"] == 'a "quoted", one'
    assert (first["price_date"], second["price_date"]) == (date(2026, 11, 1), None)
    assert (first["cache_key"], second["cache_key"]) == ("00ff" * 8, None)
    assert (first["saved_usd"], second["saved_usd"]) == (Decimal("0.004276200"), Decimal(0))
    assert (first["tries"], first["wasted_usd"]) == ([], Decimal(0))


async def test_parquet_keeps_attempts_as_a_list(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    written = tmp_path / "usage.parquet"
    with written.open("wb") as file:
        await write_export(pages([replace(row(), record=a_retried_record(5))]), file, form="parquet")
    with duckdb.connect() as connection:
        (found,) = connection.read_parquet(str(written)).fetchall()
    shown = dict(zip(COLUMNS, found, strict=True))
    assert shown["wasted_usd"] == shown["tries"][0]["wasted_usd"] == Decimal("0.000000005")
    assert [one["error_code"] for one in shown["tries"]] == ["upstream_error", None]


async def test_csv_keeps_attempts_as_json() -> None:
    file = io.BytesIO()
    await write_export(pages([replace(row(), record=a_retried_record(5))]), file, form="csv")
    (only,) = csv.DictReader(io.StringIO(file.getvalue().decode(), newline=""))
    assert [one["wasted_usd"] for one in orjson.loads(only["tries"])] == ["0.000000005", "0"]


async def test_parquet_of_no_records_has_the_columns(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    written = tmp_path / "usage.parquet"
    with written.open("wb") as file:
        assert await write_export(pages(), file, form="parquet") == 0
    with duckdb.connect() as connection:
        assert connection.read_parquet(str(written)).columns == list(COLUMNS)


def test_a_format_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidValue, match="csv, parquet"):
        read_format("xlsx")


def test_parquet_without_its_package_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "find_spec", lambda name: None)
    with pytest.raises(InvalidValue, match=r"duckdb.*llm-service\[analytics\]"):
        read_format("parquet")
    assert read_format("csv") == "csv"
