"""What can be listened to."""

from collections.abc import AsyncGenerator
from typing import Final

import strawberry

from llm_service.api.graphql.chat_inputs import ChatInput
from llm_service.api.graphql.chat_types import ChatChunk
from llm_service.api.graphql.context import Info
from llm_service.api.graphql.enums import EventKindWord
from llm_service.api.graphql.listening import heard_events
from llm_service.api.graphql.live_types import MetricsSnapshotType, ServiceEventType
from llm_service.api.graphql.streaming import resumed_chunks, started_chunks
from llm_service.domain import InvalidValue
from llm_service.services import UNLESS_ASKED, EventKind

FIGURES: Final[tuple[EventKind, ...]] = ("metrics",)


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

    @strawberry.subscription(
        description="What happens here, of these kinds; unless given of all but METRICS. Scope: read or admin."
    )
    async def events(
        self, info: Info, kinds: list[EventKindWord] | None = None
    ) -> AsyncGenerator[ServiceEventType, None]:
        wanted = UNLESS_ASKED if kinds is None else [kind.value for kind in kinds]
        heard = heard_events(info.context, wanted)
        try:
            async for one in heard:
                yield ServiceEventType.of(one)
        finally:
            await heard.aclose()

    @strawberry.subscription(
        description="The figures of a machine's workers, after each interval of 1 to 60 seconds. Scope: read or admin."
    )
    async def metrics(self, info: Info, interval_s: float | None = 1) -> AsyncGenerator[MetricsSnapshotType, None]:
        heard = heard_events(info.context, FIGURES, interval_s=1 if interval_s is None else interval_s)
        try:
            async for one in heard:
                if one.event.snapshot is not None:
                    yield MetricsSnapshotType.of(one.event.snapshot)
        finally:
            await heard.aclose()
