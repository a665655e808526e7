"""SIGTERM, as an orchestrator sends it: what runs finishes, what is new is refused, and the process ends in time."""

import asyncio
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.process import Serving, place, serving
from tests.support.rest import Connection, ask, chat_body, connected, events_of
from tests.support.timed import within
from tests.support.waiting import until_answered

CHAT = "/v1/chat/completions"
FIVE_SECONDS = "openai/sandbox/tokens-100+pace-50ms"
FOR_EVER = "openai/sandbox/tokens-100000+pace-50ms"


@dataclass
class Stream:
    """A stream that has begun."""

    headers: dict[str, str]
    pieces: AsyncIterator[bytes]
    begun: bytes

    async def rest(self) -> list[object]:
        """Its events, all of them, once it has ended."""
        return events_of(self.begun + b"".join([piece async for piece in self.pieces]))


async def begin(connection: Connection, model: str) -> Stream:
    connection.send("POST", CHAT, chat_body(model, stream=True))
    status, headers = await connection.head()
    assert status == 200
    pieces = connection.pieces()
    return Stream(headers, pieces, await anext(pieces))


async def end_of(service: Serving) -> tuple[int, float]:
    """The exit code, and the seconds until it was there."""
    begun = time.perf_counter()
    code = await asyncio.to_thread(service.child.ended)
    return code, time.perf_counter() - begun


async def is_draining(service: Serving) -> bool:
    return (await ask(service.address, "GET", "/health/ready")).status == 503


async def test_twenty_streams_finish_while_new_requests_are_refused(tmp_path: Path) -> None:
    with serving(place(tmp_path)) as service:
        async with AsyncExitStack() as open_ones:
            connections = [await open_ones.enter_async_context(connected(service.address)) for _ in range(20)]
            streams = await asyncio.gather(*(begin(connection, FIVE_SECONDS) for connection in connections))
            service.child.signal(signal.SIGTERM)
            await until_answered(lambda: is_draining(service))
            refused = await ask(service.address, "POST", CHAT, chat_body(FIVE_SECONDS))
            health = await ask(service.address, "GET", "/health")
            live = await ask(service.address, "GET", "/health/live")
            ended = await asyncio.gather(*(stream.rest() for stream in streams))
        code, _ = await end_of(service)
    assert (refused.status, refused.json()["error"]["code"]) == (503, "draining")
    assert "retry-after" in refused.headers
    assert (health.json()["status"], live.status) == ("draining", 200)
    assert [events[-1] for events in ended] == ["[DONE]"] * 20
    assert {events[-2]["choices"][0]["finish_reason"] for events in ended} == {"stop"}
    assert code == 0


async def test_what_outlives_the_grace_ends_with_an_error_that_names_its_stream(tmp_path: Path) -> None:
    with serving(place(tmp_path, LLM_SERVICE_SERVER__SHUTDOWN_GRACE_S="0.3")) as service:
        async with connected(service.address) as connection:
            stream = await begin(connection, FOR_EVER)
            service.child.signal(signal.SIGTERM)
            last = (await stream.rest())[-1]
        code, _ = await end_of(service)
    assert (last["error"]["code"], last["retryable"]) == ("draining", True)
    assert last["stream_id"] == stream.headers["x-llm-stream-id"]
    assert code == 0
    outcome = next(line for line in service.log() if line["event"] == "request")
    assert outcome["request_id"] == stream.headers["x-request-id"]


async def test_a_whole_answer_that_outlives_the_grace_is_a_503(tmp_path: Path) -> None:
    with serving(place(tmp_path, LLM_SERVICE_SERVER__SHUTDOWN_GRACE_S="0.3")) as service:
        async with connected(service.address) as connection:
            connection.send("POST", CHAT, chat_body("openai/sandbox/stall-head"))
            await until_answered(lambda: taken(service))
            service.child.signal(signal.SIGTERM)
            answer = await connection.answer()
        code, _ = await end_of(service)
    assert (answer.status, answer.json()["error"]["code"]) == (503, "draining")
    assert code == 0


async def test_an_upload_that_never_ends_holds_nothing_up(tmp_path: Path) -> None:
    with serving(place(tmp_path, LLM_SERVICE_SERVER__SHUTDOWN_GRACE_S="0.3")) as service:
        async with connected(service.address) as connection:
            connection.send("POST", CHAT, b'{"model": "openai/sandbox/chat", ', Content_Length="1000")
            assert (await ask(service.address, "GET", "/health/live")).status == 200
            service.child.signal(signal.SIGTERM)
            answer = await connection.answer()
        code, _ = await end_of(service)
    assert (answer.status, answer.json()["error"]["code"]) == (503, "draining")
    assert code == 0
    assert [line for line in service.log() if line["level"] == "error"] == []


@pytest.mark.timed
async def test_a_client_that_does_not_read_holds_the_end_up_for_seconds_only(tmp_path: Path) -> None:
    with serving(place(tmp_path, LLM_SERVICE_SERVER__SHUTDOWN_GRACE_S="0.3")) as service, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", int(service.address.rpartition(":")[2])))
        body = chat_body("openai/sandbox/bulk-256mb+pace-0ms", stream=True)
        head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await asyncio.to_thread(client.recv, 1)
        service.child.signal(signal.SIGTERM)
        code, took_s = await end_of(service)
    assert code == 0
    within(took_s, 10)
    lines = service.log()  # JSON, also what the server's library had to say
    assert next(line["message"] for line in lines if line["event"] == "library").startswith("Cancel 1 running task")
    assert lines[-1]["event"] == "stopped"


@pytest.mark.timed
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_service_stops_at_once(tmp_path: Path, number: signal.Signals) -> None:
    with serving(place(tmp_path)) as service:
        async with connected(service.address) as kept_alive, connected(service.address):
            await kept_alive.ask("GET", "/health")
            service.child.signal(number)
            code, took_s = await end_of(service)
    assert code == 0
    within(took_s, 3)
    assert [line["event"] for line in service.log()][-2:] == ["draining", "stopped"]


def test_a_signal_is_minded_from_the_moment_of_the_banner(tmp_path: Path) -> None:
    with serving(place(tmp_path)) as service:
        assert service.child.stop() == 0


async def test_a_second_signal_hurries(tmp_path: Path) -> None:
    with serving(place(tmp_path)) as service:
        async with connected(service.address) as connection:
            stream = await begin(connection, FOR_EVER)
            service.child.signal(signal.SIGINT)
            await until_answered(lambda: is_draining(service))
            service.child.signal(signal.SIGINT)
            async with asyncio.timeout(10):  # the grace is 30 s
                last = (await stream.rest())[-1]
                code, _ = await end_of(service)
    assert (last["error"]["code"], code) == ("draining", 0)


async def taken(service: Serving) -> bool:
    """Whether the service has a request in hand."""
    return bool(await ask(service.address, "GET", "/health/live"))
