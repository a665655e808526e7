"""A kept answer as bytes and back. Whatever is not whole and of this version is no answer; nothing is ever executed."""

import asyncio
import zlib
from collections.abc import Callable, Sequence
from hashlib import blake2b
from math import isfinite
from struct import Struct
from typing import Any, Final, TypeVar, get_args

import orjson

from llm_service.domain import AnswerForm, CostSource, Head, KeptAnswer, Usage

MAGIC: Final = b"LLMa"
VERSION: Final = 1
"""Of the fields below; another one is a miss, so that two versions of the program may share a store."""
COMPRESSED_ABOVE: Final = 1024
HEADER_SLACK: Final = 65_536
"""By how much an entry may be larger than its answer's size says: names, groups, the lengths of the pieces."""

ASIDE_BYTES: Final = 131_072
"""What is larger is packed and unpacked in a thread: a MB takes 2 to 11 ms, in which the loop would do nothing else."""

_FRAME: Final = Struct(">4sBBI16s")  # magic, version, packing, length unpacked, checksum of all else
_LENGTH: Final = Struct(">I")
_CHECKSUM_BYTES: Final = 16
_PLAIN, _ZLIB = 0, 1
_LEVEL: Final = 1
_KINDS: Final = frozenset("cfu")
_STRINGS: Final = ("form", "kinds", "cost_source")
_MAYBE_STRINGS: Final = ("finish_reason", "upstream_id", "response_model")
_SECONDS: Final = ("stored_at", "fresh_s", "kept_s")

T = TypeVar("T")


async def aside(size: int, work: Callable[[], T]) -> T:
    """Pack or unpack an answer of ``size`` bytes: here, or in a thread where it takes long."""
    return work() if size <= ASIDE_BYTES else await asyncio.to_thread(work)


def packed(answer: KeptAnswer, groups: Sequence[str], *, max_bytes: int) -> bytes | None:
    """The bytes of an answer and its groups; ``None`` when it is too large or holds what JSON cannot say."""
    try:
        header = orjson.dumps(_header(answer, groups))
    except TypeError:
        return None
    body = b"".join((_LENGTH.pack(len(header)), header, *answer.pieces))
    length, packing = len(body), _PLAIN
    if length > max_bytes + HEADER_SLACK:
        return None
    if length > COMPRESSED_ABOVE and len(small := zlib.compress(body, _LEVEL)) < length:
        body, packing = small, _ZLIB
    return _FRAME.pack(MAGIC, VERSION, packing, length, _checksum(packing, length, body)) + body


def unpacked(data: bytes, *, digest: bytes, max_bytes: int) -> tuple[KeptAnswer, tuple[str, ...]] | None:
    """The answer of this digest, and its groups; ``None`` for anything else."""
    body = _body(data, max_bytes=max_bytes + HEADER_SLACK)
    if body is None or len(body) < _LENGTH.size:
        return None
    begin = _LENGTH.size + _LENGTH.unpack_from(body)[0]
    try:
        header = orjson.loads(body[_LENGTH.size : begin])
        return _answer(header, body[begin:], digest)
    except (LookupError, TypeError, ValueError):  # well framed, but by somebody else
        return None


def _body(data: bytes, *, max_bytes: int) -> bytes | None:
    """What the frame holds, if it is whole."""
    if len(data) < _FRAME.size:
        return None
    magic, version, packing, length, checksum = _FRAME.unpack_from(data)
    body = data[_FRAME.size :]
    if (magic, version) != (MAGIC, VERSION) or length > max_bytes or len(body) > max_bytes:
        return None
    if checksum != _checksum(packing, length, body):
        return None
    if packing == _PLAIN:
        return body if len(body) == length else None
    return _inflated(body, length) if packing == _ZLIB else None


def _inflated(body: bytes, length: int) -> bytes | None:
    """Exactly so many bytes; a bomb stops there."""
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(body, length + 1)
    except zlib.error:
        return None
    whole = unpacker.eof and not unpacker.unused_data and len(plain) == length
    return plain if whole else None


def _checksum(packing: int, length: int, body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECKSUM_BYTES, salt=b"%d,%d" % (packing, length)).digest()


def _header(answer: KeptAnswer, groups: Sequence[str]) -> dict[str, Any]:
    head, usage = answer.head, answer.usage
    return {
        "digest": answer.digest.hex(),
        "form": answer.form,
        "lengths": [len(piece) for piece in answer.pieces],
        "kinds": answer.kinds,
        "head": (head.provider, head.model, head.upstream_model, 1),  # a count that this version has no use for
        "usage": usage and (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.reasoning_tokens),
        "finish_reason": answer.finish_reason,
        "upstream_id": answer.upstream_id,
        "response_model": answer.response_model,
        "nano_usd": answer.nano_usd,
        "cost_source": answer.cost_source,
        "stored_at": answer.stored_at,
        "fresh_s": answer.fresh_s,
        "kept_s": answer.kept_s,
        "groups": list(groups),
    }


def _answer(header: Any, rest: bytes, digest: bytes) -> tuple[KeptAnswer, tuple[str, ...]]:
    """Raises LookupError, TypeError or ValueError for anything but what `_header` makes."""
    if bytes.fromhex(header["digest"]) != digest:
        raise ValueError("an answer to something else")
    pieces = _pieces(header["lengths"], rest)
    _check_form(header, len(pieces))
    _check_kinds_of_values(header)
    provider, model, upstream_model, _ = header["head"]
    answer = KeptAnswer(
        digest=digest,
        form=header["form"],
        pieces=pieces,
        kinds=header["kinds"],
        head=Head(provider=_text(provider), model=_text(model), upstream_model=_text(upstream_model)),
        usage=_usage(header["usage"]),
        finish_reason=header["finish_reason"],
        upstream_id=header["upstream_id"],
        response_model=header["response_model"],
        nano_usd=_count(header["nano_usd"]),
        cost_source=header["cost_source"],
        stored_at=header["stored_at"],
        fresh_s=header["fresh_s"],
        kept_s=header["kept_s"],
    )
    return answer, tuple(map(_text, header["groups"]))


def _pieces(lengths: Any, rest: bytes) -> tuple[bytes, ...]:
    pieces, begin = [], 0
    for length in map(_count, lengths):
        pieces.append(rest[begin : begin + length])
        begin += length
    if begin != len(rest):
        raise ValueError("not as long as it says")
    return tuple(pieces)


def _check_form(header: dict[str, Any], count: int) -> None:
    kinds = header["kinds"]
    fits = (count, kinds) == (1, "") if header["form"] == "whole" else len(kinds) == count and _KINDS.issuperset(kinds)
    if header["form"] not in get_args(AnswerForm) or header["cost_source"] not in get_args(CostSource) or not fits:
        raise ValueError("no form of an answer")


def _check_kinds_of_values(header: dict[str, Any]) -> None:
    for name in _STRINGS:
        _text(header[name])
    for name in _MAYBE_STRINGS:
        if header[name] is not None:
            _text(header[name])
    for name in _SECONDS:
        if type(header[name]) not in {int, float} or not isfinite(header[name]):
            raise TypeError("no seconds")


def _usage(counts: Any) -> Usage | None:
    if counts is None:
        return None
    read, written, cached, reasoning = map(_count, counts)
    return Usage(input_tokens=read, output_tokens=written, cached_input_tokens=cached, reasoning_tokens=reasoning)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError("no text")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError("no count")
    return value
