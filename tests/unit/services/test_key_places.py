"""Where keys of issuers are fetched: a file, or what the settings name, and nothing that others name."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from llm_service.services import KeyAddress, KeyFile
from llm_service.services.issuers.base import KeysAway
from llm_service.transport import HttpTransport
from tests.support.issuers import SigningIssuer, issuing
from tests.support.raw_server import serving
from tests.support.upstream import failed, saying


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    transport = HttpTransport(max_connections=1, on_failure=failed)
    yield transport
    await transport.aclose()


def keys_at(transport: HttpTransport, issuer: str, jwks_url: str | None = None) -> KeyAddress:
    return KeyAddress(transport, issuer=issuer, jwks_url=jwks_url, user_agent="llm-service/test")


async def test_keys_are_at_the_address_that_is_named(transport: HttpTransport) -> None:
    async with issuing() as issuer:
        assert await keys_at(transport, "anything", f"{issuer.url}/my/keys").fetch() == issuer.jwks
    assert issuer.asked == ["/my/keys"]


async def test_without_one_at_the_address_that_the_issuer_describes(transport: HttpTransport) -> None:
    async with issuing() as issuer:
        assert await keys_at(transport, issuer.url).fetch() == issuer.jwks
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]


@pytest.mark.parametrize(
    ("described", "cause"),
    [
        ({"issuer": "https://evil.example"}, "another issuer"),
        ({"issuer": None}, "another issuer"),
        ({"jwks_uri": None}, "names no address"),
        ({"jwks_uri": "file:///etc/passwd"}, "names no address"),
        ({"jwks_uri": "/keys"}, "names no address"),
        ({"jwks_uri": "http://user:word@127.0.0.1/keys"}, "names no address"),
        ({"jwks_uri": "http://[::1/keys"}, "names no address"),
        ({"jwks_uri": "http://127.0.0.1:1/keys"}, "another host"),
        ({"jwks_uri": "http://169.254.169.254/keys"}, "another host"),
        ({"jwks_uri": "https://127.0.0.1/keys"}, "another host"),
    ],
    ids=str,
)
async def test_a_description_leads_nowhere_but_to_the_same_host(
    transport: HttpTransport, described: dict[str, Any], cause: str
) -> None:
    async with issuing(description=described) as issuer:
        with pytest.raises(KeysAway, match=cause):
            await keys_at(transport, issuer.url).fetch()
    assert issuer.asked == ["/.well-known/openid-configuration"]


async def test_a_redirect_is_not_followed(transport: HttpTransport) -> None:
    async with issuing() as issuer:
        answer = b"HTTP/1.1 302 Found\r\nLocation: %b/keys\r\nContent-Length: 0\r\n\r\n" % issuer.url.encode()
        async with serving(saying(answer)) as address:
            with pytest.raises(KeysAway, match="status 302"):
                await keys_at(transport, issuer.url, f"{address}/keys").fetch()
    assert issuer.asked == []


async def test_an_issuer_that_is_away_is_said_to_be(transport: HttpTransport) -> None:
    issuer = SigningIssuer()
    async with serving(issuer.answer) as address:
        issuer.away = True
        with pytest.raises(KeysAway, match="status 503"):
            await keys_at(transport, address).fetch()
    with pytest.raises(KeysAway):
        await keys_at(transport, address).fetch()


async def test_keys_may_be_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(SigningIssuer().jwks)
    assert await KeyFile(path).fetch() == SigningIssuer().jwks
    with pytest.raises(KeysAway, match="cannot be read"):
        await KeyFile(tmp_path / "missing").fetch()
