"""The service as an application: on a server that is not ours, alone and below another application."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from websockets.asyncio.client import connect

from llm_service import Application, CannotStart, NotRunning, create_app
from tests.support.rest import ask, chat_body, connected, events_of
from tests.support.sockets import chunks, opened
from tests.support.waiting import until, until_answered

MODEL = "deepseek/deepseek-flash"
SUBSCRIPTION = """subscription { chatStream(input: {model: "deepseek/deepseek-flash",
    messages: [{role: USER, content: "Hello"}]}) { content } }"""
READ = "import llm_service, sys; print([name for name in sys.modules if name.startswith('llm_service.')])"


class Server(uvicorn.Server):
    """uvicorn as it is, but for the signals of the tests."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Its address."""
    server = Server(uvicorn.Config(app, port=0, lifespan="on", log_config=None))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started or serving.done())
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Application:
    monkeypatch.chdir(tmp_path)
    return create_app(settings={"sandbox": "on", "server.data_dir": str(tmp_path / "data")})


def host_of(gateway: Application) -> Starlette:
    """Another application, which has it below an address of its own."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with gateway.running():
            yield

    async def home(_: Request) -> PlainTextResponse:
        return PlainTextResponse("ours")

    return Starlette(routes=[Route("/", home), Mount("/of/{tenant}/llm", gateway)], lifespan=lifespan)


@pytest.fixture
async def mounted(app: Application) -> AsyncIterator[str]:
    """Where the gateway is, below the other application."""
    async with served(host_of(app)) as address:
        yield f"{address}/of/acme/llm"


async def test_an_asgi_server_serves_it_from_its_start_to_its_end(app: Application) -> None:
    async with served(app) as address:
        whole = await ask(address, "POST", "/v1/chat/completions", chat_body(MODEL))
        assert (whole.status, whole.headers["x-llm-provider"]) == (200, "deepseek")
        assert whole.headers["x-content-type-options"] == "nosniff"
        assert (await ask(address, "GET", "/health/ready")).status == 200
    with pytest.raises(NotRunning, match="lifespan"):
        await app({"type": "http", "path": "/health"}, None, None)


async def test_it_streams_below_another_application_which_answers_for_itself(mounted: str) -> None:
    root, _, path = mounted.partition("/of/")
    streamed = await ask(root, "POST", f"/of/{path}/v1/chat/completions", chat_body(MODEL, stream=True))
    *events, done = events_of(streamed.body)
    assert done == "[DONE]"
    assert "".join(event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"])
    assert (await ask(root, "GET", "/")).body == b"ours"
    assert (await ask(root, "POST", "/v1/chat/completions", chat_body(MODEL))).status == 404


async def test_a_client_that_leaves_ends_its_stream(mounted: str) -> None:
    root, _, path = mounted.partition("/of/")
    async with connected(root) as client:
        client.send("POST", f"/of/{path}/v1/chat/completions", chat_body(MODEL, stream=True))
        await client.reader.readuntil(b"data: ")

    async def aborted() -> bool:
        told = await ask(root, "GET", f"/of/{path}/admin/usage?status=aborted")
        return bool(told.json()["data"])

    await until_answered(aborted)


async def test_a_reload_changes_its_settings_and_leaves_the_hosts_logging_alone(mounted: str) -> None:
    root, _, path = mounted.partition("/of/")
    handlers = [*logging.getLogger().handlers]
    reloaded = await ask(root, "POST", f"/of/{path}/admin/config/reload")
    assert reloaded.json()["generation"] == 2
    assert (await ask(root, "GET", f"/of/{path}/v1/models")).status == 200
    assert logging.getLogger().handlers == handlers


async def test_a_websocket_streams_below_another_application(mounted: str) -> None:
    async with opened(mounted) as client:
        await client.create(model=MODEL)
        frames = await client.all_of()
    assert frames[-1]["type"] == "chat.done"
    assert len(chunks(frames)) > 5


async def test_a_websocket_that_asks_for_nonsense_is_closed_with_its_code(mounted: str) -> None:
    async with opened(mounted) as client:
        await client.socket.send("no JSON")
        assert await client.closed() == 4409


async def test_a_subscription_streams_below_another_application(mounted: str) -> None:
    url = f"{mounted.replace('http:', 'ws:')}/graphql"
    async with connect(url, subprotocols=["graphql-transport-ws"], proxy=None) as socket:
        await socket.send('{"type": "connection_init"}')
        assert orjson.loads(await socket.recv())["type"] == "connection_ack"
        operation = {"id": "1", "type": "subscribe", "payload": {"query": SUBSCRIPTION}}
        await socket.send(orjson.dumps(operation).decode())
        frames = [orjson.loads(await socket.recv())]
        while frames[-1]["type"] == "next":
            frames.append(orjson.loads(await socket.recv()))
    assert frames[-1]["type"] == "complete"
    assert all("errors" not in frame["payload"] for frame in frames[:-1])
    assert len(frames) > 5


async def test_what_runs_finishes_before_the_end(app: Application) -> None:
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "query_string": b"",
        "http_version": "1.1",
    }
    scope |= {"client": ("127.0.0.1", 1), "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]}
    begun, answered, said = asyncio.Event(), asyncio.Event(), bytearray()
    bodies = iter([{"type": "http.request", "body": chat_body(MODEL, stream=True)}])

    async def receive() -> Any:
        if (body := next(bodies, None)) is not None:
            return body
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        said.extend(message.get("body", b""))
        if not message.get("more_body", True):
            answered.set()
        if b"content" in said:
            begun.set()

    async with app.running():
        request = asyncio.create_task(app(scope, receive, send))
        await begun.wait()
        assert b"[DONE]" not in said
    assert said.endswith(b"data: [DONE]\n\n")
    await request


async def test_it_says_why_it_cannot_start(app: Application, tmp_path: Path) -> None:
    async with app.running():
        assert "running already" in await told_at_start(app)
        again = create_app(settings={"sandbox": "on", "server.data_dir": str(tmp_path / "data")})
        assert "data" in await told_at_start(again)
    told = await asyncio.gather(*(started(app) for _ in range(2)))
    assert [message for message in told if message] == ["The gateway is running already."]
    assert "leave that to its server" in await told_at_start(create_app(settings={"server.workers": "2"}))
    assert "server.prot" in await told_at_start(create_app(settings={"server.prot": "1"}))
    assert "No provider is configured" in await told_at_start(create_app(settings={"sandbox": "off"}))


async def started(app: Application) -> str:
    """Nothing where it starts, and ends again; else why not."""
    try:
        async with app.running():
            return ""
    except CannotStart as error:
        return str(error)


async def told_at_start(app: Application) -> str:
    """What a server hears when it starts an application that cannot."""
    said: list[Any] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        said.append(message)

    await app({"type": "lifespan"}, receive, send)
    (message,) = said
    assert message["type"] == "lifespan.startup.failed"
    text: str = message["message"]
    return text


def test_the_package_is_imported_without_what_it_offers() -> None:
    read = subprocess.run([sys.executable, "-c", READ], check=True, capture_output=True, text=True)
    assert read.stdout == "[]\n"
