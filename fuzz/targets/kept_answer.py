"""What a shared store holds under our names is an answer of ours or nothing, also where its frame is right."""

import zlib

from llm_service.storage import packed, unpacked
from llm_service.storage.cache_codec import _FRAME, _LENGTH, MAGIC, VERSION, _checksum

_MOST = 1 << 16
DIGEST = bytes(32)


def one(data: bytes) -> None:
    """``data``: a header, a zero byte, and what follows it."""
    unpacked(data, digest=DIGEST, max_bytes=_MOST)
    header, _, rest = data.partition(b"\0")
    plain = _LENGTH.pack(len(header)) + header + rest
    small = zlib.compress(plain, 1)
    for packing, body in ((0, plain), (1, small), (1, data)):
        framed = _FRAME.pack(MAGIC, VERSION, packing, len(plain), _checksum(packing, len(plain), body)) + body
        found = unpacked(framed, digest=DIGEST, max_bytes=_MOST)
        if found is not None:
            answer, groups = found
            again = packed(answer, groups, max_bytes=_MOST)
            assert again is not None
            assert unpacked(again, digest=DIGEST, max_bytes=_MOST) == found
            assert len(answer.events() if answer.form != "whole" else answer.pieces) == len(answer.pieces)
