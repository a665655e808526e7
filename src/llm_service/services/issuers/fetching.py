"""Where the keys of issuers are: a file, or an address of the settings, and never one that a token names."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from llm_service.services.issuers.base import KeysAway
from llm_service.transport import HttpRequest, Transport, TransportError, ask_once

FETCH_S: Final = 5.0
"""For each of the two questions at most."""
MOST_BYTES: Final = 64 * 1024
"""Of a key set; what is longer is cut off, and so none."""
_DISCOVERY: Final = "/.well-known/openid-configuration"
_OK: Final = 200
_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}


class KeyFile:
    """Keys in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def fetch(self) -> bytes:
        """Its text. Raises KeysAway."""
        try:
            return await asyncio.to_thread(read_key_file, self._path)
        except OSError as error:
            raise KeysAway(f"the file cannot be read: {error.strerror or error}") from error


class KeyAddress:
    """Keys behind an address; without ``jwks_url`` behind the one that the issuer's own description names.

    That one has to be of the issuer's scheme, host and port: what is fetched stays where the operator has pointed.
    OpenID Connect Discovery 1.0, 4. No redirect is followed.
    """

    def __init__(self, transport: Transport, *, issuer: str, jwks_url: str | None, user_agent: str) -> None:
        self._transport = transport
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._headers = {"accept": "application/json", "user-agent": user_agent}

    async def fetch(self) -> bytes:
        """The text of the key set, in twice ``FETCH_S`` at most. Raises KeysAway."""
        return await self._get(self._jwks_url or await self._discovered())

    async def _discovered(self) -> str:
        said = _json(await self._get(discovery_url(self._issuer)))
        if not isinstance(said, dict) or said.get("issuer") != self._issuer:
            raise KeysAway("its description is that of another issuer: 'issuer' must be the same to the letter")
        url = said.get("jwks_uri")
        if not isinstance(url, str) or not (place := _place_of(url)):
            raise KeysAway("its description names no address of keys ('jwks_uri')")
        if place != _place_of(self._issuer):
            raise KeysAway("its description names keys at another host: if they are its own, name them by 'jwks_url'")
        return url

    async def _get(self, url: str) -> bytes:
        request = HttpRequest(method="GET", url=url, headers=self._headers, connect_s=FETCH_S)
        try:
            answer = await ask_once(self._transport, request, within_s=FETCH_S)
        except TransportError as error:
            raise KeysAway(str(error)) from error
        except TimeoutError:
            raise KeysAway(f"it does not answer within {FETCH_S:g} s") from None
        except ValueError as error:  # an address that no request can be sent to
            raise KeysAway("its address of keys makes no sense") from error
        if answer.status != _OK:
            raise KeysAway(f"it answers with status {answer.status}")
        return answer.body


def discovery_url(issuer: str) -> str:
    """Where an issuer describes itself."""
    return issuer.rstrip("/") + _DISCOVERY


def read_key_file(path: Path) -> bytes:
    """The text of a file of keys. Raises OSError."""
    with path.open("rb") as file:
        return file.read(MOST_BYTES)


def _json(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise KeysAway("its description is no JSON") from None


def _place_of(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an address; ``None`` of what is none, or has credentials."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc or not url.isprintable():
            return None
        return parts.scheme, parts.hostname.lower(), parts.port or _PORTS[parts.scheme]
    except ValueError:
        return None
