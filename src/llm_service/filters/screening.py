"""A whole request before its filters: what they find in it, and the request without what they mask."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, runtime_checkable

from llm_service.domain import FilterAction, ModelRequest, Verdict, fact
from llm_service.filters.judging import Judgement, Report, judge
from llm_service.filters.masking import Masks
from llm_service.filters.policy import Filters, LocalFilter
from llm_service.filters.text import Text
from llm_service.filters.walk import Leaf, Unit, copied, has_token_ids, spread, together, units

_GAP: Final = "\n"


@runtime_checkable
class Scoring(Protocol):
    """A detector that weighs signals."""

    def score(self, text: Text) -> float:
        """How much speaks for a find, from 0 to 1."""


@fact
class Screened:
    """What filters say of a request.

    ``blocked``: the verdict for which it is refused, ``None`` where it may go on; ``where``: the field that was found,
    as a path. ``outgoing``: the request with placeholders, where something was masked, and ``masks`` what they stand
    for.
    """

    verdicts: tuple[Verdict, ...] = ()
    blocked: Verdict | None = None
    where: str | None = None
    outgoing: ModelRequest | None = None
    masks: Masks | None = None


@dataclass(slots=True)
class _Tally:
    """What one filter has found so far."""

    labels: set[str] = field(default_factory=set)
    count: int = 0
    failures: int = 0


class _Screening:
    """One request on its way through the filters."""

    def __init__(self, filters: Filters, request: ModelRequest, report: Report, *, thorough: bool) -> None:
        self._filters = filters
        self._request = request
        self._report = report
        self._thorough = thorough
        self._units = [*units(request.body)]
        self._tallies: dict[str, _Tally] = {}
        self.blocks: LocalFilter | None = None
        self.where: str | None = None
        self.masks: Masks | None = None

    def screen(self) -> None:
        """Judge everything, or up to what blocks."""
        for unit in self._units:
            self._judge(unit)
            if self._is_over:
                return
        if has_token_ids(self._request.body):
            self._cannot_read()

    @property
    def _is_over(self) -> bool:
        return self.blocks is not None and not self._thorough

    def _judge(self, unit: Unit) -> None:
        """As JSON reads, where it may be that, and as it stands; its pieces once more with nothing between them."""
        counts: dict[str, int] = {}
        for leaves, gap in [(unit.leaves, _GAP), *[(row, "") for row in unit.joined]]:
            for read in _readings(leaves):
                if self._is_over:
                    break
                for name, count in self._judge_leaves(unit, leaves, gap, read=read).items():
                    counts[name] = max(counts.get(name, 0), count)
        for name, count in counts.items():
            self._tallies[name].count += count

    def _judge_leaves(self, unit: Unit, leaves: Sequence[Leaf], gap: str, *, read: bool) -> dict[str, int]:
        """How many places each filter found."""
        judgement = judge(self._filters, Text(together(leaves, gap, read=read)), self._report)
        if not judgement.found and not judgement.failed:
            return {}
        if self.blocks is None and (blocks := judgement.blocks) is not None:
            self.blocks, self.where = blocks, unit.where
        if self.blocks is None:
            self._mask(judgement, leaves, gap)
        for one in judgement.failed:
            self._tally(one).failures += 1
        counts = {}
        for one, matches in judgement.found:
            self._tally(one).labels.update([match.label for match in matches])
            counts[one.name] = len(matches)
        return counts

    def _mask(self, judgement: Judgement, leaves: Sequence[Leaf], gap: str) -> None:
        if not (edits := judgement.edits):
            return
        text = gap.join([leaf.text for leaf in leaves])
        masks = self.masks = self.masks or self._masks()
        made = []
        for begin, end, label, reversible in edits:
            made.append((begin, end, masks.placeholder(label, text[begin:end] if reversible else None)))
        spread(leaves, made, gap=len(gap))

    def _masks(self) -> Masks:
        rows = [([leaf.original for leaf in unit.leaves], _GAP) for unit in self._units]
        rows += [([leaf.original for leaf in row], "") for unit in self._units for row in unit.joined]
        return Masks(_GAP.join([gap.join(texts) for texts, gap in rows]))

    def _tally(self, one: LocalFilter) -> _Tally:
        return self._tallies.setdefault(one.name, _Tally())

    def _cannot_read(self) -> None:
        """Numbers of tokens are no text: what becomes of them says each filter's ``on_failure``."""
        for one in self._filters:
            self._tally(one).failures += 1
            if one.on_failure == "closed" and self.blocks is None:
                self.blocks, self.where = one, "prompt" if self._request.operation == "completion" else "input"

    def changed(self) -> Sequence[Leaf]:
        """The texts that are others now."""
        if self.masks is None:
            return ()
        return [leaf for unit in self._units for leaf in unit.leaves if leaf.text is not leaf.original]

    def verdicts(self) -> Iterator[Verdict]:
        """One for each filter that found something, and one for each that could not judge, in their order."""
        for one in self._filters:
            if (tally := self._tallies.get(one.name)) is None:
                continue
            if tally.count:
                labels = tuple(sorted(tally.labels))
                yield Verdict(
                    filter=one.name, type=one.type, on="input", action=one.action, labels=labels, count=tally.count
                )
            if tally.failures:
                action: FilterAction = "block" if one.on_failure == "closed" else "report"
                yield Verdict(
                    filter=one.name, type=one.type, on="input", action=action, count=tally.failures, failed=True
                )


def _readings(leaves: Sequence[Leaf]) -> tuple[bool, ...]:
    """In which ways texts are looked at: as JSON reads first, so that a mask leaves the JSON one."""
    for leaf in leaves:
        if "\\" in leaf.text and leaf.is_escaped:
            return True, False
    return (False,)


def screened(filters: Filters, request: ModelRequest, report: Report, *, thorough: bool = False) -> Screened:
    """What filters say of a request's prompt. Pure, but for ``report``.

    Nothing further is looked at behind what blocks it, unless one wants to know all (``thorough``).
    """
    screening = _Screening(filters, request, report, thorough=thorough)
    screening.screen()
    verdicts, blocks = tuple(screening.verdicts()), screening.blocks
    if blocks is not None:
        blocked = next(one for one in verdicts if one.filter == blocks.name and one.action == "block")
        return Screened(verdicts=verdicts, blocked=blocked, where=screening.where)
    if not (changed := screening.changed()):
        return Screened(verdicts=verdicts)
    return Screened(verdicts=verdicts, outgoing=_outgoing(request, changed), masks=screening.masks)


def _outgoing(request: ModelRequest, changed: Sequence[Leaf]) -> ModelRequest:
    """The request with these texts. Its length bounds that of all its texts, as the original's does."""
    more = sum(max(0, _bytes(leaf.text) - _bytes(leaf.original)) for leaf in changed)
    return replace(request, body=copied(request.body, changed), body_bytes=request.body_bytes + more)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def scores(filters: Filters, request: ModelRequest) -> Mapping[str, float]:
    """The highest score of a part of the prompt, by each filter that gives scores."""
    scoring = [(one.name, one.detector) for one in filters if isinstance(one.detector, Scoring)]
    if not scoring:
        return {}
    texts = [Text(together(unit.leaves, _GAP)) for unit in units(request.body)]
    return {name: max(map(detector.score, texts), default=0.0) for name, detector in scoring}
