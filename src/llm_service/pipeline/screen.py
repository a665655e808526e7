"""Stage: the prompt is judged by the filters that it meets, before anything is looked up, admitted or sent."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from llm_service.admission import Admission
from llm_service.domain import ContentFiltered, ModelRequest, Reply, Settlement, Verdict, fact, lists
from llm_service.filters import FilterOptions, Filters, Policies, Policy, Report, Screened, scores, screened
from llm_service.observability import Log
from llm_service.pipeline.base import Exchange, Proceed
from llm_service.pipeline.resolve import beyond

MOST_INLINE_BYTES: Final = 32 * 1024
"""A longer body is judged in a thread, so that no other request waits for it."""


Counted = Callable[[Exchange], Awaitable[None]]
"""Counts a request that is refused here. Raises LimitReached where it would not have been let in either."""


@fact
class Foreseeing:
    """What filters would say of a prompt. ``refusal``: what its client would be told; ``scores``: by filters' names."""

    verdicts: Sequence[Verdict]
    refusal: ContentFiltered | None
    scores: Mapping[str, float]


class Screen:
    """Fills ``exchange.policy``, ``is_screened``, and where something is masked ``sent`` and ``masks``.

    Adds to ``verdicts``.
    """

    def __init__(self, policies: Policies, report: Report, *, counted: Counted | None = None) -> None:
        """``report``: hears of filters that cannot judge."""
        self.policies = policies
        self._report = report
        self._counted = counted

    def __call__(self, exchange: Exchange, proceed: Proceed) -> Awaitable[Reply]:
        """Go on, or raise ContentFiltered: nothing was kept or sent then, and of limits that of requests alone counts.

        Raises LimitReached instead where that one has no room: who tries out what filters let pass is slowed down.
        """
        request = exchange.request
        if exchange.is_inner:  # what a filter asks meets no filter
            exchange.is_screened = True
            return proceed(exchange)
        policy = exchange.policy = self._policy_of(exchange)
        try:
            if policy.naming:
                self._check_names(exchange, policy.naming)
            if policy.input and request.body_bytes > MOST_INLINE_BYTES:
                return self._aside(exchange, proceed)
            if policy.input:
                self._take(exchange, screened(policy.input, request, self._report))
        except ContentFiltered as refused:
            return self._refused(exchange, refused)
        exchange.is_screened = True
        return proceed(exchange)

    async def _aside(self, exchange: Exchange, proceed: Proceed) -> Reply:
        found = await asyncio.to_thread(screened, exchange.policy.input, exchange.request, self._report)
        try:
            self._take(exchange, found)
        except ContentFiltered as refused:
            return await self._refused(exchange, refused)
        return await proceed(exchange)

    async def _refused(self, exchange: Exchange, refused: ContentFiltered) -> Reply:
        if self._counted is not None:
            await self._counted(exchange)
        raise refused

    async def foresee(self, exchange: Exchange) -> Foreseeing:
        """What all filters would say of the prompt, whatever blocks it. Takes note of what would be sent."""
        request = exchange.request
        policy = exchange.policy = self._policy_of(exchange)
        of_names = [found for one in policy.naming if (found := of_names_asked(one, request)) is not None]
        refusals = [refusal(verdict, where) for verdict, where in of_names if verdict.action == "block"]
        seen, scored = await asyncio.to_thread(self._seen, policy.input, request)
        if seen.blocked is not None:
            refusals.append(refusal(seen.blocked, seen.where))
        exchange.sent = seen.outgoing or request
        return Foreseeing(
            verdicts=[*(verdict for verdict, _ in of_names), *seen.verdicts],
            refusal=next(iter(refusals), None),
            scores=scored,
        )

    def _policy_of(self, exchange: Exchange) -> Policy:
        request = exchange.request
        return self.policies.for_request(request.model, request.models, exchange.caller, exchange.candidates)

    def _seen(self, filters: Filters, request: ModelRequest) -> tuple[Screened, Mapping[str, float]]:
        return screened(filters, request, self._report, thorough=True), scores(filters, request)

    @staticmethod
    def _check_names(exchange: Exchange, filters: Sequence[FilterOptions]) -> None:
        for one in filters:
            if (found := of_names_asked(one, exchange.request)) is not None:
                exchange.verdicts.append(found[0])
                if found[0].action == "block":
                    raise refusal(*found)

    @staticmethod
    def _take(exchange: Exchange, found: Screened) -> None:
        exchange.verdicts += found.verdicts
        exchange.sent, exchange.masks = found.outgoing or exchange.request, found.masks
        if found.blocked is not None:
            raise refusal(found.blocked, found.where)
        exchange.is_screened = True


def counting(admission: Admission) -> Counted:
    """Counts refused requests as requests, of the limits of those that cost nothing."""

    async def counted(exchange: Exchange) -> None:
        admitted = await admission.admit_free(
            exchange.request, lease_id=exchange.id, caller=exchange.caller, user=exchange.user
        )
        await admission.settle(admitted, Settlement(tokens=0, nano_usd=0, provider=False))

    return counted


def reporting(log: Log) -> Report:
    """Tells where a filter failed, and not what the exception says: that may be from the prompt."""

    def report(name: str, defect: Exception) -> None:
        frames = traceback.extract_tb(defect.__traceback__)
        at = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        log.error("a filter failed", filter=name, failure=type(defect).__name__, at=at)

    return report


def of_names_asked(options: FilterOptions, request: ModelRequest) -> tuple[Verdict, str] | None:
    """What a filter of names says of the models that a request asks for, and by which field of it."""
    found = beyond(request, lambda name: lists(options.allowed, name))
    if found is None:
        return None
    verdict = Verdict(filter=options.called, type=options.type, on="input", action=options.action, labels=("model",))
    return verdict, found[1]


def refusal(verdict: Verdict, where: str | None) -> ContentFiltered:
    """What the client is told: which filter it was, and in which field; never what it found there."""
    name, kind = verdict.filter, verdict.type
    if verdict.failed:
        said = f"The filter `{name}` ({kind}) cannot judge this prompt, and lets nothing pass that it cannot judge."
    elif kind == "allowed_models":
        said = f"The model that is asked for was refused by the filter `{name}` ({kind})."
    else:
        said = f"The prompt was refused by the filter `{name}` ({kind})."
    return ContentFiltered(said, param=where)
