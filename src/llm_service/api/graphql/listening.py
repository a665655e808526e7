"""Subscribers to what happens in the service, each at its own pace."""

import asyncio
from collections.abc import AsyncGenerator, Collection
from functools import partial

from llm_service.api.graphql.context import Context
from llm_service.api.still_allowed import end_once_refused, may_listen
from llm_service.services import EventKind, Heard


async def heard_events(
    context: Context, kinds: Collection[EventKind], *, interval_s: float = 1.0
) -> AsyncGenerator[Heard, None]:
    """Events until the subscriber leaves, the service ends, or other settings are in force.

    Raises InvalidValue, ConcurrencyLimited where the caller listens too often, InvalidApiKey once its key expires, and
    what refuses it once it may listen no more.
    """
    serving, caller = context.calls.serving, context.caller
    until = None if caller.key is None else caller.key.expires_at
    listening = context.parts.events.listen(kinds, owner=caller.key_id, until=until, interval_s=interval_s)
    may_still = partial(may_listen, context.parts.authenticator, context.credentials)
    refused = asyncio.ensure_future(end_once_refused(may_still, listening.end))
    serving.stands(listening.end)
    try:
        if serving.retired:
            listening.end()
        while not listening.over:
            for heard in listening.take():
                yield heard
            await listening.wait()
        if listening.error is not None:
            raise listening.error
    finally:
        refused.cancel()
        serving.fell(listening.end)
        listening.close()
