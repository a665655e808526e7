"""TLS towards upstreams is verified: by a given authority, for the right name, or not at all accepted."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from llm_service.transport import HttpTransport, tls_sessions
from tests.support.raw_server import serving
from tests.support.upstream import OK, MakeTransport, Noted, a_request, asked, failed, saying

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


class Resumable:
    """A server that closes each connection behind its answer, and notes whether its session was resumed."""

    def __init__(self, authority: Path) -> None:
        self.resumed: list[bool] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(authority / "server.pem", authority / "server.key")
        self._answer = saying(OK + b"Content-Length: 2\r\nConnection: close\r\n\r\nok")

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.resumed.append(writer.get_extra_info("ssl_object").session_reused)
        await self._answer(reader, writer)
        writer.close()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._context)
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}"
        server.close()

    def speak_no_newer(self, version: ssl.TLSVersion) -> None:
        self._context.maximum_version = version


@pytest.fixture
async def own(authority: Path) -> AsyncIterator[HttpTransport]:
    tls = ssl.create_default_context(cafile=str(authority / "ca.pem"))
    transport = HttpTransport(max_connections=2, on_failure=failed, tls=tls)
    yield transport
    await transport.aclose()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_session_is_resumed(own: HttpTransport, authority: Path, version: ssl.TLSVersion) -> None:
    server = Resumable(authority)
    server.speak_no_newer(version)
    async with server.serving() as address:
        for _ in range(3):
            assert (await asked(own, address)).outcome == (200, b"ok", "end")
    assert server.resumed == [False, True, True]


async def test_a_certificate_is_looked_at_again_after_a_while(
    own: HttpTransport, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_sessions, "SESSION_S", -1.0)
    server = Resumable(authority)
    async with server.serving() as address:
        for _ in range(2):
            assert (await asked(own, address)).data == b"ok"
    assert server.resumed == [False, False]


async def test_resuming_makes_no_session_younger(authority: Path) -> None:
    moments = iter((0.0, 400.0, 601.0, 601.0))  # kept; offered; too old to be offered; kept anew
    sessions = tls_sessions.TlsSessions(moments.__next__)
    tls = ssl.create_default_context(cafile=str(authority / "ca.pem"))
    sessions.offer(tls)
    server = Resumable(authority)
    async with server.serving() as address:
        for _ in range(3):
            reader, writer = await asyncio.open_connection("localhost", int(address.rpartition(":")[2]), ssl=tls)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            await reader.read(1)
            sessions.keep(writer.transport)
            writer.close()
    assert server.resumed == [False, True, False]


@pytest.fixture(scope="module")
def false(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for the same name that nobody has signed."""
    folder = tmp_path_factory.mktemp("false")
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    made += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made += ["-keyout", "server.key", "-out", "server.pem"]
    subprocess.run(made, cwd=folder, check=True, capture_output=True)
    return folder


async def test_a_session_helps_nobody_who_takes_the_name(own: HttpTransport, authority: Path, false: Path) -> None:
    async with Resumable(authority).serving() as address, Resumable(false).serving() as false_address:
        assert (await asked(own, address)).data == b"ok"
        failure = (await asked(own, false_address)).failure
    assert failure is not None
    assert (failure.kind, failure.reason) == ("tls", "self_signed")


async def test_http_1_1_alone_is_offered(own: HttpTransport, authority: Path) -> None:
    offered: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    context.set_alpn_protocols(["h2", "http/1.1"])
    answer = saying(OK + b"Content-Length: 2\r\n\r\nok")

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        offered.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await answer(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    assert (await asked(own, f"https://localhost:{server.sockets[0].getsockname()[1]}")).data == b"ok"
    server.close()
    assert offered == ["http/1.1"]
