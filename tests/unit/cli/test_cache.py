"""``cache``: statistics and purges of a running service, and the simulation of others."""

import asyncio
import io
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import orjson
import pytest
from typer.testing import Result

from llm_service.cli import cache
from llm_service.cli.simulate import seconds_text, size_text
from llm_service.domain import UsageRecord
from llm_service.services import CACHE_STATUSES
from tests.support.records import NOON, record
from tests.unit.cli.conftest import Command
from tests.unit.cli.test_client import ERROR, Scripted, http, scripted
from tests.unit.cli.test_usage import written

FIGURES = {
    "requests": 10, "hits": 6, "hit_ratio": 0.75, "saved_usd": "1.5",
    "by_status": dict.fromkeys(CACHE_STATUSES, 0) | {"hit": 5, "coalesced": 1, "miss": 2, "bypass": 2},
}  # fmt: skip
STATS = {
    "store": {"entries": 3, "bytes": 512, "max_bytes": 1024, "evictions": 1, "too_large": 2},
    "reach": "machine", "since": "2026-11-25T00:00:00Z", "until": None, "by": ["model"], "total": FIGURES,
    "data": [{"model": "fast", **FIGURES}],
}  # fmt: skip


async def ask(command: Command, server: Scripted, *arguments: str) -> Result:
    """A command under ``cache`` beside the loop that serves it."""
    return await asyncio.to_thread(command, "cache", *arguments, "--url", server.address)


# -- statistics


async def test_statistics_are_a_table_with_a_total(command: Command) -> None:
    async with scripted(lambda _: http(orjson.dumps(STATS))) as server:
        for_people = await ask(command, server, "stats", "--by", "model", "--since", "2026-11-25")
        for_programs = await ask(command, server, "stats", "--json")
    assert server.requests[0].startswith(b"GET /admin/cache?since=2026-11-25&by=model HTTP/1.1")
    head, row, total, period, store = for_people.stdout.splitlines()
    assert head.split() == ["model", *cache.COLUMNS]
    assert row.split() == ["fast", "10", "6", "75.0%", "0", "1", "0", "2", "2", "0", "1.5"]
    assert total.split()[0] == "total"
    assert period == "From 2026-11-25T00:00:00Z to now, by the records of the requests."
    assert "one machine: 3 answers, 512 of 1024 bytes (50.0%)" in store
    assert orjson.loads(for_programs.stdout) == STATS


async def test_what_the_semantic_cache_does_is_said(command: Command) -> None:
    semantic = {"mode": "shadow", "searched": 9, "alike": 5, "guarded": 2, "would_be": 3, "judged": 3, "false_hits": 1}
    stats = STATS | {"semantic": semantic | {"false_hit_ratio": 0.333333}}
    async with scripted(lambda _: http(orjson.dumps(stats))) as server:
        told = await ask(command, server, "stats")
    assert told.stdout.splitlines()[-1] == (
        "By likeness (shadow, this process): of 9 questions 5 had one like them, the guard refused 2, 3 would have "
        "been given; 3 were judged, 1 of them false (33.3%)."
    )


async def test_a_store_that_is_away_is_said(command: Command) -> None:
    stats = STATS | {"store": None, "by": [], "data": []}
    async with scripted(lambda _: http(orjson.dumps(stats))) as server:
        told = await ask(command, server, "stats")
    assert "its shared store does not answer now" in told.stdout
    assert told.stdout.splitlines()[1].split()[0] == "10"


@pytest.mark.parametrize("arguments", [("stats",), ("purge", "--model", "m")])
async def test_what_the_service_refuses_is_said(command: Command, arguments: Sequence[str]) -> None:
    async with scripted(lambda _: http(ERROR, 503)) as server:
        failed = await ask(command, server, *arguments)
    assert (failed.exit_code, failed.stderr) == (1, "overloaded: Not now. (request req_1)\n")


# -- purges

PURGED = http(b'{"purged": 3}')


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        (("--model", "a/b"), b"model=a/b"),
        (("--key-id", "key_1", "--older-than", "60"), b"key_id=key_1&older_than_s=60"),
        (("--user", "ann"), b"user=ann"),
        (("--tag", "team=x"), b"tag=team%3Dx"),
        (("--digest", "ab" * 32), b"digest=" + b"ab" * 32),
        (("--all",), b"all=true"),
    ],
)
async def test_a_purge_is_asked_of_the_service(command: Command, arguments: Sequence[str], query: bytes) -> None:
    async with scripted(lambda _: PURGED) as server:
        done = await ask(command, server, "purge", *arguments)
        as_data = await ask(command, server, "purge", *arguments, "--json")
    assert server.requests[0].startswith(b"DELETE /admin/cache?" + query + b" HTTP/1.1")
    assert (done.exit_code, done.stdout) == (0, "3 answers purged.\n")
    assert orjson.loads(as_data.stdout) == {"purged": 3}


