"""What filters say of one text, and what that comes to for a request."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from llm_service.domain import Direction, Verdict
from llm_service.filters.detector import Match
from llm_service.filters.masking import Masks
from llm_service.filters.policy import Filters, LocalFilter
from llm_service.filters.text import Text

Report = Callable[[str, Exception], None]
"""Gets the name of a filter and why it cannot judge."""


class Edit(NamedTuple):
    """A place whose text is to be replaced: ``begin`` up to, without, ``end``."""

    begin: int
    end: int
    label: str
    reversible: bool


class Judgement(NamedTuple):
    """``found``: the matches of each filter that has any; ``failed``: those that cannot judge this text.

    ``blocks``: who blocks it, by the match that stands first, or because it cannot judge. ``edits``: what is to be
    masked, by their beginnings; of matches that overlap one edit is made, which is called what the first one is, and
    where several begin at once, what the first filter says. ``open_from``: where the end of a text that grows is
    undecided.
    """

    found: Sequence[tuple[LocalFilter, Sequence[Match]]]
    failed: Sequence[LocalFilter]
    open_from: int

    @property
    def blocks(self) -> LocalFilter | None:
        """Who blocks the text."""
        for one in self.failed:
            if one.on_failure == "closed":
                return one
        blocking = [(match.begin, at) for at, (one, matches) in enumerate(self.found) if one.action == "block"
                    for match in matches]  # fmt: skip
        return self.found[min(blocking)[1]][0] if blocking else None

    @property
    def edits(self) -> list[Edit]:
        """What is to be masked."""
        edits: list[Edit] = []
        wanted = [
            Edit(match.begin, match.end, match.label, one.reversible)
            for one, matches in self.found
            if one.action == "mask"
            for match in matches
        ]
        for edit in sorted(wanted, key=_begin):
            if edits and edit.begin < edits[-1].end:
                edits[-1] = edits[-1]._replace(end=max(edits[-1].end, edit.end))
            else:
                edits.append(edit)
        return edits

    def masked(self, raw: str, masks: Masks) -> str:
        """The text with placeholders for what is to be masked."""
        parts: list[str] = []
        at = 0
        for begin, end, label, reversible in self.edits:
            parts += (raw[at:begin], masks.placeholder(label, raw[begin:end] if reversible else None))
            at = end
        return "".join((*parts, raw[at:])) if parts else raw


def judge(filters: Filters, text: Text, report: Report, *, grows: bool = False) -> Judgement:
    """Ask all filters. One that raises is reported, and judges nothing here.

    ``grows``: more of the text may follow, so its end is undecided.
    """
    opened = len(text)
    found: list[tuple[LocalFilter, Sequence[Match]]] = []
    failed: list[LocalFilter] = []
    for one in filters:
        try:
            matches = one.detector.find(text)
            if grows and (undecided := one.detector.open_from(text)) < opened:
                opened = undecided
        except Exception as defect:  # noqa: BLE001 - reported, and what follows is the filter's own setting
            report(one.name, defect)
            failed.append(one)
            continue
        if matches and (matches := [match for match in matches if match.begin < match.end]):
            found.append((one, matches))
    return Judgement(found, failed, opened)


class Findings:
    """What was found in all texts of one side of a request: one verdict for each filter that found something."""

    __slots__ = ("_failed", "_found", "_on")

    def __init__(self, on: Direction) -> None:
        self._on = on
        self._found: dict[str, tuple[LocalFilter, list[str]]] = {}
        self._failed: dict[str, LocalFilter] = {}

    def __bool__(self) -> bool:
        return bool(self._found or self._failed)

    def note(self, judgement: Judgement) -> None:
        """What was found in one text."""
        for one, matches in judgement.found:
            for match in matches:
                self.found(one, match.label)
        for one in judgement.failed:
            self.failed(one)

    def found(self, one: LocalFilter, label: str) -> None:
        """One place."""
        self._found.setdefault(one.name, (one, []))[1].append(label)

    def failed(self, one: LocalFilter) -> None:
        """The filter could not judge."""
        self._failed[one.name] = one

    def verdicts(self) -> list[Verdict]:
        """In the order in which they came."""
        verdicts = [
            Verdict(
                filter=one.name,
                type=one.type,
                on=self._on,
                action=one.action,
                labels=tuple(sorted(set(labels))),
                count=len(labels),
            )
            for one, labels in self._found.values()
        ]
        return verdicts + [
            Verdict(
                filter=one.name,
                type=one.type,
                on=self._on,
                action="block" if one.on_failure == "closed" else "report",
                failed=True,
            )
            for one in self._failed.values()
        ]


def _begin(edit: Edit) -> int:
    return edit.begin
