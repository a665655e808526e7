"""Frames make the same messages in whatever pieces they come, within bounds."""

from websockets.frames import Frame, Opcode

from fuzz.cuts import pieces
from llm_service.api.websocket.message_reader import MessageReader
from llm_service.api.websocket.socket import name_in, understood

_MOST = 4096
_PINGS = 10


def one(data: bytes) -> None:
    """``data``: what a client sends once it has its socket; and what it says, in frames of any size."""
    check_raw(data)
    check_said(data[:_MOST])


def check_raw(data: bytes) -> None:
    whole, cut = MessageReader(), MessageReader()
    for reader, parts in ((whole, [data]), (cut, pieces(data))):
        reader.max_message_bytes = _MOST
        for part in parts:
            if reader.end is None and reader.refusal is None:
                reader.feed(part)
        assert reader.incomplete_bytes <= len(data)
    assert list(whole.messages) == list(cut.messages)
    assert whole.refusal == cut.refusal
    for message in whole.messages:
        assert len(message.get("bytes", b"")) <= _MOST
        frame = understood(message.get("text"))
        if frame is not None:
            name_in(frame)
    for reader in (whole, cut):
        reader.release()


def check_said(said: bytes) -> None:
    parts = pieces(said) or [b""]
    reader = MessageReader()
    for number, part in enumerate(parts):
        opcode = Opcode.CONT if number else Opcode.BINARY
        reader.feed(Frame(opcode, part, fin=number == len(parts) - 1).serialize(mask=True))
        if number < _PINGS:
            reader.feed(Frame(Opcode.PING, b"").serialize(mask=True))
    reader.release()
    assert reader.refusal is None
    assert [message["bytes"] for message in reader.messages] == [said]
