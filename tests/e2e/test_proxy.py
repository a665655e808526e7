"""The balancers that ship, in front of a service: streams unbuffered, addresses set anew, nothing sent twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.deployment import ADMIN, ADMIN_KEY, HASH_KEY, sandbox_process
from tests.support.doors import chat
from tests.support.doors.websocket import WebSocketDoor
from tests.support.fleet.balancer import BALANCERS, installed
from tests.support.process import Serving, place, serving
from tests.support.rest import Answer, ask, chat_body, connected
from tests.support.valkey import free_ports
from tests.support.waiting import until

CHAT = "/v1/chat/completions"
GONE = "127.0.0.1:1"
"""Where nobody listens."""

each_balancer = pytest.mark.parametrize("name", BALANCERS)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("behind")
    with sandbox_process(folder / "upstream") as sandbox:
        home = folder / "home"
        home.mkdir()
        (home / "llm-service.yaml").write_text(f"""
            sandbox: off
            auth: {{admin_key: {ADMIN_KEY}, hash_key: {HASH_KEY}}}
            providers: {{plain: {{base_url: "{sandbox}/openai/v1", api_key: sk-test-1}}}}
        """)
        with serving(place(home)) as running:
            yield running


@contextmanager
def balancing(folder: Path, name: str, **servers: str) -> Iterator[str]:
    """The address of a balancer in front of these."""
    if not installed(name):
        pytest.skip(f"{name} is not installed")
    with closing(BALANCERS[name](folder / name, f"127.0.0.1:{free_ports(1)[0]}")) as balancer:
        balancer.start(servers)
        yield balancer.address


@asynccontextmanager
async def rude_server() -> AsyncIterator[tuple[str, list[bytes]]]:
    """Takes a request, and closes without a word; what it took. It says that it is well, to whoever only asks that."""
    taken: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET /health/ready"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        else:
            taken.append(head)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", taken


def server_of(service: Serving) -> str:
    return service.address.removeprefix("http://")


@each_balancer
async def test_what_passes_a_balancer_is_as_it_was(tmp_path: Path, service: Serving, name: str) -> None:
    with balancing(tmp_path, name, one=server_of(service)) as address:
        body = chat_body("plain/sandbox/pace-100ms", stream=True, max_tokens=6)
        async with connected(address) as connection:
            connection.send("POST", CHAT, body, authorization=ADMIN)
            status, head = await connection.head()
            at = [time.monotonic() async for _ in connection.pieces()]
        told = await WebSocketDoor().ask(address, chat("plain/sandbox/chat"), key=ADMIN_KEY)
        ready = await ask(address, "GET", "/health/ready")
        stranger = await ask(address, "POST", CHAT, chat_body("plain/sandbox/chat"), Forwarded="for=127.0.0.1")
    assert (status, head["x-request-id"][:4], ready.status) == (200, "req_", 200)
    assert at[-1] - at[0] > 0.3  # as they were made, not all together
    assert told.failure is None
    assert (stranger.status, stranger.json()["error"]["code"]) == (403, "not_local")


@each_balancer
async def test_a_machine_that_is_not_there_is_passed_over(tmp_path: Path, service: Serving, name: str) -> None:
    with balancing(tmp_path, name, one=GONE, two=server_of(service)) as address:
        body = chat_body("plain/sandbox/chat")
        answers = [await ask(address, "POST", CHAT, body, authorization=ADMIN) for _ in range(4)]
    assert [answer.status for answer in answers] == [200] * 4


@each_balancer
async def test_what_was_sent_is_not_sent_to_another(tmp_path: Path, name: str) -> None:
    async with rude_server() as (one, at_one), rude_server() as (two, at_two):
        with balancing(tmp_path, name, one=one, two=two) as address:
            answer = await ask(address, "POST", CHAT, chat_body("plain/sandbox/chat"), authorization=ADMIN)
    assert len(at_one) + len(at_two) == 1
    assert is_unreachable(answer, status=503 if name == "nginx" else 502)


@each_balancer
async def test_without_any_machine_the_answer_has_the_form_of_all_errors(tmp_path: Path, name: str) -> None:
    with balancing(tmp_path, name, one=GONE) as address:
        assert is_unreachable(await ask(address, "POST", CHAT, chat_body("m"), authorization=ADMIN))


@each_balancer
async def test_what_is_too_large_is_refused_in_that_form_too(tmp_path: Path, service: Serving, name: str) -> None:
    with balancing(tmp_path, name, one=server_of(service)) as address:
        async with connected(address) as connection:
            announced = (
                f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: {ADMIN}\r\nContent-Length: {12 * 2**20}\r\n\r\n"
            )
            connection.writer.write(announced.encode())
            answer = await connection.answer()
    assert (answer.status, answer.json()["error"]["code"]) == (413, "request_too_large")


@each_balancer
async def test_a_client_that_leaves_is_known_to_have_left(tmp_path: Path, service: Serving, name: str) -> None:
    with balancing(tmp_path, name, one=server_of(service)) as address:
        async with connected(address) as connection:
            body = chat_body("plain/sandbox/tokens-400+pace-50ms", stream=True)
            connection.send("POST", CHAT, body, authorization=ADMIN)
            _, head = await connection.head()
            await anext(connection.pieces())
        await until(lambda: ended(service, head["x-request-id"]), within_s=5)
    assert ended(service, head["x-request-id"])["status"] == "aborted"


def ended(service: Serving, request_id: str) -> dict[str, Any]:
    """The line of a request in the log, once it is there."""
    whole = (line for line in service.child.err.text.splitlines() if request_id in line and '"event":"request"' in line)
    return next(map(orjson.loads, whole), {})


def is_unreachable(answer: Answer, *, status: int = 503) -> bool:
    said, told = answer.json(), answer.headers
    found = answer.status, said["error"]["code"], told["retry-after"], said["request_id"]
    return found == (status, "unreachable", "1", told["x-request-id"])
