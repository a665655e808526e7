"""Finds personal data in a text."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from llm_service.filters.detector import Match
from llm_service.filters.options import Entity, FilterOptions
from llm_service.filters.pii.beginnings import parse
from llm_service.filters.pii.card import CARDS
from llm_service.filters.pii.email import EMAIL, email_open_from
from llm_service.filters.pii.iban import IBAN
from llm_service.filters.pii.ip import IPV4, IPV6
from llm_service.filters.pii.kind import BEFORE, Kind
from llm_service.filters.pii.national import COUNTRIES, national_ids
from llm_service.filters.pii.phone import PHONES
from llm_service.filters.pii.plain import plain, plain_end
from llm_service.filters.text import LONGEST_HOLD, Text, a_byte_each

_ALL_BUT_IP: Final[tuple[Entity, ...]] = ("email", "phone", "card", "iban", "national_id")
_BLOCK: Final = 4_096
"""Characters that are asked about at once: only where a pattern is in a block at all its places are looked for."""
_OVERLAP: Final = 128
_NEIGHBOUR: Final = "[ .,:/()-]?"
"""What may stand between a find and a digit that makes it another."""


def pii_detector(options: FilterOptions) -> "PiiDetector":
    """The detector of the options' ``entities``, ``countries`` and ``allow``.

    Raises ValueError, in a sentence that says what to do, for countries whose ids are not known, and for countries
    where no national ids are looked for.
    """
    entities = options.entities or _ALL_BUT_IP
    if unknown := sorted(set(options.countries) - set(COUNTRIES)):
        raise ValueError(
            f"countries: ids of {', '.join(unknown)} are not known; leave them out, or look for them by a filter of"
            f" type regex. Known are {', '.join(COUNTRIES)}."
        )
    if options.countries and "national_id" not in entities:
        raise ValueError("countries: add national_id to the entities, or leave the countries out.")
    return PiiDetector(tuple(_kinds(entities, options.countries or COUNTRIES)), allow=options.allow)


def _kinds(entities: Sequence[Entity], countries: Sequence[str]) -> Iterator[Kind]:
    """In the order in which they are believed where they find the same place."""
    if "email" in entities:
        yield EMAIL
    if "card" in entities:
        yield from CARDS
    if "iban" in entities:
        yield IBAN
    if "national_id" in entities:
        yield from national_ids(countries)
    if "ip" in entities:
        yield from (IPV4, IPV6)
    if "phone" in entities:
        yield from PHONES


class _Find(NamedTuple):
    begin: int
    end: int
    number: int
    label: str


def _outermost(finds: "list[_Find]") -> "Iterator[_Find]":
    """Those that lie within no other; of the same place, what is believed first."""
    reached = 0
    for find in sorted(finds, key=lambda find: (find.begin, -find.end, find.number)):
        if find.end > reached:
            reached = find.end
            yield find


class PiiDetector:
    """One pass for all patterns tells which of them a block of the text holds; those are looked for, and checked.

    In time that grows with the length of a text, whatever it is: patterns are bounded, and their engine is linear.
    """

    def __init__(self, kinds: Sequence[Kind], *, allow: Sequence[str] = ()) -> None:
        import re2

        options = re2.Options()
        options.log_errors = False
        options.max_mem = 64 << 20
        self._kinds = kinds
        self._finders = [re2.compile(kind.pattern.encode(), options) for kind in kinds]
        self._set = re2.Set.SearchSet(options)
        for kind in kinds:
            self._set.Add(kind.pattern)
        self._told = {number: self._set.Add(kind.told) for number, kind in enumerate(kinds) if kind.told}
        self._set.Compile()
        self._looks_for_email = EMAIL in kinds
        begun = "|".join(parse(kind.pattern + _NEIGHBOUR).begun for kind in kinds if kind is not EMAIL)
        self._begun = re2.compile(f"(?:{begun})\\z".encode(), options) if begun else None
        self._allowed = frozenset(text.casefold() for text in allow)

    def find(self, text: Text) -> Sequence[Match]:
        visible = plain(text.visible, text.visible_data)
        data = text.ascii if visible is text.visible else a_byte_each(visible.encode())
        spans = self._spans(visible, data)
        if not spans:
            return ()
        return [
            Match(*text.raw_span_of_visible(begin, end), label)
            for begin, end, _, label in _outermost(spans)
            if visible[begin:end].casefold() not in self._allowed
        ]

    def open_from(self, text: Text) -> int:
        visible = text.visible
        cut = max(0, len(visible) - LONGEST_HOLD)
        tail = plain_end(visible[cut:])
        opened = end = len(tail)
        if self._begun is not None and (begun := self._begun.search(tail.encode("ascii", "replace"))):
            opened = begun.start()
        if self._looks_for_email:
            opened = min(opened, email_open_from(tail))
        if opened == end:
            return len(text)
        return max(text.raw_span_of_visible(cut + opened, cut + opened + 1)[0], len(text) - LONGEST_HOLD)

    def _spans(self, text: str, data: bytes) -> "list[_Find]":
        spans: list[_Find] = []
        resume: dict[int, int] = {}
        for begin in range(0, len(data), _BLOCK):
            for number in self._kinds_in(data[max(0, begin - BEFORE) : begin + _BLOCK + _OVERLAP]):
                at = max(begin, resume.get(number, 0))
                for span in self._places(number, text, data, at, begin + _BLOCK):
                    spans.append(_Find(*span, number, self._kinds[number].label))
                    resume[number] = span[1]
        return spans

    def _kinds_in(self, data: bytes) -> Iterator[int]:
        """Those of which a part of the text may have a find."""
        hits = self._set.Match(data)
        for number in hits or ():
            if number < len(self._kinds) and ((told := self._told.get(number)) is None or told in hits):
                yield number

    def _places(self, number: int, text: str, data: bytes, at: int, until: int) -> Iterator[tuple[int, int]]:
        """The finds of one kind that begin in a block."""
        search, kind = self._finders[number].search, self._kinds[number]
        end = min(until + _OVERLAP, len(data))
        while at < until and (hit := search(data, at, end)):
            place, after = hit.span()
            if place >= until:
                return
            if span := kind.check(text, place, after):
                yield span
            at = span[1] if span else place + 1 if kind.within else after

    def __repr__(self) -> str:
        return f"PiiDetector({len(self._kinds)} patterns)"
