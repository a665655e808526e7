"""The lines of a journal: compact JSON, one entry each, with a checksum that tells a whole line from a torn one."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from zlib import crc32

import orjson

from llm_service.domain import Intent, Tried, Usage, UsageRecord, Verdict, fact_in_order
from llm_service.ledger.chain import Tip
from llm_service.storage import ChainLink

FORMAT: Final = 1
_SUM: Final = b',"crc":"'
_TAIL_BYTES: Final = len(_SUM) + len('01234567"}')


@fact_in_order
class Head:
    """The first line of a segment: whose it is, and where the chain stood when it was begun."""

    writer: str
    tip: Tip


@fact_in_order
class Opened:
    """A request is about to be sent to an upstream."""

    intent: Intent


@fact_in_order
class Closed:
    """A request is over. ``called``: an intent came before."""

    record: UsageRecord
    link: ChainLink
    called: bool


Entry = Head | Opened | Closed


def head_line(writer: str, tip: Tip) -> bytes:
    """The line of a `Head`."""
    return _sealed(orjson.dumps({"journal": FORMAT, "writer": writer, "seq": tip.seq, "hash": tip.hash})[:-1])


def intent_line(intent: Intent) -> bytes:
    """The line of an `Opened`."""
    held = intent.held
    fields: dict[str, Any] = {
        "request_id": intent.request_id,
        "stream_id": intent.stream_id,
        "at": intent.at,
        "key_id": intent.key_id,
        "user": intent.user,
        "tags": dict(intent.tags) if intent.tags else {},
        "surface": intent.surface,
        "model": intent.model,
        "provider": intent.provider,
        "upstream_model": intent.upstream_model,
        "held": (held.input_tokens, held.output_tokens, held.cached_input_tokens, held.reasoning_tokens),
        "nano_usd": intent.nano_usd,
        "life": intent.life,
        "budgets": intent.budgets,
    }
    if intent.cache != "bypass" or intent.cache_key is not None:  # as versions before write it where there is nothing
        fields["cache"], fields["cache_key"] = intent.cache, intent.cache_key
    return _sealed(b'{"intent":' + orjson.dumps(fields, option=orjson.OPT_UTC_Z))


def close_line(text: bytes, link: ChainLink, *, called: bool) -> bytes:
    """The line of a `Closed`; ``text`` is the record's canonical JSON."""
    called_text = b"true" if called else b"false"
    return _sealed(
        b'{"close":%b,"called":%b,"seq":%d,"previous":"%b","hash":"%b"'
        % (text, called_text, link.seq, link.previous.encode(), link.hash.encode())
    )


def read(data: bytes, *, writer: str) -> Iterator[tuple[Entry, int]]:
    """The whole entries in a piece of a journal, each with the offset of its end.

    Whatever is no whole entry is passed over: a torn tail, space that was laid by, a page that a loss of power left
    empty. Raises ValueError for an entry that is whole and means nothing here: a later version wrote it.
    """
    start = 0
    while (end := data.find(b"\n", start) + 1) > 0:
        line = data[start : end - 1].lstrip(b"\0")  # a page that was never written may stand before it
        if _is_whole(line):
            yield _entry(orjson.loads(line), writer), end
        start = end


def _sealed(body: bytes) -> bytes:
    return body + b',"crc":"%08x"}\n' % crc32(body)


def _is_whole(line: bytes) -> bool:
    body = line[:-_TAIL_BYTES]
    return bool(body) and line[-_TAIL_BYTES:] == b'%b%08x"}' % (_SUM, crc32(body))


def _entry(fields: dict[str, Any], writer: str) -> Entry:
    try:
        return _known_entry(fields, writer)
    except (KeyError, TypeError) as error:
        raise ValueError(f"an entry has other fields than this version writes: {error}") from error


def _known_entry(fields: dict[str, Any], writer: str) -> Entry:
    match fields:
        case {"intent": dict(intent)}:
            return Opened(_intent(intent))
        case {"close": dict(record), "called": bool(called), "seq": seq, "previous": previous, "hash": digest}:
            return Closed(_record(record), ChainLink(writer=writer, seq=seq, previous=previous, hash=digest), called)
        case {"journal": 1, "writer": str(owner), "seq": seq, "hash": digest}:
            return Head(owner, Tip(seq, digest))
        case _:
            raise ValueError(f"an entry with the fields {', '.join(sorted(fields))} is of no known kind")


def _intent(fields: dict[str, Any]) -> Intent:
    at = datetime.fromisoformat(fields.pop("at"))
    given, answered, cached, reasoned = fields.pop("held")
    held = Usage(input_tokens=given, output_tokens=answered, cached_input_tokens=cached, reasoning_tokens=reasoned)
    budgets = tuple(fields.pop("budgets", ()))
    return Intent(at=at, held=held, budgets=budgets, **fields)


def _record(fields: dict[str, Any]) -> UsageRecord:
    at = datetime.fromisoformat(fields.pop("at"))
    tries = tuple(Tried(**one) for one in fields.pop("tries", ()))
    verdicts = tuple(_verdict(one) for one in fields.pop("verdicts", ()))
    return UsageRecord(at=at, tries=tries, verdicts=verdicts, **fields)


def _verdict(fields: dict[str, Any]) -> Verdict:
    labels = tuple(fields.pop("labels", ()))
    return Verdict(labels=labels, **fields)
