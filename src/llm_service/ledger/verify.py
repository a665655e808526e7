"""Walks all chains and says precisely what is not as it was written."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Final, Literal

from llm_service.domain import fact
from llm_service.ledger.chain import START, Tip, canonical, digest
from llm_service.storage import LedgerRow, LedgerStore, Seal

_PAGE_ROWS: Final = 1000

FaultKind = Literal["changed", "missing", "doubled", "out_of_order"]


@fact
class Fault:
    """Something that is wrong with the records ``first_seq`` to ``last_seq`` of a writer's chain."""

    kind: FaultKind
    writer: str
    first_seq: int
    last_seq: int
    request_id: str | None
    text: str


@fact
class Verification:
    """What was looked at, and what is wrong with it. ``removed``: records that retention removed, by their seals.

    Records that were added or taken away at the end of a chain, behind its last seal, cannot be told from
    what the writer did itself.
    """

    writers: int
    records: int
    removed: int
    faults: Sequence[Fault]

    @property
    def sound(self) -> bool:
        """Whether everything is as it was written."""
        return not self.faults


async def verify(store: LedgerStore, *, progress: Callable[[int], None] | None = None) -> Verification:
    """Check every writer's chain against its links and seals. Raises StoreUnavailable.

    ``progress`` hears after each chain how many records were looked at so far.
    """
    walks: list[_Walk] = []
    for writer in await store.writers():
        walks.append(await _walk(store, writer))
        if progress is not None:
            progress(sum(walk.records for walk in walks))
    return Verification(
        writers=len(walks),
        records=sum(walk.records for walk in walks),
        removed=sum(walk.removed for walk in walks),
        faults=[fault for walk in walks for fault in walk.faults],
    )


async def _walk(store: LedgerStore, writer: str) -> "_Walk":
    while True:
        seals = await store.seals(writer)
        walk = _Walk(writer, seals)
        async for row in _rows(store, writer):
            walk.pass_by(row)
        walk.end()
        if not walk.faults or await store.seals(writer) == seals:  # else retention was at work on the way
            return walk


async def _rows(store: LedgerStore, writer: str) -> AsyncIterator[LedgerRow]:
    """A chain's rows; pages overlap by a number, so that a doubled one is seen on their edge as well."""
    after_seq, seen = 0, 0
    while rows := (await store.chain(writer, after_seq=after_seq, count=_PAGE_ROWS))[seen:]:
        for row in rows:
            yield row
        last_seq = rows[-1].link.seq
        seen = sum(row.link.seq == last_seq for row in rows) + (seen if last_seq == after_seq + 1 else 0)
        after_seq = last_seq - 1


class _Walk:
    """Along one chain, from its beginning; holds where it should be by now, and what was wrong so far."""

    def __init__(self, writer: str, seals: Sequence[Seal]) -> None:
        self.faults = list[Fault]()
        self.records = 0
        self.removed = 0
        self._writer = writer
        self._tip = START
        self._trusted = True
        self._seals = list(seals)

    def pass_by(self, row: LedgerRow) -> None:
        """Look at the next row."""
        self.records += 1
        self.faults.extend(self._look_at(row))

    def end(self) -> None:
        """Look at the end of the chain."""
        self._pass_removed()
        if self._seals and self._seals[-1].last_seq > self._tip.seq:
            self.faults.extend(self._gap(self._seals[-1].last_seq))

    def _look_at(self, row: LedgerRow) -> Iterator[Fault]:
        link = row.link
        self._pass_removed()
        if link.seq <= self._tip.seq:
            yield self._misplaced(row)
            return
        if link.seq > self._tip.seq + 1:
            yield from self._gap(link.seq - 1)
        elif self._trusted and link.previous != self._tip.hash:
            text = "it names another hash than the record before it has: one of the two was replaced"
            yield self._fault("changed", link.seq, text, row=row)
        sound = link.hash == digest(link.previous, canonical(row.record))
        if not sound:
            yield self._fault("changed", link.seq, "its fields are not those that its hash was made of", row=row)
        self._tip, self._trusted = Tip(link.seq, link.hash), True
        yield from self._check_seal(row)

    def _pass_removed(self) -> None:
        """Step over pieces that retention removed."""
        while self._seals and self._seals[0].removed and self._seals[0].first_seq <= self._tip.seq + 1:
            seal = self._seals.pop(0)
            if seal.last_seq > self._tip.seq:
                self.removed += seal.last_seq - self._tip.seq
                self._tip = Tip(seal.last_seq, seal.hash)
                self._trusted = True

    def _misplaced(self, row: LedgerRow) -> Fault:
        if row.link.seq == self._tip.seq:
            return self._fault("doubled", row.link.seq, "another record has the same number", row=row)
        return self._fault("out_of_order", row.link.seq, f"it comes after record {self._tip.seq}", row=row)

    def _gap(self, last_seq: int) -> Iterator[Fault]:
        """Records are missing up to ``last_seq``; pieces in there that retention removed are not."""
        first_seq = self._tip.seq + 1
        for seal in [seal for seal in self._seals if seal.removed and seal.last_seq <= last_seq]:
            if first_seq < seal.first_seq:
                yield self._missing(first_seq, seal.first_seq - 1)
            self.removed += seal.last_seq - max(first_seq, seal.first_seq) + 1
            first_seq = seal.last_seq + 1
        self._seals = [seal for seal in self._seals if seal.last_seq > last_seq]
        if first_seq <= last_seq:
            yield self._missing(first_seq, last_seq)
        self._tip, self._trusted = Tip(last_seq, ""), False

    def _missing(self, first_seq: int, last_seq: int) -> Fault:
        return Fault(
            kind="missing",
            writer=self._writer,
            first_seq=first_seq,
            last_seq=last_seq,
            request_id=None,
            text="records were written here and are not there",
        )

    def _check_seal(self, row: LedgerRow) -> Iterator[Fault]:
        link = row.link
        while self._seals and self._seals[0].last_seq <= link.seq:
            seal = self._seals.pop(0)
            if seal.last_seq == link.seq and seal.hash != link.hash:
                yield self._fault("changed", link.seq, "it has another hash than its seal says", row=row)

    def _fault(self, kind: FaultKind, seq: int, text: str, *, row: LedgerRow) -> Fault:
        request_id = row.record.request_id
        return Fault(kind=kind, writer=self._writer, first_seq=seq, last_seq=seq, request_id=request_id, text=text)
