"""The doors: every surface through which callers come in."""

from llm_service.api.accepting import Share, Shares
from llm_service.api.acts import Acts
from llm_service.api.calls import Calls
from llm_service.api.client import Lane, Serve
from llm_service.api.connection import Refused
from llm_service.api.dashboard.session import About, SessionRoutes
from llm_service.api.errors import status_of
from llm_service.api.graphql.door import GraphqlDoor
from llm_service.api.graphql.options import GraphqlOptions
from llm_service.api.graphql.parts import GraphqlParts
from llm_service.api.hosted import Hosted
from llm_service.api.http_request import App
from llm_service.api.options import AuthOptions, ServerOptions, TlsOptions, WebSocketOptions
from llm_service.api.rest.alerts import AlertRoutes
from llm_service.api.rest.app import RestApp
from llm_service.api.rest.audit import AuditRoutes
from llm_service.api.rest.cache import CacheRoutes
from llm_service.api.rest.configuration import ConfigRoutes, Reload
from llm_service.api.rest.docs import DocsRoutes
from llm_service.api.rest.explain import ExplainRoutes
from llm_service.api.rest.generate import DoorParts, GenerateDoor
from llm_service.api.rest.health import HealthRoutes
from llm_service.api.rest.keys import KeyRoutes
from llm_service.api.rest.limits import LimitRoutes
from llm_service.api.rest.live import LiveRoutes
from llm_service.api.rest.metrics import MetricsRoutes
from llm_service.api.rest.models import ModelRoutes
from llm_service.api.rest.providers import ProviderRoutes
from llm_service.api.rest.routes import Route, control_routes
from llm_service.api.rest.streams import StreamRoutes
from llm_service.api.rest.usage import UsageRoutes
from llm_service.api.resuming import Resuming
from llm_service.api.server import HttpServer, listen
from llm_service.api.serving import Serving
from llm_service.api.tls import TlsError, tls_context, tls_problems
from llm_service.api.websocket.answering import AnsweringParts
from llm_service.api.websocket.door import SocketDoor
from llm_service.api.websocket.socket import SocketParts
from llm_service.api.websocket.sockets import Sockets
from llm_service.api.whole_response import withdrawn_for_pages

__all__ = [
    "About",
    "Acts",
    "AlertRoutes",
    "AnsweringParts",
    "App",
    "AuditRoutes",
    "AuthOptions",
    "CacheRoutes",
    "Calls",
    "ConfigRoutes",
    "DocsRoutes",
    "DoorParts",
    "ExplainRoutes",
    "GenerateDoor",
    "GraphqlDoor",
    "GraphqlOptions",
    "GraphqlParts",
    "HealthRoutes",
    "Hosted",
    "HttpServer",
    "KeyRoutes",
    "Lane",
    "LimitRoutes",
    "LiveRoutes",
    "MetricsRoutes",
    "ModelRoutes",
    "ProviderRoutes",
    "Refused",
    "Reload",
    "RestApp",
    "Resuming",
    "Route",
    "Serve",
    "ServerOptions",
    "Serving",
    "SessionRoutes",
    "Share",
    "Shares",
    "SocketDoor",
    "SocketParts",
    "Sockets",
    "StreamRoutes",
    "TlsError",
    "TlsOptions",
    "UsageRoutes",
    "WebSocketOptions",
    "control_routes",
    "listen",
    "status_of",
    "tls_context",
    "tls_problems",
    "withdrawn_for_pages",
]
