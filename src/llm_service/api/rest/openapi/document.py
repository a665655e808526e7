"""The whole description: what stands above the addresses, the addresses, and what they share."""

from collections.abc import Sequence
from typing import Any, Final

from llm_service.api.rest.openapi.admin import admin_schemas
from llm_service.api.rest.openapi.alerts import alert_schemas
from llm_service.api.rest.openapi.answers import answer_schemas
from llm_service.api.rest.openapi.audit import audit_schemas
from llm_service.api.rest.openapi.cache import cache_schemas
from llm_service.api.rest.openapi.dashboard import dashboard_schemas
from llm_service.api.rest.openapi.explain import explain_schemas
from llm_service.api.rest.openapi.failures import error_responses, error_schemas, error_table
from llm_service.api.rest.openapi.headers import REQUEST_HEADERS, RESPONSE_HEADERS
from llm_service.api.rest.openapi.live import live_schemas
from llm_service.api.rest.openapi.paths import TAGS, paths
from llm_service.api.rest.openapi.providers import provider_schemas
from llm_service.api.rest.openapi.requests import request_schemas
from llm_service.api.rest.openapi.streams import stream_schemas
from llm_service.api.rest.openapi.usage import usage_schemas

_ABOUT: Final = """\
A gateway for large language models that speaks OpenAI's API: point a client at `<this address>/v1`.

**Models** are named `provider/model` (`deepseek/deepseek-flash`), by a name that the operator gave, or by any name of
OpenRouter's catalogue where that is configured. `models` in a body is a list of further models that would do.

**Keys** go into `Authorization: Bearer`, or `x-api-key`. A service that listens on loopback needs none from its own
machine; `local` stands for none where a client insists on one. Issued keys have scopes: `inference` to ask models,
`read` for this description, everybody's usage, figures, events and alerts, `admin` for `/admin`.

**Fields** that the service does not know pass through untouched, to the provider and back. What answers GET answers
HEAD as well. Every response names its request in `x-request-id`.

**WebSocket**: `/v1/ws` carries many generations over one socket; docs/websocket.md describes its frames.

**Errors** have one form, and a stable code for programs:

"""


def openapi_document(version: str, *, page_files: Sequence[str]) -> dict[str, Any]:
    """The description as one JSON object, for this version of the service, with the files of the docs page."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "llm-service",
            "version": version,
            "summary": "One OpenAI-compatible door, many providers behind it.",
            "description": _ABOUT + error_table(),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This service"}],
        "security": [{}, {"bearer": []}, {"apiKey": []}],
        "tags": [{"name": name, "description": said} for name, said in TAGS.items()],
        "paths": paths(page_files),
        "components": {
            "schemas": {
                **request_schemas(),
                **answer_schemas(),
                **stream_schemas(),
                **explain_schemas(),
                **admin_schemas(),
                **cache_schemas(),
                **provider_schemas(),
                **alert_schemas(),
                **audit_schemas(),
                **dashboard_schemas(),
                **usage_schemas(),
                **live_schemas(),
                **error_schemas(),
            },
            "responses": error_responses(),
            "parameters": dict(REQUEST_HEADERS),
            "headers": dict(RESPONSE_HEADERS),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }
