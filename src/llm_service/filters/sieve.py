"""The events of an answer on their way through its filters: held back until judged, and passed on as they came."""

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from llm_service.domain import TERMINAL, Event, Verdict
from llm_service.filters.channel import Channel
from llm_service.filters.detector import Match
from llm_service.filters.judging import Findings, Report, judge
from llm_service.filters.masking import Masks
from llm_service.filters.places import Path, cut_off, places_of, with_texts
from llm_service.filters.policy import Filters, LocalFilter
from llm_service.filters.text import LONGEST_HOLD, Text

HOLD_S: Final = 0.1
"""So long an event is held at most."""
MOST_HELD: Final = 256
"""And so many events."""
FILTERED: Final = "content_filter"

Encode = Callable[[Any], bytes]


class Piece(NamedTuple):
    """A text in an event: in the choice that stands ``at`` this place, from ``begin`` of its channel on."""

    channel: Channel
    at: int
    path: Path
    begin: int
    text: str

    @property
    def end(self) -> int:
        return self.begin + len(self.text)


class Held(NamedTuple):
    """An event that waits. ``came_at``: when; ``lengths``: how long each channel was then."""

    event: Event
    pieces: Sequence[Piece]
    came_at: float
    lengths: Sequence[int]


class _Said:
    """What becomes of the texts of one choice in an event. ``is_cut``: it ends here."""

    __slots__ = ("is_changed", "is_cut", "kept")

    def __init__(self) -> None:
        self.kept: dict[Path, str] = {}
        self.is_cut = False
        self.is_changed = False


