"""A backup of a service under load, put in place elsewhere: the same records, keys and budgets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from llm_service.domain import nano_usd
from llm_service.storage import UsageFilter, open_database
from tests.support.process import Finished, Place, place, run, serving
from tests.support.waiting import until, until_answered

CLIENTS = 6
FEW = 40
WITHIN_S = 60.0
DATA = ".local/state/llm-service/sandbox"
MODEL = "deepseek/deepseek-flash"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "What is the capital of France?"}], "stream": True}


@dataclass
class Load:
    """Clients that ask one after the other; who had the end of which answer when."""

    address: str
    key: str
    ended: dict[str, datetime] = field(default_factory=dict)

    async def ask(self, client: httpx.AsyncClient) -> None:
        headers = {"Authorization": f"Bearer {self.key}"}
        async with client.stream("POST", "/v1/chat/completions", json=BODY, headers=headers) as answer:
            assert answer.status_code == 200, await answer.aread()
            text = await answer.aread()
        assert text.endswith(b"data: [DONE]\n\n")
        self.ended[answer.headers["x-request-id"]] = datetime.now(UTC)

    async def go_on(self) -> None:
        async with httpx.AsyncClient(base_url=self.address, timeout=30) as client:
            while True:
                await self.ask(client)


@asynccontextmanager
async def under_load(address: str, key: str) -> AsyncIterator[Load]:
    load = Load(address, key)
    clients = [asyncio.create_task(load.go_on()) for _ in range(CLIENTS)]
    try:
        yield load
        assert not [one for one in clients if one.done()], [one.exception() for one in clients if one.done()]
    finally:
        for one in clients:
            one.cancel()
        for one in clients:
            with suppress(asyncio.CancelledError):
                await one


async def told(where: Place, *arguments: str) -> Any:
    done: Finished = await asyncio.to_thread(run, where, *arguments, "--json")
    assert done.code == 0, done.out + done.err
    return done.json()


async def records(folder: Path) -> dict[str, int]:
    """What each request of the ledger cost."""
    database = await open_database(None, data_dir=folder)
    rows = await database.ledger.page(UsageFilter(), after=None, count=100_000)
    await database.aclose()
    return {row.record.request_id: row.record.nano_usd for row in rows}


async def all_shipped(address: str) -> None:
    """What was in the journals, and the newest record, are in the database."""
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:

        async def is_so() -> bool:
            ledger = (await client.get("/health")).json()["stores"]["ledger"]
            return ledger["unshipped_records"] == 0 and ledger["dead_journals"] == 0

        await until_answered(is_so, within_s=WITHIN_S)


async def spent(address: str, key_id: str) -> int:
    """Nano-USD, as the limits have it."""
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        limits = (await client.get("/admin/limits", params={"key_id": key_id})).json()["data"]
    (budget,) = [row for row in limits if row["kind"] == "money" and row["scope"] == "key"]
    return nano_usd(Decimal(budget["used"]))


async def test_what_clients_had_by_then_is_there_elsewhere(tmp_path: Path) -> None:
    here, there = place(tmp_path / "here"), place(tmp_path / "there")
    for one in (here, there):
        one.folder.mkdir()
    with serving(here) as service:
        key = await told(here, "keys", "create", "n", "--budget-usd", "5", "--budget-period", "total")
        async with under_load(service.address, key["key"]) as load:
            await until(lambda: len(load.ended) > FEW, within_s=WITHIN_S)
            made = await told(here, "backup", "archive.zip")
            count = len(load.ended)
            await until(lambda: len(load.ended) > count + CLIENTS, within_s=WITHIN_S)  # the service goes on
    manifest = made["manifest"]
    had = {name for name, at in load.ended.items() if at < datetime.fromisoformat(manifest["records_until"])}
    assert len(had) > FEW

    archive = str(here.folder / "archive.zip")
    restored = await told(there, "restore", archive)
    assert restored["faults"] == []
    with serving(there) as service:
        async with httpx.AsyncClient(base_url=service.address, timeout=30) as client:
            await Load(service.address, key["key"]).ask(client)  # the key works
        await all_shipped(service.address)
        assert (await told(there, "usage", "verify"))["faults"] == []
        kept = await records(there.folder / DATA)
        assert had <= kept.keys()
        whole = await records(here.folder / DATA)
        assert {name: kept[name] for name in had} == {name: whole[name] for name in had}
        assert await spent(service.address, key["id"]) == sum(kept.values())
