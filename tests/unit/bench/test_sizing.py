"""What a load needs follows from what a request takes; the scripts that are counted are those of the service."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bench.sizing.__main__ import reckoned, shown
from bench.sizing.plan import Need, Target, needs
from bench.sizing.scripts_a_second import ceiling
from bench.sizing.serving import CHUNKS, Latency, Sizes, Spent

from tests.support.valkey import Server

CHECKOUT = Path(__file__).parents[3]
MISS = Spent(
    requests=1000,
    per_s=500.0,
    service_us=600.0,
    valkey_us=200.0,
    postgres_us=50.0,
    valkey_commands=60.0,
    valkey_in_bytes=5000.0,
    valkey_out_bytes=500.0,
    log_bytes=400.0,
    database_bytes=800.0,
    wal_bytes=1200.0,
)
SIZES = Sizes(
    miss=MISS,
    hit=replace(MISS, service_us=300.0, valkey_us=100.0, valkey_in_bytes=2500.0),
    stream=replace(MISS, service_us=600.0 + 40 * CHUNKS, valkey_us=200.0 + 10 * CHUNKS),
    miss_latency=Latency(p50_ms=1.0, p99_ms=4.0),
    hit_latency=Latency(p50_ms=0.5, p99_ms=2.0),
    upstream_latency=Latency(p50_ms=0.1, p99_ms=0.2),
    journal_bytes=1500.0,
    idle_mb=50.0,
    loaded_mb=64.0,
    admissions_per_s=12_000.0,
    admission_us=83.0,
)


def planned(target: Target) -> dict[str, Need]:
    return {need.what: need for need in needs(SIZES, target)}


def test_whole_answers_need_what_misses_and_hits_take() -> None:
    found = planned(Target(requests_per_s=1_000, streams=0, hits=0.5, chunks_per_s=20))
    assert found["processors busy with requests"].amount == "0.5"  # 500 of 600 µs, 500 of 300 µs
    assert found["processors busy with chunks"].amount == "0.0"
    assert found["workers, one for each processor"].amount == "1"
    assert found["Valkey, of the one core that it uses"].amount == "15%"
    assert found["cells, each with a Valkey of its own"].amount == "1"
    assert found["log, GB a day"].amount == "35"


def test_streams_need_what_their_chunks_take_and_begin_as_misses() -> None:
    found = planned(Target(requests_per_s=0, streams=30_000, hits=0, chunks_per_s=10, stream_s=30))
    assert found["processors busy with requests"].amount == "0.6"  # a thousand begin each second
    assert found["processors busy with chunks"].amount == "12.0"
    assert found["workers, one for each processor"].amount == "21"
    assert found["Valkey, of the one core that it uses"].amount == "320%"
    assert found["cells, each with a Valkey of its own"].amount == "6"
    assert found["file descriptors of all workers"].amount == "60,000"


def test_figures_that_were_kept_are_the_same_again() -> None:
    assert Sizes.of(SIZES.as_object()) == SIZES
    assert "| service, CPU µs | 600 | 300 | 2,600 |" in shown(SIZES)
    assert "| a hit at 200 requests a second, p50 and p99, ms | 0.50, 2.00 |" in shown(SIZES)


def test_the_scripts_of_admissions_are_taken_by_a_real_server(valkey: Server) -> None:
    found = ceiling(valkey, count=2_000)
    assert 0 < found.server_busy <= 1.1
    assert found.per_s == pytest.approx(1e6 / found.server_us)
    life = valkey.ask("KEYS", "bench:{adm}:*")
    assert any(b":m:key:money" in name for name in life)


def test_the_capacity_page_has_the_tables_of_the_figures_that_are_kept() -> None:
    sizes = Sizes.of(json.loads((CHECKOUT / "bench" / "sizing" / "measured.json").read_text(encoding="utf-8")))
    page = (CHECKOUT / "docs" / "operations" / "capacity.md").read_text(encoding="utf-8")
    target = Target(requests_per_s=10_000, streams=100_000, hits=0.8, chunks_per_s=20)
    tables = f"{shown(sizes)}\n\n{reckoned(sizes, target)}".split("\n\n")
    assert [table for table in tables if table not in page] == []
