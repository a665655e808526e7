"""Every address of the REST surface, in one table."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.rest.docs import DocsRoutes
from llm_service.api.rest.health import HealthRoutes
from llm_service.api.rest.models import ModelRoutes
from llm_service.domain import Body, ModelRequest, chat_request, completion_request, embedding_request

Access = Literal["open", "key"]
Handler = Callable[[Request], Awaitable[Response]]

HOT_ROUTES: Final[Mapping[str, Callable[[Body, int], ModelRequest]]] = MappingProxyType(
    {
        "/v1/chat/completions": chat_request,
        "/v1/completions": completion_request,
        "/v1/embeddings": embedding_request,
    }
)
"""``POST`` only; a trailing slash and the paths without ``/v1`` work too."""

RESERVED_PATHS: Final = frozenset({"/v1/responses", "/v1/messages", "/v1/messages/count_tokens"})


@dataclass(frozen=True, slots=True)
class Route:
    """One address that answers GET and HEAD. ``access``: whether a caller has to be known."""

    path: str
    handler: Handler
    access: Access = "key"


def control_routes(models: ModelRoutes, health: HealthRoutes, docs: DocsRoutes) -> tuple[Route, ...]:
    """The routes beside the hot ones, the first match first."""
    return (
        Route("/v1/models", models.list),
        Route("/v1/models/{id:path}", models.get),
        Route("/models", models.list),
        Route("/models/{id:path}", models.get),
        Route("/health", health.report, "open"),
        Route("/health/live", health.live, "open"),
        Route("/health/liveness", health.live, "open"),
        Route("/health/liveliness", health.live, "open"),
        Route("/healthz", health.live, "open"),
        Route("/health/ready", health.ready, "open"),
        Route("/health/readiness", health.ready, "open"),
        Route("/readyz", health.ready, "open"),
        Route("/", docs.index),
        Route("/docs", docs.page),
        Route("/docs/{name}", docs.file),
        Route("/openapi.json", docs.openapi),
    )
