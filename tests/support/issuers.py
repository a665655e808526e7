"""An issuer of tokens with keys of its own: signs what it is told to, and shows its public keys, also over HTTP."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import PyJWS
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from llm_service.services import IssuerOptions
from tests.support.raw_server import read_request, serving

NAME = "sso"
URL = "https://sso.example.com/realms/acme"
AUDIENCE = "llm-service"
ALICE: Mapping[str, Any] = {"sub": "alice"}


def private_key(algorithm: str, number: int = 0, *, bits: int = 2048) -> Any:
    """One that signs in this way, the same each time; others by other numbers."""
    return _made(algorithm, number, bits)


@cache  # those of RSA take long to make
def _made(algorithm: str, number: int, bits: int) -> Any:
    del number
    if algorithm[:2] in ("RS", "PS"):
        return rsa.generate_private_key(65537, bits)
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    curves = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
    return ec.generate_private_key(curves[algorithm]())


def public_jwk(private: Any, **facts: Any) -> dict[str, Any]:
    public = private.public_key()
    maker: Any = (
        RSAAlgorithm
        if isinstance(private, rsa.RSAPrivateKey)
        else OKPAlgorithm
        if isinstance(private, ed25519.Ed25519PrivateKey)
        else ECAlgorithm
    )
    return {**maker.to_jwk(public, as_dict=True), **facts}


def part(said: Any) -> str:
    """One part of a token."""
    raw = said if isinstance(said, bytes) else said.encode() if isinstance(said, str) else json.dumps(said).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(payload: Any, key: Any, algorithm: str, **header: Any) -> str:
    """A token over this payload, whatever it is."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return PyJWS().encode(raw, key, algorithm=algorithm, headers=header)


@dataclass
class SigningIssuer:
    """``keys``: number of the private key and algorithm by kid. ``now``: Unix seconds, by its clock."""

    url: str = URL
    keys: dict[str, tuple[str, int]] = field(default_factory=lambda: {"k1": ("ES256", 0)})
    now: float = 1_795_000_000.0
    asked: list[str] = field(default_factory=list)
    away: bool = False
    description: dict[str, Any] = field(default_factory=dict)

    def options(self, **changed: Any) -> IssuerOptions:
        usual: dict[str, Any] = {"name": NAME, "issuer": self.url, "audience": (AUDIENCE,), "scopes": ("inference",)}
        return IssuerOptions(**{**usual, **changed})

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Those of a good token; ``None`` leaves one out."""
        usual = {"iss": self.url, "aud": AUDIENCE, **ALICE, "iat": self.now, "exp": self.now + 600}
        return {name: value for name, value in {**usual, **changed}.items() if value is not None}

    def token(self, kid: str = "k1", *, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        algorithm, number = self.keys[kid]
        said = {"kid": kid, **(header or {})}
        return signed(self.claims(**claims), private_key(algorithm, number), algorithm, **said)

    @property
    def jwks(self) -> bytes:
        keys = [public_jwk(private_key(*key), kid=kid, use="sig") for kid, key in self.keys.items()]
        return json.dumps({"keys": keys}).encode()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request over HTTP."""
        path = (await read_request(reader)).split(b" ")[1].decode()
        self.asked.append(path)
        if self.away:
            writer.write(b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        usual = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        body = self.jwks if path.endswith("/keys") else json.dumps({**usual, **self.description}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


@asynccontextmanager
async def issuing(**facts: Any) -> AsyncIterator[SigningIssuer]:
    """An issuer behind an address on loopback."""
    issuer = SigningIssuer(**facts)
    async with serving(issuer.answer) as address:
        issuer.url = address
        yield issuer
