"""Exported records read again, as far as the simulation of the cache needs them."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from llm_service.cache import PastRequest
from llm_service.cli.output import Progress
from llm_service.domain import nano_usd

COLUMNS: Final = (
    "request_id", "stream_id", "at", "key_id", "user", "output_tokens", "cost_usd", "status", "cache", "cache_key",
    "saved_usd", "duration_ms", "adjusts",
)  # fmt: skip
BATCH: Final = 10_000
Row = Mapping[str, Any]


class UnreadableLog(Exception):
    """The file holds no exported records; the message says why, and what to do."""


def read_log(path: Path, *, progress: Progress) -> list[PastRequest]:
    """The requests of an export; what was corrected afterwards is in what they cost. Raises UnreadableLog, OSError."""
    requests: dict[str, PastRequest] = {}
    corrected: dict[str, int] = {}
    rows = _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
    for number, row in enumerate(rows, 1):
        try:
            if row["adjusts"]:
                corrected[row["adjusts"]] = corrected.get(row["adjusts"], 0) + _nano(row["cost_usd"])
            else:
                requests[row["request_id"]] = _request(row)
        except (ValueError, InvalidOperation) as error:
            raise UnreadableLog(f"Record {number} of {path} cannot be read: {error}.") from None
        if number % BATCH == 0:
            progress(number)
    for request_id, difference in corrected.items():
        if (one := requests.get(request_id)) is not None:
            requests[request_id] = replace(one, worth_nano_usd=one.worth_nano_usd + difference)
    return [*requests.values()]


def _request(row: Row) -> PastRequest:
    return PastRequest(
        at=datetime.fromisoformat(row["at"]).timestamp(),
        cache_key=row["cache_key"] or None,
        key_id=row["key_id"],
        user=row["user"] or None,
        status=row["status"],
        cache=row["cache"],
        streamed=bool(row["stream_id"]),
        output_tokens=int(row["output_tokens"]),
        worth_nano_usd=_nano(row["cost_usd"]) + _nano(row["saved_usd"]),
        duration_s=float(row["duration_ms"] or 0) / 1000,
    )


def _nano(usd: str) -> int:
    return nano_usd(Decimal(usd))


def _csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, restval="")
        try:
            _check(path, reader.fieldnames or ())
            yield from reader
        except (csv.Error, UnicodeDecodeError) as error:
            raise UnreadableLog(f"{path} is no CSV of `usage export`: {error}.") from None


def _parquet(path: Path) -> Iterator[Row]:
    """The columns as texts, as CSV has them; nothing is loaded from a network."""
    if find_spec("duckdb") is None:
        raise UnreadableLog("Parquet needs the package duckdb: install llm-service[analytics], or export as csv.")
    import duckdb

    path.open("rb").close()  # a file that is not there is told as every other
    bounds: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(":memory:", config=bounds) as connection:
        try:
            _check(path, connection.read_parquet(str(path)).columns)
            asked = ", ".join(_AT if name == "at" else f"coalesce(CAST(\"{name}\" AS VARCHAR), '')" for name in COLUMNS)
            found = connection.execute(f"SELECT {asked} FROM read_parquet(?)", [str(path)])  # noqa: S608 - names of ours
            while batch := found.fetchmany(BATCH):
                for values in batch:
                    yield dict(zip(COLUMNS, values, strict=True))
        except duckdb.Error as error:
            raise UnreadableLog(f"{path} is no Parquet of `usage export`: {error}.") from None


_AT: Final = """strftime(make_timestamp(epoch_us("at")), '%Y-%m-%dT%H:%M:%S.%f+00:00')"""


def _check(path: Path, columns: Any) -> None:
    if missing := [name for name in COLUMNS if name not in columns]:
        said = f"{path} has no column {missing[0]}: it must be a file of `usage export`, by a service of this version."
        raise UnreadableLog(said)
