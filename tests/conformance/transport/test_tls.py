"""TLS towards upstreams is verified: by a given authority, for the right name, or not at all accepted."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.raw_server import serving
from tests.support.upstream import OK, MakeTransport, Noted, a_request, failed, saying

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority (ca.pem) and a server's certificate for localhost (server.pem, server.key)."""
    folder = tmp_path_factory.mktemp("tls")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    made_by = [
        "openssl",
        "req",
        "-x509",
        *key,
        "-subj",
        "/CN=test authority",
        "-addext",
        "keyUsage=critical,keyCertSign",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
    ]
    subprocess.run(made_by, cwd=folder, check=True, capture_output=True)
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=DNS:localhost"]
    server = ["openssl", "req", "-x509", *key, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.pem"]
    subprocess.run([*server, *signed], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
async def port(authority: Path) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    answer = saying(OK + b"Content-Length: 2\r\n\r\nok")
    handlers = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())
        await answer(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


Ask = Callable[[str, ssl.SSLContext | None], Awaitable[Noted]]


@pytest.fixture
def ask(make: MakeTransport) -> Ask:
    async def ask(address: str, tls: ssl.SSLContext | None) -> Noted:
        transport = make(max_connections=2, on_failure=failed, tls=tls)
        noted = Noted()
        transport.send(a_request(address), noted)
        await noted.over.wait()
        await transport.aclose()
        return noted

    return ask


async def test_a_certificate_of_a_given_authority_is_accepted(ask: Ask, authority: Path, port: int) -> None:
    tls = ssl.create_default_context(cafile=str(authority / "ca.pem"))
    assert (await ask(f"https://localhost:{port}", tls)).outcome == (200, b"ok", "end")


async def test_an_unknown_authority_is_refused(ask: Ask, port: int) -> None:
    noted = await ask(f"https://localhost:{port}", None)
    assert noted.failure is not None
    assert (noted.failure.kind, noted.failure.reason, noted.failure.sent) == ("tls", "unknown_authority", False)


async def test_a_certificate_for_another_name_is_refused(ask: Ask, authority: Path, port: int) -> None:
    tls = ssl.create_default_context(cafile=str(authority / "ca.pem"))
    noted = await ask(f"https://127.0.0.1:{port}", tls)
    assert noted.failure is not None
    assert (noted.failure.kind, noted.failure.reason) == ("tls", "other_name")
    assert "127.0.0.1" not in str(noted.failure)


async def test_a_server_without_tls_is_refused(ask: Ask) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(OK + b"Content-Length: 2\r\n\r\nok")

    async with serving(handle) as address:
        noted = await ask(address.replace("http:", "https:"), None)
    assert noted.failure is not None
    assert (noted.failure.kind, noted.failure.reason, noted.failure.sent) == ("tls", "no_tls", False)
