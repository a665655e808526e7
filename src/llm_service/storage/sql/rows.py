"""A record of the ledger as a row, and back; and what no database can keep as it is."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from typing import Final

from llm_service.domain import Tried, UsageRecord, Verdict
from llm_service.storage.ports import ChainLink, LedgerRow
from llm_service.storage.sql.base import Row, Value
from llm_service.storage.sql.moments import moment

_ALWAYS: Final = (
    "mark", "request_id", "writer", "seq", "previous", "hash", "at", "key_id", "tags", "surface", "model",
    "input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens", "nano_usd", "cost_source", "status",
    "cache", "saved_nano_usd", "attempts", "wasted_nano_usd", "duration_ms", "overhead_ms",
)  # fmt: skip
_OFTEN_NULL: Final = (
    "stream_id", "user_name", "provider", "upstream_model", "upstream_id", "error_code", "cache_key", "tries",
    "queue_ms", "first_chunk_ms", "price_date", "adjusts", "verdicts",
)  # fmt: skip

Shape = tuple[bool, ...]
"""Which of the columns that are often null have a value in a row."""

MOST_TEXT: Final = 512
"""Characters of a text in a record: an index of PostgreSQL holds 2,704 bytes."""
MOST_TAG_TEXT: Final = 128
MOST_TOKENS: Final = 2**40
MOST_NANO: Final = 2**46
"""70,368 USD for one request. Whatever nonsense an upstream reports: its sums over years fit the columns."""
MOST_TRIED_TEXT: Final = 64
MOST_TRIES_BYTES: Final = 1280
"""Of all attempts of a request, as JSON: some 15, or one whose names are as long as can be."""

MOST_FILTER_TEXT: Final = 64
MOST_LABEL_TEXT: Final = 32
MOST_LABELS: Final = 8
MOST_VERDICTS_BYTES: Final = 1536
"""Of all verdicts of a request, as JSON: some 15, or one whose words are as long as can be."""

_DURATIONS: Final = frozenset((float, type(None)))
_TRIED: Final = ("provider", "upstream_model", "error_code", "duration_ms", "nano_usd")
_NO_COST: Final = ("nano_usd", 0)
_VERDICT: Final = ("filter", "type", "on", "action", "labels", "count", "failed")
_ONCE: Final = ("count", 1)
_UNKEEPABLE: Final = re.compile("[\0\ud800-\udfff]")  # PostgreSQL has no NUL in a text, UTF-8 no lone surrogates


def storable(record: UsageRecord) -> UsageRecord:
    """The record as every database can keep it, itself if it is one; whoever hashes records does so afterwards.

    Characters that cannot be kept become U+FFFD, texts are cut at 512 characters and those of tags at 128, tokens
    end at 2^40 and money at 2^46 nano-USD (either side of zero), durations are floats. Texts of attempts are cut at 64
    characters; where there are so many that they take more than 1,280 bytes, those in the middle are left out. Of
    verdicts the last ones are, beyond 1,536 bytes.
    """
    if _is_storable(record):
        return record
    tags = {keepable(name, MOST_TAG_TEXT): keepable(value, MOST_TAG_TEXT) for name, value in record.tags.items()}
    return replace(
        record,
        request_id=keepable(record.request_id),
        stream_id=_optional(record.stream_id),
        key_id=keepable(record.key_id),
        user=_optional(record.user),
        tags=tags,
        surface=keepable(record.surface),
        model=keepable(record.model),
        provider=_optional(record.provider),
        upstream_model=_optional(record.upstream_model),
        upstream_id=_optional(record.upstream_id),
        input_tokens=_within(record.input_tokens, MOST_TOKENS),
        output_tokens=_within(record.output_tokens, MOST_TOKENS),
        cached_input_tokens=_within(record.cached_input_tokens, MOST_TOKENS),
        reasoning_tokens=_within(record.reasoning_tokens, MOST_TOKENS),
        nano_usd=_within(record.nano_usd, MOST_NANO),
        error_code=_optional(record.error_code),
        cache=keepable(record.cache),
        cache_key=_optional(record.cache_key),
        saved_nano_usd=_within(record.saved_nano_usd, MOST_NANO),
        tries=_storable_tries(record.tries),
        wasted_nano_usd=_within(record.wasted_nano_usd, MOST_NANO),
        queue_ms=_float(record.queue_ms),
        first_chunk_ms=_float(record.first_chunk_ms),
        duration_ms=_float(record.duration_ms),
        overhead_ms=_float(record.overhead_ms),
        price_date=_optional(record.price_date),
        adjusts=_optional(record.adjusts),
        verdicts=_storable_verdicts(record.verdicts),
    )


def insertion(shape: Shape) -> str:
    """The statement for rows of a shape, which names the columns that have values there."""
    names = (*_ALWAYS, *compress(_OFTEN_NULL, shape))
    return f"INSERT INTO ledger ({', '.join(names)}) VALUES (:{', :'.join(names)})"  # noqa: S608


def shaped(record: UsageRecord, link: ChainLink, mark: int, at: int) -> tuple[Shape, Sequence[Value]]:
    """The shape and the values of a storable record that began at this microsecond, as its `insertion` names them.

    Nulls are left out: to bind one costs as much in Python's sqlite3 as four texts, and most rows have ten.
    """
    often_null: tuple[Value, ...] = (
        record.stream_id, record.user, record.provider, record.upstream_model, record.upstream_id, record.error_code,
        record.cache_key, _tries_text(record.tries) if record.tries else None, record.queue_ms, record.first_chunk_ms,
        record.price_date, record.adjusts, _verdicts_text(record.verdicts) if record.verdicts else None,
    )  # fmt: skip
    return tuple([value is not None for value in often_null]), (
        mark, record.request_id, link.writer, link.seq, link.previous, link.hash, at, record.key_id,
        json.dumps(dict(record.tags)) if record.tags else "{}", record.surface, record.model,
        record.input_tokens, record.output_tokens, record.cached_input_tokens, record.reasoning_tokens, record.nano_usd,
        record.cost_source, record.status, record.cache, record.saved_nano_usd, record.attempts, record.wasted_nano_usd,
        record.duration_ms, record.overhead_ms, *[value for value in often_null if value is not None],
    )  # fmt: skip


def ledger_row(row: Row) -> LedgerRow:
    """What ``shaped`` was given."""
    return LedgerRow(
        record=UsageRecord(
            request_id=row["request_id"],
            stream_id=row["stream_id"],
            at=moment(row["at"]),
            key_id=row["key_id"],
            user=row["user_name"],
            tags=json.loads(row["tags"]),
            surface=row["surface"],
            model=row["model"],
            provider=row["provider"],
            upstream_model=row["upstream_model"],
            upstream_id=row["upstream_id"],
            input_tokens=row["input_tokens"],
            output_tokens=row["output_tokens"],
            cached_input_tokens=row["cached_input_tokens"],
            reasoning_tokens=row["reasoning_tokens"],
            nano_usd=row["nano_usd"],
            cost_source=row["cost_source"],
            status=row["status"],
            error_code=row["error_code"],
            cache=row["cache"],
            cache_key=row["cache_key"],
            saved_nano_usd=row["saved_nano_usd"],
            attempts=row["attempts"],
            tries=_tries(row["tries"]),
            wasted_nano_usd=row["wasted_nano_usd"],
            queue_ms=row["queue_ms"],
            first_chunk_ms=row["first_chunk_ms"],
            duration_ms=row["duration_ms"],
            overhead_ms=row["overhead_ms"],
            price_date=row["price_date"],
            adjusts=row["adjusts"],
            verdicts=_verdicts(row["verdicts"]),
        ),
        link=ChainLink(writer=row["writer"], seq=row["seq"], previous=row["previous"], hash=row["hash"]),
        mark=row["mark"],
    )


def _is_storable(record: UsageRecord) -> bool:
    """A quick look, for nearly all are."""
    tags = record.tags
    texts = (
        record.request_id, record.stream_id, record.key_id, record.user, record.surface, record.model, record.provider,
        record.upstream_model, record.upstream_id, record.error_code, record.cache, record.cache_key, record.price_date,
        record.adjusts, *tags, *tags.values(),
    )  # fmt: skip
    together = "".join(filter(None, texts))
    tokens = (record.input_tokens, record.output_tokens, record.cached_input_tokens, record.reasoning_tokens)
    kinds = {type(record.queue_ms), type(record.first_chunk_ms), type(record.duration_ms), type(record.overhead_ms)}
    return (
        len(together) <= MOST_TEXT
        and _UNKEEPABLE.search(together) is None
        and (not tags or max(map(len, (*tags, *tags.values()))) <= MOST_TAG_TEXT)
        and max(tokens) <= MOST_TOKENS
        and min(tokens) >= -MOST_TOKENS
        and abs(record.nano_usd) <= MOST_NANO
        and abs(record.saved_nano_usd) <= MOST_NANO
        and abs(record.wasted_nano_usd) <= MOST_NANO
        and kinds <= _DURATIONS
        and (not record.tries or record.tries == _storable_tries(record.tries))
        and (not record.verdicts or record.verdicts == _storable_verdicts(record.verdicts))
    )


def _storable_tries(tries: tuple[Tried, ...]) -> tuple[Tried, ...]:
    kept = [
        Tried(
            provider=keepable(one.provider, MOST_TRIED_TEXT),
            upstream_model=keepable(one.upstream_model, MOST_TRIED_TEXT),
            error_code=None if one.error_code is None else keepable(one.error_code, MOST_TRIED_TEXT),
            duration_ms=_float(one.duration_ms),
            nano_usd=_within(one.nano_usd, MOST_NANO),
        )
        for one in tries
    ]
    while len(kept) > 1 and len(_tries_text(kept).encode()) > MOST_TRIES_BYTES:
        del kept[(len(kept) - 1) // 2]  # the first one and the last one tell most
    return tuple(kept)


def _tries_text(tries: Sequence[Tried]) -> str:
    """A list of objects; what says nothing is left out."""
    told = [
        {name: value for name in _TRIED if (value := getattr(one, name)) is not None and (name, value) != _NO_COST}
        for one in tries
    ]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def _tries(text: str | None) -> tuple[Tried, ...]:
    return () if text is None else tuple(Tried(**one) for one in json.loads(text))


def _storable_verdicts(verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    kept = [
        replace(
            one,
            filter=keepable(one.filter, MOST_FILTER_TEXT),
            type=keepable(one.type, MOST_LABEL_TEXT),
            labels=tuple(keepable(label, MOST_LABEL_TEXT) for label in one.labels[:MOST_LABELS]),
            count=_within(one.count, MOST_TOKENS),
        )
        for one in verdicts
    ]
    while len(kept) > 1 and len(_verdicts_text(kept).encode()) > MOST_VERDICTS_BYTES:
        del kept[-1]
    return tuple(kept)


def _verdicts_text(verdicts: Sequence[Verdict]) -> str:
    told = [
        {
            name: value
            for name in _VERDICT
            if (value := getattr(one, name)) not in ((), False) and (name, value) != _ONCE
        }
        for one in verdicts
    ]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def _verdicts(text: str | None) -> tuple[Verdict, ...]:
    if text is None:
        return ()
    return tuple(Verdict(**{**one, "labels": tuple(one.get("labels", ()))}) for one in json.loads(text))


def keepable(text: str, most: int = MOST_TEXT) -> str:
    """A text as every database can keep it: what cannot be kept becomes U+FFFD, and the rest is cut."""
    return _UNKEEPABLE.sub("\ufffd", text)[:most]


def _optional(text: str | None) -> str | None:
    return None if text is None else keepable(text)


def _within(count: int, most: int) -> int:
    return max(-most, min(count, most))


def _float(duration_ms: float | None) -> float | None:
    return None if duration_ms is None else float(duration_ms)
