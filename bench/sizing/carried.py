"""What one core of each sort carries, by what requests take, and what a million requests leave."""

from collections.abc import Iterator
from typing import NamedTuple

from bench.sizing.plan import BUSY, Load, Target
from bench.sizing.serving import Sizes


class Carried(NamedTuple):
    """``amount`` of each a second, or streams at a time."""

    what: str
    amount: str


def carried(sizes: Sizes) -> Iterator[Carried]:
    """By one worker on a core of its own, and by one Valkey, each as busy as it should be at most."""
    worker_us, valkey_us = Load.of(sizes, Target(requests_per_s=0, streams=0, hits=0, chunks_per_s=0)).of_chunk
    yield Carried("one worker: misses a second", whole(sizes.miss.service_us))
    yield Carried("one worker: hits a second", whole(sizes.hit.service_us))
    yield Carried("one worker: chunks of streams a second", whole(worker_us))
    for pace in (10, 20, 50):
        yield Carried(f"one worker: streams of {pace} chunks a second", whole(worker_us * pace))
    yield Carried("one Valkey: admissions a second, if it does nothing else", whole(sizes.admission_us))
    yield Carried("one Valkey: misses a second", whole(sizes.miss.valkey_us))
    yield Carried("one Valkey: hits a second", whole(sizes.hit.valkey_us))
    yield Carried("one Valkey: chunks of streams a second", whole(valkey_us))
    yield Carried("one core of PostgreSQL: records a second", whole(sizes.miss.postgres_us))


def left(sizes: Sizes) -> Iterator[Carried]:
    """By a million misses, in MB."""
    for where, each in (
        ("PostgreSQL: tables and indexes", sizes.miss.database_bytes),
        ("PostgreSQL: write-ahead log", sizes.miss.wal_bytes),
        ("access log", sizes.miss.log_bytes),
        ("journals, while the database is away", sizes.journal_bytes),
    ):
        yield Carried(where, f"{each:,.0f}")  # bytes of each are megabytes of a million


def whole(each_us: float) -> str:
    return f"{BUSY * 1e6 / each_us:,.0f}"
