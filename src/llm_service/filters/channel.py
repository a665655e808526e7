"""One growing text of an answer: what is known of it, what of it may go, and what becomes of that on its way."""

import json
from collections.abc import Iterable, Iterator
from typing import Final

from llm_service.filters.detector import Match
from llm_service.filters.escapes import PAD, unescaped, whole_characters
from llm_service.filters.judging import Findings
from llm_service.filters.masking import Masks, plain_placeholder
from llm_service.filters.policy import LocalFilter
from llm_service.filters.text import LONGEST_HOLD

MOST_KEPT: Final = 4096
"""Characters at the end that are looked at again when more comes, where it is still undecided what they are: private
keys are as long."""
CONTEXT: Final = 128
"""Characters before those that are kept as well: what is found may depend on what stands before it."""

FIRST_RANK: Final = -1
LAST_RANK: Final = 1_000_000


class Find:
    """A match of a filter, or a placeholder, in place of which ``text`` is to stand. Its end may still move.

    ``rank``: who comes first of those that begin at once. ``filter``: whose match it is, ``label`` what it says of it.
    ``blocks``: the answer ends where it begins.
    """

    __slots__ = ("begin", "blocks", "edit", "end", "filter", "label", "rank", "text")

    def __init__(
        self,
        begin: int,
        end: int,
        rank: int,
        *,
        one: LocalFilter | None = None,
        label: str = "",
        blocks: bool = False,
        text: str | None = None,
    ) -> None:
        self.begin = begin
        self.end = end
        self.rank = rank
        self.filter = one
        self.label = label
        self.blocks = blocks
        self.text = text
        self.edit: Edit | None = None


class Edit:
    """What goes in place of a part of the text."""

    __slots__ = ("begin", "end", "text")

    def __init__(self, begin: int, end: int, text: str) -> None:
        self.begin = begin
        self.end = end
        self.text = text


