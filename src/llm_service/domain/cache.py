"""Answers that are kept to be given again, and what a request says about being answered by one."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from llm_service.domain.errors import InvalidValue
from llm_service.domain.event import Event, EventKind
from llm_service.domain.fact import fact, fact_in_order
from llm_service.domain.reply import Head
from llm_service.domain.usage import CostSource, Usage

CacheStatus = Literal["hit", "semantic", "coalesced", "replay", "stale", "miss", "bypass"]
AnswerForm = Literal["whole", "events"]

CACHE_HITS: Final[Sequence[CacheStatus]] = ("hit", "semantic", "coalesced", "stale")
"""What counts as a hit: the answer was there already, or was being made for another request."""

MAX_SECONDS: Final = 2**31
"""RFC 9111 section 1.2.2: a larger number of seconds counts as this one."""
_KIND_OF: Final[dict[str, EventKind]] = {"c": "chunk", "f": "finish", "u": "usage"}
_LETTER_OF: Final = {kind: letter for letter, kind in _KIND_OF.items()}
_ENTRY_BYTES: Final = 960
"""Of an answer's objects and of its place in a store: tables grow in leaps, and are half empty after one."""
_TEXT_BYTES: Final = 64
"""Of a text beside its contents: its head, its place, and what the allocator rounds up."""
_TEXTS: Final = 6
"""Those of an answer: three names of its head, two that its provider told, the letters of its kinds."""
_PIECE_BYTES: Final = 80
"""Of a piece beside its contents: the same, and the holes that pieces of other answers have left between them.

Measured under churn, where small pieces of 24 MiB are mixed with all else: holes are some 8 % of what is kept.
"""


@fact_in_order
class KeptAnswer:
    """A complete, successful answer, in the form in which it came.

    ``digest``: SHA-256 over everything that makes two requests the same; whoever reads an answer compares it.
    ``pieces``: the one JSON text of a `whole` answer, or the JSON of each event, the first first; ``kinds``: a letter
    for each event, empty for a whole one. ``nano_usd``: what it cost when it was made. ``stored_at``: Unix seconds.
    It is fresh for ``fresh_s``, and may be kept, to be given out stale, for ``kept_s``.
    """

    digest: bytes
    form: AnswerForm
    pieces: tuple[bytes, ...]
    kinds: str
    head: Head
    usage: Usage | None
    finish_reason: str | None
    upstream_id: str | None
    response_model: str | None
    nano_usd: int
    cost_source: CostSource
    stored_at: float
    fresh_s: float
    kept_s: float

    @property
    def size(self) -> int:
        """How many bytes of memory it takes, in doubt some more; a test holds it against what Python allocates."""
        pieces, head = self.pieces, self.head
        names = f"{head.provider}{head.model}{head.upstream_model}{self.upstream_id}{self.response_model}"
        raw_bytes = len(pieces[0]) if len(pieces) == 1 else sum(map(len, pieces))
        own_bytes = _ENTRY_BYTES + _PIECE_BYTES * len(pieces) + (_TEXTS - 1) * _TEXT_BYTES + len(self.kinds)
        return own_bytes + raw_bytes + text_bytes((names,))

    def events(self) -> Sequence[Event]:
        """The events of an answer that has some."""
        return [
            Event(seq, raw, _KIND_OF[kind])
            for seq, (raw, kind) in enumerate(zip(self.pieces, self.kinds, strict=True), 1)
        ]


def text_bytes(texts: Iterable[str]) -> int:
    """How many bytes of memory these texts take."""
    size = 0
    for text in texts:
        size += _TEXT_BYTES + (len(text) if text.isascii() else 4 * len(text))
    return size


def kinds_of(events: Sequence[Event]) -> str:
    """The letters of events; raises KeyError for an error, which no kept answer has."""
    return "".join([_LETTER_OF[event.kind] for event in events])


@fact
class CacheControl:
    """What a request's ``Cache-Control`` asks for (RFC 9111 section 5.2.1); seconds, ``None`` where it names none.

    ``max_stale_s``: how long after its freshness an answer may still be given; infinite where it names no bound.
    """

    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    max_age_s: int | None = None
    min_fresh_s: int | None = None
    max_stale_s: float | None = None


ANY_ANSWER: Final = CacheControl()


def cache_control(text: str) -> CacheControl:
    """Read a ``Cache-Control`` of a request. Unknown directives are ignored; raises InvalidValue for a wrong number."""
    if not text.strip():
        return ANY_ANSWER
    named: dict[str, str | None] = {}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        named.setdefault(name.strip().lower(), value.strip().strip('"') if equals else None)
    stale = "max-stale" in named
    return CacheControl(
        no_cache="no-cache" in named,
        no_store="no-store" in named,
        only_if_cached="only-if-cached" in named,
        max_age_s=_seconds(named, "max-age"),
        min_fresh_s=_seconds(named, "min-fresh"),
        max_stale_s=(float("inf") if named["max-stale"] is None else _seconds(named, "max-stale")) if stale else None,
    )


def _seconds(named: dict[str, str | None], directive: str) -> int | None:
    if directive not in named:
        return None
    text = named[directive] or ""
    if not (text.isascii() and text.isdigit()):
        said = f"The directive {directive} of Cache-Control must be a whole number of seconds, such as {directive}=60."
        raise InvalidValue(said, param="Cache-Control")
    return min(int(text[:12]), MAX_SECONDS)
