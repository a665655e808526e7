"""Subscribers to events, and what ends them."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from llm_service.api import Serving
from llm_service.api.graphql.listening import heard_events
from llm_service.domain import ApiKey, Caller, InvalidApiKey
from llm_service.runtime import Tasks
from llm_service.services import Events, MetricsHistory
from llm_service.streams import Streams
from tests.support.clock import ManualClock
from tests.support.measured import Measured
from tests.support.service import LogLines
from tests.support.waiting import loop_turns


async def test_a_subscriber_is_told_when_its_key_expires() -> None:
    clock, log = ManualClock(), LogLines()
    tasks = Tasks(lambda _, failure: pytest.fail(str(failure)))
    history = MetricsHistory(Measured(clock), bulletin=None, clock=clock, tasks=tasks, log=log)
    events = Events(history, bulletin=None, process="p", worker=None, clock=clock, tasks=tasks, log=log)
    now = datetime.fromtimestamp(clock.time(), UTC)
    scopes = frozenset({"read"})
    key = ApiKey(id="key_1", name="", scopes=scopes, created_at=now, expires_at=now + timedelta(seconds=60))  # type: ignore[arg-type]
    serving = Serving(Streams(clock, retention_s=60, total_bytes=1_000_000))
    context: Any = SimpleNamespace(
        calls=SimpleNamespace(serving=serving),
        parts=SimpleNamespace(events=events, authenticator=None),
        credentials=None,
        caller=Caller(key_id="key_1", scopes=scopes, key=key),  # type: ignore[arg-type]
    )
    heard = heard_events(context, ("store",))
    first = tasks.spawn(anext(heard), name="a subscriber")  # type: ignore[arg-type]
    await loop_turns(3)
    events.tell_here("store", {"store": "limits"})
    assert (await first).event.data == {"store": "limits"}
    clock.advance(60)
    with pytest.raises(InvalidApiKey, match="expired"):
        await anext(heard)
    assert events._listening == {}
    await tasks.aclose()
