"""The head of an answer: what its fields say about the body, and the fields as a mapping."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from llm_service.transport.base import TransportError

HEAD_BYTES: Final = 256 * 1024
"""As much as one read of the socket; real heads have some 2 KiB, and some proxies add much."""
HEAD_LINE_BYTES: Final = 16 * 1024
_LINE_EXTRA_BYTES: Final = 4
_FRAMING: Final = (b"transfer-encoding", b"content-encoding")
_NO_BODY: Final = (204, 304)


class Headers(Mapping[str, str]):
    """Header fields, found by names in any case; decoded when they are asked for. Of a repeated one, the first."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[bytes, bytes]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return _text(self._fields[name.lower().encode()])

    def __iter__(self) -> Iterator[str]:
        return map(_text, self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class ResponseHead:
    """Status and fields of an answer, and how its body is framed."""

    __slots__ = ("fields", "status")

    def __init__(self, status: int, lines: Iterable[tuple[bytes, bytes]]) -> None:
        """Raises TransportError where the head is too large, or says that the body is coded in a way not asked for."""
        self.status = status
        self.fields = fields = dict[bytes, bytes]()
        head_bytes = 0
        for name, value in lines:
            line_bytes = len(name) + len(value) + _LINE_EXTRA_BYTES
            head_bytes += line_bytes
            if line_bytes > HEAD_LINE_BYTES:
                raise too_large()
            lower = name.lower()
            if lower not in fields:
                fields[lower] = value
            elif lower in _FRAMING:
                raise TransportError("protocol", "the answer says twice how its body is coded", sent=True)
        if head_bytes > HEAD_BYTES:
            raise too_large()
        if fields.get(b"transfer-encoding", b"chunked").strip().lower() != b"chunked":
            raise TransportError("protocol", "the answer's transfer encoding was not asked for", sent=True)

    @property
    def chunked(self) -> bool:
        return b"transfer-encoding" in self.fields

    @property
    def ends_with_connection(self) -> bool:
        """Whether the end of the connection is the end of the body. RFC 9112, section 6.3."""
        return not self.chunked and b"content-length" not in self.fields and self.status not in _NO_BODY

    @property
    def encoding(self) -> str | None:
        """The content encoding as it was sent."""
        encoding = self.fields.get(b"content-encoding")
        return None if encoding is None else _text(encoding)


def too_large() -> TransportError:
    """The head, the trailer or what else stands around a body is beyond all measure."""
    return TransportError("too_large", "the answer's head or trailer is too large", sent=True)


def _text(field: bytes) -> str:
    return field.strip().decode("utf-8", "surrogateescape")


__all__ = ["HEAD_BYTES", "HEAD_LINE_BYTES", "Headers", "ResponseHead", "too_large"]
