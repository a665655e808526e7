"""Undoing a content encoding in bounded pieces, so that a bomb meets the receiver's own bounds."""

import zlib
from typing import Final

from llm_service.transport.base import TransportError

DECODED_PIECE_BYTES: Final = 256 * 1024


class Decoder:
    """A gzip or zlib body, fed as it comes and taken in pieces of at most ``DECODED_PIECE_BYTES``."""

    __slots__ = ("_inflate", "_more", "_rest")

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=47)  # gzip or zlib, by the first bytes
        self._rest = b""
        self._more = False

    def feed(self, data: bytes) -> None:
        """Further bytes of the body."""
        self._rest += data
        self._more = bool(self._rest)

    def piece(self) -> bytes:
        """The next decoded bytes; empty when there are none until more is fed. Raises TransportError."""
        piece = b""
        while self._more and not piece:
            if self._inflate.eof:  # the decoder would keep whatever it is given
                raise TransportError("protocol", "bytes follow the compressed body", sent=True)
            try:
                piece = self._inflate.decompress(self._rest, DECODED_PIECE_BYTES)
            except zlib.error:
                raise TransportError("protocol", "the compressed body is broken", sent=True) from None
            self._rest = self._inflate.unconsumed_tail or self._inflate.unused_data
            self._more = bool(self._rest) or (len(piece) == DECODED_PIECE_BYTES and not self._inflate.eof)
        return piece

    def finish(self) -> None:
        """The body has ended. Raises TransportError where the compressed data has not."""
        if not self._inflate.eof:
            raise TransportError("disconnected", "the compressed body is not complete", sent=True)


def decoder_of(encoding: str | None) -> Decoder | None:
    """A decoder for the content encoding; ``None`` where there is none to undo.

    Raises TransportError for an encoding that was not asked for and is not understood.
    """
    if encoding is None or encoding.lower() in ("", "identity"):
        return None
    if encoding.lower() in ("gzip", "x-gzip", "deflate"):
        return Decoder()
    raise TransportError("protocol", "the body's encoding was not asked for", sent=True)


__all__ = ["DECODED_PIECE_BYTES", "Decoder", "decoder_of"]
