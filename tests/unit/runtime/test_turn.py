"""What is written in one turn of the event loop goes out together at its end; nothing is lost or changed by that."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.runtime import Turn, TurnTransport
from llm_service.runtime.turn import MOST_HELD_BYTES
from tests.support.wire import Wire


def over(wire: Wire, turn: Turn | None = None) -> TurnTransport:
    return TurnTransport(wire, turn or Turn())


async def the_end_of_the_turn() -> None:
    await asyncio.sleep(0)


async def test_what_is_written_in_one_turn_goes_out_as_one_at_its_end() -> None:
    wire = Wire()
    transport = over(wire)
    transport.write_later(b"a")
    transport.write_later(b"b")
    assert wire.said == []
    assert transport.get_write_buffer_size() == 7 + 2
    await the_end_of_the_turn()
    assert wire.said == [b"ab"]
    assert transport.get_write_buffer_size() == 7


async def test_connections_of_a_turn_are_written_to_one_behind_the_other() -> None:
    said: list[Any] = []
    turn = Turn()
    first, second = over(Wire(said), turn), over(Wire(said), turn)
    asyncio.get_running_loop().call_soon(said.append, "other work")
    first.write_later(b"1")
    second.write_later(b"2")
    first.write_later(b"3")
    await the_end_of_the_turn()
    assert said == ["other work", b"13", b"2"]


async def test_the_next_turn_has_an_end_of_its_own() -> None:
    wire = Wire()
    transport = over(wire)
    for data in (b"a", b"b"):
        transport.write_later(data)
        await the_end_of_the_turn()
    assert wire.said == [b"a", b"b"]


@pytest.mark.parametrize(
    ("end", "left"),
    [
        (TurnTransport.close, [b"held", "closed"]),
        (TurnTransport.abort, ["aborted"]),
        (TurnTransport.write_eof, [b"held", "eof"]),
        (lambda transport: transport.writelines([b"x", b"y"]), [b"held", b"x", b"y"]),
    ],
)
async def test_whatever_follows_finds_written_what_was_held(
    end: Callable[[TurnTransport], None], left: list[Any]
) -> None:
    wire = Wire()
    transport = over(wire)
    transport.write_later(b"held")
    end(transport)
    assert wire.said == left
    await the_end_of_the_turn()
    assert wire.said == left


async def test_much_goes_out_at_once() -> None:
    wire = Wire()
    transport = over(wire)
    transport.write_later(b"head")
    transport.write_later(b"x" * MOST_HELD_BYTES)
    assert wire.said == [b"head" + b"x" * MOST_HELD_BYTES]
    transport.write_later(b"rest")
    await the_end_of_the_turn()
    assert wire.said[1:] == [b"rest"]


async def test_what_is_urgent_goes_out_at_once_behind_what_is_held() -> None:
    wire = Wire()
    transport = over(wire)
    transport.write(b"1")
    assert wire.said == [b"1"]
    transport.write_later(b"2")
    transport.write(bytearray(b"3"))
    assert wire.said == [b"1", b"23"]
    await the_end_of_the_turn()
    assert wire.said == [b"1", b"23"]


async def test_nothing_is_written_to_a_connection_that_is_closing() -> None:
    wire = Wire()
    transport = over(wire)
    transport.write_later(b"late")
    wire.closing = True
    await the_end_of_the_turn()
    assert wire.said == []
    assert transport.is_closing()


async def test_reading_is_the_transports_own() -> None:
    wire = Wire()
    transport = over(wire)
    transport.pause_reading()
    transport.resume_reading()
    assert wire.said == ["paused", "resumed"]


@given(st.lists(st.one_of(st.tuples(st.booleans(), st.binary(max_size=9)), st.none())))
def test_no_byte_is_lost_doubled_or_moved(written: list[tuple[bool, bytes] | None]) -> None:
    """Each of them urgent or not; ``None``: the turn ends."""

    async def write() -> bytes:
        wire = Wire()
        transport = over(wire)
        for one in written:
            if one is None:
                await the_end_of_the_turn()
            else:
                urgent, data = one
                (transport.write if urgent else transport.write_later)(data)
        transport.close()
        await the_end_of_the_turn()
        return b"".join(one for one in wire.said if isinstance(one, bytes))

    assert asyncio.run(write()) == b"".join(one[1] for one in written if one is not None)


async def test_what_one_connection_raises_ends_that_one_alone() -> None:
    """The others are written to, in this turn and in those that follow."""

    class Broken(Wire):
        def write(self, data: Any) -> None:
            raise RuntimeError("broken")

    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: reported.append(told["exception"]))
    turn, broken, sound = Turn(), Broken(), Wire()
    first, second = over(broken, turn), over(sound, turn)
    for data in (b"a", b"b"):
        first.write_later(data)
        second.write_later(data)
        await the_end_of_the_turn()
        await the_end_of_the_turn()
    assert ([str(one) for one in reported], broken.said) == (["broken"], ["aborted"])
    assert sound.said == [b"a", b"b"]
