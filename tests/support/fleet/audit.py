"""What clients were told, what the simulator served and what the ledger holds, and whether limits and budgets held."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from llm_service.domain import nano_usd
from llm_service.storage import LedgerRow
from tests.support.fleet.load import Call
from tests.support.rest import ask

WINDOW_S: Final = 60.0
ON_ITS_WAY_S: Final = 1.0
"""A record says when its request came in; it was admitted up to so much later."""
POLL_S: Final = 10.0


@dataclass
class Simulated:
    """What the simulator served, read again and again: it keeps its last 2,000 requests only."""

    address: str
    entries: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    async def look(self) -> None:
        for entry in (await ask(self.address, "GET", "/_requests")).json()["data"]:
            if entry["path"].endswith("/chat/completions"):
                self.entries[entry["serial"]] = entry

    async def keep_looking(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(POLL_S)  # far less than 2,000 requests take

    def by_ref(self) -> Mapping[str, list[Mapping[str, Any]]]:
        found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for entry in self.entries.values():
            found[ref_of(entry)].append(entry)
        return found


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A time, in Unix seconds, in which somebody counted by himself. Windows that it touches may hold more."""

    name: str
    began_at: float
    ended_at: float


def compared(calls: Sequence[Call], rows: Sequence[LedgerRow], simulated: Simulated) -> list[str]:
    """What is wrong with the ledger; nothing, when every answer has its one record, and that says what was served."""
    served, of_ref = simulated.by_ref(), defaultdict(list)
    for row in rows:
        of_ref[row.record.tags.get("ref", row.record.request_id)].append(row)
    known = {call.ref for call in calls}
    faults = [f"{ref}: {len(found)} records" for ref, found in of_ref.items() if len(found) > 1]
    faults += [f"{ref}: a record of a call that nobody made" for ref in of_ref.keys() - known]
    faults += [f"{ref}: served, without a record" for ref in served.keys() - of_ref.keys()]
    for call in calls:
        faults += [f"{call.describe()}: {said}" for said in _of_call(call, of_ref[call.ref], served.get(call.ref, []))]
    return faults


def _of_call(call: Call, rows: Sequence[LedgerRow], entries: Sequence[Mapping[str, Any]]) -> list[str]:
    if call.ending == "limited":
        return ["refused by a limit, and not without a trace"] if rows or entries else []
    if call.ending != "ok":
        return []
    if len(rows) != 1:
        return [f"acknowledged, with {len(rows)} records"]
    record = rows[0].record
    if record.status != "ok":
        return [f"acknowledged, and its record says {record.status} {record.error_code}"]
    said = record.input_tokens, record.output_tokens, record.nano_usd
    faults = [] if said in [_served(one) for one in entries] else [f"recorded {said}, served {entries}"]
    told = call.told.cost_usd if call.told is not None else None
    if told is not None and nano_usd(Decimal(told)) != record.nano_usd:
        faults.append(f"recorded {record.nano_usd} nano-USD, told {told} USD")
    return faults


def _served(entry: Mapping[str, Any]) -> tuple[int, int, int]:
    usage = entry["usage"]
    return usage["input_tokens"], usage["output_tokens"], nano_usd(Decimal(entry["cost_usd"]))


# -- limits


@dataclass(frozen=True, slots=True)
class Windows:
    """The fullest windows of a minute: in a calm, and in one that a disturbance touches."""

    calm: int
    disturbed: int


def windows(amounts: Iterable[tuple[datetime, int]], disturbances: Sequence[Disturbance]) -> Windows:
    """How much of a limit was taken in any minute, less the moment that a request may be on its way."""
    ordered = sorted((at.timestamp(), amount) for at, amount in amounts)
    width, taken, first = WINDOW_S - ON_ITS_WAY_S, 0, 0
    most = {False: 0, True: 0}
    for at, amount in ordered:
        taken += amount
        while ordered[first][0] <= at - width:
            taken -= ordered[first][1]
            first += 1
        begun_at = ordered[first][0]
        touched = any(one.began_at <= at and begun_at <= one.ended_at for one in disturbances)
        most[touched] = max(most[touched], taken)
    return Windows(calm=most[False], disturbed=most[True])


def ref_of(entry: Mapping[str, Any]) -> str:
    """The name of a call in what the simulator received."""
    text: str = entry["body"]["messages"][0]["content"]
    return text.removeprefix("echo: ref ").partition(" ")[0]
