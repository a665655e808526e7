"""Services as an operator runs them, in front of a sandbox that is a process as well: asked by many, read afterwards.

A deployment is one service of several workers on their private Valkey, or several "machines" (each with a data
directory of its own) on one external Valkey and one database.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from llm_service.admission import AllowanceOptions, limits_of
from llm_service.domain import Limit, LimitScope, LimitState, Secret
from llm_service.runtime import SystemClock
from llm_service.storage import (
    Database,
    PrivateValkey,
    UsageFilter,
    ValkeyClient,
    ValkeyLimits,
    open_database,
    parse_store_url,
)
from tests.support.process import STORE_TIMEOUT, Serving, place, serving
from tests.support.rest import Answer, ask, connected
from tests.support.waiting import until, until_answered

CHAT = "/v1/chat/completions"
ADMIN_KEY = "sk-test-admin-key-of-a-deployment"
ADMIN = f"Bearer {ADMIN_KEY}"
HASH_KEY = "5b0c2f7e9a1d4c6b8e3f0a2d5c7b9e1f4a6d8c0b"
PREFIX = "llm:"
ASKED = [{"role": "user", "content": "Say it."}]


def body(model: str, **other: Any) -> bytes:
    """A short request."""
    return orjson.dumps({"model": model, "messages": ASKED, **other})


def served_by(behaviour: str) -> Any:
    """A model of the provider ``plain``, whose answers name no cost: they are charged by our own prices."""
    return {"deployments": [{"provider": "plain", "model": f"sandbox/{behaviour}"}]}


@dataclass
class Timed:
    """An answer, and when it was asked for and complete (monotonic seconds); no answer: why."""

    answer: Answer | None
    begun_at: float
    ended_at: float
    failure: str = ""

    @property
    def status(self) -> int:
        return self.answer.status if self.answer else 0

    @property
    def took_s(self) -> float:
        return self.ended_at - self.begun_at


@dataclass
class Deployment:
    """Running services that share their limits. ``store_url``: where those are kept."""

    services: Sequence[Serving]
    sandbox: str
    store_url: str
    database_url: str | None
    folder: Path
    limits: Mapping[str, Any]

    @property
    def addresses(self) -> list[str]:
        return [service.address for service in self.services]

    async def calls(self) -> int:
        """How many chats the upstream was asked for, by its own journal."""
        seen = (await ask(self.sandbox, "GET", "/_requests")).json()["data"]
        return sum(entry["path"].endswith("/chat/completions") for entry in seen)

    def limit(self, kind: str, scope: LimitScope = "global", subject: str = "") -> Limit:
        """One of the configured limits, as the stores count it."""
        given = dict(self.limits[scope] if scope == "global" else self.limits[f"per_{scope}"][subject])
        if "budget_usd" in given:
            given["budget_usd"] = Decimal(given["budget_usd"])
        found = limits_of(scope, subject, AllowanceOptions(**given).allowance, now=datetime.now(UTC))
        return next(limit for limit in found if limit.kind == kind)

    @asynccontextmanager
    async def store(self) -> AsyncIterator[ValkeyLimits]:
        """The limits as a further process sees them."""
        async with store_at(self.store_url) as limits:
            yield limits

    async def state(self, limit: Limit) -> LimitState:
        async with self.store() as limits:
            return (await limits.read([limit]))[0]

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        url = None if self.database_url is None else Secret(self.database_url)
        opened = await open_database(url, data_dir=self.folder / "data0")
        try:
            yield opened
        finally:
            await opened.aclose()

    async def sums(self, *, requests: int) -> tuple[int, int]:
        """Tokens and nano-USD of the ledger, once it has so many records, each request one."""
        async with self.database() as database:

            async def shipped() -> tuple[int, int] | None:
                found = await database.ledger.sums(UsageFilter(), by=())
                if not found or found[0].requests != requests:
                    return None
                return found[0].input_tokens + found[0].output_tokens, found[0].nano_usd

            sums: tuple[int, int] = await until_answered(shipped, within_s=20)
            return sums

    async def sums_by_model(self) -> dict[str | None, tuple[int, int]]:
        """Tokens and nano-USD of each model in the ledger, as it is."""
        async with self.database() as database:
            found = await database.ledger.sums(UsageFilter(), by=("model",))
        return {one.group["model"]: (one.input_tokens + one.output_tokens, one.nano_usd) for one in found}

    async def settled(self, limit: Limit, *, nano_usd: int, within_s: float = 10) -> None:
        """Wait until a budget agrees with the ledger and nothing is reserved; fails with how it stands else."""
        ends_at = time.monotonic() + within_s
        async with self.store() as limits:

            async def agrees() -> LimitState | None:
                state = (await limits.read([limit]))[0]
                over = (state.used, state.reserved) == (nano_usd, 0) or time.monotonic() > ends_at
                return state if over else None

            state: LimitState = await until_answered(agrees, within_s=within_s + 5)
        assert (state.used, state.reserved) == (nano_usd, 0), f"{state.used} {state.reserved} {nano_usd}"


@asynccontextmanager
async def store_at(url: str) -> AsyncIterator[ValkeyLimits]:
    """A client of one test: patient, for it measures nothing."""
    clock = SystemClock()
    client = ValkeyClient(
        parse_store_url(url), prefix=PREFIX, clock=clock, source=random.Random(1), on_failure=fail, deadline_s=5
    )
    await client.start()
    try:
        yield ValkeyLimits(client, prefix=PREFIX, holder="test", clock=clock)
    finally:
        await client.aclose()


def fail(work: str, failure: BaseException) -> None:
    raise AssertionError(work) from failure


@contextmanager
def sandbox_process(folder: Path) -> Iterator[str]:
    """The address of the simulated providers, a program of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    with serving(place(folder), command=("sandbox",)) as sandbox:
        yield sandbox.address


