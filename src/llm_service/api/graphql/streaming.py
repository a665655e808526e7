"""A streamed answer on its way to a subscriber, at the subscriber's pace."""

from collections.abc import AsyncGenerator
from typing import Final

import orjson
import strawberry

from llm_service.api.call_options import Place
from llm_service.api.graphql.asking import exchange_for, refused, reply_to
from llm_service.api.graphql.chat_body import chat_request_of, options_of
from llm_service.api.graphql.chat_inputs import ChatInput
from llm_service.api.graphql.chat_types import ChatChunk, TokenUsage, choices_of
from llm_service.api.graphql.context import Context
from llm_service.api.graphql.enums import CacheWord, CostWord
from llm_service.api.graphql.failures import Failed
from llm_service.api.graphql.scalars import Json, Usd
from llm_service.domain import TERMINAL, Event, Head, Inbox, LLMServiceError, Reply, StreamCancelled, usd_text
from llm_service.streams import Stream

AFTER: Final = Place("'after'", "after")
CANCELLED: Final = "The stream was cancelled before its answer was complete."


async def started_chunks(context: Context, given: ChatInput) -> AsyncGenerator[ChatChunk, None]:
    """A new stream, from its first event on. Raises Failed, and HungUp when nobody waits any more."""
    request_id = context.next_request_id()
    try:
        request, options = chat_request_of(given, stream=True), options_of(given.options)
    except LLMServiceError as error:
        raise refused(context, error, request_id) from None
    exchange = exchange_for(context, request, options, request_id)
    stream = exchange.stream
    if stream is None:
        raise ValueError("an exchange that streams has a stream")
    reply = await reply_to(context, exchange)
    chunks = _followed(context, stream, reply, after=0)
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        await chunks.aclose()


async def resumed_chunks(context: Context, after: str) -> AsyncGenerator[ChatChunk, None]:
    """The events behind a cursor, and whatever follows. Raises InvalidValue, NotFound, and what ended the stream."""
    resuming = context.parts.resuming
    resumed = await resuming.at(after, AFTER, owner=context.caller.key_id)
    await resuming.begun(resumed)
    reply = resumed.generation.reply()
    chunks = _followed(context, resumed.stream, reply, after=resumed.after)
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        await chunks.aclose()
        await reply.aclose()


async def _followed(context: Context, stream: Stream, reply: Reply, *, after: int) -> AsyncGenerator[ChatChunk, None]:
    """The reply's events as chunks. The last one tells what only the end knows, so it waits for it."""
    inbox = Inbox()
    try:
        inbox.subscribe(reply, after)
    except BaseException:
        await reply.aclose()
        raise
    stream.sinks.append(inbox)
    context.client.reads(inbox, stream)
    last: Event | None = None
    try:
        async for event in inbox.events():
            if event.kind not in TERMINAL:
                yield _chunk(stream, reply.head, event)
                continue
            if last is not None:
                yield _chunk(stream, reply.head, last)
                last = None
            if event.error is not None:
                raise Failed(stream.failure(event.error), stream.request_id)
            last = event
        ended = inbox.outcome
        if ended is not None and ended.status != "ok":
            if last is not None:
                yield _chunk(stream, reply.head, last)
            raise Failed(stream.failure(ended.error or StreamCancelled(CANCELLED)), stream.request_id)
        if last is not None:
            yield _closing_chunk(stream, reply.head, last, inbox)
    except LLMServiceError as error:
        raise Failed(stream.failure(error), stream.request_id) from None
    finally:
        stream.sinks.remove(inbox)
        inbox.leave()


def _chunk(stream: Stream, reads: Head | None, event: Event) -> ChatChunk:
    told = orjson.loads(event.raw)
    head = stream.head or reads
    return ChatChunk(
        request_id=strawberry.ID(stream.request_id),
        stream_id=strawberry.ID(stream.id),
        seq=event.seq,
        cursor=strawberry.ID(f"{stream.id}.{event.seq}"),
        choices=choices_of(told, "delta"),
        usage=None,
        cost=None,
        cost_source=None,
        provider=None if head is None else head.provider,
        model=None if head is None else head.upstream_model,
        cache=CacheWord(stream.cache),
        attempts=stream.attempts,
        raw=Json(told),
    )


def _closing_chunk(stream: Stream, reads: Head | None, event: Event, inbox: Inbox) -> ChatChunk:
    """The last one: with tokens, and with the cost as far as that is known."""
    chunk = _chunk(stream, reads, event)
    told = chunk.raw if isinstance(chunk.raw, dict) else {}
    chunk.usage = TokenUsage.of(None if inbox.outcome is None else inbox.outcome.usage, told.get("usage"))
    if stream.nano_usd is not None:
        chunk.cost, chunk.cost_source = Usd(usd_text(stream.nano_usd)), CostWord(stream.cost_source)
    return chunk
