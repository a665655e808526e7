"""Processes for the crash tests: one that works until it is killed, one that adopts, one that fills its disk.

python tests/support/ledger_child.py work FOLDER WRITER SEED FSYNC | adopt FOLDER WRITER 0 | fill FOLDER WRITER BYTES

Each says on its output what it has done, as soon as it is done: ``open ID``, ``close ID``.
"""

import asyncio
import os
import random
import resource
import signal
import sys
from pathlib import Path

from llm_service.domain import LedgerUnavailable
from llm_service.ledger import LedgerOptions
from llm_service.runtime import SystemClock
from tests.support.ledger_entries import a_ledger, an_intent, what_is_closed
from tests.support.memory_ledger import FileLedger

MOST_OPEN = 40


def say(word: str, request_id: str) -> None:
    os.write(1, f"{word} {request_id}\n".encode())


async def work(folder: Path, writer: str, seed: int, fsync: str) -> None:
    """Requests of which some are open at any time; every tenth is a hit, without an intent."""
    dice = random.Random(seed)
    store = FileLedger(folder / "store")
    ledger = a_ledger(folder, store=store, clock=SystemClock(), writer=writer, options=LedgerOptions(fsync=fsync))  # type: ignore[arg-type]
    ledger.start()
    opened = list[int]()
    number = seed * 1_000_000
    while True:
        if len(opened) < dice.randrange(1, MOST_OPEN):
            number += 1
            intent = an_intent(number)
            if number % 10:
                ledger.open(intent)
                say("open", intent.request_id)
            opened.append(number)
        else:
            closing = opened.pop(dice.randrange(len(opened)))
            record = what_is_closed(closing)
            wait = ledger.close(record)
            if wait is not None:
                await wait
            say("close", record.request_id)
        if dice.random() < 0.02:
            store.away = dice.random() < 0.3
            await asyncio.sleep(0.001)  # now and then the shipping gets its turn; whoever kills us waits for nothing


async def adopt(folder: Path, writer: str) -> None:
    """Adopt what is there, and say so."""
    ledger = a_ledger(folder, store=FileLedger(folder / "store"), clock=SystemClock(), writer=writer)
    os.write(1, b"begin adopting\n")
    while True:
        await ledger.adopt()
        os.write(1, b"adopted all\n")
        await asyncio.sleep(0.01)  # a breath, until we are killed


async def fill(folder: Path, writer: str, file_bytes: int) -> None:
    """Write until a file may grow no more, then close what is open."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    store = FileLedger(folder / "store")
    store.away = True
    ledger = a_ledger(folder, store=store, clock=SystemClock(), writer=writer)
    ledger.start()
    number = 0
    try:
        while True:
            number += 1
            ledger.open(an_intent(number))
            say("open", an_intent(number).request_id)
    except LedgerUnavailable as error:
        say("refused", error.message.replace(" ", "_"))
    for closing in range(1, number):
        ledger.close(what_is_closed(closing))
        say("close", what_is_closed(closing).request_id)
    os.write(1, b"end filled\n")
    await ledger.aclose()


if __name__ == "__main__":
    doing, place, name, figure, *more = sys.argv[1:]
    match doing:
        case "work":
            asyncio.run(work(Path(place), name, int(figure), more[0]))
        case "adopt":
            asyncio.run(adopt(Path(place), name))
        case "fill":
            asyncio.run(fill(Path(place), name, int(figure)))
