"""Connections from a socket that others listen on as well: a few at a time, and after a failure again."""

import asyncio
import errno
import os
import socket
from typing import Any

import pytest

from llm_service.api import accepting, listen
from llm_service.api.accepting import MOST_AT_ONCE, SharedAcceptor
from tests.support.waiting import loop_turns, until


class Greeting(asyncio.Protocol):
    """Says a word and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(b"hello")  # type: ignore[attr-defined]
        transport.close()


class Poor(socket.socket):
    """Has no file left for the first connection."""

    failures = 1

    def accept(self) -> tuple[socket.socket, Any]:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


async def greeted(address: tuple[str, int]) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    said = await reader.read()
    writer.close()
    return said


async def test_a_few_are_taken_and_the_rest_are_left_to_others_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "BREATH_S", 3600)
    taken = list[Greeting]()

    def make() -> asyncio.Protocol:
        taken.append(Greeting())
        return taken[-1]

    with listen("127.0.0.1", 0) as listening:
        acceptor = SharedAcceptor(listening, make)
        waiting = [asyncio.create_task(greeted(listening.getsockname())) for _ in range(10)]
        await until(lambda: len(taken) == MOST_AT_ONCE)
        await loop_turns(20)
        assert len(taken) == MOST_AT_ONCE
        acceptor._go_on()
        await until(lambda: len(taken) == 2 * MOST_AT_ONCE)
        acceptor.close()
        other = SharedAcceptor(listening, make)
        assert await asyncio.gather(*waiting) == [b"hello"] * 10
        other.close()
        await other.wait_closed()


async def test_a_process_without_files_says_so_and_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "OUT_OF_FILES_S", 0.01)
    told = list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, said: told.append(said))
    with listen("127.0.0.1", 0) as made, Poor(fileno=os.dup(made.fileno())) as listening:
        acceptor = SharedAcceptor(listening, Greeting)
        assert await greeted(listening.getsockname()) == b"hello"
        acceptor.close()
        await acceptor.wait_closed()
    assert [said["exception"].errno for said in told] == [errno.EMFILE]
