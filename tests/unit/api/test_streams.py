"""Who goes on with a stream before its answer has begun: kept in touch while it waits, and noticed when it leaves."""

import asyncio
from typing import Any, cast

import orjson
import pytest

from llm_service.api import Resuming, ServerOptions, StreamRoutes
from llm_service.api.rest.asgi_client import AsgiClient
from llm_service.api.rest.hang_up import HangUpWatch
from llm_service.domain import LLMServiceError, Outcome, StreamCancelled, UpstreamError
from llm_service.runtime import Tasks
from llm_service.services import Authenticator
from llm_service.streams import Generation, Stream, Streams
from tests.support.clock import ManualClock
from tests.support.generations import ScriptedSource
from tests.support.rest import events_of
from tests.support.waiting import loop_turns, until

KEEP_ALIVE_S = 10
TURNS = 20


class Site:
    """A stream whose own client has left before its answer began, and a client that asks for it again."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.failures: list[BaseException] = []
        tasks = Tasks(lambda work, failure: self.failures.append(failure))
        self.watch = HangUpWatch(clock=self.clock, tasks=tasks)
        self.streams = Streams(self.clock, retention_s=60, total_bytes=1_000_000)
        options = ServerOptions(keep_alive_s=KEEP_ALIVE_S)
        nobody_s_keys = Authenticator(admin_key=None, keyless=True, allowed_origins=())
        self.routes = StreamRoutes(
            Resuming(self.streams), options=options, authenticator=nobody_s_keys, clock=self.clock, tasks=tasks
        )
        self.generation = Generation(max_bytes=10_000)
        self.stream = Stream(id="str_1", request_id="req_1", owner="key_1", include_usage=False)
        self.stream.generation = self.generation
        self.streams.open(self.stream)
        self.leads = asyncio.get_running_loop().create_future()
        self.messages: list[Any] = []
        self.leaves = asyncio.Event()
        self.resuming = asyncio.ensure_future(self._resume())

    async def _resume(self) -> None:
        client = AsgiClient({}, self._receive, self._send, watch=self.watch)
        await self.routes.continue_("str_1.0", owner="key_1", head=b"", client=client)

    async def _receive(self) -> Any:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.messages.append(message)
        if message.get("more_body") is False:  # a server says so when it has sent all
            self.leaves.set()

    async def waits(self) -> None:
        """The client has been waiting long enough to be listened to."""
        await loop_turns(TURNS)
        self.clock.advance(0.2)
        await loop_turns(TURNS)

    def leader_leaves(self) -> None:
        assert self.generation.leave_to_others(cast("asyncio.Task[None]", self.leads))

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


@pytest.fixture
async def site() -> Site:
    return Site()


async def test_the_last_who_waits_for_the_beginning_ends_the_call_when_it_leaves(site: Site) -> None:
    await site.waits()
    site.leader_leaves()
    assert not site.leads.cancelled()
    site.leaves.set()
    await site.resuming
    assert site.generation.deserted
    assert site.leads.cancelled()
    assert (site.messages, site.stream.sinks, site.failures) == ([], [], [])


async def test_who_waits_for_the_beginning_is_kept_in_touch_and_gets_all(site: Site) -> None:
    await site.waits()
    for count in (1, 2):
        site.clock.advance(KEEP_ALIVE_S)
        assert site.body == b": keep-alive\n" * count
    source = ScriptedSource()
    site.generation.begin(source, as_events=True)
    await loop_turns(TURNS)
    source.say(b'{"n":1}')
    source.finish(Outcome(status="ok"))
    site.generation.close(Outcome(status="ok"))
    await site.resuming
    assert site.messages[0]["status"] == 200
    assert events_of(site.body.replace(b": keep-alive\n", b"")) == [{"n": 1}, "[DONE]"]
    assert site.messages[-1]["more_body"] is False
    assert site.clock.timers == 0


@pytest.mark.parametrize("silent", [False, True])
async def test_a_failure_before_the_beginning_is_a_response_or_the_only_event(site: Site, silent: bool) -> None:
    await site.waits()
    if silent:
        site.clock.advance(KEEP_ALIVE_S)
    site.generation.close(Outcome(status="error", error=UpstreamError("no")))
    if not silent:
        with pytest.raises(UpstreamError):
            await site.resuming
        assert site.messages == []
        return
    await site.resuming
    last = orjson.loads(site.body.split(b"data: ")[-1])
    assert (last["error"]["code"], site.messages[-1]["more_body"]) == ("upstream_error", False)


async def test_a_stream_that_its_owner_cancels_ends_for_who_waits_for_its_beginning(site: Site) -> None:
    await site.waits()
    error: LLMServiceError = StreamCancelled("The stream was cancelled by its owner.")
    site.stream.cancel(error)
    await until(site.resuming.done)
    await site.resuming
    assert [event["error"]["code"] for event in events_of(site.body)] == ["stream_cancelled"]
    assert site.stream.sinks == []


async def test_a_shutdown_of_the_task_leaves_nothing_behind(site: Site) -> None:
    await site.waits()
    site.resuming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await site.resuming
    assert not site.generation.leave_to_others(cast("asyncio.Task[None]", site.leads))  # nobody else waits
    assert (site.messages, site.stream.sinks) == ([], [])