@pytest.mark.parametrize("arguments", [(), ("--older-than", "60"), ("--all", "--model", "m")])
def test_a_purge_of_nothing_certain_is_not_asked_for(command: Command, arguments: Sequence[str]) -> None:
    refused = command("cache", "purge", *arguments, "--url", "http://127.0.0.1:1")
    assert (refused.exit_code, "Say what to purge" in refused.stderr) == (2, True)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "certain", "asked"), [("y\n", False, 1), ("\n", False, 0), ("", False, 0), ("n\n", True, 1)]
)
async def test_on_a_terminal_all_goes_after_a_yes_alone(
    typed: str, certain: bool, asked: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    wanted = {"all": "true"}
    async with scripted(lambda _: PURGED) as server:
        code = await asyncio.to_thread(
            cache.purge, server.address, key=None, wanted=wanted, certain=certain, as_json=False
        )
    assert (code, len(server.requests)) == (0 if asked else 2, asked)
    assert ("[y/N]" in capsys.readouterr().err) != certain


# -- simulation


def asked(number: int, seconds: float, cache_key: str | None = "ab" * 16, **given: Any) -> UsageRecord:
    fields = {"cache": "miss", "duration_ms": 1000.0, "nano_usd": 1_000_000, **given}
    return record(f"req_{number}", at=NOON + timedelta(seconds=seconds), cache_key=cache_key, **fields)


RECORDS = [
    asked(1, 0, stream_id="str_1"),
    asked(2, 0.5, cache="coalesced", nano_usd=0, saved_nano_usd=1_000_000, cost_source="none"),
    asked(3, 30, cache="hit", nano_usd=0, saved_nano_usd=1_000_000, cost_source="none"),
    asked(4, 200),
    asked(5, 201, None, cache="bypass"),
    record("req_1.billed", at=NOON, nano_usd=-400_000, input_tokens=0, output_tokens=0, adjusts="req_1"),
]


def exported(command: Command, folder: Path, form: str, records: Sequence[UsageRecord] = RECORDS) -> str:
    """The file that a service with these records exports."""
    written(folder / "data" / "sandbox", records)
    name = f"usage.{form}"
    done = command("usage", "export", "--out", name, "--format", form, "--data-dir", "data")
    assert done.exit_code == 0, done.output
    return name


def simulated(command: Command, log: str, *options: str) -> dict[str, Any]:
    done = command("cache", "simulate", "--log", log, "--json", *options)
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    shown: dict[str, Any] = orjson.loads(done.stdout)
    return shown


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_export_is_played_through_a_grid(command: Command, tmp_path: Path, form: str) -> None:
    shown = simulated(command, exported(command, tmp_path, form))
    assert shown["log"] == {
        "requests": 5, "lookups": 4, "since": "2026-11-25T12:00:00Z", "until": "2026-11-25T12:03:21Z", "scope": "key",
        "hit_ratio": 0.5, "saved_usd": "0.002",
    }  # fmt: skip
    assert [(one["max_bytes"], one["ttl_s"]) for one in shown["trials"]] == [
        (size, ttl_s) for size in (16 * 2**20, 256 * 2**20) for ttl_s in (60, 600, 3600, 86400)
    ]
    short, long = shown["trials"][:2]
    assert (short["hit_ratio"], short["coalesced_ratio"], short["saved_usd"]) == (0.5, 0.25, "0.0012")
    assert (long["hit_ratio"], long["saved_usd"], long["peak_entries"]) == (0.75, "0.0018", 1)


def test_the_settings_to_try_can_be_named(command: Command, tmp_path: Path) -> None:
    log = exported(command, tmp_path, "csv")
    options = ("--ttl", "60", "--ttl", "7.5", "--max-bytes", "5000", "--scope", "key", "--scope", "global")
    shown = simulated(command, log, *options, "--no-coalescing")
    assert [(one["scope"], one["ttl_s"], one["max_bytes"], one["coalescing"]) for one in shown["trials"]] == [
        (scope, ttl_s, 5000, False) for scope in ("key", "global") for ttl_s in (60, 7.5)
    ]
    assert {one["coalesced_ratio"] for one in shown["trials"]} == {0}
    assert [one["at_least"] for one in shown["trials"]] == [False, False, True, True]
    assert "cache_key holds the tenant" in shown["notes"][1]


def test_a_log_that_all_shared_tells_every_scope_but_that_of_users(command: Command, tmp_path: Path) -> None:
    shown = simulated(command, exported(command, tmp_path, "csv"), "--recorded-scope", "global", "--ttl", "60")
    assert {(one["scope"], one["at_least"]) for one in shown["trials"]} == {
        ("key", False),
        ("global", False),
    }


def test_people_see_a_table_that_says_what_it_cannot_tell(command: Command, tmp_path: Path) -> None:
    log = exported(command, tmp_path, "csv")
    shown = command("cache", "simulate", "--log", log, "--scope", "global", "--ttl", "60", "--max-bytes", "1048576")
    assert shown.exit_code == 0
    _, at_the_time, _, head, row, *_, notes = shown.stdout.splitlines()
    assert at_the_time == "At the time: hit ratio 50.0%, 0.002 USD saved."
    assert head.split()[:4] == ["scope", "max_bytes", "ttl", "hit_ratio"]
    assert row.split()[:9] == ["global", "1", "MiB", "1", "min", ">=", "50.0%", "25.0%", ">="]
    assert ">=" in notes


def test_the_ratios_are_drawn(command: Command, tmp_path: Path) -> None:
    simulated(command, exported(command, tmp_path, "csv"), "--plot", "ratios.svg")
    drawn = ET.fromstring((tmp_path / "ratios.svg").read_text())
    texts = {element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert texts >= {"1 min", "10 min", "1 h", "1 d", "100%", "key, 16 MiB"}
    lines = [element.attrib["points"].split() for element in drawn.iter("{http://www.w3.org/2000/svg}polyline")]
    assert [len(points) for points in lines] == [4, 4]
    heights = [float(point.partition(",")[2]) for point in lines[0]]
    assert heights == sorted(heights, reverse=True)  # downwards on the page is less


def test_a_log_without_anything_cacheable_says_so(command: Command, tmp_path: Path) -> None:
    log = exported(command, tmp_path, "csv", [asked(1, 0, None, cache="bypass")])
    shown = command("cache", "simulate", "--log", log)
    assert (shown.exit_code, "No record of this log could be answered" in shown.stdout) == (0, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--log", "nowhere.csv"), "nowhere.csv: No such file or directory."),
        (("--log", "nowhere.parquet"), "nowhere.parquet: No such file or directory."),
        (("--log", "other.csv"), "other.csv has no column request_id"),
        (("--log", "other.parquet"), "no Parquet of `usage export`"),
        (("--log", "bytes.csv"), "no CSV of `usage export`"),
        (("--log", "broken.csv"), " of broken.csv cannot be read: "),
        (("--log", "usage.csv", "--ttl", "0"), "--ttl must be"),
        (("--log", "usage.csv", "--ttl", "nan"), "--ttl must be"),
        (("--log", "usage.csv", "--max-bytes", "0"), "--max-bytes must be"),
        (("--log", "usage.csv", "--scope", "team"), "--scope must be one of"),
        (("--log", "usage.csv", "--recorded-scope", "team"), "--recorded-scope must be one of"),
        (("--log", "usage.csv", "--plot", "no/such/folder.svg"), "no/such/folder.svg: No such file"),
    ],
)
def test_what_cannot_be_done_is_said(command: Command, tmp_path: Path, options: Sequence[str], said: str) -> None:
    log = (tmp_path / exported(command, tmp_path, "csv")).read_text()
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "other.parquet").write_text("a,b\n1,2\n")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\n")
    (tmp_path / "broken.csv").write_text(log.replace("2026-11-25T12:", "noon"))
    refused = command("cache", "simulate", *options)
    assert (refused.exit_code, said in refused.stderr) == (2, True), refused.stderr
    assert orjson.loads(command("cache", "simulate", *options, "--json").stdout)["ok"] is False


def test_times_and_sizes_are_read_at_a_glance() -> None:
    assert [seconds_text(seconds) for seconds in (7.5, 60, 90, 600, 3600, 7200, 86400, 172800)] == [
        "7.5 s", "1 min", "90 s", "10 min", "1 h", "2 h", "1 d", "2 d",
    ]  # fmt: skip
    assert [size_text(size) for size in (1000, 2048, 16 * 2**20, 2**30)] == ["1000 B", "2 KiB", "16 MiB", "1 GiB"]
