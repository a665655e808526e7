"""What every door does with a request to a model: its exchange, the reply unless its client leaves, its refusal."""

import asyncio
from collections.abc import Mapping

from llm_service.api.call_options import NO_OPTIONS, CallOptions
from llm_service.api.http_request import HungUp
from llm_service.api.leaving import Leaving
from llm_service.api.serving import Serving
from llm_service.domain import Caller, LLMServiceError, ModelRequest, Outcome, Reply, fact
from llm_service.observability import Listeners, RequestFinished, Tracer
from llm_service.pipeline import Exchange
from llm_service.runtime import Clock, Tasks
from llm_service.services import Gateway
from llm_service.streams import Stream, stream_id_of


@fact
class Calls:
    """``finish``: the generation of a request that does not say goes on without its client.

    ``tracer``: decides which requests are recorded in traces; without it none is.
    """

    gateway: Gateway
    listeners: Listeners
    serving: Serving
    finish: bool
    clock: Clock
    tasks: Tasks
    tracer: Tracer | None = None

    def exchange(
        self,
        request: ModelRequest,
        options: CallOptions,
        *,
        caller: Caller,
        request_id: str,
        surface: str,
        received_at: float,
    ) -> Exchange:
        """The request on its way; with a stream, where it asks for one. ``received_at``: monotonic seconds.

        Whether its generation goes on without its client: the request says so, else its key, else the settings.
        """
        stream_id = stream_id_of(request_id)
        timeout_s, key = options.timeout_s, caller.key
        asked = options.on_disconnect or (None if key is None else key.on_disconnect)
        user, tags = options.user or request.user, options.tags
        exchange = Exchange(
            id=request_id,
            stream_id=stream_id,
            surface=surface,
            request=request,
            caller=caller,
            tasks=self.tasks,
            received_at=received_at,
            deadline=None if timeout_s is None else received_at + timeout_s,
            user=user if key is None else user_for(caller, user),
            tags=tags if key is None else tags_for(caller, tags),
            at=self.clock.now(),
            control=options.control,
            finish=options.idempotency_key is not None or (self.finish if asked is None else asked == "finish"),
            idempotency_key=options.idempotency_key,
            trace=None if self.tracer is None else self.tracer.begin(options.trace.parent, options.trace.state),
        )
        if request.stream:
            exchange.stream = Stream(
                id=stream_id, request_id=request_id, owner=caller.key_id, include_usage=request.include_usage
            )
        return exchange

    async def reply(self, exchange: Exchange, leaving: Leaving) -> Reply:
        """The gateway's reply. Raises HungUp when the client leaves first, Draining when the service does.

        An LLMServiceError has the ``attempts`` of the exchange.
        """
        if (stream := exchange.stream) is not None:
            stream.sinks.append(leaving)
        try:
            return await self.gateway.chat(exchange)
        except LLMServiceError as error:
            error.attempts = len(exchange.tries)
            error.__traceback__ = None  # its frames hold what keeps it: they would be garbage of the collector's
            raise
        except asyncio.CancelledError:
            if not leaving.happened and self.serving.draining is None:
                raise
            leaving.serving.uncancel()
            if leaving.happened or self.serving.draining is None:
                raise HungUp from None
            drained = self.serving.draining.again()
            drained.attempts = len(exchange.tries)
            raise drained from None
        finally:
            if stream is not None:
                stream.sinks.remove(leaving)

    def refused(
        self,
        error: LLMServiceError,
        *,
        request_id: str,
        surface: str,
        begun_at: float,
        options: CallOptions = NO_OPTIONS,
    ) -> None:
        """A request that never became an exchange is told to the listeners all the same.

        ``options``: what it said, as far as that was read.
        """
        tracer = self.tracer
        said = None if tracer is None else tracer.begin(*options.trace)
        trace = None if tracer is None else tracer.recorded(said)
        self.listeners.request_finished(
            RequestFinished(
                request_id=request_id,
                stream_id=None,
                surface=surface,
                key_id=None,
                model=None,
                provider=None,
                upstream_model=None,
                stream=False,
                first_content_ms=None,
                duration_ms=(self.clock.monotonic() - begun_at) * 1000,
                outcome=Outcome(status="refused", error=error),
                received_at=begun_at,
                trace_id=None if trace is None else trace.trace_id,
                trace=trace,
            )
        )


def user_for(caller: Caller, named: str | None) -> str | None:
    """Whom a request is counted for: the user that the key belongs to, else the one that the request names."""
    return named if caller.key is None or caller.key.user is None else caller.key.user


def tags_for(caller: Caller, named: Mapping[str, str]) -> Mapping[str, str]:
    """The tags of a request; those of the key win."""
    if caller.key is None or not caller.key.tags:
        return named
    return {**named, **caller.key.tags} if named else caller.key.tags
