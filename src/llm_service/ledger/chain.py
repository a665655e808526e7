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
_ESCAPE: Final = b"\\"


_IN_ORDER: Final[dict[str, Any]] = {
    "adjusts": None, "at": None, "attempts": None, "cache": None, "cached_input_tokens": None, "cost_source": None,
    "duration_ms": None, "error_code": None, "first_chunk_ms": None, "input_tokens": None, "key_id": None,
    "model": None, "nano_usd": None, "output_tokens": None, "overhead_ms": None, "price_date": None, "provider": None,
    "queue_ms": None, "reasoning_tokens": None, "request_id": None, "status": None, "stream_id": None, "surface": None,
    "tags": {}, "upstream_id": None, "upstream_model": None, "user": None,
}  # fmt: skip
"""The fields of every record, to be copied and filled: a dictionary of so many that grows costs three times as much."""


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
    fields: dict[str, Any] = _IN_ORDER.copy()
    fields["adjusts"] = record.adjusts
    fields["at"] = record.at
    fields["attempts"] = record.attempts
    fields["cache"] = record.cache
    fields["cached_input_tokens"] = record.cached_input_tokens
    fields["cost_source"] = record.cost_source
    fields["error_code"] = record.error_code
    fields["input_tokens"] = record.input_tokens
    fields["key_id"] = record.key_id
    fields["model"] = record.model
    fields["nano_usd"] = record.nano_usd
    fields["output_tokens"] = record.output_tokens
    fields["price_date"] = record.price_date
    fields["provider"] = record.provider
    fields["reasoning_tokens"] = record.reasoning_tokens
    fields["request_id"] = record.request_id
    fields["status"] = record.status
    fields["stream_id"] = record.stream_id
    fields["surface"] = record.surface
    fields["upstream_id"] = record.upstream_id
    fields["upstream_model"] = record.upstream_model
    fields["user"] = record.user
    if (duration_ms := record.duration_ms) is not None:
        fields["duration_ms"] = float(duration_ms)
    if (first_chunk_ms := record.first_chunk_ms) is not None:
        fields["first_chunk_ms"] = float(first_chunk_ms)
    if (overhead_ms := record.overhead_ms) is not None:
        fields["overhead_ms"] = float(overhead_ms)
    if (queue_ms := record.queue_ms) is not None:
        fields["queue_ms"] = float(queue_ms)
    if record.tags:
        fields["tags"] = dict(sorted(record.tags.items()))
    if record.cache_key is not None:
        fields["cache_key"] = record.cache_key
    if record.saved_nano_usd:
        fields["saved_nano_usd"] = record.saved_nano_usd
    if record.tries or record.wasted_nano_usd or record.verdicts:
        _add_the_rarer(record, fields)
    return orjson.dumps(fields, option=orjson.OPT_UTC_Z)  # written down in their order: to sort costs a µs


def _add_the_rarer(record: UsageRecord, fields: dict[str, Any]) -> None:
    if record.tries:
        fields["tries"] = [_tried(one) for one in record.tries]
    if record.wasted_nano_usd:
        fields["wasted_nano_usd"] = record.wasted_nano_usd
    if record.verdicts:
        fields["verdicts"] = [_verdict(one) for one in record.verdicts]


def kept(record: UsageRecord) -> tuple[UsageRecord, bytes]:
    """The record as every database can keep it, and its canonical JSON, which the hash is made of.

    Nearly all can be kept as they are, and their JSON shows it: what is short as a whole has no text that is too long.
    """
    try:
        text = canonical(record)
    except orjson.JSONEncodeError:  # a lone surrogate, or a number beyond 64 bits
        text = _UNKEEPABLE
    money = record.nano_usd + record.saved_nano_usd + record.wasted_nano_usd
    if (
        len(text) <= PLAIN_BYTES
        and record.input_tokens + record.output_tokens + money <= MOST_PLAIN
        and not (record.tags or record.tries or record.verdicts)
        and record.adjusts is None
        and (_ESCAPE not in text or _UNKEEPABLE not in text)  # one byte is found far faster than six
    ):
        return record, text
    as_kept = storable(record)
    return as_kept, text if as_kept is record else canonical(as_kept)


def digest(previous: str, text: bytes) -> str:
    """SHA-256, in hexadecimal digits, over the hash before and a record's canonical JSON."""
    return sha256(previous.encode() + text).hexdigest()


def follow(tip: Tip | ChainLink, *, writer: str, text: bytes) -> ChainLink:
    """The place of a further record, whose canonical JSON is ``text``, at the end of a chain."""
    return ChainLink(writer, tip.seq + 1, tip.hash, digest(tip.hash, text))


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
