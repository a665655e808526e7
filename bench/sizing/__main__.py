"""The command; see bench/size."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.measuring.tables import figure, table
from bench.sizing.carried import carried, left
from bench.sizing.growth import growth
from bench.sizing.plan import BUSY, Target, needs
from bench.sizing.serving import CHUNKS, RATE_PER_S, Sizes, measure


def shown(sizes: Sizes) -> str:
    """The tables."""
    loads = {"a miss": sizes.miss, "a hit": sizes.hit, f"a stream of {CHUNKS} chunks": sizes.stream}
    rows = [
        (title, *(figure(getattr(load, name), digits) for load in loads.values()))
        for title, name, digits in (
            ("requests", "requests", 0),
            ("a second", "per_s", 0),
            ("service, CPU µs", "service_us", 0),
            ("Valkey, CPU µs", "valkey_us", 0),
            ("PostgreSQL, CPU µs", "postgres_us", 0),
            ("commands of Valkey", "valkey_commands", 2),
            ("bytes to Valkey", "valkey_in_bytes", 0),
            ("bytes from Valkey", "valkey_out_bytes", 0),
            ("bytes of log", "log_bytes", 0),
            ("bytes of database", "database_bytes", 0),
            ("bytes of its write-ahead log", "wal_bytes", 0),
        )
    ]
    more = [
        *(
            (f"{name} at {RATE_PER_S} requests a second, p50 and p99, ms", f"{of.p50_ms:.2f}, {of.p99_ms:.2f}")
            for name, of in (
                ("a miss", sizes.miss_latency),
                ("a hit", sizes.hit_latency),
                ("the upstream alone", sizes.upstream_latency),
            )
        ),
        ("bytes of journal that a request leaves while the database is away", figure(sizes.journal_bytes)),
        ("memory of the service, idle, MB", figure(sizes.idle_mb)),
        ("memory of the service after these loads, MB", figure(sizes.loaded_mb)),
        ("admissions with their settlements that one Valkey takes a second", figure(sizes.admissions_per_s)),
        ("its CPU for one, µs", figure(sizes.admission_us, 1)),
    ]
    return f"{table(['what one takes', *loads], rows)}\n\n{table(['what', 'measured'], more)}"


def reckoned(sizes: Sizes, target: Target) -> str:
    """The tables of what follows."""
    carries = table([f"{BUSY:.0%} of a core", "carries"], carried(sizes))
    leaves = table(["a million misses leave", "MB"], left(sizes))
    return "\n\n".join([carries, leaves, table(["what", "needed", "since"], needs(sizes, target))])


def main(given: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench/size", description="What requests take, and what a load needs.")
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure", help="measure on this machine: one worker, a Valkey, a PostgreSQL")
    measuring.add_argument("--seconds", type=float, default=4.0, help="of each load")
    measuring.add_argument("--json", type=Path, help="keep the figures in this file")
    planning = commands.add_parser("plan", help="reckon what a load needs, by figures that were kept")
    planning.add_argument("file", type=Path)
    planning.add_argument("--requests", type=float, default=10_000, help="a second, whole answers")
    planning.add_argument("--streams", type=int, default=100_000, help="open at a time")
    planning.add_argument("--hits", type=float, default=0.8, help="share of the requests that the cache answers")
    planning.add_argument("--chunks-per-s", type=float, default=20, help="of each stream")
    growing = commands.add_parser("growth", help="whether memory grows with requests: loads, round after round")
    growing.add_argument("--rounds", type=int, default=20)
    growing.add_argument("--seconds", type=float, default=4.0, help="of each load")
    wanted = parser.parse_args(given)
    if wanted.command == "growth":
        for requests, memory_mb in growth(rounds=wanted.rounds, seconds=wanted.seconds):
            print(f"{requests:,} requests: {memory_mb:.1f} MB", flush=True)
        return 0
    if wanted.command == "measure":
        sizes = measure(seconds=wanted.seconds)
        if wanted.json:
            wanted.json.write_text(json.dumps(sizes.as_object(), indent=1) + "\n", encoding="utf-8")
        print(shown(sizes))
        return 0
    target = Target(
        requests_per_s=wanted.requests, streams=wanted.streams, hits=wanted.hits, chunks_per_s=wanted.chunks_per_s
    )
    sizes = Sizes.of(json.loads(wanted.file.read_text(encoding="utf-8")))
    print(reckoned(sizes, target))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
