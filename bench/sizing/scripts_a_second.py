"""How many requests one Valkey can admit: the scripts of the service, sent as fast as the server takes them."""

import asyncio
import hashlib
import socket
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from bench.measuring.processes import cpu_of_tree
from hiredis import Reader

from llm_service.domain import Ask, BudgetPeriod, Claim, Lease, Limit, LimitKind, LimitScope, Settlement
from llm_service.runtime import SystemClock
from llm_service.storage import ValkeyLimits
from tests.support.valkey import Server, packed

KINDS: Final[Sequence[LimitKind]] = ("requests", "tokens", "concurrency", "money")
SCOPES: Final[Sequence[LimitScope]] = ("key", "global")
COSTS: Final = {"requests": 1, "tokens": 1_000, "concurrency": 1, "money": 200_000}
USED: Final = Settlement(tokens=400, nano_usd=70_000)
AMPLE: Final = 2**50
AT_ONCE: Final = 32
"""Commands that are on their way at a time, as with so many requests in flight."""


class Ceiling(NamedTuple):
    """``per_s``: requests a second, each one admission and one settlement, with the server's one core busy."""

    per_s: float
    server_us: float
    server_busy: float


class Packed:
    """Implements ScriptRunner: keeps what would be sent, and answers as if all had gone well."""

    run_id = "bench"

    def __init__(self, claims: int) -> None:
        self.sent: list[bytes] = []
        self.scripts: dict[str, str] = {}
        self._granted = [1, -1, 0, *[0] * claims]

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str | int | bytes]) -> Any:
        digest = self.scripts.setdefault(script, hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest())
        self.sent.append(packed("EVALSHA", digest, len(keys), *keys, *args))
        return self._granted if len(self.scripts) == 1 else [1, 1]


def limits() -> list[Claim]:
    """Every kind for a key and for all, as a plan claims them."""
    made = []
    for scope in SCOPES:
        for kind in KINDS:
            period: BudgetPeriod | None = "total" if kind == "money" else None
            limit = Limit(key=f"{scope}:{kind}", scope=scope, subject="", kind=kind, amount=AMPLE, period=period)
            made.append(Claim(limit, COSTS[kind]))
    return made


async def prepared(count: int) -> tuple[Packed, list[bytes], list[bytes]]:
    """The commands of so many admissions, and of their settlements."""
    claims = limits()
    runner = Packed(len(claims))
    store = ValkeyLimits(runner, prefix="bench:", holder="bench", clock=SystemClock())
    leases = [await store.admit(Ask(f"req_{number:026x}", claims, ())) for number in range(count)]
    admissions, runner.sent = runner.sent, []
    for lease in leases:
        if not isinstance(lease, Lease):
            raise TypeError(f"refused: {lease}")
        await store.settle(lease, USED)
    settlements, runner.sent = runner.sent, []
    for claim in claims:
        if claim.limit.kind == "money":
            runner.sent.clear()
            await store.seed(claim.limit, used=0, mark=0)
            settlements.insert(0, runner.sent[0])  # taken off again by whoever sends them
    return runner, admissions, settlements


def ceiling(server: Server, *, count: int = 20_000) -> Ceiling:
    """Of a server of its own. Raises RuntimeError where a script is refused."""
    runner, admissions, settlements = asyncio.run(prepared(count))
    seeds, settlements = settlements[: len(SCOPES)], settlements[len(SCOPES) :]
    for script in runner.scripts:
        server.ask("SCRIPT", "LOAD", script)
    if server.process is None:
        raise RuntimeError("the server does not run")
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        exchange(line, seeds)
        before, begun = cpu_of_tree(server.process.pid), time.monotonic()
        for start in range(0, count, AT_ONCE):
            exchange(line, admissions[start : start + AT_ONCE])
            exchange(line, settlements[start : start + AT_ONCE])
        took = time.monotonic() - begun
        spent_s = cpu_of_tree(server.process.pid).since(before).total_s
    return Ceiling(per_s=count / spent_s, server_us=spent_s / count * 1e6, server_busy=spent_s / took)


def exchange(line: socket.socket, commands: Sequence[bytes]) -> None:
    """All commands at once, then all answers."""
    line.sendall(b"".join(commands))
    reader, left = Reader(replyError=RuntimeError), len(commands)
    while left:
        reader.feed(line.recv(1 << 20))
        while (answer := reader.gets()) is not False:
            if isinstance(answer, RuntimeError) or (isinstance(answer, list) and answer[0] != 1):
                raise RuntimeError(f"a script said {answer!r}")
            left -= 1
