"""Many sockets at once, each with a stream: every chunk of every one in order, for little memory."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import pytest

from tests.support.process import executed_place, serving
from tests.support.raw_socket import PING, PONG, TEXT, RawSocket, frame, raw_socket, said

IDLE_BYTES = 40 * 1024
MODEL = "openai/sandbox/tokens-30+pace-100ms"
AT_ONCE = 50


async def opened(address: str, count: int, held: AsyncExitStack) -> list[RawSocket]:
    """So many sockets, each of which was answered a ping."""
    sockets: list[RawSocket] = []
    while len(sockets) < count:
        step = min(AT_ONCE, count - len(sockets))
        made = await asyncio.gather(*(held.enter_async_context(raw_socket(address)) for _ in range(step)))
        for one in made:
            await one.send(said("ping"))
            assert (await one.frame())[0] == TEXT
        sockets += made
    return sockets


async def numbers_of(client: RawSocket) -> list[int]:
    """The numbers of a stream's chunks, once it is done."""
    numbers: list[int] = []
    while True:
        opcode, data = await client.frame()
        if opcode == PING:
            await client.send(frame(data, PONG))
        elif data.startswith(b'{"type":"chat.chunk"'):
            numbers.append(int(data.partition(b'"seq":')[2].partition(b",")[0]))
        elif not data.startswith(b'{"type":"chat.started"'):
            assert data.startswith(b'{"type":"chat.done"'), data
            return numbers


@pytest.mark.timeout(180)
@pytest.mark.parametrize("count", [150, pytest.param(900, marks=pytest.mark.full)])
async def test_each_of_many_sockets_gets_its_stream_in_order(tmp_path: Path, count: int) -> None:
    with serving(executed_place(tmp_path)) as service:
        process = psutil.Process(service.pid)
        async with AsyncExitStack() as held:
            await opened(service.address, AT_ONCE, held)  # what the first ones cost more
            before = process.memory_info().rss
            clients = await opened(service.address, count, held)
            idle_bytes = (process.memory_info().rss - before) / count
            for number, client in enumerate(clients):
                request = {"model": MODEL, "messages": [{"role": "user", "content": f"hello {number}"}]}
                await client.send(said("chat.create", id="a", request=request))
            async with asyncio.timeout(120):
                numbers = await asyncio.gather(*(numbers_of(client) for client in clients))
        assert service.child.stop() == 0
    print({"sockets": count, "idle_bytes": round(idle_bytes)})
    assert idle_bytes < IDLE_BYTES
    for one in numbers:
        assert one == list(range(1, len(one) + 1))
        assert len(one) > 30
