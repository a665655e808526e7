"""What the two ends of a channel hear of each other."""

import asyncio
import socket

from llm_service.supervisor.channel import SupervisorsEnd, WorkersEnd
from tests.support.waiting import until


async def test_messages_arrive_in_their_order_in_both_directions() -> None:
    ours, theirs = socket.socketpair()
    supervisor, worker = SupervisorsEnd(ours), await WorkersEnd.over(theirs)
    for number in range(3):
        supervisor.say("prepare", attempt=number)
        worker.say("prepared", attempt=number)
    heard = worker.heard()
    assert [await anext(heard) for _ in range(3)] == [{"say": "prepare", "attempt": number} for number in range(3)]
    assert await until(supervisor.heard) == [{"say": "prepared", "attempt": number} for number in range(3)]
    supervisor.close()
    assert [message async for message in heard] == []
    await worker.aclose()


async def test_the_supervisor_never_waits_for_a_worker_that_does_not_listen() -> None:
    ours, theirs = socket.socketpair()
    supervisor = SupervisorsEnd(ours)
    supervisor.say("prepare", edition="x" * 5_000_000)
    assert supervisor.has_unsent
    worker = await WorkersEnd.over(theirs)
    hearing = asyncio.ensure_future(anext(worker.heard()))

    def sent() -> bool:
        supervisor.flush()
        return hearing.done()

    await until(sent)
    assert len(hearing.result()["edition"]) == 5_000_000
    supervisor.close()
    await worker.aclose()


def test_a_message_in_pieces_is_heard_once_it_is_whole() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        supervisor = SupervisorsEnd(ours)
        theirs.sendall(b'{"say":"re')
        assert supervisor.heard() == []
        theirs.sendall(b'ady"}\n{"say":')
        assert supervisor.heard() == [{"say": "ready"}]
        assert not supervisor.ended
        supervisor.close()


def test_a_worker_that_has_ended_is_noticed_and_told_nothing() -> None:
    ours, theirs = socket.socketpair()
    supervisor = SupervisorsEnd(ours)
    theirs.sendall(b'{"say":"ready"}\n')
    theirs.close()
    supervisor.say("stop")
    assert not supervisor.has_unsent
    assert supervisor.heard() == [{"say": "ready"}]
    assert supervisor.ended
    supervisor.close()
