"""The door when something goes wrong that should not, driven without a server."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import orjson
import pytest

from llm_service.api import Calls, DoorParts, GenerateDoor, Resuming, ServerOptions, Serving, StreamRoutes
from llm_service.api.rest.asgi_client import AsgiClient
from llm_service.api.rest.generate import HotRoute
from llm_service.api.rest.hang_up import HangUpWatch
from llm_service.domain import Draining, Head, Reply, Sink, StreamCancelled, Subscription, UpstreamError, chat_request
from llm_service.observability import Listeners
from llm_service.pipeline import Exchange
from llm_service.runtime import Tasks
from llm_service.services import Authenticator, IssuedKeys
from llm_service.streams import Stream, Streams
from tests.support.clock import ManualClock
from tests.support.rest import chat_body, events_of
from tests.support.service import LogLines
from tests.support.waiting import until


class Broken(Reply):
    """A reply that fails when somebody wants its events."""

    def __init__(self) -> None:
        self.head = Head(provider="p", model="p/m", upstream_model="m")
        self.whole = None
        self.outcome = None
        self.closed = False

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        raise RuntimeError("a defect")

    async def aclose(self) -> None:
        self.closed = True


class Gateway:
    """Answers every exchange as the test says."""

    stage_names = ("provider",)

    def __init__(self, reply: Reply | Exception) -> None:
        self.reply = reply
        self.stream: Stream | None = None
        self.cancelled = False
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()

    async def chat(self, exchange: Exchange) -> Reply:
        exchange.marks.append(exchange.received_at)
        self.stream = exchange.stream
        self.asked.set()
        try:
            await self.answers.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


class Ids:
    def new(self, prefix: str) -> str:
        return f"{prefix}_1"


class Asked:
    """One request at the door, and what comes back."""

    def __init__(
        self,
        reply: Reply | Exception,
        *,
        stream: bool = False,
        headers: Sequence[tuple[bytes, bytes]] = (),
        keys: IssuedKeys | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.log = LogLines()
        self.gateway = Gateway(reply)
        self.messages: list[Any] = []
        self.leaves = asyncio.Event()
        self._body: bytes | None = None if headers and keys is None else chat_body("p/m", stream=stream)
        options = ServerOptions(keep_alive_s=10)
        tasks = Tasks(on_failure=lambda work, failure: self.log.error(work, exc_info=failure))
        self.streams = Streams(self.clock, retention_s=60, total_bytes=1_000_000)
        self.serving = Serving(self.streams)
        calls = Calls(
            gateway=self.gateway,  # type: ignore[arg-type]
            listeners=Listeners([]),
            serving=self.serving,
            finish=False,
            clock=self.clock,
            tasks=tasks,
        )
        authenticator = Authenticator(admin_key=None, keyless=True, allowed_origins=(), keys=keys)
        door = GenerateDoor(
            DoorParts(
                calls=calls,
                authenticator=authenticator,
                log=self.log,
                options=options,
                resumed=StreamRoutes(
                    Resuming(self.streams), options=options, authenticator=authenticator, clock=self.clock, tasks=tasks
                ),
                ids=Ids(),
            )
        )
        scope = {
            "method": "POST",
            "path": "/v1/chat/completions",
            "client": ("127.0.0.1", 1),
            "headers": [*HEADERS, *headers],
        }
        client = AsgiClient(scope, self.receive, self.send, watch=HangUpWatch(clock=self.clock, tasks=tasks))
        self.served = asyncio.ensure_future(self._serve(door, client))

    async def _serve(self, door: GenerateDoor, client: AsgiClient) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        await door.serve(client, task, route=HotRoute("/v1/chat/completions", chat_request))

    async def receive(self) -> Any:
        body, self._body = self._body, None
        if body is None:
            await self.leaves.wait()
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Any) -> None:
        self.messages.append(message)
        if message.get("more_body") is False:
            self.gateway.answers.set()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


HEADERS = [(b"host", b"localhost"), (b"content-type", b"application/json")]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_defect_before_the_head_is_an_error_body_and_a_log_line(stream: bool) -> None:
    asked = Asked(RuntimeError("a defect"), stream=stream)
    asked.gateway.answers.set()
    await asked.served
    assert asked.messages[0]["status"] == 500
    assert orjson.loads(asked.body)["error"]["code"] == "internal_error"
    assert [line["request_id"] for line in asked.log.of("defect")] == ["req_1"]


async def test_a_defect_after_the_head_is_the_last_event() -> None:
    reply = Broken()
    asked = Asked(reply, stream=True)
    asked.gateway.answers.set()
    await asked.served
    assert reply.closed
    assert [event["error"]["code"] for event in events_of(asked.body)] == ["internal_error"]
    assert asked.messages[-1]["more_body"] is False
    assert len(asked.log.of("defect")) == 1


async def test_an_answer_that_begins_when_a_shutdown_has_cut_its_stream_is_given_up() -> None:
    reply = Broken()
    asked = Asked(reply, stream=True)
    await asked.gateway.asked.wait()
    asked.clock.advance(10)
    await asked.serving.drain(0, hurried=asyncio.Event())
    await asked.served
    assert reply.closed
    assert [event["error"]["code"] for event in events_of(asked.body)] == ["draining"]
    assert asked.log.lines == []


async def test_a_stream_that_its_owner_cancels_before_it_begins_says_so_and_is_asked_for_no_longer() -> None:
    asked = Asked(Broken(), stream=True)
    await asked.gateway.asked.wait()
    stream = asked.gateway.stream
    assert stream is not None
    stream.cancel(StreamCancelled("The stream was cancelled by its owner."))
    await asked.served
    assert asked.gateway.cancelled
    assert asked.messages[0]["status"] == 200
    assert [event["error"]["code"] for event in events_of(asked.body)] == ["stream_cancelled"]
    assert asked.messages[-1]["more_body"] is False
    assert asked.log.lines == []


async def test_a_stream_outlives_its_request_and_holds_nothing_of_it() -> None:
    for reply in (Broken(), Draining("no")):
        asked = Asked(reply, stream=True)
        asked.gateway.answers.set()
        await asked.served
        assert asked.gateway.stream is not None
        assert asked.gateway.stream.sinks == []


async def test_a_failure_that_comes_after_the_stream_was_cut_is_not_sent_as_well() -> None:
    asked = Asked(UpstreamError("no"), stream=True)
    await asked.gateway.asked.wait()
    asked.clock.advance(10)
    await asked.serving.drain(0, hurried=asyncio.Event())
    await asked.served
    assert [event["error"]["code"] for event in events_of(asked.body)] == ["draining"]
    assert [message.get("more_body") for message in asked.messages].count(False) == 1


async def test_a_shutdown_does_not_end_what_has_its_answer() -> None:
    asked = Asked(Broken(), headers=[(b"content-length", b"50000000")])
    await until(lambda: asked.body)
    await asked.serving.drain(0, hurried=asyncio.Event())
    asked.leaves.set()
    await asked.served
    assert orjson.loads(asked.body)["error"]["code"] == "request_too_large"