class Channel:
    """Positions count from the beginning of the whole text.

    ``text``: its end, as far as it is looked at again, from ``base`` on, as JSON reads where it is that; ``plain``: the
    same as it is written, where that is something else; ``clear``: how far it is judged for good;
    ``sent``: how far it has gone; ``cut``: where it ends because of the filter ``blocked_by``.
    """

    __slots__ = (
        "_applied", "_edits", "_findings", "_finds", "_is_json", "_open_escape", "base", "blocked_by",
        "clear", "cut", "length", "plain", "sent", "text",
    )  # fmt: skip

    def __init__(self, findings: Findings, *, is_json: bool) -> None:
        self.text = ""
        self.plain: str | None = None
        self.base = 0
        self.length = 0
        self.clear = 0
        self.sent = 0
        self.cut: int | None = None
        self.blocked_by: LocalFilter | None = None
        self._findings = findings
        self._is_json = is_json
        self._open_escape = ""
        self._finds: list[Find] = []
        self._applied: list[Find] = []
        self._edits: list[Edit] = []

    # -- what comes

    def add(self, piece: str) -> int:
        """More of it; where that begins."""
        begin = self.length
        self.length += len(piece)
        if self._is_json and (self._open_escape or "\\" in piece):
            self.plain = (self.text if self.plain is None else self.plain) + whole_characters(piece)
            raw = self._open_escape + piece
            read, is_open_from = unescaped(raw)
            self.text = self.text[: len(self.text) - len(self._open_escape)] + whole_characters(read)
            self._open_escape = raw[is_open_from:]
        else:
            told = whole_characters(piece)
            self.text += told
            if self.plain is not None:
                self.plain += told
        return begin

    # -- what is found in it

    def judged(self, found: Iterable[tuple[int, LocalFilter, Match]], open_from: int, masks: Masks | None) -> None:
        """What filters, each with its rank, have found in ``text``, and from where on that is undecided."""
        before, base = self.clear, self.base
        known = [find for find in self._finds if find.begin < before] if self._finds else self._finds
        news: list[Find] = []
        for rank, one, match in found:
            begin, end = base + match.begin, base + self._end(match.end)
            if end > before and not self._grows(known, begin, end, match.label, one):
                text = plain_placeholder(match.label) if one.action == "mask" else None
                blocks = one.action == "block"
                news.append(Find(begin, end, rank, one=one, label=match.label, blocks=blocks, text=text))
        if masks:
            news += self._placeholders(masks)
        self._finds = sorted(known + news, key=_place) if news else known
        if self._open_escape:
            open_from = min(open_from, len(self.text) - len(self._open_escape))
        if base + open_from > before:
            self.clear = base + open_from
        # Where so much is undecided, what may be a match has begun even before: detectors say no more than that.
        self._forget(CONTEXT if len(self.text) - open_from < LONGEST_HOLD else MOST_KEPT)

    def _placeholders(self, masks: Masks) -> Iterator[Find]:
        """Those that can be put back: all of one has to be here."""
        for begin, end, original in masks.placed(self.text):
            if self.base + begin >= max(self.clear, self.sent):
                text = json.dumps(original, ensure_ascii=False)[1:-1] if self._is_json else original
                yield Find(self.base + begin, self.base + end, LAST_RANK, text=text)

    def failed(self, one: LocalFilter, begin: int) -> None:
        """A filter that blocks what it cannot judge could not judge what begins there: nothing is to be waited for."""
        self._finds = sorted([*self._finds, Find(begin, self.length, FIRST_RANK, one=one, blocks=True)], key=_place)
        self.clear = self.length

    @property
    def is_quiet(self) -> bool:
        """Whether what comes next goes as it is, as far as is known."""
        return not (self._finds or self._edits)

    def ends_before(self, end: int) -> bool:
        """Whether it is known for good that it is blocked before that."""
        return any(find.blocks and find.begin < min(self.clear, end) for find in self._finds)

    # -- what goes

    def passed(self, begin: int, text: str) -> str:
        """What goes in place of the piece that begins there: the text itself where nothing was found in it."""
        end = begin + len(text)
        if self._finds:
            self.apply(end)
        stop = end if self.cut is None else min(end, self.cut)
        if self._edits:
            text = self._edited(begin, stop, text)
        elif stop < end:
            text = text[: max(stop - begin, 0)]
        self.sent = end
        return text

    def apply(self, upto: int) -> None:
        """Do what is to be done about everything that is found to begin before that: it goes now, undecided or not."""
        while self._finds and self._finds[0].begin < upto and self.cut is None:
            find = self._finds.pop(0)
            self._applied.append(find)
            if find.filter is not None and find.label:
                self._findings.found(find.filter, find.label)
            if find.blocks:
                self.cut = find.begin
                self.blocked_by = find.filter
            else:
                self._edit(find)

    # -- inside

    def _end(self, end: int) -> int:
        """The end of a match, with all that belongs to its last character."""
        while self._is_json and end < len(self.text) and self.text[end] == PAD:
            end += 1
        return end

    def _grows(self, known: list[Find], begin: int, end: int, label: str, one: LocalFilter) -> bool:
        """Whether it has been found before, and at most ends later now, or has lost its beginning out of sight."""
        for find in (*self._applied, *known):
            if find.filter is one and find.label == label:
                is_same = find.begin == begin or (begin == self.base and find.begin < begin <= find.end)
                if is_same:
                    find.end = max(find.end, end)
                    if find in self._applied:
                        self._edit(find)
                    return True
        return False

    def _edit(self, find: Find) -> None:
        """Replace what has not gone, once; what overlaps goes with it."""
        if find.text is None or find.end <= self.sent:
            return
        if find.edit is not None and find.edit not in self._edits:  # that has gone; what belongs to it follows now
            find.edit = Edit(self.sent, find.end, "")
            self._edits.append(find.edit)
        elif find.edit is None and self._edits and find.begin < self._edits[-1].end:
            find.edit = self._edits[-1]
        if find.edit is not None:
            find.edit.end = max(find.edit.end, find.end)
        else:
            find.edit = Edit(max(find.begin, self.sent), find.end, find.text)
            self._edits.append(find.edit)

    def _edited(self, begin: int, stop: int, text: str) -> str:
        parts: list[str] = []
        at = begin
        for edit in self._edits:
            if edit.begin >= stop:
                break
            if edit.begin >= begin:
                parts += (text[at - begin : max(edit.begin - begin, 0)], edit.text)
            at = max(at, edit.end)
        if at < stop:
            parts.append(text[at - begin : stop - begin])
        self._edits = [edit for edit in self._edits if edit.end >= stop]
        made = "".join(parts)
        return text if made == text else made

    def _forget(self, context: int) -> None:
        """Keep of what is judged for good only what tells what follows."""
        base = max(self.length - MOST_KEPT, self.clear - context)
        if base > self.base:
            self.text = self.text[base - self.base :]
            if self.plain is not None:
                self.plain = self.plain[base - self.base :]
            self.base = base
        if self._applied:
            self._applied = [find for find in self._applied if find.end >= self.base]


def _place(find: Find) -> tuple[int, int]:
    return find.begin, find.rank
