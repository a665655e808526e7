"""A whole deployment of real processes that can be killed one by one: simulator, service, Valkey, PostgreSQL."""

import asyncio
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psutil

from llm_service.runtime import SystemClock
from llm_service.storage import PrivateValkey
from tests.support.crash_load import Payer
from tests.support.postgres import PostgresServer
from tests.support.process import STORE_TIMEOUT, Child, Place, announced, child, place
from tests.support.rest import ask
from tests.support.valkey import Server, free_ports
from tests.support.waiting import until, until_answered

ADMIN_KEY = "sk-test-admin-key-of-a-crash-test"
KEYS: dict[str, dict[str, Any]] = {
    "rich": {"budget_usd": "5", "budget_period": "total"},
    "poor": {"budget_usd": "0.002", "budget_period": "total"},
    "hasty": {"tokens_per_minute": 40_000, "requests_per_minute": 200, "concurrent_requests": 2},
}
USER = "somebody"


def configuration(sandbox: str, *, postgres: str | None, valkey: str | None) -> str:
    """The settings, as JSON, which is YAML."""
    store = {name: url for name, url in (("database_url", postgres), ("redis_url", valkey)) if url}
    budget = {"budget_period": "total"}
    settings = {
        "auth": {"admin_key": ADMIN_KEY, "hash_key": "0123456789abcdef0123456789abcdef0123456789abcdef"},
        "providers": {
            "openrouter": {"kind": "openrouter", "base_url": f"{sandbox}/openrouter/api/v1", "api_key": "sk-test-1"},
            "deepseek": {"kind": "deepseek", "base_url": f"{sandbox}/deepseek", "api_key": "sk-test-1"},
        },
        "limits": {
            "global": {"budget_usd": 900, **budget},
            "per_user": {"budget_usd": 3, **budget},
            "per_provider": {"openrouter": {"budget_usd": 850, **budget}, "deepseek": {"budget_usd": 850, **budget}},
        },
        "store": store,
        "validation": {"context_overflow": "pass"},  # so that budgets refuse what is too much, and tell how they stand
    }
    return orjson.dumps(settings).decode()


