"""Lines of a journal are read, passed over, or refused with ValueError; never anything else, whoever wrote them."""

from contextlib import suppress
from zlib import crc32

from llm_service.ledger.entries import read


def one(data: bytes) -> None:
    """``data``: lines, each of which is read torn and whole."""
    list_of(data)
    list_of(b"".join(b'%b,"crc":"%08x"}\n' % (line, crc32(line)) for line in data.split(b"\n")))


def list_of(data: bytes) -> None:
    end = 0
    with suppress(ValueError):
        for _, offset in read(data, writer="w"):
            assert end < offset <= len(data)
            end = offset
