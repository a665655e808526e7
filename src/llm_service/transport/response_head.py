"""The head of an answer: what its fields say about the body, and the fields as a mapping."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from llm_service.transport.base import TransportError

HEAD_BYTES: Final = 256 * 1024
"""As much as one read of the socket; real heads have some 2 KiB, and some proxies add much."""
HEAD_LINE_BYTES: Final = 16 * 1024
_LINE_EXTRA_BYTES: Final = 4
_CODINGS: Final = frozenset((b"transfer-encoding", b"content-encoding"))  # 17 bytes and 16
_NO_BODY: Final = (204, 304)


Line = tuple[bytes, bytes]
"""Name and value of a field, as they came."""


class Headers(Mapping[str, str]):
    """Header fields, found by names in any case; looked through when one is asked for. Of a repeated one, the first."""

    __slots__ = ("_fields", "_lines")

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._fields: dict[bytes, bytes] | None = None

    def _found(self) -> dict[bytes, bytes]:
        if self._fields is None:
            self._fields = {}
            for name, value in self._lines:
                self._fields.setdefault(name.lower(), value)
        return self._fields

    def __getitem__(self, name: str) -> str:
        return _text(self._found()[name.lower().encode()])

    def __iter__(self) -> Iterator[str]:
        return map(_text, self._found())

    def __len__(self) -> int:
        return len(self._found())


class ResponseHead:
    """Status and fields of an answer, and how its body is coded and framed. ``encoding``: as it was sent."""

    __slots__ = ("chunked", "encoding", "lines", "status")

    def __init__(self, status: int, lines: Sequence[Line], read_bytes: int = HEAD_BYTES) -> None:
        """``read_bytes``: so many at most were read for these lines; a few need no measuring.

        Raises TransportError where the head is too large, or says that the body is coded in a way not asked for.
        """
        self.status = status
        self.lines = lines
        self.chunked = False
        self.encoding: str | None = None
        if read_bytes > HEAD_LINE_BYTES:
            _measure(lines)
        for name, value in lines:
            if 16 <= len(name) <= 17 and (coding := name.lower()) in _CODINGS:
                self._note(coding, value)

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"content-encoding":
            twice = self.encoding is not None
            self.encoding = _text(value)
        else:
            twice, self.chunked = self.chunked, True
            if value.strip().lower() != b"chunked":
                raise TransportError("protocol", "the answer's transfer encoding was not asked for", sent=True)
        if twice:
            raise TransportError("protocol", "the answer says twice how its body is coded", sent=True)

    @property
    def ends_with_connection(self) -> bool:
        """Whether the end of the connection is the end of the body. RFC 9112, section 6.3."""
        has_length = any(name.lower() == b"content-length" for name, _ in self.lines)
        return not self.chunked and not has_length and self.status not in _NO_BODY


def _measure(lines: Sequence[Line]) -> None:
    head_bytes = 0
    for name, value in lines:
        line_bytes = len(name) + len(value) + _LINE_EXTRA_BYTES
        head_bytes += line_bytes
        if line_bytes > HEAD_LINE_BYTES:
            raise too_large()
    if head_bytes > HEAD_BYTES:
        raise too_large()


def too_large() -> TransportError:
    """The head, the trailer or what else stands around a body is beyond all measure."""
    return TransportError("too_large", "the answer's head or trailer is too large", sent=True)


def _text(field: bytes) -> str:
    return field.strip().decode("utf-8", "surrogateescape")


__all__ = ["HEAD_BYTES", "HEAD_LINE_BYTES", "Headers", "Line", "ResponseHead", "too_large"]