@dataclass
class Site:
    """The running deployment. ``workers`` > 1 without ``valkey``: the private one."""

    where: Place
    workers: int
    sandbox: str
    postgres: PostgresServer | None = None
    valkey: Server | None = None
    arguments: tuple[str, ...] = ()
    port: int = 0
    database_url: str | None = None
    payers: list[Payer] = field(default_factory=list)
    stack: ExitStack = field(default_factory=ExitStack)
    service: Child | None = None
    logs: list[Child] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def data_dir(self) -> Path:
        return self.where.folder / "data"

    def start(self) -> None:
        """Start the service, and wait until it serves."""
        flags = ("--port", str(self.port), "--workers", str(self.workers), "--data-dir", str(self.data_dir))
        self.service = self.stack.enter_context(
            child(self.where, "serve", "--config", "settings.json", "--json", *flags, *self.arguments)
        )
        self.logs.append(self.service)
        said = announced(self.service)
        assert "address" in said, said

    async def issue_keys(self) -> None:
        """An api key of each sort; whom calls can be made for."""
        for name, fields in KEYS.items():
            body = orjson.dumps({"name": name, **fields})
            issued = (await self.admin("POST", "/admin/keys", body)).json()
            self.payers.append(Payer(issued["key"], "key", issued["id"]))
        self.payers.append(Payer(ADMIN_KEY, "user", USER, user=USER))

    async def admin(self, method: str, path: str, body: bytes = b"") -> Any:
        return await ask(self.address, method, path, body, Authorization=f"Bearer {ADMIN_KEY}")

    def errors(self) -> str:
        """What the service has logged as an error, in all its lives."""
        lines = (line for log in self.logs for line in log.err.text.splitlines() if '"level":"error"' in line)
        return "\n".join(lines)

    # -- what the simulator served

    async def served(self) -> list[dict[str, Any]]:
        """The journal of the simulator, requests for answers alone."""
        entries = (await ask(self.sandbox, "GET", "/_requests")).json()["data"]
        return [entry for entry in entries if entry["path"].endswith("/chat/completions")]

    # -- what can be killed

    def worker_pids(self) -> list[int]:
        """The processes that answer requests, those that have said that they are ready."""
        assert self.service is not None
        if self.workers == 1:
            return [self.service.pid]
        lines = (orjson.loads(line) for line in self.service.err.text.splitlines(keepends=True) if line.endswith("\n"))
        ready = {line["pid"] for line in lines if line["event"] == "worker ready"}
        return [one.pid for one in psutil.Process(self.service.pid).children() if one.pid in ready]

    async def kill_worker(self, dice: random.Random) -> None:
        """kill -9 of one of them; it is replaced, or the service started again."""
        assert self.service is not None
        pid = dice.choice(self.worker_pids())
        if self.workers == 1:
            self.service.signal(signal.SIGKILL)
            await asyncio.to_thread(self.service.ended)
            await asyncio.to_thread(self.start)
            return
        ready = self.service.err.text.count('"worker ready"')
        os.kill(pid, signal.SIGKILL)
        text = self.service.err
        await until(lambda: text.text.count('"worker ready"') > ready, within_s=30)

    async def kill_all(self, dice: random.Random) -> None:
        """kill -9 of the service's processes altogether."""
        del dice
        assert self.service is not None
        processes = (psutil.Process(self.service.pid), *psutil.Process(self.service.pid).children(recursive=True))
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # ended with the one before
                process.kill()
        await asyncio.to_thread(self.service.ended)
        await asyncio.to_thread(psutil.wait_procs, processes[1:], timeout=10)  # till then the data directory is theirs
        await asyncio.to_thread(self.start)

    async def kill_valkey(self, dice: random.Random) -> None:
        """kill -9 of the store of the limits; its memory is gone."""
        if self.valkey is not None:
            self.valkey.kill()
            await a_while(dice, 0.3)
            await asyncio.to_thread(self.valkey.start)
            return
        assert self.service is not None
        (private,) = self.private_valkeys()
        private.kill()
        await until(lambda: [one for one in self.private_valkeys() if one.pid != private.pid], within_s=10)

    async def kill_worker_and_valkey(self, dice: random.Random) -> None:
        """Both at once: what the worker held is in a memory that is gone."""
        await asyncio.gather(self.kill_valkey(dice), self.kill_worker(dice))

    async def kill_worker_under_frozen_valkey(self, dice: random.Random) -> None:
        """The worker dies while each stands in for the store of the limits by itself."""
        assert self.valkey is not None
        self.valkey.freeze()
        await a_while(dice, 0.5)
        os.kill(dice.choice(self.worker_pids()), signal.SIGKILL)
        await a_while(dice, 0.3)
        self.valkey.thaw()

    async def kill_worker_without_postgres(self, dice: random.Random) -> None:
        """The worker dies while no record can be shipped."""
        assert self.postgres is not None
        self.postgres.kill()
        await a_while(dice, 0.5)
        os.kill(dice.choice(self.worker_pids()), signal.SIGKILL)
        await asyncio.to_thread(self.postgres.start)

    def private_valkeys(self) -> list[psutil.Process]:
        """The private Valkey of the service."""
        assert self.service is not None
        found = []
        for one in psutil.Process(self.service.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # gone in between
                found += [one] if "valkey-server" in one.name() else []
        return found

    async def kill_postgres(self, dice: random.Random) -> None:
        """kill -9 of the database server and all its processes."""
        assert self.postgres is not None
        self.postgres.kill()
        await a_while(dice, 0.5)
        await asyncio.to_thread(self.postgres.start)

    # -- what is left

    def held(self) -> list[str]:
        """The names under which the store of the limits still holds a lease, or a place of requests at once."""
        server = self.valkey
        if server is None and self.workers > 1:
            private = PrivateValkey(self.data_dir / "valkey", print, clock=SystemClock())
            server = Server(self.data_dir, socket_path=Path(private.url.removeprefix("unix://")))
        if server is None:
            return []
        return held_in(server)

    def journals(self) -> set[str]:
        """The writers of the journals that there are."""
        folder = self.data_dir / "journal"
        return {name.stem for name in folder.iterdir() if name.suffix == ".lock"}

    async def all_adopted(self, *, within_s: float = 15.0) -> None:
        """Wait until there is no journal but those of the living."""
        await until(lambda: len(self.journals()) <= self.workers, within_s=within_s)


def held_in(server: Server) -> list[str]:
    """The names under which a store of limits still holds a lease, or a place of requests at once."""
    life, _, _ = server.ask("GET", "llm:{adm}:life").decode().partition(":")  # an earlier one's leases are nobody's
    names = [name.decode() for name in server.ask("KEYS", f"*:{life}:*")]
    return [name for name in names if ":leases:" in name or f":{life}:c:" in name]


Make = Callable[[], Site]


@contextmanager
def site(
    folder: Path, *, workers: int, postgres: PostgresServer | None = None, valkey: Server | None = None, url: str = ""
) -> Iterator[Site]:
    """A deployment in a folder: its simulator is a process of its own, and outlives what is killed."""
    with ExitStack() as held:
        where = place(folder, **{STORE_TIMEOUT: "0.1"})
        simulator = held.enter_context(child(where, "sandbox", "--port", "0", "--json"))
        address = announced(simulator)["address"]
        port = free_ports(1)[0]
        text = configuration(address, postgres=url or None, valkey=None if valkey is None else valkey.url)
        (folder / "settings.json").write_text(text)
        made = Site(where, workers, address, postgres=postgres, valkey=valkey, port=port, database_url=url or None)
        held.push(made.stack)
        made.start()
        try:
            yield made
        except BaseException:
            print(made.errors())  # pytest shows it with the failure
            raise


async def listening(made: Site) -> None:
    """Wait until the service answers."""

    async def answers() -> bool:
        try:
            return (await ask(made.address, "GET", "/health")).status == 200
        except OSError:
            return False

    await until_answered(answers, within_s=30)


async def a_while(dice: random.Random, most_s: float) -> None:
    """Wait for as long as the dice say: what is broken shall meet the service at any point of its work."""
    await asyncio.sleep(dice.uniform(0.0, most_s))
