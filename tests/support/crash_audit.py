"""What clients were told, what the simulator served and what the ledger holds, side by side."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from llm_service.domain import LimitScope, Secret, chat_request, nano_usd
from llm_service.ledger import verify
from llm_service.prices import PriceBook, PriceList
from llm_service.storage import Database, LedgerRow, UsageFilter, open_database
from llm_service.tokens import bound_input_tokens
from tests.support.crash_load import CHAT, MOST_OUTPUT_TOKENS, Call, Payer
from tests.support.crash_site import ADMIN_KEY, USER, Site
from tests.support.rest import ask
from tests.support.waiting import until_answered

COMPLETE = frozenset({"ok"})
PAGE = 1000
PROBING = [{"role": "user", "content": "How much is left?"}]
SETTLED_WITHIN_S = 15.0


@dataclass(slots=True)
class Tally:
    """What was compared, for the evidence."""

    runs: int = 0
    calls: int = 0
    acknowledged: int = 0
    interrupted: int = 0
    left: int = 0
    refused: int = 0
    records: int = 0

    def add(self, other: "Tally") -> None:
        """Those of another deployment as well."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def figures(self) -> Mapping[str, object]:
        return {
            "runs": self.runs,
            "requests": self.calls,
            "acknowledged": self.acknowledged,
            "records": self.records,
            "interrupted_records": self.interrupted,
            "left_by_their_client": self.left,
            "refused_by_a_limit": self.refused,
        }


@asynccontextmanager
async def database_of(site: Site) -> AsyncIterator[Database]:
    """The ledger's database, opened beside the service."""
    url = None if site.database_url is None else Secret(site.database_url)
    database = await open_database(url, data_dir=site.data_dir, connections=1)
    try:
        yield database
    finally:
        await database.aclose()


async def rows_of(database: Database) -> list[LedgerRow]:
    """Every record."""
    found: list[LedgerRow] = []
    after: int | None = None
    while page := await database.ledger.page(UsageFilter(), after=after, count=PAGE):
        found.extend(page)
        after = page[-1].mark
    return found


