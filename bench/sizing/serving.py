"""The service on a Valkey and a PostgreSQL of its own, under a load: what each of the three spends on a request."""

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.measuring import our_service
from bench.measuring.processes import (
    Cpu,
    ask,
    cpu_of_tree,
    free_port,
    memory_mb_of_tree,
    processors,
    run_load,
    started,
    until_well,
)
from bench.sizing.scripts_a_second import ceiling
from bench.traffic.made import program

from tests.support.postgres import PostgresServer
from tests.support.valkey import Server, free_ports

CHUNKS: Final = 50
STREAMS: Final = 100
RATE_PER_S: Final = 200
"""At which latencies are looked at: much less than one worker can do."""
HASH_KEY: Final = "0123456789abcdef-example-of-a-bench"
STARTS_WITHIN_S: Final = 60.0
SHIPPED_WITHIN_S: Final = 60.0
LOADS: Final[Mapping[str, Mapping[str, Any]]] = {
    "miss": {},
    "hit": {"same": 1},
    "stream": {"connections": STREAMS, "chunks": CHUNKS, "gap_ms": 20},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What one request takes: CPU in µs; bytes to and from Valkey; bytes of log, database and write-ahead log."""

    requests: int
    per_s: float
    service_us: float
    valkey_us: float
    postgres_us: float
    valkey_commands: float
    valkey_in_bytes: float
    valkey_out_bytes: float
    log_bytes: float
    database_bytes: float
    wal_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Of requests that come at a steady rate, counted from when each was due."""

    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """All that is measured; see `bench/README.md`."""

    miss: Spent
    hit: Spent
    stream: Spent
    miss_latency: Latency
    hit_latency: Latency
    upstream_latency: Latency
    """Of the same requests without the service."""
    journal_bytes: float
    """What waits on the disk for each request while the database is away."""
    idle_mb: float
    loaded_mb: float
    admissions_per_s: float
    """That one core of Valkey takes, if it does nothing else."""
    admission_us: float

    def as_object(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Sizes":
        """What ``as_object`` gave."""
        loads = {name: Spent(**told[name]) for name in LOADS}
        latencies = {name: Latency(**told[name]) for name in ("miss_latency", "hit_latency", "upstream_latency")}
        return cls(**{**told, **loads, **latencies})


class Measured:
    """The running three, and what they have spent so far."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        folder: Path,
        valkey: Server,
        postgres: PostgresServer,
        *,
        port: int,
        upstream_port: int,
        database: str,
    ) -> None:
        self.process, self.folder = process, folder
        self.port, self.upstream_port = port, upstream_port
        self.database = database
        self.valkey, self.postgres = valkey, postgres
        self.key = our_service.issue_key(port)
        until_well(self.is_known, process, within_s=STARTS_WITHIN_S)

    def is_known(self) -> bool:
        """Whether a request of the key is served: the first one asks the database for it."""
        body = json.dumps({"model": our_service.MODEL, "messages": [{"role": "user", "content": "Hello."}]}).encode()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        return ask(self.port, "/v1/chat/completions", body=body, headers=headers)[0] == 200

    def snapshot(self) -> dict[str, float]:
        """Everything that grows with requests."""
        counted = self._postgres(
            "SELECT pg_database_size(current_database()) AS size, pg_current_wal_lsn() - '0/0' AS wal"
        )
        return {
            "service_us": micros(cpu_of_tree(self.process.pid)),
            "valkey_us": micros(cpu_of_tree(self.valkey_pid)),
            "postgres_us": micros(cpu_of_tree(self.postgres.pid)),
            "valkey_commands": float(self.valkey.info("total_commands_processed")),
            "valkey_in_bytes": float(self.valkey.info("total_net_input_bytes")),
            "valkey_out_bytes": float(self.valkey.info("total_net_output_bytes")),
            "log_bytes": float((self.folder / "log").stat().st_size),
            "database_bytes": float(counted["size"]),
            "wal_bytes": float(counted["wal"]),
        }

    @property
    def valkey_pid(self) -> int:
        if self.valkey.process is None:
            raise RuntimeError("Valkey does not run")
        return self.valkey.process.pid

    def spent(self, name: str, *, seconds: float, cpu: int | None) -> Spent:
        """By one request of a load. Raises RuntimeError where an answer is not as it should be."""
        self.send(name, min(1.0, seconds), cpu=cpu)
        before = self.snapshot()
        result = self.send(name, seconds, cpu=cpu)
        after, count = self.snapshot(), result["ok"]
        each = {what: max(0.0, value - before[what]) / count for what, value in after.items()}
        return Spent(requests=count, per_s=count / result["seconds"], **each)

    def send(self, name: str, seconds: float, *, cpu: int | None) -> dict[str, Any]:
        load = program("load")
        result = run_load(
            load, cpu=cpu, port=self.port, key=self.key, model=our_service.MODEL, seconds=seconds, **LOADS[name]
        )
        if result["errors"] or not result["ok"]:
            raise RuntimeError(f"{name}: {result['errors']} wrong answers, {result['problems']}: {result['example']}")
        self.until_shipped()
        return result

    def latency(self, *, seconds: float, cpu: int | None, port: int | None = None, same: bool = False) -> Latency:
        """At ``RATE_PER_S``; of the service, or of who is at another port."""
        result = run_load(
            program("load"),
            cpu=cpu,
            port=port or self.port,
            key=self.key,
            model=our_service.MODEL,
            seconds=seconds,
            rate=RATE_PER_S,
            same=same,
        )
        if result["errors"]:
            raise RuntimeError(f"{result['errors']} wrong answers, {result['problems']}: {result['example']}")
        told = result["latency_us"]
        return Latency(p50_ms=told["p50"] / 1e3, p99_ms=told["p99"] / 1e3)

    def journal_bytes(self, *, seconds: float, cpu: int | None) -> float:
        """What a request leaves on the disk while PostgreSQL answers nobody."""
        folder = self.folder / "data" / "journal"
        self.postgres.freeze()
        before = size_of(folder)  # not earlier: what was shipped before goes by and by
        try:
            result = run_load(
                program("load"), cpu=cpu, port=self.port, key=self.key, model=our_service.MODEL, seconds=seconds
            )
            grown = size_of(folder) - before
        finally:
            self.postgres.thaw()
        self.until_shipped()
        return float(grown / result["ok"])

    def until_shipped(self) -> None:
        """Until every record is in the database, and time has passed for what follows it."""
        begun = time.monotonic()
        headers = {"Authorization": f"Bearer {our_service.ADMIN_KEY}"}
        while True:
            told = json.loads(ask(self.port, "/health", headers=headers)[1])
            if not told["stores"]["ledger"]["unshipped_records"]:
                break
            if time.monotonic() - begun > SHIPPED_WITHIN_S:
                raise RuntimeError("records do not reach the database")
            time.sleep(0.05)
        time.sleep(0.5)

    def _postgres(self, statement: str) -> Any:
        return asyncio.run(self.postgres.run(statement, database=self.database))[0]


@contextmanager
def measured(*, cpus: tuple[int | None, int | None], **more: Any) -> Iterator[Measured]:
    """One worker on one processor; all else on the other, where there are two. ``more``: further settings."""
    own_cpu, other_cpu = cpus
    upstream_port, port = free_port(), free_port()
    with TemporaryDirectory(prefix="bench-") as name, servers(Path(name)) as (valkey, postgres):
        folder = Path(name)
        database_url = asyncio.run(postgres.new_database())
        store = {"redis_url": valkey.url, "database_url": database_url}
        auth = {"admin_key": our_service.ADMIN_KEY, "hash_key": HASH_KEY}
        more |= {"store": store, "auth": auth}
        arguments = our_service.prepared(folder, port=port, upstream_port=upstream_port, **more)
        upstream = (*program("upstream"), str(upstream_port))
        environment = our_service.environment()
        with (
            started(upstream, environment=environment, cpu=other_cpu) as other,
            started(
                our_service.command(arguments), environment=environment, log=folder / "log", cpu=own_cpu
            ) as process,
        ):
            until_well(lambda: ask(upstream_port, "/counts")[0] == 200, other, within_s=10)
            try:
                until_well(lambda: our_service.is_up(port), process, within_s=STARTS_WITHIN_S)
            except RuntimeError as error:
                raise RuntimeError(f"{error}\n{(folder / 'log').read_text(errors='replace')[-2000:]}") from None
            database = database_url.rpartition("/")[2]
            yield Measured(process, folder, valkey, postgres, port=port, upstream_port=upstream_port, database=database)


@contextmanager
def servers(folder: Path) -> Iterator[tuple[Server, PostgresServer]]:
    valkey, postgres = Server(folder / "valkey", free_ports(1)[0]), PostgresServer()
    try:
        postgres.create()
        valkey.start()
        yield valkey, postgres
    finally:
        valkey.close()
        postgres.remove()


def measure(*, seconds: float) -> Sizes:
    """All of it; some minutes."""
    own_cpu, other_cpu = cpus = processors()
    del own_cpu
    with measured(cpus=cpus) as service:
        idle_mb = memory_mb_of_tree(service.process.pid)
        spent = {name: service.spent(name, seconds=seconds, cpu=other_cpu) for name in LOADS}
        miss_latency = service.latency(seconds=seconds, cpu=other_cpu)
        hit_latency = service.latency(seconds=seconds, cpu=other_cpu, same=True)
        upstream_latency = service.latency(seconds=seconds, cpu=other_cpu, port=service.upstream_port)
        journal_bytes = service.journal_bytes(seconds=min(2.0, seconds), cpu=other_cpu)
        loaded_mb = memory_mb_of_tree(service.process.pid)
    with TemporaryDirectory(prefix="bench-") as name:
        alone = Server(Path(name), free_ports(1)[0]).start()
        try:
            most = ceiling(alone)
        finally:
            alone.close()
    return Sizes(
        miss=spent["miss"],
        hit=spent["hit"],
        stream=spent["stream"],
        miss_latency=miss_latency,
        hit_latency=hit_latency,
        upstream_latency=upstream_latency,
        journal_bytes=journal_bytes,
        idle_mb=idle_mb,
        loaded_mb=loaded_mb,
        admissions_per_s=most.per_s,
        admission_us=most.server_us,
    )


def micros(cpu: Cpu) -> float:
    return cpu.total_s * 1e6


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
