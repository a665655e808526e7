"""The limit store that processes share: one script on Valkey or Redis for each decision, one round trip each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from llm_service.domain import (
    WINDOW_S,
    Ask,
    Claim,
    Decision,
    Lease,
    Limit,
    LimitKind,
    LimitState,
    Refused,
    Settlement,
    Unknown,
    limits_among,
)
from llm_service.runtime import Clock
from llm_service.storage.ports import NOT_KNOWN, Reach, StoreUnavailable
from llm_service.storage.scripts import ScriptRunner, script

KINDS: Final[Mapping[LimitKind, str]] = {"requests": "q", "tokens": "t", "concurrency": "c", "money": "m"}

ALIVE_S: Final = 3
"""For how long one beat counts as a sign of life."""
LEASES_KEPT_S: Final = 7 * 86400
BUDGET_KEPT_AFTER_END_S: Final = 86400
MARKS_KEPT_S: Final = 3600
LOOKS: Final = 3
"""How often one looks at a silent holder at least before its silence is believed."""
SETTLED_AT_ONCE: Final = 50
"""How many leases of a dead holder one script settles: others wait for it."""

REMEMBERED: Final = 50_000
"""Limits of which it is known what stood against them; all are forgotten when there are more."""

GRANTED: Final = 1
REFUSED: Final = 0
UNDECLARED: Final = -2
UNHELD: Final = -3

Mode: TypeAlias = Literal["real", "back", "held"]
NOTHING: Final = Settlement(tokens=0, nano_usd=0)


class ValkeyLimits:
    """Exact limits of all processes that share a Valkey or Redis, see LimitStore. Seconds are those of the server.

    Keys begin with ``<prefix>{adm}:``, so that all are on one node of a cluster: ``w:<limit>`` (windows), ``holders``,
    and with the identity of the server's memory (``run_id``) between: ``m:<limit>`` (budgets), ``c:<limit>`` (requests
    at once), ``leases:<holder>``, ``tombstone:<lease>``. A server that was restarted, or a replica that was promoted,
    may have lost the newest writes, each of them whole. By a new identity it knows no budget, so that each is seeded
    from the ledger again; and no lease, so that the old ones' settling says False and their records are added. A lost
    release would hold a place for ever; so requests at once begin from zero, and those that run go uncounted. Windows
    go on with what is there.

    The server must not evict keys. Amounts are exact below 2**53.
    """

    __slots__ = (
        "_add", "_admit", "_base", "_beat", "_forget", "_holder", "_holders", "_leases", "_lives", "_looked_s",
        "_monotonic", "_now", "_read", "_runner", "_seed", "_settle", "_silence", "_stood", "reach",
    )  # fmt: skip

    def __init__(
        self,
        runner: ScriptRunner,
        *,
        prefix: str,
        holder: str,
        clock: Clock,
        reach: Reach = "cluster",
        now: Callable[[], float] | None = None,
    ) -> None:
        """``holder``: this process's name, unique. ``now``: Unix seconds in place of the server's, for tests alone."""
        self.reach = reach
        self._runner = runner
        self._base = f"{prefix}{{adm}}"
        self._holder = holder
        self._monotonic = clock.monotonic
        self._now = now
        self._stood: dict[str, tuple[int, float]] = {}
        self._silence: dict[str, tuple[str, float]] = {}
        self._looked_s = 0.0
        self._admit = script("common", "admit")
        self._settle = script("common", "settle")
        self._read = script("common", "read")
        self._beat = script("common", "beat")
        self._lives = script("common", "lives")
        self._seed, self._add = script("seed"), script("add")
        self._holders, self._leases, self._forget = script("holders"), script("leases"), script("forget")

    @property
    def life(self) -> str:
        """The identity of the server's memory."""
        return self._runner.run_id

    async def admit(self, ask: Ask) -> Decision:
        """Take all claims of the callers and of the first candidate with room, or nothing at all.

        No limit may be claimed twice by the callers and one candidate. Without candidates the lease's is -1.
        """
        claims = [*ask.callers, *(claim for claims in ask.candidates for claim in claims)]
        answer = await self._ask("admit", ask.lease_id, ask.callers, ask.candidates, claims)
        if answer[0] != GRANTED:
            decision = _no(answer, claims)
            if isinstance(decision, Refused):
                self._remember(decision.limit, decision.used + decision.reserved)
            return decision
        _, candidate, second, *used = answer
        for claim, stands in zip(ask.callers, used, strict=True):
            self._remember(claim.limit, stands)
        return Lease(
            ask.lease_id,
            callers=ask.callers,
            candidate=candidate,
            provider=ask.candidates[candidate] if candidate >= 0 else (),
            second=second,
            used=used,
        )

    async def foresee(self, ask: Ask) -> int | Refused | Unknown:
        """What ``admit`` would say now, taking nothing."""
        claims = [*ask.callers, *(claim for claims in ask.candidates for claim in claims)]
        answer = await self._ask("foresee", ask.lease_id, ask.callers, ask.candidates, claims)
        if answer[0] != GRANTED:
            return _no(answer, claims)
        candidate: int = answer[1]
        return candidate

    def seen(self, limit: Limit) -> int | None:
        """What stood when this process last asked for something of the limit; of a window, if that was within one."""
        stood, heard_s = self._stood.get(limit.key, (None, 0.0))
        over = limit.kind != "money" and self._monotonic() - heard_s > WINDOW_S
        return None if over else stood

    def _remember(self, limit: Limit, stands: int) -> None:
        if len(self._stood) >= REMEMBERED:
            self._stood.clear()
        self._stood[limit.key] = stands, self._monotonic()

    async def swap(self, lease: Lease, ask: Ask, *, called: bool) -> Decision:
        """Take the first candidate with room in place of the lease's provider part; its id and callers stay.

        What the lease holds of a provider is no obstacle to its own new claim on the same limits, but for the permit of
        a request that was ``called``. Raises StoreUnavailable when the lease is not known (any more).
        """
        claims = [claim for claims in ask.candidates for claim in claims]
        answer = await self._ask("next" if called else "swap", lease.id, (), ask.candidates, [*claims, *lease.provider])
        if answer[0] != GRANTED:
            return _no(answer, claims)
        _, candidate, second = answer
        return Lease(
            lease.id,
            callers=lease.callers,
            candidate=candidate,
            provider=ask.candidates[candidate] if candidate >= 0 else (),
            second=second,
            used=lease.used,
        )

    async def settle(self, lease: Lease, settlement: Settlement | None) -> bool:
        """Put what was used in place of what was held, by the note that is kept with the lease."""
        mode, used = _mode(settlement)
        limits = [*limits_among(lease.callers), *limits_among(lease.provider)]
        return await self._settle_by_notes(self._holder, (lease.id,), mode, settlement=used, limits=limits) > 0

    async def settle_lost(self, holder: str, lease_id: str, settlement: Settlement | None) -> bool:
        """Settle a lease by its note alone: one round trip more. An ask for it that comes later is granted nothing."""
        mode, used = _mode(settlement)
        return await self._settle_by_notes(holder, (lease_id,), mode, settlement=used, unheard=True) > 0

    async def seed(self, limit: Limit, *, used: int, mark: int) -> None:
        """Say what was spent of a budget up to ``mark``, unless that is known."""
        until = "" if limit.ends_at is None else limit.ends_at + BUDGET_KEPT_AFTER_END_S
        (key,) = self._keys((limit,))
        await self._runner.run(self._seed, (key, f"{key}:added"), (used, mark, until))

    async def add(self, limit: Limit, *, cost: int, mark: int) -> None:
        """Count the ledger's record ``mark`` unless the budget's seed has it, now or later; once within an hour."""
        (key,) = self._keys((limit,))
        await self._runner.run(self._add, (key, f"{key}:added"), (cost, mark, MARKS_KEPT_S))

    async def read(self, limits: Sequence[Limit]) -> Sequence[LimitState]:
        """Where the limits stand, in their order."""
        args = (self._time(), *(KINDS[limit.kind] for limit in limits))
        answer = await self._runner.run(self._read, self._keys(limits), args)
        states = zip(limits, answer[::2], answer[1::2], strict=True)
        return [
            LimitState(limit=limit, used=used, reserved=None if used is None else reserved)
            for limit, used, reserved in states
        ]

    async def beat(self) -> int:
        """Say that the holder lives. How many holders have said so within the last seconds."""
        keys = (self._key_of_holders, self._key_of_leases(self._holder))
        alive: int = await self._runner.run(self._beat, keys, (self._time(), self._holder, ALIVE_S, LEASES_KEPT_S))
        return alive

    async def lives(self, holder: str) -> bool:
        """Whether a holder has said so within the last seconds."""
        keys = (self._key_of_holders,)
        return bool(await self._runner.run(self._lives, keys, (self._time(), holder, ALIVE_S)))

    async def reap(self, *, silent_s: float) -> int:
        """Settle the leases of other holders of which no new beat was seen for so long, by this process's own clock.

        By its own: a clock of the server that jumps would make all holders silent at once. So it has to be called
        again and again; at most a third of ``silent_s`` counts as silence between two calls.
        """
        count = 0
        for holder, beat in await self._silent(silent_s):
            count += await self._settle_all_of(holder, "held")
            keys = (self._key_of_holders, self._key_of_leases(holder))
            await self._runner.run(self._forget, keys, (holder, beat))
        return count

    async def release(self, holder: str) -> int:
        """Give back what is left of a dead holder's leases; ``reap`` forgets its name."""
        return await self._settle_all_of(holder, "back")

    async def aclose(self) -> None:
        """Connections belong to the runner."""

    async def _ask(
        self,
        mode: Literal["admit", "foresee", "swap", "next"],
        lease_id: str,
        callers: Sequence[Claim],
        candidates: Sequence[Sequence[Claim]],
        claims: Sequence[Claim],
    ) -> Any:
        """``claims``: the callers', the candidates', and those that a lease holds already."""
        counts = (len(candidates), len(callers), *map(len, candidates))
        args: list[str | int] = [self._time(), self._holder, lease_id, mode, *counts]
        for limit, cost in claims:
            args += (KINDS[limit.kind], limit.amount, cost)
        limits = [claim.limit for claim in claims]

        def keys() -> list[str]:
            leases, tombstone = self._key_of_leases(self._holder), self._key_of_tombstone(lease_id)
            return [leases, self._key_of_holders, tombstone, *self._keys(limits)]

        answer = await self._run_declared(self._admit, keys, args)
        if answer[0] == UNHELD:
            raise StoreUnavailable(NOT_KNOWN)
        return answer

    async def _settle_by_notes(
        self,
        holder: str,
        lease_ids: Sequence[str],
        mode: Mode,
        *,
        settlement: Settlement = NOTHING,
        limits: Sequence[Limit] = (),
        unheard: bool = False,
    ) -> int:
        args = (mode, settlement.tokens, settlement.nano_usd, int(settlement.provider), int(unheard), *lease_ids)

        def keys() -> list[str]:
            leases, tombstone = self._key_of_leases(holder), self._key_of_tombstone(lease_ids[0])
            return [leases, tombstone, *self._keys(limits)]

        _, settled = await self._run_declared(self._settle, keys, args)
        count: int = settled
        return count

    async def _settle_all_of(self, holder: str, mode: Mode) -> int:
        lease_ids = [_text(name) for name in await self._runner.run(self._leases, (self._key_of_leases(holder),), ())]
        count = 0
        for begin in range(0, len(lease_ids), SETTLED_AT_ONCE):
            some = lease_ids[begin : begin + SETTLED_AT_ONCE]
            count += await self._settle_by_notes(holder, some, mode)
        return count

    async def _silent(self, silent_s: float) -> list[tuple[str, str]]:
        """Other holders whose last beat has stood for so long, and that beat.

        Only so much of the time since the last look counts as silence: while the store was away nobody could beat.
        """
        answer = [_text(part) for part in await self._runner.run(self._holders, (self._key_of_holders,), ())]
        now_s, before = self._monotonic(), self._silence
        passed_s = min(now_s - self._looked_s, silent_s / LOOKS)
        self._looked_s, self._silence = now_s, {}
        for holder, beat in zip(answer[::2], answer[1::2], strict=True):
            known, silence_s = before.get(holder, ("", 0.0))
            self._silence[holder] = (beat, silence_s + passed_s if known == beat else 0.0)
        return [
            (holder, beat)
            for holder, (beat, silence_s) in self._silence.items()
            if holder != self._holder and silence_s >= silent_s
        ]

    async def _run_declared(self, source: str, keys: Callable[[], list[str]], args: Sequence[str | int]) -> Any:
        """Run a script that goes by a lease's note; where that names limits not declared, again with these."""
        life, more = self.life, list[str]()
        while True:
            answer = await self._runner.run(source, [*keys(), *more], args)
            if answer[0] != UNDECLARED:
                return answer
            more = [*more, *map(_text, answer[1:])] if life == self.life else []
            life = self.life

    def _time(self) -> str:
        return "" if self._now is None else str(self._now())

    @property
    def _key_of_holders(self) -> str:
        return f"{self._base}:holders"

    def _key_of_leases(self, holder: str) -> str:
        return f"{self._base}:{self._runner.run_id}:leases:{holder}"

    def _key_of_tombstone(self, lease_id: str) -> str:
        return f"{self._base}:{self._runner.run_id}:tombstone:{lease_id}"

    def _keys(self, limits: Sequence[Limit]) -> list[str]:
        lasting, of_memory = f"{self._base}:w:", f"{self._base}:{self._runner.run_id}:"
        return [
            f"{lasting}{limit.key}"
            if limit.kind in {"requests", "tokens"}
            else f"{of_memory}{KINDS[limit.kind]}:{limit.key}"
            for limit in limits
        ]


def _no(answer: Sequence[int], claims: Sequence[Claim]) -> Refused | Unknown:
    limit = claims[answer[1]].limit
    if answer[0] != REFUSED:
        return Unknown(limit=limit)
    _, _, used, reserved, wait_s = answer
    return Refused(limit=limit, used=used, reserved=reserved, wait_s=wait_s if wait_s >= 0 else None)


def _mode(settlement: Settlement | None) -> tuple[Mode, Settlement]:
    return ("back", NOTHING) if settlement is None else ("real", settlement)


def _text(answer: str | bytes) -> str:
    return answer if isinstance(answer, str) else answer.decode()
