"""One attempt of a request at one deployment, from its place at the provider to its end."""

import asyncio
from collections.abc import Callable
from typing import Final

from llm_service.domain import (
    DeadlineExceeded,
    LLMServiceError,
    Outcome,
    Reply,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamTimeout,
)
from llm_service.pipeline.base import ABORTED, Try, Watcher
from llm_service.routing import Breaker, Member, is_deployments_fault

BUSY: Final = 503


class Leg(Watcher):
    """One attempt: from its place at the provider to what becomes of it. It has exactly one end."""

    __slots__ = (
        "_breaker", "_called_off", "_has_left", "_member", "_now", "_permit", "_reply", "_stream", "_task", "attempt",
        "place",
    )  # fmt: skip

    def __init__(
        self,
        place: int,
        member: Member,
        breaker: Breaker,
        permit: int,
        begun_at: float,
        now: Callable[[], float],
        *,
        stream: bool,
    ) -> None:
        """``place``: of the route; ``permit``: of the breaker; ``begun_at``: when it has its place at the provider."""
        self.place = place
        self.attempt = Try(member.candidate, begun_at)
        self._member = member
        self._breaker = breaker
        self._permit = permit
        self._now = now
        self._stream = stream
        self._task = asyncio.current_task()
        self._called_off = False
        self._has_left = False
        self._reply: Reply | None = None
        member.in_flight += 1
        member.home.calls.add(begun_at)

    def call_off(self) -> None:
        """The provider is switched off: let it go elsewhere, as long as it has no first content."""
        if self._task is not None and not self._called_off:
            self._called_off = True
            self._task.cancel()

    def was_called_off(self) -> bool:
        """Whether that is why it was cancelled, and nothing else."""
        return self._called_off and self._task is not None and self._task.uncancel() == 0

    @property
    def reply(self) -> Reply:
        """What it has answered. Raises ValueError while there is nothing."""
        if self._reply is None:
            raise ValueError("an attempt that has not been answered")
        return self._reply

    async def aclose(self) -> None:
        """Give the answer up: another one was faster."""
        if self._reply is not None:
            await self._reply.aclose()
        self.ends_without_verdict(ABORTED)

    def answers(self, reply: Reply) -> None:
        """The first content is there."""
        self._reply = reply
        member, now = self._member, self._now()
        self._begins(now)
        member.answered(now - self.attempt.begun_at, now, stream=self._stream)
        if self._breaker.broken:  # a probe may have a long answer, and others are waiting for its verdict
            self._breaker.succeeded(now, self._permit)

    def fails(self, error: LLMServiceError) -> None:
        """It failed before its first content."""
        now = self._now()
        self.attempt.fails(error)
        self._begins(now)
        if isinstance(error, UpstreamTimeout):
            self._member.timed_out(now - self.attempt.begun_at, now)
        self._verdict(error, now)
        self._leave()

    def ends_without_verdict(self, error_code: str) -> None:
        """It has ended, and nothing of that says how its deployment is."""
        now = self._now()
        self.attempt.error_code = error_code
        self._begins(now)
        self._breaker.abandoned(now, self._permit)
        self._leave()

    def settle(self, outcome: Outcome) -> None:
        """How the answer ended."""
        self._reply = None  # they do not keep each other alive
        now, breaker = self._now(), self._breaker
        if outcome.error is not None:
            self._verdict(outcome.error, now)
        elif outcome.status == "ok":
            breaker.succeeded(now, self._permit)
        else:
            breaker.abandoned(now, self._permit)
        self._leave()

    def _verdict(self, error: LLMServiceError, now: float) -> None:
        member = self._member
        home, breaker = member.home, self._breaker
        if isinstance(error, UpstreamRateLimited) or (isinstance(error, UpstreamError) and error.status == BUSY):
            home.bulkhead.observed(now - self.attempt.begun_at, failed=True, now=now)
        if isinstance(error, UpstreamError) and error.other_key:  # the deployment itself has not been heard
            breaker.abandoned(now, self._permit)
        elif isinstance(error, UpstreamRateLimited):
            breaker.limited(now, self._permit, error.retry_after_s)
        elif is_deployments_fault(error):
            home.failed(error.code, now)
            self.attempt.is_fault = True
            breaker.failed(now, self._permit, error.message)
        elif isinstance(error, DeadlineExceeded) or error.provider is None:  # or it was refused here, and never sent
            breaker.abandoned(now, self._permit)
        else:  # the caller's fault: whoever finds it answers well
            breaker.succeeded(now, self._permit)

    def _begins(self, now: float) -> None:
        self._member.home.pending.discard(self)
        self._task = None if not self._called_off else self._task
        self.attempt.ended_at = now

    def _leave(self) -> None:
        if self._has_left:
            return
        self._has_left = True
        self._member.in_flight -= 1
        self._member.home.bulkhead.leave()
