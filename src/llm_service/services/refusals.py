"""Counts refusals, so that whoever knocks without end fills neither the audit log nor this process's memory."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from llm_service.runtime import Clock, TimerHandle
from llm_service.storage import AuditEntry

WINDOW_S: Final = 300.0
MOST_KINDS: Final = 20
"""Of one window. So a process keeps 41 entries in five minutes at most: of each kind two, and one of all the others."""
ANY_ACT: Final = "*"


class _Kind(NamedTuple):
    key_id: str | None
    peer: str | None
    act: str
    error_code: str | None


_OTHERS: Final = _Kind(None, None, ANY_ACT, None)


class Refusals:
    """Keeps the first refusal of a kind at once, and all that follow within five minutes as one entry that counts them.

    A kind is who, from where, which act and why; from where is left out for those who are nobody. What is of none of
    the first twenty kinds of a window is counted together, as the act ``*``.
    """

    def __init__(self, clock: Clock, keep: Callable[[AuditEntry], None]) -> None:
        self._clock = clock
        self._keep = keep
        self._counted = dict[_Kind, AuditEntry | None]()
        self._closes: TimerHandle | None = None

    def add(self, refusal: AuditEntry) -> None:
        """Keep it, or count it."""
        if self._closes is None:
            self._closes = self._clock.call_later(WINDOW_S, self.close)
        kind = _kind_of(refusal)
        if kind not in self._counted and len(self._counted) < MOST_KINDS:
            self._counted[kind] = None
            self._keep(refusal)
            return
        if kind not in self._counted:
            kind, refusal = _OTHERS, _of_many(refusal)
        before = self._counted.get(kind)
        self._counted[kind] = refusal if before is None else _together(before, refusal)

    def close(self) -> None:
        """Keep what was counted, and begin a new window with the next refusal."""
        counted = [one for one in self._counted.values() if one is not None]
        self._counted.clear()
        if self._closes is not None:
            self._closes.cancel()
            self._closes = None
        for one in counted:
            self._keep(one)


def _kind_of(refusal: AuditEntry) -> _Kind:
    peer = None if refusal.key_id is None else refusal.peer
    return _Kind(refusal.key_id, peer, refusal.act, refusal.error_code)


def _of_many(refusal: AuditEntry) -> AuditEntry:
    """What can be said of all that are counted together."""
    return AuditEntry(
        id=refusal.id, at=refusal.at, door="service", act=ANY_ACT, outcome="refused", request_id=refusal.request_id
    )


def _together(before: AuditEntry, last: AuditEntry) -> AuditEntry:
    """The last one, for both; what differs is left out."""
    return replace(
        last,
        subject=last.subject if last.subject == before.subject else None,
        peer=last.peer if last.peer == before.peer else None,
        times=before.times + last.times,
    )
