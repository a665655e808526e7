"""TLS of the service's own ports: who gets a connection, by which certificate, and who is given up."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llm_service.api import HttpServer, TlsError, TlsOptions, accepting, listen, tls_context, tls_problems
from llm_service.api.tls import MOST_FILE_BYTES
from tests.support.certificates import Certificate, certificate, needs_openssl
from tests.support.rest import Connection
from tests.support.waiting import until

pytestmark = needs_openssl


class Site:
    """A server whose application says by which scheme it was asked."""

    def __init__(self, own: Certificate, **options: Any) -> None:
        self.port = 0
        self.server: HttpServer
        self.use(own, **options)

    def use(self, own: Certificate, **options: Any) -> None:
        """From now on new connections are made with this."""
        self.context = tls_context(TlsOptions(cert=own.cert, key=own.key, **options))

    async def app(self, scope: Any, _: Any, send: Any) -> None:
        said = scope["scheme"].encode()
        headers = [(b"content-length", b"%d" % len(said))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})

    @asynccontextmanager
    async def connected(self, trusting: ssl.SSLContext) -> AsyncIterator[Connection]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=trusting)
        try:
            yield Connection(reader, writer, f"127.0.0.1:{self.port}")
        finally:
            writer.close()

    async def asked(self, trusting: ssl.SSLContext) -> bytes:
        async with self.connected(trusting) as client:
            return (await client.ask("GET", "/")).body


@asynccontextmanager
async def served(site: Site) -> AsyncIterator[Site]:
    with listen("127.0.0.1", 0) as listening:
        site.port = listening.getsockname()[1]
        site.server = HttpServer(site.app, refused=lambda _: "req_1", tls=lambda: site.context)
        serving = asyncio.create_task(site.server.serve(sockets=[listening]))
        await site.server.listening.wait()
        yield site
        site.server.should_exit = True
        await serving


@pytest.fixture(scope="session")
def one(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("tls"), "one")


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("tls"), "other")


async def test_it_speaks_https_and_asks_browsers_to_stay_with_it(one: Certificate) -> None:
    async with served(Site(one)) as site, site.connected(one.trusted()) as client:
        answer = await client.ask("GET", "/")
        assert answer.body == b"https"
        assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_new_connections_get_the_new_certificate_and_the_old_ones_stay(
    one: Certificate, other: Certificate
) -> None:
    async with served(Site(one)) as site, site.connected(one.trusted()) as kept:
        site.use(other)
        assert await site.asked(other.trusted()) == b"https"
        with pytest.raises(ssl.SSLCertVerificationError):
            await site.asked(one.trusted())
        assert (await kept.ask("GET", "/")).body == b"https"


async def test_without_a_certificate_of_the_authority_no_client_is_heard(one: Certificate, other: Certificate) -> None:
    async with served(Site(one, client_ca=other.cert)) as site:
        assert await site.asked(one.trusted(client=other)) == b"https"
        for stranger in (one.trusted(), one.trusted(client=one)):
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                await site.asked(stranger)


async def test_who_never_ends_the_handshake_is_given_up_and_holds_up_nobody(
    one: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "HANDSHAKE_S", 0.3)
    async with served(Site(one)) as site:
        silent = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(30)]
        for _, writer in silent[:10]:
            writer.write(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a hello
        assert await site.asked(one.trusted()) == b"https"
        for reader, writer in silent:
            assert await reader.read() == b""
            writer.close()
        await until(lambda: not any(acceptor._beginning for acceptor in site.server._acceptors))


async def test_plain_http_is_turned_away(one: Certificate) -> None:
    async with served(Site(one)) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert b"HTTP" not in await reader.read()
        writer.close()
        assert await site.asked(one.trusted()) == b"https"


async def test_older_versions_than_allowed_are_not_spoken(one: Certificate) -> None:
    async with served(Site(one, min_version="1.3")) as site:
        older = one.trusted()
        older.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await site.asked(older)
        assert await site.asked(one.trusted()) == b"https"


# -- what is wrong with the files


def said(options: TlsOptions) -> list[str]:
    return [str(problem) for problem in tls_problems(options)]


def test_each_mistake_is_named_with_its_setting(one: Certificate, other: Certificate, tmp_path: Path) -> None:
    good = TlsOptions(cert=one.cert, key=one.key)
    large = tmp_path / "large.pem"
    large.write_bytes(b"x" * (MOST_FILE_BYTES + 1))
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    locked = certificate(tmp_path, "locked", passphrase="sk-test-passphrase")
    assert said(good) == []
    assert said(replace(good, cert=tmp_path / "none.pem", key=large)) == [
        "server.tls.cert cannot be read: No such file or directory",
        f"server.tls.key is larger than {MOST_FILE_BYTES} bytes",
    ]
    assert said(TlsOptions(cert=one.key, key=one.cert)) == [
        "server.tls.cert holds no certificate in PEM form (BEGIN CERTIFICATE)",
        "server.tls.key holds no private key in PEM form (BEGIN PRIVATE KEY)",
    ]
    assert said(replace(good, key=other.key)) == [
        "server.tls.key does not belong to the certificate of server.tls.cert (its first one)"
    ]
    assert said(TlsOptions(cert=locked.cert, key=locked.key)) == [
        "server.tls.key is encrypted: give it without a passphrase, readable for the service alone"
    ]
    assert said(replace(good, client_ca=broken))[0].startswith("server.tls.client_ca cannot be used: ")
    assert said(replace(good, cert=broken))[0].startswith("server.tls.cert and server.tls.key cannot be used: ")


def test_who_asks_for_a_context_gets_the_mistake_too(one: Certificate, other: Certificate) -> None:
    with pytest.raises(TlsError) as refused:
        tls_context(TlsOptions(cert=one.cert, key=other.key))
    assert refused.value.setting == "key"
