"""The clients by the names that the settings give them."""

import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from llm_service.runtime import OnFailure
from llm_service.transport.aiohttp_client import AiohttpTransport
from llm_service.transport.base import Transport
from llm_service.transport.http_client import HttpTransport


class MakeTransport(Protocol):
    """Makes a client; call it on the running event loop."""

    def __call__(
        self, *, max_connections: int, on_failure: OnFailure, tls: ssl.SSLContext | None = None
    ) -> Transport: ...


CLIENTS: Final[Mapping[str, MakeTransport]] = MappingProxyType({"own": HttpTransport, "aiohttp": AiohttpTransport})

__all__ = ["CLIENTS", "MakeTransport"]
