"""Records as a file: CSV for spreadsheets, Parquet for analyses. Written off the event loop, a page at a time."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import IO, Any, Final, Literal, get_args

import orjson

from llm_service.domain import InvalidValue, UsageRecord
from llm_service.services.usage_fields import record_object
from llm_service.storage import LedgerRow

ExportFormat = Literal["csv", "parquet"]
Progress = Callable[[int], None]

PARQUET_NEEDS: Final = "duckdb"
PARQUET_MEMORY: Final = "256MB"
COLUMNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "request_id": "VARCHAR",
        "stream_id": "VARCHAR",
        "at": "TIMESTAMPTZ",
        "key_id": "VARCHAR",
        "user": "VARCHAR",
        "tags": "MAP(VARCHAR, VARCHAR)",
        "surface": "VARCHAR",
        "model": "VARCHAR",
        "provider": "VARCHAR",
        "upstream_model": "VARCHAR",
        "upstream_id": "VARCHAR",
        "input_tokens": "BIGINT",
        "output_tokens": "BIGINT",
        "cached_input_tokens": "BIGINT",
        "reasoning_tokens": "BIGINT",
        "cost_usd": "DECIMAL(18, 9)",
        "cost_source": "VARCHAR",
        "price_date": "DATE",
        "status": "VARCHAR",
        "error_code": "VARCHAR",
        "cache": "VARCHAR",
        "cache_key": "VARCHAR",
        "saved_usd": "DECIMAL(18, 9)",
        "attempts": "BIGINT",
        "tries": (
            "STRUCT(provider VARCHAR, upstream_model VARCHAR, error_code VARCHAR, duration_ms DOUBLE, "
            "wasted_usd DECIMAL(18, 9))[]"
        ),
        "wasted_usd": "DECIMAL(18, 9)",
        "queue_ms": "DOUBLE",
        "first_chunk_ms": "DOUBLE",
        "duration_ms": "DOUBLE",
        "overhead_ms": "DOUBLE",
        "adjusts": "VARCHAR",
        "verdicts": (
            'STRUCT("filter" VARCHAR, "type" VARCHAR, "on" VARCHAR, "action" VARCHAR, labels VARCHAR[], count BIGINT, '
            "failed BOOLEAN)[]"
        ),
    }
)
"""A column for each field of a record, and its type in Parquet."""
_NOT_TEXT: Final = frozenset(name for name, kind in COLUMNS.items() if kind not in ("VARCHAR", "MAP(VARCHAR, VARCHAR)"))
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would run (OWASP, CSV injection)."""


def read_format(text: str) -> ExportFormat:
    """Raises InvalidValue for another format, and for one whose package is not installed."""
    if text not in get_args(ExportFormat):
        raise InvalidValue(f"'format' must be one of {', '.join(get_args(ExportFormat))}.", param="format")
    if text == "csv":
        return "csv"
    if find_spec(PARQUET_NEEDS) is None:
        said = (
            f"Parquet needs the package {PARQUET_NEEDS}, which is not installed with this service: install "
            "llm-service[analytics], or export as csv."
        )
        raise InvalidValue(said, param="format")
    return "parquet"


async def write_export(
    pages: AsyncIterator[Sequence[LedgerRow]], into: IO[bytes], *, form: ExportFormat, progress: Progress | None = None
) -> int:
    """Write all records into an open file; how many. ``progress`` hears after each page how many there are so far.

    Raises what reading the pages and writing the file raise; the file is then good for nothing.
    """
    if form == "csv":
        return await _write_csv(pages, into, progress)
    with TemporaryDirectory() as folder:
        lines = Path(folder) / "records.ndjson"
        with lines.open("wb") as file:
            count = await _write_pages(pages, file, _lines, progress)
        written = Path(folder) / "records.parquet"
        await asyncio.to_thread(_to_parquet, lines, written)
        await asyncio.to_thread(_copy, written, into)
    return count


async def _write_csv(pages: AsyncIterator[Sequence[LedgerRow]], into: IO[bytes], progress: Progress | None) -> int:
    into.write(_csv([tuple(COLUMNS)]))
    return await _write_pages(pages, into, _csv_of, progress)


async def _write_pages(
    pages: AsyncIterator[Sequence[LedgerRow]],
    into: IO[bytes],
    form: Callable[[Sequence[LedgerRow]], bytes],
    progress: Progress | None,
) -> int:
    count = 0
    async for rows in pages:
        await asyncio.to_thread(_write, rows, form, into)
        count += len(rows)
        if progress is not None:
            progress(count)
    return count


def _write(rows: Sequence[LedgerRow], form: Callable[[Sequence[LedgerRow]], bytes], into: IO[bytes]) -> None:
    into.write(form(rows))


# -- CSV


def _csv_of(rows: Sequence[LedgerRow]) -> bytes:
    return _csv([_cells(row.record) for row in rows])


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    """Lines as RFC 4180 writes them, in UTF-8."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cells(record: UsageRecord) -> list[Any]:
    shown = record_object(record)
    for name in ("tags", "tries", "verdicts"):
        shown[name] = orjson.dumps(shown[name]).decode()
    return [shown[name] if name in _NOT_TEXT else _harmless(shown[name]) for name in COLUMNS]


def _harmless(text: str | None) -> str | None:
    """The text as no spreadsheet takes it for a formula."""
    return f"'{text}" if text is not None and text.startswith(_FORMULA) else text


# -- Parquet


def _lines(rows: Sequence[LedgerRow]) -> bytes:
    return b"".join(orjson.dumps(record_object(row.record)) + b"\n" for row in rows)


def _to_parquet(lines: Path, written: Path) -> None:
    """Nothing is loaded from a network: reading JSON and writing Parquet are parts of the package."""
    import duckdb

    bounds: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": PARQUET_MEMORY,
        "threads": 1,
        "temp_directory": str(lines.parent),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(":memory:", config=bounds) as connection:
        records = connection.read_json(str(lines), format="newline_delimited", columns=dict(COLUMNS))
        records.write_parquet(str(written), compression="zstd")


def _copy(source: Path, into: IO[bytes]) -> None:
    with source.open("rb") as file:
        while piece := file.read(1 << 20):
            into.write(piece)
