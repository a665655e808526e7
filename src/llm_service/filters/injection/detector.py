"""Weighs what speaks for an attempt, near each other."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from llm_service.filters.detector import Match
from llm_service.filters.injection.english import SIGNALS
from llm_service.filters.injection.hidden import ENCODED, HIDDEN_HINT, decoded, hidden_runs
from llm_service.filters.injection.languages import signals_of_languages
from llm_service.filters.injection.mention import only_mentioned
from llm_service.filters.injection.signal import LONGEST, Signal
from llm_service.filters.options import FilterOptions
from llm_service.filters.scanner import Hits, Row, Scanner
from llm_service.filters.text import LONGEST_HOLD, Text

LABEL: Final = "injection"
_DEFAULT_THRESHOLD: Final = 0.7
_BLOCK_CHARS: Final = 400
_MENTIONED: Final = "mentioned"
_MENTIONED_WEIGHT: Final = 0.3
_OWN_WEIGHT: Final = 0.4
_MOST_HIDDEN: Final = 8
_MOST_DECODED: Final = 20
_DECODED_WEIGHT: Final = 0.9
_LEAST_DECODED: Final = 0.6
_DECODING: Final = "base[- ]?64|decod"


class Seen(NamedTuple):
    """A signal in a text, in characters of its folded form."""

    begin: int
    end: int
    kind: str
    weight: float


def injection_detector(options: FilterOptions) -> "InjectionDetector":
    """What finds attempts whose score reaches ``threshold``, 0.7 where that is unset."""
    return InjectionDetector(_DEFAULT_THRESHOLD if options.threshold is None else options.threshold)


class InjectionDetector:
    """Signals of several kinds within some hundred characters add up to a score: 1 - (1 - w1)(1 - w2)..."""

    __slots__ = ("_encoded", "_hidden_scanner", "_scanner", "_signals", "_threshold")

    def __init__(self, threshold: float) -> None:
        self._signals = (*SIGNALS, *signals_of_languages())
        rows = map(_row, self._signals)
        self._scanner = Scanner([*rows, Row(_DECODING, _DECODING)], unicode=True)
        self._hidden_scanner = Scanner([Row(HIDDEN_HINT, f"({HIDDEN_HINT})")], unicode=True)
        self._encoded = Scanner([Row(ENCODED, f"({ENCODED})")])
        self._threshold = threshold

    def score(self, text: Text) -> float:
        """How much speaks for an attempt where most does, from 0 to 1."""
        return max((score for _, _, score in _passages(list(self._seen(text)))), default=0.0)

    def find(self, text: Text) -> Sequence[Match]:
        """Each passage that reaches the threshold, from its first signal to its last."""
        reached = [place for *place, score in _passages(list(self._seen(text))) if score >= self._threshold]
        return [Match(*text.raw_span_of_folded(begin, end), LABEL) for begin, end in _joined(reached)]

    def open_from(self, text: Text) -> int:
        """As much as may be held: a sentence's end may change what its beginning is."""
        return max(0, len(text) - LONGEST_HOLD)

    def _seen(self, text: Text) -> Iterator[Seen]:
        hits = self._scanner.hits(text.folded_data)
        if hits.pop(len(self._signals), None):
            yield from self._decoded(text)
        if hits:
            yield from self._said(text, hits)
        yield from self._hidden(text)

    def _said(self, text: Text, hits: Mapping[int, Hits]) -> Iterator[Seen]:
        data, folded = text.folded_data, text.folded
        for number, near in hits.items():
            signal = self._signals[number]
            chars = _Chars(data, ascii_only=len(data) == len(folded))
            counted = -1
            for begin_byte, end_byte in self._scanner.places(number, data, near):
                begin, end = chars.at(begin_byte), chars.at(end_byte)
                if begin // _BLOCK_CHARS == counted:
                    continue  # the same again would not weigh more
                if only_mentioned(folded, begin, end):
                    yield Seen(begin, end, _MENTIONED, min(_MENTIONED_WEIGHT, signal.weight))
                elif signal.kind == "override" and " my " in folded[begin:end]:  # who revises an order of one's own
                    yield Seen(begin, end, signal.kind, min(_OWN_WEIGHT, signal.weight))
                else:
                    counted = begin // _BLOCK_CHARS
                    yield Seen(begin, end, signal.kind, signal.weight)

    def _hidden(self, text: Text) -> Iterator[Seen]:
        if not text.hides or not self._hidden_scanner.hits(text.raw.encode("utf-8", "replace")):
            return
        for begin, end, weight in islice(hidden_runs(text.raw), _MOST_HIDDEN):
            place = len(Text(text.raw[:begin]).folded)
            yield Seen(place, max(place + 1, len(Text(text.raw[:end]).folded)), "hidden", weight)

    def _decoded(self, text: Text) -> Iterator[Seen]:
        visible = text.visible
        for begin, end in islice(self._encoded.everywhere(0, text.ascii), _MOST_DECODED):
            inner = Text(decoded(visible[begin:end]))
            hits = self._scanner.hits(inner.folded_data)
            hits.pop(len(self._signals), None)
            weight = max((seen.weight for seen in self._said(inner, hits)), default=0.0)
            if weight >= _LEAST_DECODED:
                place = len(Text(visible[:begin]).folded)
                yield Seen(place, place + end - begin, "decoded", _DECODED_WEIGHT)


class _Chars:
    """Characters of byte places that come in ascending order, in one pass over the text."""

    __slots__ = ("_ascii_only", "_byte", "_char", "_data")

    def __init__(self, data: bytes, *, ascii_only: bool) -> None:
        self._data, self._ascii_only = data, ascii_only
        self._byte = self._char = 0

    def at(self, byte: int) -> int:
        if self._ascii_only:
            return byte
        self._char += len(self._data[self._byte : byte].decode("utf-8", "ignore"))
        self._byte = byte
        return self._char


def _row(signal: Signal) -> Row:
    return Row(_with_any_blank(signal.hint), _with_any_blank(signal.pattern), LONGEST)


def _with_any_blank(pattern: str) -> str:
    """Words may stand on lines of their own: any blank will do, in classes too."""
    return pattern.replace(" ", r"\s")


def _passages(signals: Sequence[Seen]) -> Iterator[tuple[int, int, float]]:
    """Stretches of two blocks each, with their scores: of one kind the heaviest signal, of all kinds together noisy or.

    Blocks rather than a window that slides from signal to signal: the time is linear however many there are.
    """
    blocks: dict[int, dict[str, Seen]] = {}
    for seen in signals:
        kinds = blocks.setdefault(seen.begin // _BLOCK_CHARS, {})
        known = kinds.get(seen.kind)
        if known is None or known.weight < seen.weight:
            kinds[seen.kind] = seen
    for number, kinds in blocks.items():
        together = dict(kinds)
        for kind, seen in blocks.get(number + 1, {}).items():
            if kind not in together or together[kind].weight < seen.weight:
                together[kind] = seen
        doubt = 1.0
        for seen in together.values():
            doubt *= 1 - seen.weight
        yield min(seen.begin for seen in together.values()), max(seen.end for seen in together.values()), 1 - doubt


def _joined(places: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """The places in order, overlapping ones as one."""
    joined: list[tuple[int, int]] = []
    for begin, end in sorted((begin, end) for begin, end in places):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined
