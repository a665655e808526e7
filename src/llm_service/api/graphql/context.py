"""What the fields of one operation are resolved with: the services, the caller, what is loaded once for all."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import strawberry
from strawberry.dataloader import DataLoader

from llm_service.api.call_options import NO_TRACE, TraceHeaders
from llm_service.api.calls import Calls
from llm_service.api.graphql.parts import GraphqlParts
from llm_service.api.leaving import GoesOn, Leaving
from llm_service.domain import ApiKey, Caller, Credentials, Inbox
from llm_service.services import ModelEntry
from llm_service.storage import UsageFilter, UsageSum
from llm_service.streams import Stream


class Client(Protocol):
    """Who waits for the answer, and may leave."""

    def over(self, serving: "asyncio.Task[Any]", goes_on: GoesOn) -> "Watched":
        """Watch over it while this task waits for an answer to begin."""

    def reads(self, inbox: Inbox, stream: Stream) -> None:
        """From now on it reads this; leaving, or being cut off, is told to the inbox."""


class Watched(Protocol):
    """A watch over a client."""

    @property
    def leaving(self) -> Leaving:
        """What notices that it leaves."""

    def stop(self) -> None:
        """Watch no longer."""


@dataclass(kw_only=True)
class Context:
    """``request_id``: of the operation; each further request to a model in it gets one of its own.

    ``credentials``: what the caller showed, to be looked at again by what lasts. ``trace``: the trace that these
    requests belong to, where they do not say one themselves. ``for_operators``: whether what is theirs alone may be
    asked for here. ``peer``: the address that asks.
    """

    parts: GraphqlParts
    caller: Caller
    credentials: Credentials
    request_id: str
    client: Client
    trace: TraceHeaders = NO_TRACE
    for_operators: bool = True
    peer: str | None = None
    _asked: int = 0
    _models: "asyncio.Future[Sequence[ModelEntry]] | None" = None
    keys: "DataLoader[str, ApiKey | None]" = field(init=False)
    usage_of_keys: "DataLoader[str, UsageSum | None]" = field(init=False)

    def __post_init__(self) -> None:
        # of the services alone: who kept this context would be a cycle with it, for the collector to find
        self.keys = DataLoader(load_fn=partial(_load_keys, self.parts))
        self.usage_of_keys = DataLoader(load_fn=partial(_load_usage, self.parts))

    @property
    def calls(self) -> Calls:
        """What requests to models go through."""
        return self.parts.calls

    def next_request_id(self) -> str:
        """The id of the next request to a model; the first one has the operation's."""
        self._asked += 1
        return self.request_id if self._asked == 1 else self.parts.ids.new("req")

    async def models(self) -> Sequence[ModelEntry]:
        """All models, asked for once however many fields want them."""
        if self._models is None:
            self._models = asyncio.ensure_future(self.parts.models.list())
        return await asyncio.shield(self._models)


async def _load_keys(parts: GraphqlParts, key_ids: list[str]) -> list[ApiKey | None]:
    found = await parts.keys.several(key_ids)
    return [found.get(key_id) for key_id in key_ids]


async def _load_usage(parts: GraphqlParts, key_ids: list[str]) -> list[UsageSum | None]:
    which = UsageFilter(key_ids=key_ids)
    sums = {one.group["key"]: one for one in await parts.usage.summary(which, by=("key",))}
    return [sums.get(key_id) for key_id in key_ids]


Info = strawberry.Info[Context, None]
