"""The data plane: one call for every door, whatever the operation and the form of the answer."""

import asyncio

from llm_service.domain import InternalError, LLMServiceError, Outcome, Reply
from llm_service.observability import Log
from llm_service.pipeline import Exchange, Refresh, Row, WatchedReply
from llm_service.runtime import Clock, IdSource, Tasks


class Gateway:
    """Takes exchanges through the row of stages and sees to it that each is settled exactly once."""

    def __init__(self, *, row: Row, tasks: Tasks, log: Log, clock: Clock, ids: IdSource) -> None:
        self._proceed = row.proceed
        self.stage_names = row.names
        self._tasks = tasks
        self._log = log
        self._clock = clock
        self._ids = ids

    async def chat(self, exchange: Exchange) -> Reply:
        """The reply to an exchange, at its first content, or whole and settled.

        Raises LLMServiceError; the exchange is settled then. Cancelling it aborts the upstream and settles too.
        """
        try:
            reply = await self._proceed(exchange)
        except LLMServiceError as error:
            await self._settle(exchange, _failed(error))
            raise
        except asyncio.CancelledError:
            await self._settle(exchange, Outcome(status="aborted"))
            raise
        except Exception as defect:
            self._log.error("defect", request_id=exchange.id, exc_info=defect)
            failure = InternalError("The service failed on this request; its log has the details under the request id.")
            await self._settle(exchange, _failed(failure))
            raise failure from defect
        if exchange.refresh is not None:
            self._tasks.spawn(self._refresh(exchange, exchange.refresh), name="refresh a stale answer")
        if reply.whole is None or exchange.request.stream:
            return WatchedReply(reply, exchange, self._tasks)
        if (waiting := exchange.settle(reply.outcome or Outcome(status="ok"))) is not None:
            await waiting
        return reply

    async def _refresh(self, stale: Exchange, refresh: Refresh) -> None:
        """Ask the upstream for what was given out stale, on the account of whoever got it."""
        again = stale.anew(id=self._ids.new("req"), at=self._clock.now(), received_at=self._clock.monotonic())
        try:
            if not await refresh.begin(again):
                return
            reply = await self.chat(again)
            if reply.whole is None:
                async for _ in reply:
                    pass
        except LLMServiceError as error:
            self._log.info("a stale answer stays", request_id=stale.id, code=error.code)
        finally:
            await refresh.end()

    async def _settle(self, exchange: Exchange, outcome: Outcome) -> None:
        if (waiting := exchange.settle(outcome)) is not None:
            await waiting


def _failed(error: LLMServiceError) -> Outcome:
    return Outcome(status="refused" if error.fault == "caller" and error.provider is None else "error", error=error)
