"""How bytes get to the upstreams and back."""

from llm_service.transport.base import Flow, HttpHead, HttpRequest, Reason, Receiver, Transport, TransportError
from llm_service.transport.http_client import HttpTransport
from llm_service.transport.posting import Posted, ask_once
from llm_service.transport.registry import CLIENTS

__all__ = [
    "CLIENTS",
    "Flow",
    "HttpHead",
    "HttpRequest",
    "HttpTransport",
    "Posted",
    "Reason",
    "Receiver",
    "Transport",
    "TransportError",
    "ask_once",
]
