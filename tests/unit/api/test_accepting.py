"""Connections from a socket that others listen on as well: a few at a time, and after a failure again."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.api import accepting, listen
from llm_service.api.accepting import MOST_AHEAD, Share, SharedAcceptor, Shares
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


class Held(asyncio.Protocol):
    """Stays open, and is counted while it does."""

    def __init__(self, among: "set[Held]") -> None:
        self._among = among

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._among.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._among.discard(self)


class Process:
    """An acceptor, and the connections that it has taken."""

    def __init__(self, listening: socket.socket, share: Share) -> None:
        self.open = set[Held]()
        self.acceptor = SharedAcceptor(
            listening, lambda: Held(self.open), share=share, connections=lambda: len(self.open)
        )


@contextlib.asynccontextmanager
async def pool(address: tuple[str, int], size: int) -> AsyncIterator[list[asyncio.StreamWriter]]:
    opened = await asyncio.gather(*(asyncio.open_connection(*address) for _ in range(size)))
    yield [writer for _, writer in opened]
    for _, writer in opened:
        writer.close()


async def test_who_is_ahead_leaves_connections_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "BREATH_S", 3600)
    shares = Shares(2)
    with listen("127.0.0.1", 0) as listening, listening.dup() as same:
        first = Process(listening, shares.of(1))
        async with pool(listening.getsockname(), 30):
            await until(lambda: len(first.open) > 0)
            await loop_turns(50)
            taken = len(first.open)
            assert taken <= MOST_AHEAD
            other = Process(same, shares.of(2))
            await until(lambda: len(other.open) > taken)
            await loop_turns(50)
            assert len(other.open) <= taken + MOST_AHEAD
            assert len(first.open) == taken
            first.acceptor.close()
            other.acceptor.close()


async def test_what_the_others_do_not_take_is_taken_in_the_end() -> None:
    with listen("127.0.0.1", 0) as listening:
        lonely = Process(listening, Shares(2).of(1))
        async with pool(listening.getsockname(), 30):
            await until(lambda: len(lonely.open) == 30)
        lonely.acceptor.close()


@given(counts=st.lists(st.integers(0, 1000), min_size=1, max_size=8))
def test_the_lead_is_over_the_one_that_has_the_fewest(counts: list[int]) -> None:
    shares = Shares(len(counts))
    for number, count in enumerate(counts, start=1):
        shares.of(number).lead(count)
    leads = [shares.of(number).lead(count) for number, count in enumerate(counts, start=1)]
    assert leads == [count - min(counts) for count in counts]


async def test_a_successor_goes_on_from_nothing() -> None:
    shares = Shares(2)
    shares.of(1).lead(50)
    shares.of(2).lead(40)
    assert shares.of(1).lead(0) == 0
    assert shares.of(2).lead(40) == 40


async def test_a_process_without_files_says_so_and_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "OUT_OF_FILES_S", 0.01)
    told = list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, said: told.append(said))
    with listen("127.0.0.1", 0) as made, Poor(fileno=os.dup(made.fileno())) as listening:
        acceptor = SharedAcceptor(listening, Greeting, share=Shares(1).of(1), connections=lambda: 0)
        assert await greeted(listening.getsockname()) == b"hello"
        acceptor.close()
        await acceptor.wait_closed()
    assert [said["exception"].errno for said in told] == [errno.EMFILE]
