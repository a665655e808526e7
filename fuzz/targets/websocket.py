"""Frames make the same messages in whatever pieces they come, within bounds."""

from fuzz.cuts import pieces
from llm_service.api.websocket.message_reader import MessageReader
from llm_service.api.websocket.socket import name_in, understood

_MOST = 4096


def one(data: bytes) -> None:
    """``data``: what a client sends once it has its socket."""
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
