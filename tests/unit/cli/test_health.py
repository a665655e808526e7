"""``health``: a probe's one question, to services that are ready, that are not, and that are none."""

import asyncio
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest

from tests.support.certificates import certificate, needs_openssl
from tests.support.raw_server import read_request
from tests.support.valkey import free_ports
from tests.unit.cli.conftest import Command
from tests.unit.cli.test_client import http, scripted

OK = http(b'{"status":"ok"}')


def port_of(address: str) -> str:
    return str(urlsplit(address).port)


async def test_a_service_that_is_ready_is_well(command: Command) -> None:
    async with scripted(lambda _: OK) as server:
        asked = await asyncio.to_thread(command, "health", "--url", server.address)
    assert (asked.exit_code, asked.stdout) == (0, '{"status":"ok"}\n')
    assert server.requests[0].startswith(b"GET /health/ready HTTP/1.1\r\n")
    assert b"authorization" not in server.requests[0].lower()


async def test_one_that_drains_is_not_but_lives(command: Command) -> None:
    def answer(request: bytes) -> bytes:
        return http(b'{"status":"draining"}', 503) if b"/ready" in request else OK

    async with scripted(answer) as server:
        ready = await asyncio.to_thread(command, "health", "--url", server.address)
        live = await asyncio.to_thread(command, "health", "--live", "--url", server.address)
    assert (ready.exit_code, ready.stderr) == (1, '{"status":"draining"}\n')
    assert live.exit_code == 0


async def test_it_asks_behind_the_port_that_the_service_is_told_of(command: Command) -> None:
    async with scripted(lambda _: OK) as server:
        asked = await asyncio.to_thread(command, "health", LLM_SERVICE_SERVER__PORT=port_of(server.address))
    assert asked.exit_code == 0


@needs_openssl
async def test_it_asks_by_tls_where_the_port_speaks_that(command: Command, tmp_path: Path) -> None:
    made = certificate(tmp_path, "elsewhere.example")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.cert, made.key)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    async with server:
        asked = await asyncio.to_thread(command, "health", "--port", str(server.sockets[0].getsockname()[1]))
    assert (asked.exit_code, asked.stdout) == (0, '{"status":"ok"}\n')


@pytest.mark.parametrize("answer", [b"", b"no http\r\n\r\n"], ids=["nothing", "something else"])
async def test_what_is_no_answer_is_no_health(command: Command, answer: bytes) -> None:
    async with scripted(lambda _: answer) as server:
        asked = await asyncio.to_thread(command, "health", "--url", server.address)
    assert asked.exit_code == 1


def test_where_nobody_listens_that_is_said(command: Command) -> None:
    (port,) = free_ports(1)
    asked = command("health", "--port", str(port), "--json")
    told = orjson.loads(asked.stdout)
    assert (asked.exit_code, told["ok"], told["status"]) == (1, False, None)
    assert told["said"].startswith(f"No service answers at http://127.0.0.1:{port}: ")


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://127.0.0.1", "http://127.0.0.1:port", "http://"])
def test_an_address_that_is_none_is_said_to_be(command: Command, url: str) -> None:
    asked = command("health", "--url", url)
    assert asked.exit_code == 1
    assert "is no address of a service" in asked.stderr
