"""A part of stages: filters that judge by asking somebody are asked, all at once, and each within its time."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from llm_service.domain import DeadlineExceeded, Direction, FilterAction, LimitReached, LLMServiceError, Verdict
from llm_service.filters import FilterOptions, Passage, Report
from llm_service.pipeline.base import Exchange
from llm_service.pipeline.judges import Judge
from llm_service.runtime import Clock

Took = Callable[[str, float], None]
"""Hears how many seconds a filter, by its name, took to judge."""
_LATE = "The request's own deadline passed before its filters had judged it."


class Heard(NamedTuple):
    """What one filter says. ``why``: the limit that left no room for asking, or the request's own deadline."""

    verdict: Verdict | None
    why: LLMServiceError | None = None


class Asking:
    """Asks; adds to ``exchange.verdicts``. ``judges``: by the filters' names. ``report`` hears of those that fail."""

    def __init__(self, judges: Mapping[str, Judge], *, report: Report, took: Took, clock: Clock) -> None:
        self._judges = judges
        self._report = report
        self._took = took
        self._clock = clock

    async def ask(
        self,
        exchange: Exchange,
        filters: Sequence[FilterOptions],
        passages: Sequence[Passage] | None,
        on: Direction,
    ) -> Heard | None:
        """What blocks the text, if anything does: a find, or else a failure whose filter lets nothing pass then.

        ``passages``: ``None`` where the text is none that can be read. All are heard, whoever blocks, so that the same
        text is always blocked by the same filter. Raises DeadlineExceeded.
        """
        if passages is None:
            heard = [Heard(_failed(one, on)) for one in filters]
        elif not passages:
            return None
        elif len(filters) == 1:
            heard = [await self._one(exchange, filters[0], passages, on)]
        else:
            heard = await asyncio.gather(*(self._one(exchange, one, passages, on) for one in filters))
        for one in heard:
            if isinstance(one.why, DeadlineExceeded):
                raise one.why
        exchange.verdicts += [one.verdict for one in heard if one.verdict is not None]
        blocking = [one for one in heard if one.verdict is not None and one.verdict.action == "block"]
        return min(blocking, key=_is_failure, default=None)

    async def _one(
        self, exchange: Exchange, options: FilterOptions, passages: Sequence[Passage], on: Direction
    ) -> Heard:
        name, begun_at = options.called, self._clock.monotonic()
        left_s = options.timeout_s if exchange.deadline is None else exchange.deadline - begun_at
        try:
            async with asyncio.timeout(min(options.timeout_s, left_s)):
                labels = await self._judges[name](exchange, passages, on)
        except Exception as failure:  # noqa: BLE001 - reported, and what follows is the filter's own setting
            if isinstance(failure, TimeoutError) and left_s <= options.timeout_s and exchange.deadline is not None:
                return Heard(None, DeadlineExceeded(_LATE))
            self._report(name, failure)
            return Heard(_failed(options, on), failure if isinstance(failure, LimitReached) else None)
        finally:
            self._took(name, self._clock.monotonic() - begun_at)
        if not labels:
            return Heard(None)
        return Heard(
            Verdict(
                filter=name, type=options.type, on=on, action=options.action, labels=tuple(labels), count=len(labels)
            )
        )


def _failed(options: FilterOptions, on: Direction) -> Verdict:
    action: FilterAction = "block" if options.on_failure == "closed" else "report"
    return Verdict(filter=options.called, type=options.type, on=on, action=action, failed=True)


def _is_failure(heard: Heard) -> bool:
    return heard.verdict is not None and heard.verdict.failed
