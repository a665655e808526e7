"""Issued keys at the door of the hot routes."""

import asyncio

import orjson
import pytest

from llm_service.services import Issued
from tests.support.key_service import Process, World
from tests.support.waiting import until
from tests.unit.api.test_generate import Asked, Broken


@pytest.fixture
def process() -> Process:
    return Process(World())


def ask(process: Process, issued: Issued) -> Asked:
    header = (b"authorization", f"Bearer {issued.secret.reveal()}".encode())
    return Asked(Broken(), headers=[header], keys=process.issued)


def refusal(asked: Asked) -> tuple[int, str]:
    return asked.messages[0]["status"], orjson.loads(asked.body)["error"]["code"]


@pytest.mark.parametrize("known", [False, True])
async def test_a_key_comes_in_whether_it_is_known_or_has_to_be_looked_up(process: Process, known: bool) -> None:
    issued = await process.issue()
    if known:
        await process.caller(issued)
    asked = ask(process, issued)
    await asked.gateway.asked.wait()
    asked.gateway.answers.set()
    await asked.served
    assert asked.messages[0]["status"] == 200


async def test_a_key_without_the_scope_comes_not_in(process: Process) -> None:
    asked = ask(process, await process.issue(scopes=["read", "admin"]))
    asked.gateway.answers.set()
    await asked.served
    assert refusal(asked) == (403, "scope_missing")
    assert not asked.gateway.asked.is_set()


async def test_while_the_database_is_away_an_unknown_key_may_come_again(process: Process) -> None:
    issued = await process.issue()
    process.world.store.away = True
    asked = ask(process, issued)
    await asked.served
    assert refusal(asked) == (503, "ledger_unavailable")


async def test_a_shutdown_tells_those_whose_key_is_still_looked_up(process: Process) -> None:
    issued = await process.issue()
    process.world.store.gate = asyncio.Event()
    asked = ask(process, issued)
    await until(lambda: process.world.store.waiting)
    await asked.serving.drain(0, hurried=asyncio.Event())
    await asked.served
    assert refusal(asked) == (503, "draining")
