"""The clients by the names that the settings give them."""

import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from llm_service.runtime import OnFailure
from llm_service.transport.base import Transport
from llm_service.transport.http_client import HttpTransport


class MakeTransport(Protocol):
    """Makes a client; call it on the running event loop."""

    def __call__(
        self, *, max_connections: int, on_failure: OnFailure, tls: ssl.SSLContext | None = None
    ) -> Transport: ...


def _aiohttp(*, max_connections: int, on_failure: OnFailure, tls: ssl.SSLContext | None = None) -> Transport:
    """Loads aiohttp only where a provider wants it: it takes 11 MB, and a fifth of the time of a start."""
    from llm_service.transport.aiohttp_client import AiohttpTransport

    return AiohttpTransport(max_connections=max_connections, on_failure=on_failure, tls=tls)


CLIENTS: Final[Mapping[str, MakeTransport]] = MappingProxyType({"own": HttpTransport, "aiohttp": _aiohttp})

__all__ = ["CLIENTS", "MakeTransport"]