class Audit:
    """Compares, after each run, all that has happened since the beginning."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.tally = Tally()
        self._calls: dict[str, Call] = {}
        self._entries: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._book = PriceBook(
            lists={name: PriceList(name=name) for name in ("openrouter", "deepseek")}, prices={}, live=lambda *_: None
        )

    async def after(self, calls: Sequence[Call]) -> list[str]:
        """What is wrong after a run in which these calls were made; nothing, when all is well."""
        self.tally.runs += 1
        self._calls |= {call.ref: call for call in calls}
        await self.site.all_adopted()
        async with database_of(self.site) as database:
            rows = await self._arrived(database)
            faults = [*self._compared(rows), *await self._chains(database), *await database.check()]
            faults += await self._budgets(database)
        faults += [f"still held: {name}" for name in await asyncio.to_thread(self.site.held)]
        self._count(calls, rows)
        return faults

    async def _arrived(self, database: Database) -> list[LedgerRow]:
        """The records, once there is one of every call that the simulator knows, and it knows all that were served.

        A call whose client has left may reach the simulator after that.
        """
        rows: list[LedgerRow] = []

        async def all_there() -> bool:
            self._entries.clear()
            for entry in await self.site.served():
                self._entries[ref_of(entry)].append(entry)
            rows[:] = await rows_of(database)
            served = {row.record.tags.get("ref") for row in rows if row.record.status == "ok"}
            known = {row.record.tags.get("ref") for row in rows}
            return served <= self._entries.keys() <= known

        with suppress(TimeoutError):  # what is missing is told one by one
            await until_answered(all_there, within_s=SETTLED_WITHIN_S)
        return rows

    def _compared(self, rows: Sequence[LedgerRow]) -> list[str]:
        of_ref: dict[str, list[LedgerRow]] = defaultdict(list)
        for row in rows:
            of_ref[row.record.tags.get("ref", row.record.request_id)].append(row)
        faults = [f"{ref}: {len(found)} records" for ref, found in of_ref.items() if len(found) > 1]
        faults += [f"{ref}: a record of a call that nobody made" for ref in of_ref.keys() - self._calls.keys()]
        for ref, call in self._calls.items():
            faults += [f"{ref} ({call.ending}): {said}" for said in self._of_call(call, of_ref.get(ref, []))]
        return faults

    def _of_call(self, call: Call, rows: Sequence[LedgerRow]) -> list[str]:
        entries = self._entries.get(call.ref, [])
        if len(entries) > 1:
            return [f"the simulator was asked {len(entries)} times"]
        if entries and not rows:
            return [f"the simulator served it ({entries[0]['state']}), and there is no record"]
        if call.ending == "acknowledged" and not (rows and entries):
            return [f"acknowledged, with {len(rows)} records"]
        if call.ending == "refused" and call.status == 429 and (rows or entries):
            return ["refused by a limit, and not without a trace"]
        return self._of_record(call, rows[0], entries[0] if entries else None) if rows else []

    def _of_record(self, call: Call, row: LedgerRow, entry: Mapping[str, Any] | None) -> list[str]:
        record = row.record
        if call.ending == "acknowledged" and record.status != "ok":
            return [f"acknowledged, and its record says {record.status}"]
        if record.status == "ok":
            if entry is None:
                return ["its record says that it was served, and the simulator knows nothing of it"]
            usage = entry["usage"]
            said = (record.input_tokens, record.output_tokens, record.nano_usd)
            served = (usage["input_tokens"], usage["output_tokens"], nano_usd(Decimal(entry["cost_usd"])))
            return [] if said == served else [f"the record says {said}, the simulator served {served}"]
        faults = []
        if record.status == "interrupted" and record.cost_source != "estimate":
            faults.append(f"interrupted, and its cost is said to be of {record.cost_source}")
        most = self._most(call)
        if record.nano_usd > most or record.output_tokens > MOST_OUTPUT_TOKENS:
            faults.append(f"{record.status} with {record.nano_usd} nano-USD, at most {most} were reserved")
        if record.status == "interrupted" and entry and record.nano_usd < nano_usd(Decimal(entry["cost_usd"])):
            faults.append(f"interrupted with {record.nano_usd} nano-USD, and served for {entry['cost_usd']} USD")
        return faults

    def _most(self, call: Call) -> int:
        """The most that the call can have been reserved."""
        provider, _, model = call.model.partition("/")
        request = chat_request(orjson.loads(call.body_sent), len(call.body_sent))
        bound = bound_input_tokens(request, body_bytes=request.body_bytes, model=model)
        price = self._book.price(provider, model)
        assert price is not None
        ceiling = price.ceiling(datetime.now(UTC))
        return ceiling.worst_case_nano(input_tokens=bound, output_tokens=MOST_OUTPUT_TOKENS)

    async def _chains(self, database: Database) -> list[str]:
        return [f"chain of {fault.writer}: {fault.text}" for fault in (await verify(database.ledger)).faults]

    # -- money

    async def _budgets(self, database: Database) -> list[str]:
        """Nothing is reserved, and what counts as used is what the ledger's records add up to."""
        found = [await self._budget(database, payer, scope) for payer, scope in self._budgeted()]
        return [fault for fault in found if fault is not None]

    async def _budget(self, database: Database, payer: Payer, scope: LimitScope) -> str | None:
        spent, used, reserved = 0, 0, 0

        async def agree() -> bool:
            nonlocal spent, used, reserved
            rows = await rows_of(database)  # again: what a client left behind may be on its way
            spent = sum(row.record.nano_usd for row in rows if _counts_for(row, payer, scope))
            used, reserved = await self._stands(payer, scope)
            return (used, reserved) == (spent, 0)

        try:
            await until_answered(agree, within_s=5)
        except TimeoutError:
            return f"budget of {scope} {payer.subject}: {used} used ({used - spent:+}), {reserved} reserved"
        return None

    def _budgeted(self) -> list[tuple[Payer, LimitScope]]:
        admin = Payer(ADMIN_KEY, "global", "")
        rich, poor, _, somebody = self.site.payers
        return [(rich, "key"), (poor, "key"), (somebody, "user"), (admin, "global"), (admin, "provider")]

    async def _stands(self, payer: Payer, scope: str) -> tuple[int, int]:
        """What a limit says that refuses: asked for so much that no other one refuses."""
        tokens = {"key": 20_000_000, "user": 20_000_000, "provider": 1_480_000_000, "global": 2_000_000_000}[scope]
        body = {"model": "openrouter/openai/gpt-4o-mini", "messages": PROBING, "max_tokens": tokens}
        headers = {"Authorization": f"Bearer {payer.credential}", "X_LLM_Tags": "ref=probe"}
        if payer.user:
            headers["X_LLM_User"] = payer.user
        answer = await ask(self.site.address, "POST", CHAT, orjson.dumps(body), **headers)
        said = answer.json().get("limit")
        if not said or (said["scope"], said["kind"]) != (scope, "money"):
            return -1, answer.status
        return nano_usd(Decimal(said["used"])), nano_usd(Decimal(said["reserved"]))

    def _count(self, calls: Sequence[Call], rows: Sequence[LedgerRow]) -> None:
        tally = self.tally
        tally.calls += len(calls)
        tally.acknowledged += sum(call.ending == "acknowledged" for call in calls)
        tally.left += sum(call.ending == "left" for call in calls)
        tally.refused += sum(call.ending == "refused" and call.status == 429 for call in calls)
        tally.records = len(rows)
        tally.interrupted = sum(row.record.status == "interrupted" for row in rows)


def _counts_for(row: LedgerRow, payer: Payer, scope: LimitScope) -> bool:
    record = row.record
    match scope:
        case "key":
            return record.key_id == payer.subject
        case "user":
            return record.user == USER
        case "provider":
            return record.provider == "openrouter"
        case _:
            return True


def ref_of(entry: Mapping[str, Any]) -> str:
    """The name of a call in what the simulator received."""
    text: str = entry["body"]["messages"][0]["content"]
    return text.removeprefix("ref:").partition(" ")[0]
