"""The hash chain of a writer's records: each names the hash of the one before, so that no change stays unseen."""

from hashlib import sha256
from typing import Any, Final, NamedTuple

import orjson

from llm_service.domain import Tried, UsageRecord, Verdict
from llm_service.storage import ChainLink, storable

GENESIS: Final = "0" * 64
"""What the first record of a writer names as the hash before it."""


PLAIN_BYTES: Final = 900
"""A record's names and figures take more than 400 of them, and no text may be longer than 512 characters."""
MOST_PLAIN: Final = 10**12
"""Tokens and nano-USD of all kinds together: well within what every column and every sum of them takes."""
_UNKEEPABLE: Final = b"\\u0000"


class Tip(NamedTuple):
    """The end of a chain: the last record's number and hash."""

    seq: int
    hash: str


START: Final = Tip(0, GENESIS)


def canonical(record: UsageRecord) -> bytes:
    """The record as JSON that is the same wherever it is read: keys in a fixed order, durations with a decimal point.

    A field that was added later stands at the end, and is left out where it says nothing: otherwise records that were
    hashed without it would seem changed.
    """
    fields: dict[str, Any] = {
        "adjusts": record.adjusts,
        "at": record.at,
        "attempts": record.attempts,
        "cache": record.cache,
        "cached_input_tokens": record.cached_input_tokens,
        "cost_source": record.cost_source,
        "duration_ms": _decimal(record.duration_ms),
        "error_code": record.error_code,
        "first_chunk_ms": _decimal(record.first_chunk_ms),
        "input_tokens": record.input_tokens,
        "key_id": record.key_id,
        "model": record.model,
        "nano_usd": record.nano_usd,
        "output_tokens": record.output_tokens,
        "overhead_ms": _decimal(record.overhead_ms),
        "price_date": record.price_date,
        "provider": record.provider,
        "queue_ms": _decimal(record.queue_ms),
        "reasoning_tokens": record.reasoning_tokens,
        "request_id": record.request_id,
        "status": record.status,
        "stream_id": record.stream_id,
        "surface": record.surface,
        "tags": dict(sorted(record.tags.items())) if record.tags else {},
        "upstream_id": record.upstream_id,
        "upstream_model": record.upstream_model,
        "user": record.user,
    }
    if record.cache_key is not None:
        fields["cache_key"] = record.cache_key
    if record.saved_nano_usd:
        fields["saved_nano_usd"] = record.saved_nano_usd
    if record.tries:
        fields["tries"] = [_tried(one) for one in record.tries]
    if record.wasted_nano_usd:
        fields["wasted_nano_usd"] = record.wasted_nano_usd
    if record.verdicts:
        fields["verdicts"] = [_verdict(one) for one in record.verdicts]
    return orjson.dumps(fields, option=orjson.OPT_UTC_Z)  # written down in their order: to sort costs a µs


def kept(record: UsageRecord) -> tuple[UsageRecord, bytes]:
    """The record as every database can keep it, and its canonical JSON, which the hash is made of.

    Nearly all can be kept as they are, and their JSON shows it: what is short as a whole has no text that is too long.
    """
    try:
        text = canonical(record)
    except orjson.JSONEncodeError:  # a lone surrogate, or a number beyond 64 bits
        text = _UNKEEPABLE
    plain = len(text) <= PLAIN_BYTES and _UNKEEPABLE not in text
    plain = plain and not (record.tags or record.tries or record.verdicts)
    money = record.nano_usd + record.saved_nano_usd + record.wasted_nano_usd
    figures = record.input_tokens + record.output_tokens + money
    if plain and record.adjusts is None and figures <= MOST_PLAIN:
        return record, text
    record = storable(record)
    return record, canonical(record)


def digest(previous: str, text: bytes) -> str:
    """SHA-256, in hexadecimal digits, over the hash before and a record's canonical JSON."""
    return sha256(previous.encode() + text).hexdigest()


def follow(tip: Tip, *, writer: str, text: bytes) -> ChainLink:
    """The place of a further record, whose canonical JSON is ``text``, at the end of a chain."""
    return ChainLink(writer=writer, seq=tip.seq + 1, previous=tip.hash, hash=digest(tip.hash, text))


def _tried(tried: Tried) -> dict[str, Any]:
    """What says nothing is left out here as well."""
    fields: dict[str, Any] = {"provider": tried.provider, "upstream_model": tried.upstream_model}
    if tried.error_code is not None:
        fields["error_code"] = tried.error_code
    if tried.duration_ms is not None:
        fields["duration_ms"] = float(tried.duration_ms)
    if tried.nano_usd:
        fields["nano_usd"] = tried.nano_usd
    return fields


def _verdict(verdict: Verdict) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "filter": verdict.filter,
        "type": verdict.type,
        "on": verdict.on,
        "action": verdict.action,
    }
    if verdict.labels:
        fields["labels"] = verdict.labels
    if verdict.count != 1:
        fields["count"] = verdict.count
    if verdict.failed:
        fields["failed"] = True
    return fields


def _decimal(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else float(milliseconds)
