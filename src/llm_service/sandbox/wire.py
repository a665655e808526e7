"""The bytes of HTTP/1.1 for the steps of a reply."""

from __future__ import annotations

from llm_service.sandbox.messages import Data, Head, Partial, Raw, Transfer

Writable = Head | Data | Raw | Partial


class Wire:
    """Encodes one reply: what the head has announced decides how the body is framed."""

    __slots__ = ("transfer",)

    def __init__(self) -> None:
        self.transfer = Transfer.LENGTH

    def encode(self, step: Writable) -> bytes:
        """The bytes of one step."""
        match step:
            case Data(data):
                return _chunk(data) if self.transfer is Transfer.CHUNKED else data
            case Head():
                self.transfer = step.transfer
                return step.encode()
            case Raw(data):
                return data
            case Partial(data):
                return b"%x\r\n%b" % (len(data) + 1, data) if self.transfer is Transfer.CHUNKED else data

    def end(self) -> bytes:
        """The bytes that end the body properly."""
        return b"0\r\n\r\n" if self.transfer is Transfer.CHUNKED else b""


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
