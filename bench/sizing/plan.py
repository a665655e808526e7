"""What a load needs, reckoned from what one request takes: processors, memory, stores, network, disk."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from bench.sizing.serving import CHUNKS, Sizes, Spent

from llm_service.storage.open import CONNECTIONS

BUSY: Final = 0.6
"""How much of a processor may be spent where bursts shall not wait."""
DAY_S: Final = 86_400
HOUR_S: Final = 3_600
GB: Final = 1e9
MBIT: Final = 8 / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """``streams`` are open at a time, each with so many chunks a second, and last so many seconds each."""

    requests_per_s: float
    streams: int
    hits: float
    chunks_per_s: float
    stream_s: float = 30.0
    stream_kb: float = 40.0
    """Memory of an open stream, from `scripts/stress-memory streams`."""
    request_bytes: float = 2_048.0
    """On the wire, request and answer, on each side."""
    chunk_bytes: float = 250.0


class Need(NamedTuple):
    what: str
    amount: str
    by: str
    """How it follows from what is measured."""


def needs(sizes: Sizes, target: Target) -> Iterator[Need]:
    """Each with its reckoning."""
    load = Load.of(sizes, target)
    yield from _processors(sizes, target, load)
    yield from _stores(sizes, load)
    yield from _disks(sizes, load)
    yield from _network(sizes, target, load)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What comes a second. A stream begins and ends as a miss does; ``of_chunk``: what a chunk takes beside that, in µs
    of the service and of Valkey.
    """

    misses: float
    hits: float
    chunks: float
    of_chunk: tuple[float, float]

    @classmethod
    def of(cls, sizes: Sizes, target: Target) -> "Load":
        miss, stream = sizes.miss, sizes.stream
        return cls(
            misses=target.requests_per_s * (1 - target.hits) + target.streams / target.stream_s,
            hits=target.requests_per_s * target.hits,
            chunks=target.streams * target.chunks_per_s,
            of_chunk=(
                (stream.service_us - miss.service_us) / CHUNKS,
                (stream.valkey_us - miss.valkey_us) / CHUNKS,
            ),
        )

    def busy(self, *, miss_us: float, hit_us: float, chunk_us: float) -> float:
        """Processors, by what each takes."""
        return (self.misses * miss_us + self.hits * hit_us + self.chunks * chunk_us) / 1e6


def _processors(sizes: Sizes, target: Target, load: Load) -> Iterator[Need]:
    miss_us, hit_us, chunk_us = sizes.miss.service_us, sizes.hit.service_us, load.of_chunk[0]
    requests = load.busy(miss_us=miss_us, hit_us=hit_us, chunk_us=0)
    chunks = load.busy(miss_us=0, hit_us=0, chunk_us=chunk_us)
    workers = math.ceil((requests + chunks) / BUSY)
    yield Need(
        "processors busy with requests",
        f"{requests:.1f}",
        f"{load.misses:,.0f} misses of {miss_us:.0f} µs, {load.hits:,.0f} hits of {hit_us:.0f} µs",
    )
    yield Need("processors busy with chunks", f"{chunks:.1f}", f"{load.chunks:,.0f} of {chunk_us:.0f} µs")
    yield Need("workers, one for each processor", f"{workers}", f"both, with processors {BUSY:.0%} busy")
    yield Need("connections to PostgreSQL at most", f"{workers * CONNECTIONS:,}", f"{CONNECTIONS} of each worker")
    memory_gb = (workers * sizes.loaded_mb + target.streams * target.stream_kb / 1024) / 1024
    yield Need(
        "memory of all workers, GB",
        f"{memory_gb:.1f}",
        f"{sizes.loaded_mb:.0f} MB a worker and {target.stream_kb:.0f} KB a stream",
    )


def _stores(sizes: Sizes, load: Load) -> Iterator[Need]:
    miss_us, hit_us, chunk_us = sizes.miss.valkey_us, sizes.hit.valkey_us, load.of_chunk[1]
    busy = load.busy(miss_us=miss_us, hit_us=hit_us, chunk_us=chunk_us)
    yield Need(
        "Valkey, of the one core that it uses",
        f"{busy:.0%}",
        f"{miss_us:.0f} µs a miss, {hit_us:.0f} µs a hit, {chunk_us:.1f} µs a chunk",
    )
    yield Need("cells, each with a Valkey of its own", f"{math.ceil(busy / BUSY)}", f"that core {BUSY:.0%} busy")
    rows = load.misses + load.hits
    cores = load.busy(miss_us=sizes.miss.postgres_us, hit_us=sizes.hit.postgres_us, chunk_us=0)
    yield Need(
        "PostgreSQL: processors busy",
        f"{cores:.1f}",
        f"{rows:,.0f} records a second; {sizes.miss.postgres_us:.0f} µs a miss, {sizes.hit.postgres_us:.0f} µs a hit",
    )


def _disks(sizes: Sizes, load: Load) -> Iterator[Need]:
    requests = load.misses + load.hits
    for what, each, seconds in (
        ("database, GB a day", sizes.miss.database_bytes, DAY_S),
        ("its write-ahead log, GB a day", sizes.miss.wal_bytes, DAY_S),
        ("log, GB a day", sizes.miss.log_bytes, DAY_S),
        ("journals that wait, GB an hour without the database", sizes.journal_bytes, HOUR_S),
    ):
        yield Need(what, f"{requests * each * seconds / GB:,.0f}", f"{each:,.0f} bytes a request")


def _network(sizes: Sizes, target: Target, load: Load) -> Iterator[Need]:
    of_chunks = load.chunks * target.chunk_bytes
    to_clients = (load.misses + load.hits) * target.request_bytes + of_chunks
    to_providers = load.misses * target.request_bytes + of_chunks
    yield Need(
        "network to clients and to providers, Mbit/s",
        f"{to_clients * MBIT:,.0f} and {to_providers * MBIT:,.0f}",
        f"{target.request_bytes:,.0f} bytes a request, {target.chunk_bytes:.0f} a chunk: assumed",
    )
    miss, hit = (both_ways(spent) for spent in (sizes.miss, sizes.hit))
    chunk = (both_ways(sizes.stream) - miss) / CHUNKS
    yield Need(
        "network to all Valkeys, Mbit/s",
        f"{(load.misses * miss + load.hits * hit + load.chunks * chunk) * MBIT:,.0f}",
        f"{miss:,.0f} bytes a miss, {hit:,.0f} a hit, {chunk:,.0f} a chunk",
    )
    yield Need("file descriptors of all workers", f"{2 * target.streams:,}", "two a stream: its client, its provider")


def both_ways(spent: Spent) -> float:
    return spent.valkey_in_bytes + spent.valkey_out_bytes
