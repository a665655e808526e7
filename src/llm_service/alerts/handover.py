"""Hands notices to the notifiers, which deliver them in the background, and hears what became of them."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from llm_service.alerts.notice import Notice, NoticeFailed, Notifier
from llm_service.alerts.notices import NoticeOutcome
from llm_service.observability import Log

Heard = Callable[[str, Notice, str | None], None]
"""Told of the end of a notice: the notifier's name, the notice, and why it failed, if it did."""
NOWHERE: Final = "there is no notifier of this name"


class Handover:
    """``noticed`` is the notifiers' to call; ``hears`` is told of the end of every notice that is not awaited."""

    def __init__(self, *, log: Log, count: Callable[[str, str], None] = lambda name, outcome: None) -> None:
        """``count`` is told of each notice that ended: the notifier's name, and ``delivered`` or ``failed``."""
        self._log = log
        self._count = count
        self._awaited: dict[tuple[str, int], asyncio.Future[str | None]] = {}
        self.notifiers: Mapping[str, Notifier] = {}
        self.hears: Heard = lambda name, notice, error: None

    def noticed(self, name: str, notice: Notice, outcome: NoticeOutcome, error: str | None) -> None:
        """What became of a notice, or of an attempt to deliver it."""
        if outcome in ("delivered", "failed"):
            self._count(name, outcome)
        awaited = self._awaited.get((name, id(notice)))
        if awaited is not None:
            if not awaited.done():
                awaited.set_result(None if outcome == "delivered" else error or outcome)
        elif outcome == "delayed":
            self._log.warning("a notice of alerts is delayed", notifier=name, group=notice.group, cause=error)
        elif outcome != "replaced":
            self.hears(name, notice, error if outcome == "failed" else None)

    async def give(self, name: str, notice: Notice) -> None:
        """Have it delivered; this does not wait for it."""
        try:
            await self._find(name).deliver(notice)
        except NoticeFailed as failed:
            self.noticed(name, notice, "failed", str(failed))

    async def delivered(self, name: str, notice: Notice, *, within_s: float) -> str | None:
        """Have it delivered, and wait for that: why it was not, at the first attempt; ``None``: it was."""
        awaited: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._awaited[name, id(notice)] = awaited
        try:
            async with asyncio.timeout(within_s):
                await self.give(name, notice)
                return await awaited
        except TimeoutError:
            return f"it was not delivered within {within_s:g} s, and is still tried"
        finally:
            del self._awaited[name, id(notice)]

    def _find(self, name: str) -> Notifier:
        notifier = self.notifiers.get(name)
        if notifier is None:
            raise NoticeFailed(NOWHERE)
        return notifier
