"""What a hostile client may send over a WebSocket: each is refused cleanly, for little CPU time and memory."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import psutil
import pytest

from tests.support.process import Serving, executed_place, serving
from tests.support.raw_socket import BINARY, CLOSE, CONT, PING, PONG, RawSocket, frame, raw_socket, said
from tests.support.sockets import opened
from tests.support.timed import within
from tests.support.waiting import until_answered

MOST_CPU_S = 0.05
MOST_BYTES = 24 * 1024 * 1024
"""More than twice what one message may have: it is joined, and taken apart."""
MEGABYTE = b"x" * 1_000_000
MANY = 20_000
OPENAI = "openai/sandbox/tokens-3+pace-0ms"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    where = executed_place(tmp_path_factory.mktemp("abuse"), LLM_SERVICE_WEBSOCKET__PING_INTERVAL_S="0.3")
    with serving(where) as service:
        yield service


@dataclass
class Cost:
    """What the service has used since the abuse began."""

    process: psutil.Process
    cpu_s: float
    memory_bytes: int

    @classmethod
    def of(cls, service: Serving) -> "Cost":
        process = psutil.Process(service.pid)
        return cls(process, sum(process.cpu_times()[:2]), process.memory_info().rss)

    @property
    def used_s(self) -> float:
        return sum(self.process.cpu_times()[:2]) - self.cpu_s

    @property
    def grown_bytes(self) -> int:
        return self.process.memory_info().rss - self.memory_bytes


def repeated(*frames: bytes, count: int = MANY) -> Sequence[bytes]:
    """Many frames, in writes of some size."""
    block = b"".join(frames) * 500
    return [block] * (count // 500)


def named(kind: str, **fields: object) -> Sequence[bytes]:
    """Many frames, each with an id of its own."""
    return [b"".join(said(kind, id=f"{block}.{one}", **fields) for one in range(500)) for block in range(MANY // 500)]


def announced(size: int) -> bytes:
    """The head of a frame of this size."""
    return b"\x81\xff" + size.to_bytes(8, "big") + bytes(4)


SENT: dict[str, tuple[Sequence[bytes], int]] = {
    # no frame of the door
    "binary": ([frame(b"\x00\x01", BINARY)], 4409),
    "no JSON": ([frame(b"hello")], 4409),
    "a list": ([frame(b"[1]")], 4409),
    "no type": ([frame(b'{"id": "a"}')], 4409),
    "a type that is no text": ([frame(b'{"type": 1}')], 4409),
    "nothing": ([frame(b"")], 4409),
    "nested without end": ([frame(b'{"type":' + b"[" * 1_000_000)], 4409),
    "no UTF-8": ([frame(b"\xff\xfe")], 1007),
    # no frame of the protocol
    "not masked": ([frame(b"{}", masked=False)], 1002),
    "compressed without agreement": ([frame(b"\xaa" * 1000, flags=0x40)], 1002),
    "reserved bits": ([frame(b"{}", flags=0x10)], 1002),
    "an unknown opcode": ([frame(b"", 0x7)], 1002),
    "a control frame in pieces": ([frame(b"", PING, fin=False)], 1002),
    "a control frame that is long": ([frame(b"x" * 126, PING)], 1002),
    "a continuation of nothing": ([frame(b"", CONT)], 1002),
    "a message within a message": ([frame(b"a", fin=False), frame(b"b")], 1002),
    "a close that says half a code": ([frame(b"\x03", CLOSE)], 1002),
    "a close within a message": ([frame(b"a", fin=False), frame(b"\x03\xe8", CLOSE)], 1002),
    "HTTP": ([b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n" * 3], 1002),
    # too much
    "100 MB announced": ([announced(100_000_000)], 1009),
    "100 MB sent": ([announced(100_000_000), *[MEGABYTE] * 100], 1009),
    "eternity announced": ([announced(2**63 - 1)], 1009),
    "100 MB in pieces": ([frame(MEGABYTE, fin=False), *[frame(MEGABYTE, CONT, fin=False)] * 99], 1009),
    "very small pieces": ([frame(b"{", fin=False), *repeated(frame(b"x", CONT, fin=False))], 1009),
    "empty pieces": ([frame(b"", fin=False), *repeated(frame(b"", CONT, fin=False))], 1009),
    # floods
    "pings of the protocol": (repeated(frame(b"x" * 125, PING)), 4429),
    "pongs that nobody asked for": (repeated(frame(b"", PONG)), 4429),
    "pings within a message": ([frame(b"a", fin=False), *repeated(frame(b"", PING))], 4429),
    "unknown types": (repeated(said("chat.delete", id="a")), 4429),
    "a type of 200 KB": ([said("x" * 200_000)] * 30, 4429),
    "auth again and again": (repeated(said("auth", key="local")), 4429),
    "requests without an id": (repeated(said("chat.create", request={})), 4429),
    "requests that are none": (named("chat.create", request={}), 4429),
    "cancel without an id": (repeated(said("chat.cancel")), 4429),
    "to resume nothing": (named("chat.resume"), 4429),
}


async def alive(service: Serving) -> bool:
    async with opened(service.address) as client:
        await client.create(model=OPENAI)
        return (await client.all_of())[-1]["type"] == "chat.done"


@pytest.fixture
async def before(service: Serving) -> AsyncIterator[Cost]:
    """What was used before, by a service that is warm; afterwards it serves as ever."""
    assert await alive(service)
    yield Cost.of(service)
    assert await alive(service)


async def abused(service: Serving, sent: Sequence[bytes]) -> int | None:
    async with raw_socket(service.address) as client:
        sending = asyncio.create_task(client.send(*sent))
        code = await client.close_code()
        sending.cancel()
    return code


@pytest.mark.parametrize("name", SENT)
async def test_abuse_is_refused_for_little(service: Serving, name: str) -> None:
    sent, code = SENT[name]
    assert await abused(service, sent) == code  # the first time of everything costs more
    assert await alive(service)
    before = Cost.of(service)
    assert await abused(service, sent) == code
    used_s, grown = before.used_s, before.grown_bytes
    print({"abuse": name, "code": code, "cpu_ms": round(used_s * 1000), "grown_bytes": grown})
    assert used_s <= MOST_CPU_S
    assert grown < MOST_BYTES
    assert await alive(service)


@pytest.mark.timed
@pytest.mark.parametrize("kind", ["ping", "chat.cancel"])
async def test_a_flood_of_frames_that_ask_for_nothing_ends_the_socket(
    service: Serving, before: Cost, kind: str
) -> None:
    sent = repeated(said(kind, id="never was"), count=100_000)
    assert await abused(service, sent) == 4429
    print({"flood": kind, "cpu_ms": round(before.used_s * 1000)})
    within(before.used_s, 0.5)  # a few thousand are served


async def test_a_client_that_answers_no_ping_is_closed(service: Serving, before: Cost) -> None:
    async with raw_socket(service.address) as client:
        assert (await client.frame())[0] == PING
        assert await client.close_code(within_s=3) == 1011
    assert before.used_s <= MOST_CPU_S


async def requested(client: RawSocket, model: str, *, count: int = 1) -> None:
    request = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    for number in range(count):
        await client.send(said("chat.create", id=f"g{number}", request={**request, "user": f"u{number}"}))


async def test_readers_that_do_not_read_cost_no_more_than_what_the_logs_hold(service: Serving, before: Cost) -> None:
    async with AsyncExitStack() as held:
        clients = [await held.enter_async_context(raw_socket(service.address)) for _ in range(10)]
        for client in clients:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await requested(client, "openai/sandbox/bulk-64mb+pace-0ms")

        async def quiet() -> bool:
            used_s = before.used_s
            await asyncio.sleep(0.3)
            return before.used_s - used_s < 0.03

        await until_answered(quiet, within_s=30)
        assert await alive(service)
        print({"slow readers": 10, "grown_bytes": before.grown_bytes})
        assert before.grown_bytes < 10 * 20_000_000


async def test_sockets_that_come_and_vanish_leave_nothing(service: Serving) -> None:
    async def come_and_vanish() -> None:
        async with raw_socket(service.address) as client:
            await requested(client, "openai/sandbox/tokens-100+pace-20ms", count=2)

    async def round_of(count: int) -> None:
        for _ in range(count // 20):
            await asyncio.gather(*(come_and_vanish() for _ in range(20)))

    await round_of(200)
    before = Cost.of(service)
    await round_of(200)
    print({"vanished": 200, "grown_bytes": before.grown_bytes})
    assert before.grown_bytes < 8_000_000
    assert await alive(service)


async def test_the_log_has_no_defect_and_nothing_of_what_was_sent(service: Serving) -> None:
    assert await abused(service, [frame(b"canary-5d1f")]) == 4409
    assert await abused(service, repeated(said("canary-5d1f"))) == 4429
    assert [line for line in service.log() if line["level"] == "error"] == []
    assert "canary" not in service.child.err.text