class Sieve:
    """One answer. Pure: it is told what time it is.

    Each text of it (content, reasoning, tool arguments, of each choice) is a channel. An event goes on, the very same,
    when all its texts are judged for good, when a channel has gone on for ``LONGEST_HOLD`` characters since, or after
    ``HOLD_S``: then by what is known. Where a match blocks, its event ends before it, all choices are finished, and
    nothing follows; a match that is masked is replaced in the events that it stands in. ``masks``: what was masked in
    the prompt is put back, and not judged again.

    ``encode``: JSON of a changed chunk; ``report`` hears of filters that cannot judge. ``is_json``: content is JSON.
    """

    def __init__(
        self,
        filters: Filters,
        masks: Masks | None = None,
        *,
        encode: Encode,
        report: Report,
        is_json: bool = False,
    ) -> None:
        self.blocked_by: LocalFilter | None = None
        self._filters = list(filters)
        self._ranks = {one.name: rank for rank, one in enumerate(filters)}
        self._masks = masks or None
        self._encode = encode
        self._report = report
        self._is_json = is_json
        self._findings = Findings("output")
        self._channels: dict[Path, Channel] = {}
        self._choices: dict[int, Mapping[str, Any]] = {}
        self._held: deque[Held] = deque()
        self._dropped: list[bytes] = []
        self._seq = 0
        self._last: Mapping[str, Any] = {}

    @property
    def verdicts(self) -> list[Verdict]:
        """What was found in what has gone, or was to go next."""
        return self._findings.verdicts()

    def withheld(self) -> list[bytes]:
        """The JSON of everything that has come and has not gone: what it has cost is paid all the same."""
        return [*self._dropped, *(held.event.raw for held in self._held)]

    # -- what comes

    def feed(self, events: Sequence[Event], now: float) -> list[Event]:
        """The events of one socket read; what goes on now. After a block there is nothing more to feed."""
        touched: dict[Channel, None] = {}
        ending: list[Event] = []
        for event in events:
            if event.kind in TERMINAL:
                ending.append(event)
            else:
                self._take(event, now, touched)
        for channel in touched:
            self._judge(channel, grows=True)
        if not ending:
            return self._released(now)
        return self._ended(ending)

    def finish(self) -> list[Event]:
        """The answer ends without a terminal event: what was held."""
        return self._ended(())

    def due(self) -> float | None:
        """When ``release_due`` is to be called at the latest; ``None``: nothing waits."""
        return self._held[0].came_at + HOLD_S if self._held else None

    def release_due(self, now: float) -> list[Event]:
        """What has waited long enough."""
        return self._released(now)

    def whole(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """A whole answer as it may be given; ``None``: as it is."""
        event = Event(1, b"", chunk=dict(body))
        touched: dict[Channel, None] = {}
        self._take(event, 0.0, touched)
        for channel in touched:
            self._judge(channel, grows=False)
        texts = self._texts(self._held.pop())
        return None if texts is None else _with(body, texts, ends=FILTERED)

    # -- inside: what comes in

    def _take(self, event: Event, now: float, touched: dict[Channel, None]) -> None:
        chunk = event.chunk
        pieces: list[Piece] = []
        for at, choice in enumerate(chunk.get("choices") or ()):
            index = choice.get("index", at)
            self._choices[index] = choice
            for path, key, text, is_json in places_of(choice):
                channel = self._channels.get((index, *key))
                if channel is None:
                    reads_json = is_json or (self._is_json and key[0] == "content")
                    channel = self._channels[(index, *key)] = Channel(self._findings, is_json=reads_json)
                pieces.append(Piece(channel, at, path, channel.add(text), text))
                touched[channel] = None
        self._last = chunk
        self._held.append(Held(event, pieces, now, [channel.length for channel in self._channels.values()]))

    def _judge(self, channel: Channel, *, grows: bool) -> None:
        text, begin = Text(channel.text), channel.clear
        judgement = judge(self._filters, text, self._report, grows=grows)
        open_from = judgement.open_from
        if grows and self._masks is not None:
            open_from = min(open_from, self._masks.open_from(channel.text))
        found = [(self._ranks[one.name], one, match) for one, matches in judgement.found for match in matches]
        failed = [*judgement.failed]
        if channel.plain is not None:  # `\forbidden` reads as a form feed and "orbidden", to whoever reads it as JSON
            written = judge(self._filters, Text(channel.plain), self._report, grows=grows)
            open_from = min(open_from, written.open_from)
            found += [
                (self._ranks[one.name], one, match)
                for one, matches in written.found
                for match in matches
                if not any(other is one and _overlap(match, known) for _, other, known in found)
            ]
            failed += [one for one in written.failed if one not in failed]
        channel.judged(found, open_from, self._masks)
        for one in failed:
            self._fails(one, channel, begin)

    def _fails(self, failed: LocalFilter, channel: Channel, begin: int) -> None:
        """A filter that cannot judge is not asked again."""
        self._findings.failed(failed)
        self._filters = [one for one in self._filters if one is not failed]
        if failed.on_failure == "closed":
            channel.failed(failed, begin)

    # -- inside: what goes out

    def _released(self, now: float | None) -> list[Event]:
        """``now``: ``None`` where nothing is to be waited for."""
        out: list[Event] = []
        held = self._held
        while held and self.blocked_by is None:
            first = held[0]
            if now is not None and not self._may_go(first, now):
                break
            if (event := self._passed(held.popleft())) is not None:
                self._seq = event.seq
                out.append(event)
        if self.blocked_by is not None and now is not None:
            out += self._finished(())
        return out

    def _may_go(self, held: Held, now: float) -> bool:
        is_judged = True
        for channel, _, _, begin, text in held.pieces:
            if not channel.is_quiet and channel.ends_before(begin + len(text)):
                return True
            is_judged = is_judged and begin + len(text) <= channel.clear
        if is_judged or now >= held.came_at + HOLD_S or len(self._held) > MOST_HELD:
            return True
        return self._is_crowded(held)

    def _is_crowded(self, held: Held) -> bool:
        """Whether a channel has gone on for long since the event came."""
        lengths = held.lengths
        return any(
            channel.length - (lengths[at] if at < len(lengths) else 0) >= LONGEST_HOLD
            for at, channel in enumerate(self._channels.values())
        )

    def _passed(self, held: Held) -> Event | None:
        """The event as it goes on; ``None`` where it has nothing left because of a block."""
        texts = self._texts(held)
        if texts is None:
            return held.event
        if self.blocked_by is not None:
            self._drop(held, texts)
            if not any(text for of in texts.values() for text in of.kept.values()):
                return None
        made = _with(held.event.chunk, texts)
        return Event(held.event.seq, self._encode(made), held.event.kind, chunk=made)

    def _drop(self, cut: Held, texts: "Mapping[int, _Said]") -> None:
        """Nothing goes of what is held, nor the rest of the event that is cut."""
        rest = [piece.text[len(texts[piece.at].kept.get(piece.path, "")) :] for piece in cut.pieces]
        self._dropped.append(self._encode({"choices": [{"index": 0, "delta": {"content": "".join(rest)}}]}))
        self._dropped += [held.event.raw for held in self._held]
        self._held.clear()

    def _texts(self, held: Held) -> "dict[int, _Said] | None":
        """What its choices say, by where they stand, as it goes on; ``None``: as it came."""
        if all(piece.channel.is_quiet for piece in held.pieces):
            for channel, _, _, begin, text in held.pieces:
                channel.sent = begin + len(text)
            return None
        said: dict[int, _Said] = {}
        for channel, at, path, begin, text in held.pieces:
            of = said.setdefault(at, _Said())
            if of.is_cut:
                continue
            of.kept[path] = passed = channel.passed(begin, text)
            if passed is not text:
                of.is_changed = True
            if channel.blocked_by is not None:
                of.is_cut = of.is_changed = True
                self.blocked_by = self.blocked_by or channel.blocked_by
        return said if any(of.is_changed for of in said.values()) else None

    # -- inside: the end

    def _ended(self, ending: Sequence[Event]) -> list[Event]:
        """All texts are complete: what was held, and the end, or the one that a block makes of it."""
        out = self._released(None)
        return [*out, *(ending if self.blocked_by is None else self._finished(ending))]

    def _finished(self, ending: Sequence[Event]) -> list[Event]:
        """The end that a block makes: an error stays one, and of the usage is told what is known."""
        error = next((event.error for event in ending if event.kind == "error"), None)
        if error is not None:
            return [Event(self._seq + 1, b"", "error", error=error)]
        choices = [_finish_of(index, choice) for index, choice in sorted(self._choices.items())]
        around = {key: value for key, value in self._last.items() if key not in ("choices", "usage")}
        chunk = {**around, "choices": choices}
        events = [Event(self._seq + 1, self._encode(chunk), "finish", chunk=chunk)]
        events += [Event(self._seq + 2, one.raw, "usage", chunk=one.chunk) for one in ending if one.kind == "usage"]
        return events


class Sifted(NamedTuple):
    """A whole answer behind its filters: the bytes that came, where nothing was found."""

    raw: bytes
    blocked_by: LocalFilter | None
    verdicts: Sequence[Verdict]


def sift_whole(
    whole: bytes,
    filters: Filters,
    masks: Masks | None = None,
    *,
    encode: Encode,
    report: Report,
    is_json: bool = False,
) -> Sifted:
    """The same for a whole answer: the same text, and unchanged bytes where nothing was found.

    Each choice that is blocked ends with its text before the match. An answer without choices is not looked at.
    """
    body = _decoded(whole)
    if not isinstance(body, dict) or not body.get("choices"):
        return Sifted(whole, None, ())
    sieve = Sieve(filters, masks, encode=encode, report=report, is_json=is_json)
    made = sieve.whole(body)
    return Sifted(whole if made is None else encode(made), sieve.blocked_by, sieve.verdicts)


def _overlap(one: Match, other: Match) -> bool:
    return one.begin < other.end and other.begin < one.end


def _decoded(whole: bytes) -> Any:
    try:
        return orjson.loads(whole)
    except orjson.JSONDecodeError:  # half a surrogate pair passes here
        return json.loads(whole)


def _finish_of(index: int, choice: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"text": ""} if "delta" not in choice else {"delta": {}}
    more = {"logprobs": None} if "logprobs" in choice else {}
    return {"index": index, **said, **more, "finish_reason": FILTERED}


def _with(chunk: Mapping[str, Any], texts: "Mapping[int, _Said]", *, ends: str | None = None) -> dict[str, Any]:
    """The chunk with other texts; ``ends``: the finish reason of a choice that is blocked."""
    choices = list(chunk["choices"])
    for at, said in texts.items():
        if said.is_cut:
            choices[at] = cut_off(choices[at], said.kept)
            if ends is not None:
                choices[at]["finish_reason"] = ends
        elif said.is_changed:
            choices[at] = with_texts(choices[at], said.kept)
    return {**chunk, "choices": choices}
