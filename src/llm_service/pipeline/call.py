"""The end of the row: deployments are asked in their order until one answers, and never after its first content."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from math import ceil
from typing import Final

from llm_service.domain import (
    DeadlineExceeded,
    InternalError,
    LLMServiceError,
    ModelRequest,
    NoDeploymentAvailable,
    Overloaded,
    ProviderDisabled,
    Reply,
    fact,
)
from llm_service.observability import Log
from llm_service.pipeline.base import ABORTED, Exchange, Try
from llm_service.pipeline.hedges import Hedges
from llm_service.pipeline.leg import Leg
from llm_service.pipeline.trip import Trip, TripParts
from llm_service.providers import Provider, UpstreamCall
from llm_service.routing import Breaker, Home, Member, no_place
from llm_service.runtime import Clock


@fact
class CallParts:
    """What calling needs. ``is_on``: whether a provider takes requests; ``claim``: the permit of a request that tries a
    deployment again, if it may among all processes, else 0. ``hedges``: for late first attempts, where that is wanted.
    """

    providers: Mapping[str, Provider]
    trip: TripParts
    is_on: Callable[[str], bool]
    claim: Callable[[Breaker, int], Awaitable[int]]
    hedges: Hedges | None
    clock: Clock
    log: Log


MARK: Final = "provider"
"""The moment at which the first upstream is asked, in ``Exchange.marks`` behind those of the stages."""


class Call:
    """Asks deployments; fills ``exchange.tries``, ``place`` and ``queue_s``, and leaves a watcher of how it ends."""

    def __init__(self, parts: CallParts) -> None:
        self._parts = parts
        self._providers = parts.providers
        self._now = parts.clock.monotonic

    async def __call__(self, exchange: Exchange) -> Reply:
        """The reply of the first deployment that answers, at its first content. Raises LLMServiceError."""
        place = exchange.order[exchange.admitted.candidate]
        hedges = self._parts.hedges
        trip: Trip | None = None
        while True:
            try:
                if hedges is None or trip is not None:
                    leg = await self._attempt(exchange, place)
                else:
                    leg = await hedges.first(exchange, place, self._attempt)
            except LLMServiceError as error:
                if trip is None:
                    trip = Trip(exchange, self._parts.trip)
                following = await trip.after(error, place)
                self._tell(exchange, error, place)
                error.__traceback__ = None  # its frames hold what keeps it: they would be garbage of the collector's
                place = following
            else:
                exchange.head_at = leg.attempt.ended_at
                exchange.place = leg.place
                exchange.watchers.append(leg)
                return leg.reply

    async def _attempt(self, exchange: Exchange, place: int, made: list[Try] | None = None) -> Leg:
        """``made``: gets the attempt as soon as it has begun."""
        member = exchange.route.members[place]
        home, breaker = member.home, member.breaker
        provider = self._providers.get(home.name)
        if provider is None or not self._parts.is_on(home.name):
            raise _switched_off(home)
        now = self._now()
        if breaker.closed and home.bulkhead.try_enter():
            permit = breaker.permit
        else:
            permit, now = await self._let_in(exchange, member, breaker)
        if not exchange.tries:
            exchange.marks.append(now)
            home.budget.called(now)
        elif not exchange.has_tried(home.name):
            home.budget.called(now)
        leg = Leg(place, member, breaker, permit, now, self._now, stream=exchange.request.stream)
        exchange.place = place
        exchange.tries.append(leg.attempt)
        if exchange.trace is not None:
            leg.attempt.span_id = exchange.trace.attempt()
        if made is not None:
            made.append(leg.attempt)
        home.pending.add(leg)
        try:
            reply = await provider.chat(self._call(exchange, leg, now))
        except BaseException as failure:
            self._ends(exchange, leg, failure)
            raise
        leg.answers(reply)
        return leg

    def _ends(self, exchange: Exchange, leg: Leg, failure: BaseException) -> None:
        """An attempt has no answer. Raises ProviderDisabled for one that was called off."""
        if isinstance(failure, LLMServiceError):
            leg.fails(failure)
            if failure.provider is None and failure.fault == "caller":  # refused here: nobody was asked
                exchange.tries.remove(leg.attempt)
            return
        cancelled = isinstance(failure, asyncio.CancelledError)
        leg.ends_without_verdict(ABORTED if cancelled else InternalError.code)
        if cancelled and leg.was_called_off():
            name = leg.attempt.candidate.provider
            disabled = ProviderDisabled(f"The provider `{name}` was switched off.", provider=name)
            leg.attempt.fails(disabled)
            raise disabled from None

    def _call(self, exchange: Exchange, leg: Leg, now: float) -> UpstreamCall:
        candidate, request = leg.attempt.candidate, exchange.sent
        return UpstreamCall(  # in the order of the fields
            _without_models(request) if exchange.route.is_ours else request,
            candidate,
            None if exchange.deadline is None else exchange.deadline - now,  # deadline_s
            exchange.spent_s(candidate.provider, now) if len(exchange.tries) > 1 else 0.0,  # spent_s
            exchange.id,  # request_id
            exchange.admitted.cap if exchange.output_cap is None else exchange.output_cap,
            exchange.trace,
            leg.attempt.span_id,
        )

    async def _let_in(self, exchange: Exchange, member: Member, breaker: Breaker) -> tuple[int, float]:
        """The breaker's permit for a request that has a place at the provider then, and the moment.

        Raises NoDeploymentAvailable where the deployment is left alone, Overloaded, and DeadlineExceeded.
        """
        now, bulkhead = self._now(), member.home.bulkhead
        if _is_left_alone(breaker, now):
            raise self._left_alone(member, breaker)
        if not bulkhead.try_enter():
            now = await self._wait(exchange, member.home)
        permit = breaker.permits_a_limited(now)
        if permit and breaker.broken:  # a try: one of all processes
            try:
                permit = await self._parts.claim(breaker, permit)
            except BaseException:
                bulkhead.leave()
                raise
        if not permit:
            bulkhead.leave()
            raise self._left_alone(member, breaker)
        if not self._parts.is_on(member.home.name):  # while it waited
            breaker.abandoned(self._now(), permit)
            bulkhead.leave()
            raise _switched_off(member.home)
        return permit, now

    def hindrance(self, member: Member) -> LLMServiceError | None:
        """Why a deployment would not be asked now; ``None``: it would be, at once or when there is a place."""
        home, breaker = member.home, member.breaker
        if self._providers.get(home.name) is None or not self._parts.is_on(home.name):
            return _switched_off(home)
        if _is_left_alone(breaker, self._now()):
            return self._left_alone(member, breaker)
        if home.bulkhead.is_full:
            full = no_place(home.name)
            full.provider = home.name
            return full
        return None

    def _left_alone(self, member: Member, breaker: Breaker) -> NoDeploymentAvailable:
        candidate = member.candidate
        wait_s = max(breaker.open_until - self._now(), 0.0)
        why = f": {breaker.cause}" if breaker.cause else ""
        return NoDeploymentAvailable(
            f"`{candidate.provider}/{candidate.upstream_model[:200]}` is left alone for now, since it failed{why}. "
            f"It is tried again in {ceil(wait_s)} s.",
            provider=candidate.provider,
            retry_after_s=max(wait_s, 0.1),
        )

    async def _wait(self, exchange: Exchange, home: Home) -> float:
        """Wait for a place at the provider; the moment at which there is one."""
        begun, deadline = self._now(), exchange.deadline
        ends = begun + self._parts.trip.total_s(home.name) - exchange.spent_s(home.name, begun)
        try:
            await home.bulkhead.enter(ends if deadline is None else min(deadline, ends))
        except Overloaded as full:
            full.provider = home.name
            raise
        except DeadlineExceeded:
            if deadline is not None and self._now() >= deadline:
                raise
            none_in_time = no_place(home.name)
            none_in_time.provider = home.name
            raise none_in_time from None
        finally:
            now = self._now()
            exchange.queue_s = (exchange.queue_s or 0.0) + now - begun
        return now

    def _tell(self, exchange: Exchange, error: LLMServiceError, place: int) -> None:
        """Say why somebody else, or the same one again, is asked: the client does not get to know."""
        candidate = exchange.route.candidates[place]
        self._parts.log.info(
            "attempt failed",
            request_id=exchange.id,
            provider=candidate.provider,
            upstream_model=candidate.upstream_model,
            attempt=len(exchange.tries),
            code=error.code,
        )


def _switched_off(home: Home) -> ProviderDisabled:
    return ProviderDisabled(f"The provider `{home.name}` is switched off.", provider=home.name)


def _is_left_alone(breaker: Breaker, now: float) -> bool:
    return breaker.broken and not breaker.ready(now)


def _without_models(request: ModelRequest) -> ModelRequest:
    """The request for one model alone: the list of others is followed here."""
    return replace(request, models=(), body={name: value for name, value in request.body.items() if name != "models"})
