"""When a request goes out."""

import asyncio

import pytest

from llm_service.transport.call import Call
from llm_service.transport.connection import Connection
from llm_service.transport.pool import Pool
from llm_service.transport.request_head import Origin
from tests.support.upstream import Noted, failed
from tests.support.waiting import loop_turns
from tests.support.wire import Wire


async def asked(body: bytes | None, *, at_once: bool) -> list[list[bytes]]:
    """What was written before and after the end of the turn in which the request was made."""
    loop = asyncio.get_running_loop()
    origin = Origin("127.0.0.1", 80, secure=False)
    pool = Pool(max_connections=1, tls=None, on_failure=failed)
    connection = Connection(pool, origin, loop, loop.time() + 60)
    wire = Wire()
    connection.connection_made(wire)
    connection.start(Call(Noted(), origin, b"head", body, 5.0, failed, loop, at_once=at_once), loop.time())
    soon = list(wire.said)
    await loop_turns(1)
    return [soon, wire.said[len(soon) :]]


@pytest.mark.parametrize(("body", "sent"), [(None, b"head"), (b" and body", b"head and body")])
async def test_a_request_waits_for_the_end_of_the_turn_unless_it_is_to_go_at_once(
    body: bytes | None, sent: bytes
) -> None:
    assert await asked(body, at_once=False) == [[], [sent]]
    assert await asked(body, at_once=True) == [[sent], []]
