"""The whole of it: machines, stores, balancer and providers in a rack, what is done to them and asked of them."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from llm_service.domain import Secret
from llm_service.storage import LedgerRow, open_database
from tests.support.crash_audit import rows_of
from tests.support.deployment import ADMIN, new_key
from tests.support.fleet.audit import Disturbance, Simulated
from tests.support.fleet.balancer import BALANCERS, Balancer, place_of
from tests.support.fleet.load import Call, Payer
from tests.support.fleet.machines import Machine, closing, settings_for
from tests.support.fleet.networks import OUT, Rack, address
from tests.support.fleet.stores import Stores, stores
from tests.support.process import PROGRAM, SOURCE
from tests.support.rest import ask
from tests.support.waiting import until_answered
from tests.support.zygote import clean

PROVIDER_PORT: Final = 9000
BALANCER_NUMBER: Final = 2
FIRST_MACHINE: Final = 11
NAMES: Final = ("one", "two", "three", "four")
ALONE, SHARED = "limits are kept by this process alone", "limits are shared again"
ON_ITS_WAY_S: Final = 2.0
"""For so long a process of the balancer that is leaving may still send what it took before."""
SETTLES_WITHIN_S: Final = 60.0
PLENTY: Final = {"budget_usd": "500", "budget_period": "total", "requests_per_minute": 10**6}


@dataclass(frozen=True, slots=True)
class Terms:
    """What the keys of the load are bound to."""

    requests_per_minute: int
    tokens_per_minute: int
    budget_usd: str


@dataclass
class Fleet:
    """Machines, of which ``serving`` get requests."""

    folder: Path
    rack: Rack
    stores: Stores
    balancer: Balancer
    provider: str
    machines: list[Machine]
    serving: list[Machine] = field(default_factory=list)
    payers: dict[str, Payer] = field(default_factory=dict)
    warm: bool = False

    @property
    def processes(self) -> int:
        """The most that may count alone at the same time."""
        return sum(machine.workers for machine in self.machines)

    # -- who serves

    async def grow(self, *machines: Machine) -> None:
        """Start the service there, and give it requests."""
        await asyncio.gather(*(asyncio.to_thread(machine.start) for machine in machines))
        if self.warm:
            asked = orjson.dumps({"query": "{ __typename }"})
            for machine in machines:
                await ask(machine.address, "POST", "/graphql", asked, authorization=ADMIN)
        await self._use([*self.serving, *machines])

    async def shrink(self, *machines: Machine) -> None:
        """Give it no more requests, then end the service there: in this order no client notices."""
        await self._use([one for one in self.serving if one not in machines])
        await asyncio.sleep(ON_ITS_WAY_S)
        codes = await asyncio.gather(*(asyncio.to_thread(machine.stop) for machine in machines))
        assert set(codes) == {0}, codes

    async def upgrade(self, machine: Machine, source: Path) -> None:
        """Another version of the service on the same machine and data."""
        await self.shrink(machine)
        machine.source = source
        await self.grow(machine)

    async def _use(self, machines: Sequence[Machine]) -> None:
        self.serving, servers = list(machines), servers_of(machines)
        if self.balancer.process is None:
            await asyncio.to_thread(self.balancer.start, servers, known=servers_of(self.machines))
        await asyncio.to_thread(self.balancer.use, servers)

    # -- what is asked of it

    async def issue_keys(self, terms: Terms) -> None:
        """A key of each sort, by one of the machines."""
        at = self.serving[0].address
        limited, spent = frozenset({"rate_limit_exceeded"}), frozenset({"budget_exceeded"})
        sorts: Mapping[str, tuple[float, frozenset[str], Mapping[str, Any]]] = {
            "free": (0.55, frozenset(), {}),
            "scarce": (0.25, limited, {"requests_per_minute": terms.requests_per_minute}),
            "thrifty": (0.1, limited, {"tokens_per_minute": terms.tokens_per_minute}),
            "poor": (0.1, spent, {"budget_usd": terms.budget_usd, "budget_period": "total"}),
        }
        for name, (share, codes, fields) in sorts.items():
            key_id, key = await new_key(at, **fields)
            self.payers[name] = Payer(name, key, key_id, share, codes)

    async def report(self, machine: Machine) -> Any:
        """What it says of itself, by the network of the stores."""
        return (await ask(machine.inner_address, "GET", "/health", Authorization=ADMIN)).json()

    async def shared_again(self) -> None:
        """Wait until every machine counts with the others."""

        async def all_share() -> bool:
            said = [await self.report(machine) for machine in self.serving]
            return all(one["stores"]["limits"]["up"] and not one["stores"]["limits"]["stands_in"] for one in said)

        await until_answered(all_share, within_s=SETTLES_WITHIN_S)

    def disturbances(self) -> list[Disturbance]:
        """When processes counted alone, by their own word."""
        found = []
        for machine in self.machines:
            since: dict[Any, float] = {}
            for line in machine.log():
                at = datetime.fromisoformat(line["at"]).timestamp() if line["event"] in (ALONE, SHARED) else 0.0
                if line["event"] == ALONE:
                    since.setdefault(line.get("worker"), at)
                elif line["event"] == SHARED and line.get("worker") in since:
                    found.append(Disturbance(machine.name, since.pop(line.get("worker")), at))
            found += [Disturbance(machine.name, at, time.time()) for at in since.values()]
        return found

    async def arrived(self, calls: Sequence[Call], simulated: Simulated) -> list[LedgerRow]:
        """All records, once nothing is on its way any more: no machine has one that the database has not.

        What is missing after a while is told by the comparison, one by one.
        """
        rows: list[LedgerRow] = []

        async def all_there() -> bool:
            await simulated.look()
            rows[:] = await self._rows()
            known = {row.record.tags.get("ref") for row in rows}
            owed = {call.ref for call in calls if call.ending == "ok"} | simulated.by_ref().keys()
            return owed <= known and all([await self._has_shipped(machine) for machine in self.serving])

        with suppress(TimeoutError):
            await until_answered(all_there, within_s=SETTLES_WITHIN_S)
        return rows

    async def _has_shipped(self, machine: Machine) -> bool:
        ledger = (await self.report(machine))["stores"]["ledger"]
        rest = ("unshipped_records", "unwritten_records", "open_requests", "dead_journals")
        return not any(ledger[name] for name in rest) and ledger["error"] is None

    async def schema(self) -> int:
        """The version of the database's schema."""
        found = await self.stores.postgres.run("SELECT max(version) AS version FROM schema_versions")
        return int(found[0]["version"])

    async def _rows(self) -> list[LedgerRow]:
        database = await open_database(Secret(self.stores.database_url), data_dir=self.folder, connections=1)
        try:
            return await rows_of(database)
        finally:
            await database.aclose()

    def verified(self) -> Mapping[str, Any]:
        """What ``llm-service usage verify`` says."""
        settings = self.machines[0].folder / "llm-service.yaml"
        command = (*PROGRAM, "usage", "verify", "--json", "--config", str(settings))
        done = subprocess.run(
            command, env={**clean(SOURCE), "HOME": str(self.folder)}, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found: Mapping[str, Any] = orjson.loads(done.stdout)
        return found

    def errors(self) -> str:
        """What the machines have logged as errors."""
        return "\n".join(
            f"{machine.name} {orjson.dumps(line).decode()}"
            for machine in self.machines
            for line in machine.log()
            if line["level"] == "error"
        )


@asynccontextmanager
async def fleet(
    folder: Path,
    rack: Rack,
    *,
    balancer: str = "nginx",
    machines: int = 4,
    workers: int = 1,
    source: Path = SOURCE,
) -> AsyncIterator[Fleet]:
    """So many machines of which none serves yet. Raises CannotRun where there is no PostgreSQL."""
    async with AsyncExitStack() as held:
        shared = held.enter_context(stores(folder / "stores"))
        provider = held.enter_context(_provider(folder))
        settings = settings_for(
            provider, redis_url=shared.redis_url, database_url=shared.database_url, limits={"global": PLENTY}
        )
        places = [(name, rack.add(name, FIRST_MACHINE + i)) for i, name in enumerate(NAMES[:machines])]
        built = [Machine(host, folder / name, settings, workers, source) for name, host in places]
        held.enter_context(closing(built))
        where = rack.add("balancer", BALANCER_NUMBER)
        front = BALANCERS[balancer](folder / "balancer", place_of(where), host=where)
        held.callback(front.close)
        made = Fleet(folder, rack, shared, front, provider, built)
        try:
            yield made
        except BaseException:
            print(made.errors())  # pytest shows it with the failure
            raise


def servers_of(machines: Sequence[Machine]) -> Mapping[str, str]:
    """As a balancer knows them."""
    return {machine.name: machine.server for machine in machines}


@contextmanager
def _provider(folder: Path) -> Any:
    """The simulated providers, a process of their own."""
    command = (sys.executable, "-P", "-m", "tests.support.fleet.provider", address(OUT, 1), f"{PROVIDER_PORT}")
    environment = {**clean(SOURCE), "HOME": str(folder)}
    environment["PYTHONPATH"] += f":{SOURCE.parent}"
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, cwd=folder)
    assert process.stdout is not None
    try:
        said = process.stdout.readline().decode().strip()
        assert said.startswith("http"), "the simulated providers do not start"
        yield said
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()
