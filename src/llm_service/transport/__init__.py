"""How bytes get to the upstreams and back."""

from llm_service.transport.aiohttp_client import AiohttpTransport
from llm_service.transport.base import Flow, HttpHead, HttpRequest, Receiver, Transport, TransportError

__all__ = ["AiohttpTransport", "Flow", "HttpHead", "HttpRequest", "Receiver", "Transport", "TransportError"]
