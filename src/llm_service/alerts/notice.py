"""What an operator is told of a group of alerts, and the narrow port that it is told through."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Protocol

from llm_service.domain import fact

NoticeStatus = Literal["firing", "resolved"]


@fact
class Firing:
    """One alert: a rule with the labels that it holds for.

    ``value``: what the rule measured, in the rule's own unit; None where it measures nothing. ``since`` and
    ``resolved_at`` are aware UTC; ``resolved_at`` is None while the alert fires.
    """

    rule: str
    labels: Mapping[str, str]
    summary: str
    value: float | None
    since: datetime
    resolved_at: datetime | None


@fact
class Notice:
    """The state of a group of alerts at a moment. ``status`` is ``firing`` while any alert of the group fires.

    ``group`` is the same for every notice of the group: a newer one takes the place of an older one. ``instance``
    says which service speaks.
    """

    group: str
    status: NoticeStatus
    severity: str
    alerts: tuple[Firing, ...]
    at: datetime
    instance: str


class NoticeFailed(Exception):
    """A notice was not delivered. The message names no secret: no path or query of an address, no credential.

    ``lasting``: to try again would not help. ``retry_after_s``: how long the receiver asked to be left alone.
    """

    def __init__(self, message: str, *, lasting: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.lasting = lasting
        self.retry_after_s = retry_after_s


class Notifier(Protocol):
    """Where notices go."""

    async def deliver(self, notice: Notice) -> None:
        """Deliver the notice. Raises NoticeFailed."""


__all__ = ["Firing", "Notice", "NoticeFailed", "NoticeStatus", "Notifier"]
