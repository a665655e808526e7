"""A request to a model whose whole answer is waited for."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any, cast

import orjson
import strawberry

from llm_service.api.call_options import NO_TRACE, CallOptions
from llm_service.api.graphql.chat_body import chat_request_of, embedding_request_of, options_of
from llm_service.api.graphql.chat_inputs import ChatInput, EmbedInput
from llm_service.api.graphql.chat_types import ChatCompletion, Embeddings, TokenUsage, choices_of, embeddings_of
from llm_service.api.graphql.context import Context
from llm_service.api.graphql.enums import CacheWord, CostWord
from llm_service.api.graphql.failures import Failed
from llm_service.api.graphql.scalars import Json, Usd
from llm_service.domain import LLMServiceError, ModelRequest, Reply, usd_text
from llm_service.pipeline import Exchange

SURFACE = "graphql"


@dataclass(slots=True)
class _Answer:
    """A whole answer, and what is told beside it."""

    exchange: Exchange
    reply: Reply
    told: dict[str, Any]

    @property
    def facts(self) -> dict[str, Any]:
        """What chat and embeddings tell alike."""
        exchange, head, outcome = self.exchange, self.reply.head, self.reply.outcome
        nano_usd, source = cost_of(exchange)
        return {
            "request_id": strawberry.ID(exchange.id),
            "usage": TokenUsage.of(None if outcome is None else outcome.usage, self.told.get("usage")),
            "cost": nano_usd,
            "cost_source": source,
            "provider": head.provider,
            "model": head.upstream_model,
            "cache": CacheWord(exchange.cache),
            "attempts": len(exchange.tries),
            "raw": Json(self.told),
        }


async def ask_chat(context: Context, given: ChatInput) -> ChatCompletion:
    """The whole answer of a chat model. Raises Failed, and HungUp when nobody waits any more."""
    request_id = context.next_request_id()
    try:
        request, options = chat_request_of(given, stream=False), options_of(given.options)
    except LLMServiceError as error:
        raise refused(context, error, request_id) from None
    answer = await _asked(context, request, options, request_id)
    told = answer.told
    return ChatCompletion(
        id=strawberry.ID(str(told.get("id") or "")), stream_id=None, choices=choices_of(told, "message"), **answer.facts
    )


async def ask_embeddings(context: Context, given: EmbedInput) -> Embeddings:
    """The vectors of texts; raises as ``ask_chat``."""
    request_id = context.next_request_id()
    try:
        request, options = embedding_request_of(given), options_of(given.options)
    except LLMServiceError as error:
        raise refused(context, error, request_id) from None
    answer = await _asked(context, request, options, request_id)
    return Embeddings(data=embeddings_of(answer.told), **answer.facts)


def exchange_for(context: Context, request: ModelRequest, options: CallOptions, request_id: str) -> Exchange:
    """The request on its way; its time begins now, whatever was asked before it in the same document or batch.

    Raises Failed where the service drains: the rest of a document or batch is not begun.
    """
    if (draining := context.calls.serving.draining) is not None:
        raise refused(context, draining.again(), request_id)
    if options.trace == NO_TRACE:
        options = replace(options, trace=context.trace)
    return context.calls.exchange(
        request,
        options,
        caller=context.caller,
        request_id=request_id,
        surface=SURFACE,
        received_at=context.calls.clock.monotonic(),
    )


async def reply_to(context: Context, exchange: Exchange) -> Reply:
    """The gateway's reply, unless the client leaves first. Raises Failed and HungUp."""
    task = cast("asyncio.Task[None]", asyncio.current_task())
    watch = context.client.over(task, exchange.goes_on)
    try:
        return await context.calls.reply(exchange, watch.leaving)
    except LLMServiceError as error:
        raise Failed(error, exchange.id) from None
    finally:
        watch.stop()


def refused(context: Context, error: LLMServiceError, request_id: str) -> Failed:
    """What never became an exchange, told to the listeners all the same."""
    now = context.calls.clock.monotonic()
    context.calls.refused(error, request_id=request_id, surface=SURFACE, begun_at=now)
    return Failed(error, request_id)


def cost_of(exchange: Exchange) -> tuple[Usd | None, CostWord | None]:
    """What the caller pays. What is given again under an idempotency key has no record: the first time was paid."""
    record = exchange.record
    if record is not None:
        return Usd(usd_text(record.nano_usd)), CostWord(record.cost_source)
    return (Usd("0"), CostWord.NONE) if exchange.is_free else (None, None)


async def _asked(context: Context, request: ModelRequest, options: CallOptions, request_id: str) -> _Answer:
    exchange = exchange_for(context, request, options, request_id)
    reply = await reply_to(context, exchange)
    return _Answer(exchange, reply, orjson.loads(reply.whole or b"{}"))
