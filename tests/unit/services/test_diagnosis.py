"""What is wrong with a provider, in words: from real answers on loopback, and from failures that need a network."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from llm_service.bootstrap import build_provider, build_site
from llm_service.domain import LLMServiceError, Secret, UpstreamError
from llm_service.providers import ProviderOptions
from llm_service.runtime import SystemClock
from llm_service.services import Site, diagnose, tried
from llm_service.transport import TransportError
from llm_service.transport.failures import cannot_connect, connect_late, tls_refused
from tests.support.raw_server import read_request, serving
from tests.support.upstream import failed

SITE = Site(base_url="https://api.example.com/v1", usual_url="https://api.example.com/v1", has_key=True)
KEY = "sk-test-0123456789abcdef"


def said(failure: TransportError, site: Site = SITE) -> str:
    error: LLMServiceError = UpstreamError("It failed.")
    error.__cause__ = failure
    told = diagnose(error, site)
    return f"{told.problem} {told.remedy}"


def refused_certificate(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (cannot_connect(socket.gaierror(socket.EAI_NONAME, "Name or service not known")), "name api.example.com"),
        (cannot_connect(ConnectionRefusedError(errno.ECONNREFUSED, "")), "Nothing listens at api.example.com:443"),
        (cannot_connect(OSError(errno.ENETUNREACH, "")), "no way to api.example.com:443"),
        (cannot_connect(OSError(errno.EMFILE, "")), "Too many open files"),
        (connect_late(), "timeouts.connect_s"),
        (tls_refused(refused_certificate(10)), "has expired"),
        (tls_refused(refused_certificate(9)), "not valid yet"),
        (tls_refused(refused_certificate(18)), "self-signed"),
        (tls_refused(refused_certificate(20)), "authority that this machine does not know"),
        (tls_refused(refused_certificate(62)), "not for api.example.com"),
        (tls_refused(refused_certificate(23)), "openssl s_client -connect api.example.com:443"),
        (tls_refused(ssl.SSLError(1, "handshake failure")), "handshake with api.example.com:443"),
        (TransportError("tls", "no TLS", sent=False, reason="no_tls"), "speaks no TLS. Begin `base_url` with http://"),
        (TransportError("disconnected", "closed", sent=True), "closes it without an answer"),
        (TransportError("protocol", "no HTTP", sent=True), "no HTTP server"),
    ],
)
def test_what_fails_below_http_is_told_with_what_to_do(failure: TransportError, words: str) -> None:
    assert words in said(failure)


def answering(status: str, body: str = "{}", kind: str = "application/json") -> Callable[..., object]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()

    return handle


REFUSED_KEY = '{"error": {"message": "Incorrect API key provided: ' + KEY + '", "code": "invalid_api_key"}}'


@pytest.mark.parametrize(
    ("status", "body", "key", "words"),
    [
        ("401 Unauthorized", REFUSED_KEY, KEY, "does not accept the key (status 401)"),
        ("401 Unauthorized", "{}", None, "wants a key, and none is configured"),
        ("402 Payment Required", "{}", KEY, "no money left"),
        ("403 Forbidden", "{}", KEY, "refuses it this (status 403)"),
        ("404 Not Found", "<html>no</html>", KEY, "no /models below `base_url`"),
        ("301 Moved Permanently", "", KEY, "redirect (status 301)"),
        ("429 Too Many Requests", "{}", KEY, "limits the rate"),
        ("503 Service Unavailable", "", KEY, "troubles of its own (status 503)"),
        ("418 I'm a teapot", '{"error": {"message": "{no}"}}', KEY, "refuses the question (status 418)"),
        ("200 OK", "<html>Log in</html>", KEY, "does not speak this API"),
    ],
)
async def test_what_an_upstream_answers_is_told_with_what_to_do(
    status: str, body: str, key: str | None, words: str
) -> None:
    async with AsyncExitStack() as held:
        address = await held.enter_async_context(serving(answering(status, body)))  # type: ignore[arg-type]
        options = ProviderOptions(
            kind="openai_compatible", base_url=f"{address}/v1", api_key=None if key is None else Secret(key)
        )
        provider = build_provider("mine", options, clock=SystemClock(), on_failure=failed)
        held.push_async_callback(provider.aclose)
        trial = await tried(provider, build_site("mine", options), SystemClock())
    assert not trial["ok"]
    assert words in f"{trial['problem']} {trial['remedy']}"
    assert KEY not in str(trial)


async def test_a_port_at_which_nothing_listens_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
    options = ProviderOptions(kind="openai_compatible", base_url=f"http://127.0.0.1:{port}/v1")
    provider = build_provider("mine", options, clock=SystemClock(), on_failure=failed)
    trial = await tried(provider, build_site("mine", options), SystemClock())
    await provider.aclose()
    assert trial["problem"] == f"Nothing listens at 127.0.0.1:{port}: the connection was refused."
