"""What a fleet goes through under load, one thing after the other, and what its clients saw of each."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from llm_service.storage import LedgerRow
from tests.support.fleet.audit import Simulated, Windows, compared, windows
from tests.support.fleet.fleet import Fleet, Terms
from tests.support.fleet.load import Call, Load
from tests.support.process import SOURCE

NANO: Final = 10**9


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard, and for how long. ``between_s``: of load after each act, so that what comes back meets it.

    ``leaving``: the share of the streams whose client loses its connection. ``warm``: machines have built GraphQL,
    which takes a second of their core, before they get requests.
    """

    rate_per_s: float
    between_s: float
    outage_s: float
    calm_s: float
    leaving: float
    warm: bool
    terms: Terms


Act = Callable[["Story"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Played:
    """An act, and when it was; Unix seconds."""

    name: str
    began_at: float
    ended_at: float


@dataclass
class Story:
    """A fleet under load, and its acts so far. ``current``: the sources to which machines are upgraded."""

    fleet: Fleet
    pace: Pace
    dice: random.Random
    current: Path = SOURCE
    acts: list[Played] = field(default_factory=list)
    schemas: list[int] = field(default_factory=list)
    """Of the database, before the first act and after the last."""
    load: Load = field(init=False)
    simulated: Simulated = field(init=False)
    rows: list[LedgerRow] = field(init=False)

    async def tell(self, acts: Sequence[Act]) -> None:
        """The first machine serves; then each act in turn, under load from the beginning to the end."""
        fleet = self.fleet
        fleet.warm = self.pace.warm
        await fleet.grow(fleet.machines[0])
        self.schemas.append(await fleet.schema())
        await fleet.issue_keys(self.pace.terms)
        self.simulated = Simulated(fleet.provider)
        self.load = Load(
            fleet.balancer.address, [*fleet.payers.values()], self.pace.rate_per_s, self.pace.leaving, self.dice
        )
        looking = asyncio.create_task(self.simulated.keep_looking())
        try:
            async with self.load:
                for act in acts:
                    await self._play(act)
            self.rows = await fleet.arrived(self.load.calls, self.simulated)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        self.schemas.append(await fleet.schema())

    async def _play(self, act: Act) -> None:
        began_at = time.time()
        await act(self)
        await asyncio.sleep(self.pace.between_s)
        self.acts.append(Played(name_of(act), began_at, time.time()))
        print(f"{time.strftime('%H:%M:%S')} {name_of(act)}: {dict(self.load.endings())}", flush=True)

    # -- what is found out in the end

    def faults(self) -> list[str]:
        """What is wrong with the ledger."""
        return compared(self.load.calls, self.rows, self.simulated)

    def windows_of(self, payer: str, *, tokens: bool = False) -> Windows:
        """The fullest minutes of a key."""
        records = [row.record for row in self._rows_of(payer)]
        amounts = [(one.at, one.input_tokens + one.output_tokens if tokens else 1) for one in records]
        return windows(amounts, self.fleet.disturbances())

    def spent_nano_usd(self, payer: str) -> int:
        return sum(row.record.nano_usd for row in self._rows_of(payer))

    def most_alone(self, limit: int) -> int:
        """What may pass in a minute in which processes count alone: what each of them lets pass, and once more when
        the store is back without its memory (docs/limits.md)."""
        return limit * (self.fleet.processes + 1)

    def during(self, act: Act) -> list[Call]:
        """The calls that ended while it was played."""
        return [call for played in self.acts if played.name == name_of(act) for call in self._calls_of(played)]

    def figures(self) -> Mapping[str, Any]:
        """For the evidence."""
        calls, came_back = self.load.calls, [one for one in self.load.calls if one.ending == "ok" and one.resumes]
        took = sorted(one.ended_at - one.began_at for one in calls if one.ending == "ok")
        alone_s = sum(one.ended_at - one.began_at for one in self.fleet.disturbances())
        return {
            "machines": len(self.fleet.machines),
            "workers_of_each": self.fleet.machines[0].workers,
            "balancer": self.fleet.balancer.program,
            "schema_before_and_after": " and ".join(map(str, self.schemas)),
            "requests_per_s": self.pace.rate_per_s,
            "requests": len(calls),
            "how_they_ended": dict(self.load.endings()),
            "errors_that_clients_saw": f"{len(self.load.errors()) / len(calls):.3%}",
            "streams_gone_on_with": len(came_back),
            "of_these_not_cut_by_their_client": sum(map(_is_cut, came_back)),
            "streams_resumed_at_another_machine": self.fleet.balancer.resumed_elsewhere(),
            "records": len(self.rows),
            **self._limits(),
            "counted_alone_by_all_processes_s": round(alone_s, 1),
            "p50_s": round(took[len(took) // 2], 3),
            "p99_s": round(took[int(len(took) * 0.99)], 3),
            **{f"{number}. {act.name}": self._in_words(act) for number, act in enumerate(self.acts, 1)},
        }

    def _limits(self) -> Mapping[str, str]:
        terms, found = self.pace.terms, {}
        for name, payer, limit in (
            ("requests", "scarce", terms.requests_per_minute),
            ("tokens", "thrifty", terms.tokens_per_minute),
        ):
            most = self.windows_of(payer, tokens=name == "tokens")
            found[f"most_{name}_in_a_minute"] = f"{most.calm} of {limit}"
            found[f"most_{name}_while_somebody_counted_alone"] = f"{most.disturbed} of {self.most_alone(limit)}"
        return {**found, "spent_of_a_budget_usd": f"{self.spent_nano_usd('poor') / NANO:.6f} of {terms.budget_usd}"}

    def _in_words(self, act: Played) -> str:
        calls = self._calls_of(act)
        failed, cut = sum(one.is_error for one in calls), sum(map(_is_cut, calls))
        return f"{act.ended_at - act.began_at:.0f} s, {len(calls)} requests, {failed} errors, {cut} streams cut"

    def _calls_of(self, act: Played) -> list[Call]:
        last = act is self.acts[-1]
        return [
            one for one in self.load.calls if act.began_at <= one.ended_at and (last or one.ended_at < act.ended_at)
        ]

    def _rows_of(self, payer: str) -> list[LedgerRow]:
        key_id = self.fleet.payers[payer].key_id
        return [row for row in self.rows if row.record.key_id == key_id]


def name_of(act: Act) -> str:
    return str(getattr(act, "__name__", act)).replace("_", " ")


def _is_cut(call: Call) -> bool:
    """Whether its client had to come back without having left itself."""
    return call.resumes > (call.leaves_after is not None)
