"""What can be listened to."""

from collections.abc import AsyncGenerator

import strawberry

from llm_service.api.graphql.chat_inputs import ChatInput
from llm_service.api.graphql.chat_types import ChatChunk
from llm_service.api.graphql.context import Info
from llm_service.api.graphql.streaming import resumed_chunks, started_chunks
from llm_service.domain import InvalidValue


@strawberry.type
class Subscription:
    @strawberry.subscription(
        description="Ask a chat model and get its answer piece by piece, or go on behind a cursor. Scope: inference."
    )
    async def chat_stream(
        self,
        info: Info,
        input: ChatInput | None = None,  # noqa: A002 - the contract's word
        after: str | None = None,
    ) -> AsyncGenerator[ChatChunk, None]:
        if (input is None) == (after is None):
            raise InvalidValue("Exactly one of 'input' and 'after' is needed: to begin a stream, or to go on with one.")
        chunks = started_chunks(info.context, input) if input is not None else resumed_chunks(info.context, after or "")
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            await chunks.aclose()