@contextmanager
def one_service(folder: Path, *, workers: int = 2, **settings: Any) -> Iterator[Deployment]:
    """Several workers on the private Valkey of their machine."""
    with ExitStack() as held:
        sandbox = held.enter_context(sandbox_process(folder / "upstream"))
        service = held.enter_context(serving_one(folder, 0, sandbox, "--workers", f"{workers}", **settings))
        store = PrivateValkey(folder / "data0" / "valkey", print, clock=SystemClock()).url  # never started: where it is
        yield Deployment([service], sandbox, store, None, folder, settings.get("limits", {}))


@contextmanager
def machines(
    folder: Path, *, store_url: str, database_url: str | None, as_configured: bool = False, **settings: Any
) -> Iterator[Deployment]:
    """Two services of one process each; without a ``database_url`` each has a SQLite of its own, and its own keys.

    ``as_configured``: they wait for their store no longer than the settings say.
    """
    with ExitStack() as held:
        sandbox = held.enter_context(sandbox_process(folder / "upstream"))
        settings["store"] = {"redis_url": store_url, **({"database_url": database_url} if database_url else {})}
        services = [
            held.enter_context(serving_one(folder, number, sandbox, as_configured=as_configured, **settings))
            for number in range(2)
        ]
        yield Deployment(services, sandbox, store_url, database_url, folder, settings.get("limits", {}))


@contextmanager
def serving_one(
    folder: Path, number: int, sandbox: str, *arguments: str, as_configured: bool = False, **settings: Any
) -> Iterator[Serving]:
    """One service with settings and data of its own."""
    home = folder / f"home{number}"
    home.mkdir(parents=True, exist_ok=True)
    written = {
        "sandbox": "off",
        "auth": {"admin_key": ADMIN_KEY, "hash_key": HASH_KEY, "required": "always"},
        "server": {"data_dir": str(folder / f"data{number}")},
        "providers": {"plain": {"base_url": f"{sandbox}/openai/v1", "api_key": "sk-sandbox", "max_connections": 1000}},
        "prices": {"plain/*": {"input_usd": 3, "output_usd": 7}},
        **settings,
    }
    (home / "llm-service.yaml").write_bytes(orjson.dumps(written))
    waits = {STORE_TIMEOUT: "0.1"} if as_configured else {}
    with serving(place(home, cached="cache" in settings, **waits), *arguments) as service:
        yield service


# -- api keys


async def administered(address: str, method: str, path: str, **fields: Any) -> Any:
    content = orjson.dumps(fields) if method != "GET" and method != "DELETE" else b""
    answer = await ask(address, method, f"/admin/keys{path}", content, authorization=ADMIN)
    assert answer.status < 300, answer.body
    return answer.json()


async def new_key(address: str, **fields: Any) -> Any:
    """The id of a new key, and its secret."""
    issued = await administered(address, "POST", "", name="tested", **fields)
    return issued["id"], issued["key"]


# -- clients


async def flood(addresses: Sequence[str], asked: Sequence[bytes], *, key: str = ADMIN_KEY) -> list[Timed]:
    """A client for each request, all at once: every connection is open before the first byte goes out."""
    go = asyncio.Event()
    ready = asyncio.Semaphore(0)

    async def one(address: str, content: bytes) -> Timed:
        async with connected(address) as connection:
            ready.release()
            await go.wait()
            begun_at = time.monotonic()
            answer = await connection.ask("POST", CHAT, content, authorization=f"Bearer {key}")
            return Timed(answer, begun_at, time.monotonic())

    tasks = [asyncio.create_task(one(addresses[i % len(addresses)], content)) for i, content in enumerate(asked)]
    for _ in tasks:
        await ready.acquire()
    go.set()
    return list(await asyncio.gather(*tasks))


@dataclass
class Load:
    """Clients that ask one after the other until told to stop."""

    addresses: Sequence[str]
    asked: bytes
    clients: int
    key: str = ADMIN_KEY
    pause_s: float = 0.02
    answers: list[Timed] = field(default_factory=list)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    async def __aenter__(self) -> "Load":
        for number in range(self.clients):
            self._tasks.append(asyncio.create_task(self._ask(self.addresses[number % len(self.addresses)])))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def _ask(self, address: str) -> None:
        async with connected(address) as connection:
            while not self._stop.is_set():
                begun_at = time.monotonic()
                answer = await connection.ask("POST", CHAT, self.asked, authorization=f"Bearer {self.key}")
                self.answers.append(Timed(answer, begun_at, time.monotonic()))
                await asyncio.sleep(self.pause_s)  # a client that thinks; the load is bounded by it

    def statuses(self) -> Counter[int]:
        return Counter(one.status for one in self.answers)


async def lasting(seconds: float) -> None:
    """Let the load go on for so long: what is measured is how requests fare in the meantime."""
    ends_at = time.monotonic() + seconds
    await until(lambda: time.monotonic() >= ends_at, within_s=seconds + 10)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which such a share of all lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def codes(answers: Sequence[Timed]) -> Counter[str]:
    """The answers by status, errors with their code."""
    return Counter(code(one) for one in answers)


def code(one: Timed) -> str:
    if one.answer is None:
        return one.failure
    return "200" if one.status == 200 else f"{one.status} {one.answer.json()['error']['code']}"


def having(answers: Sequence[Timed], fits: Callable[[Timed], bool]) -> list[Timed]:
    return [one for one in answers if fits(one)]
