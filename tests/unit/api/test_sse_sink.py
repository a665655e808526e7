"""Writing to a client at the client's pace."""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from llm_service.api.rest.asgi_client import AsgiClient
from llm_service.api.rest.hang_up import HangUpWatch
from llm_service.api.rest.sse_sink import SseSink
from llm_service.domain import Draining, Event, Head, Outcome, Reply, Sink, Subscription
from llm_service.runtime import Tasks
from llm_service.streams import Generation, Stream
from tests.support.clock import ManualClock
from tests.support.waiting import until

OK = Outcome(status="ok")
CHUNKS = [Event(1, b'{"a":1}'), Event(2, b'{"b":2}')]
ENDING = [Event(3, b'{"f":3}', "finish"), Event(4, b'{"u":4}', "usage")]


class Client:
    """An ASGI ``send`` whose reader can stop reading."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.reads.set()
        self.messages: list[Any] = []

    async def receive(self) -> Any:
        raise RuntimeError("a sink asks for nothing")

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        self.messages.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    @property
    def ended(self) -> bool:
        return bool(self.messages) and self.messages[-1].get("more_body") is False


class Source(Reply):
    """A reply that is told to say nothing by itself."""

    def __init__(self) -> None:
        self.head = Head(provider="p", model="p/m", upstream_model="m")
        self.whole = None
        self.outcome = None
        self.done: list[str] = []
        self.after: int | None = None

    def attach(self, sink: Sink, after: int = 0) -> Subscription:
        self.after = after
        return self

    def pause(self) -> None:
        self.done.append("pause")

    def resume(self) -> None:
        self.done.append("resume")

    def detach(self) -> bool:
        self.done.append("detach")
        return False

    async def aclose(self) -> None:
        self.detach()


def a_sink(client: Client, *, stream: Stream | None = None, after: int = 0) -> tuple[SseSink, ManualClock, Source]:
    clock, source, tasks = ManualClock(), Source(), Tasks(lambda name, failure: None)
    sink = SseSink(
        stream=stream or a_stream(),
        client=AsgiClient({}, client.receive, client.send, watch=HangUpWatch(clock=clock, tasks=tasks)),
        start_head=lambda head: b"",
        keep_alive_s=10,
        clock=clock,
        tasks=tasks,
        after=after,
    )
    return sink, clock, source


def a_stream(*, include_usage: bool = False) -> Stream:
    return Stream(id="str_1", request_id="req_1", owner="local", include_usage=include_usage)


def a_paid_stream(*, pays: bool) -> Stream:
    """One whose account is closed."""
    stream = Stream(id="str_1", request_id="req_1", owner="local", include_usage=False, pays=pays)
    stream.generation = Generation(max_bytes=1_000)
    stream.generation.close(OK, nano_usd=160, cost_source="provider")
    return stream


def data_of(body: bytes) -> Sequence[Any]:
    lines = [line[6:] for line in body.split(b"\n") if line.startswith(b"data: ")]
    return [line if line == b"[DONE]" else orjson.loads(line) for line in lines]


async def test_a_batch_is_one_write() -> None:
    client = Client()
    sink, _, source = a_sink(client)
    sink.subscribe(source)
    sink.write(CHUNKS)
    bodies = [message["body"] for message in client.messages[1:]]
    assert bodies == [b'id: str_1.1\ndata: {"a":1}\n\nid: str_1.2\ndata: {"b":2}\n\n']


async def test_usage_is_shown_to_those_who_asked() -> None:
    shown = []
    for include_usage in (True, False):
        client = Client()
        sink, _, source = a_sink(client, stream=a_stream(include_usage=include_usage))
        sink.subscribe(source)
        sink.write(ENDING)
        sink.end(OK)
        shown.append(["u" in event for event in data_of(client.body)[:-1]])
    assert shown == [[False, True], [False]]


@pytest.mark.parametrize(("pays", "told"), [(True, ("0.00000016", "provider")), (False, ("0", "none"))])
async def test_the_last_chunk_carries_the_cost_as_a_decimal(pays: bool, told: tuple[str, str]) -> None:
    client = Client()
    sink, _, source = a_sink(client, stream=a_paid_stream(pays=pays))
    sink.subscribe(source)
    sink.write(ENDING)
    sink.end(OK)
    *_, last, done = data_of(client.body)
    assert ((last["llm"]["cost_usd"], last["llm"]["cost_source"]), done) == (told, b"[DONE]")
    assert client.ended


async def test_a_client_that_does_not_read_pauses_the_source_and_misses_nothing() -> None:
    client = Client()
    sink, _, source = a_sink(client)
    sink.subscribe(source)
    client.reads.clear()
    sink.write(CHUNKS[:1])
    sink.write(CHUNKS[1:])
    assert source.done == ["pause"]
    client.reads.set()
    await until(lambda: source.done == ["pause", "resume"])
    assert data_of(client.body) == [{"a": 1}, {"b": 2}]


async def test_an_end_waits_for_a_client_that_does_not_read() -> None:
    client = Client()
    sink, _, source = a_sink(client)
    sink.subscribe(source)
    client.reads.clear()
    sink.write([*CHUNKS])
    sink.write(ENDING)
    sink.end(OK)
    client.reads.set()
    await sink.written()
    assert data_of(client.body)[-1] == b"[DONE]"
    assert client.ended


async def test_silence_opens_the_response_and_makes_comments() -> None:
    client = Client()
    sink, clock, _ = a_sink(client)
    clock.advance(25)
    assert client.messages[0]["type"] == "http.response.start"
    assert client.body == b": keep-alive\n" * 2
    sink.stop()


async def test_no_comment_is_made_while_chunks_come() -> None:
    client = Client()
    sink, clock, source = a_sink(client)
    sink.subscribe(source)
    for number in range(1, 6):
        clock.advance(9)
        sink.write([Event(number, b"{}")])
    assert b"keep-alive" not in client.body
    sink.stop()


async def test_a_stream_that_is_cut_ends_with_the_error_and_its_stream_id() -> None:
    client = Client()
    sink, _, source = a_sink(client)
    sink.subscribe(source)
    sink.write(CHUNKS)
    sink.cut(Draining("The service is shutting down."))
    last = data_of(client.body)[-1]
    assert (last["error"]["code"], last["stream_id"], source.done) == ("draining", "str_1", ["detach"])
    assert client.body.count(b"id: str_1.2\n") == 2  # it can go on from there
    assert client.ended


async def test_a_client_that_leaves_detaches_the_source() -> None:
    client = Client()
    sink, _, source = a_sink(client)
    sink.subscribe(source)
    sink.leave()
    assert source.done == ["detach"]
    assert sink.ended


async def test_a_stream_that_is_resumed_goes_on_where_its_reader_left_it() -> None:
    client = Client()
    sink, _, source = a_sink(client, after=4)
    sink.subscribe(source)
    assert source.after == 4
    sink.cut(Draining("The service is shutting down."))
    assert b"id: str_1.4\n" in client.body


async def test_who_reads_on_after_an_error_is_told_it_again() -> None:
    client = Client()
    sink, _, source = a_sink(client, after=3)
    sink.subscribe(source)
    sink.end(Outcome(status="error", error=Draining("The service is shutting down.")))
    assert b"id: str_1.3\n" in client.body
    assert b'"code":"draining"' in client.body
    assert b"[DONE]" not in client.body


async def test_who_reads_on_after_a_stream_was_cancelled_is_told_so() -> None:
    client = Client()
    sink, _, source = a_sink(client, after=3)
    sink.subscribe(source)
    sink.end(Outcome(status="aborted"))
    assert b'"code":"stream_cancelled"' in client.body


async def test_without_a_closed_account_the_last_chunk_says_nothing_of_money() -> None:
    client = Client()
    sink, _, source = a_sink(client)
    sink.subscribe(source)
    sink.write(ENDING)
    sink.end(OK)
    *_, last, _ = data_of(client.body)
    assert last["llm"] == {
        "request_id": "req_1",
        "stream_id": "str_1",
        "provider": "p",
        "model": "m",
        "attempts": 1,
        "cache": "bypass",
    }
