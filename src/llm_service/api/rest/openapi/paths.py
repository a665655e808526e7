"""Every address with its method, what it takes and what it answers."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from llm_service.api.rest.openapi.admin import TAG as ADMIN
from llm_service.api.rest.openapi.admin import admin_paths
from llm_service.api.rest.openapi.alerts import alert_paths
from llm_service.api.rest.openapi.audit import audit_paths
from llm_service.api.rest.openapi.cache import cache_paths
from llm_service.api.rest.openapi.dashboard import TAG as DASHBOARD
from llm_service.api.rest.openapi.dashboard import dashboard_paths
from llm_service.api.rest.openapi.examples import CHAT, CHAT_STREAM, COMPLETION, COMPLETION_STREAM, EMBEDDING, Examples
from llm_service.api.rest.openapi.explain import explain_paths
from llm_service.api.rest.openapi.headers import ON_ANSWERS, REQUEST_HEADERS
from llm_service.api.rest.openapi.live import live_paths
from llm_service.api.rest.openapi.operations import (
    KEYED_FAILS,
    failures,
    get,
    json_content,
    open_get,
    response,
)
from llm_service.api.rest.openapi.providers import provider_paths
from llm_service.api.rest.openapi.streams import TAG as STREAMS
from llm_service.api.rest.openapi.streams import stream_paths
from llm_service.api.rest.openapi.usage import TAG as USAGE
from llm_service.api.rest.openapi.usage import usage_paths

Json = dict[str, Any]

TAGS: Final[Mapping[str, str]] = {
    "Generate": "Ask a model. A trailing slash and the same paths without `/v1` work too.",
    STREAMS: "Go on with a stream, or end it.",
    "Models": "What can be asked for.",
    USAGE: "What became of a request.",
    ADMIN: "For the admin key, and api keys with the scope `admin`.",
    DASHBOARD: "The pages for operators, and the sessions of their browsers.",
    "Health": "Open to everybody; costs nothing.",
    "Description": "What the service says of itself.",
}
_GENERATE_FAILS: Final = (400, 401, 403, 404, 413, 422, 429, 500, 502, 503, 504)
_STREAM_FORM: Final = """\
Server-sent events, one for each chunk, flushed at once. Each has `id: <stream_id>.<number>`, numbered from 1, and a
chunk as JSON in `data:`. While the provider is silent a comment line (`: keep-alive`) comes every
`server.keep_alive_s` seconds. The last chunk carries an `llm` object (`StreamFacts`); with
`stream_options.include_usage` it is the chunk that tells the usage. `data: [DONE]` ends the stream. A failure after the
head is the last event instead, in the form `StreamError`."""
_ID: Final = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "A name of the list. It may hold slashes, percent-encoded or not.",
    "schema": {"type": "string"},
    "example": "deepseek/deepseek-flash",
}


def paths(page_files: Sequence[str]) -> Json:
    """All addresses. ``page_files``: the names below ``/docs/``."""
    return {
        **_generate(),
        **explain_paths(),
        **stream_paths(),
        **_models(),
        **usage_paths(),
        **admin_paths(),
        **cache_paths(),
        **provider_paths(),
        **live_paths(),
        **alert_paths(),
        **audit_paths(),
        **dashboard_paths(),
        **_health(),
        **_metrics(),
        **_description(page_files),
    }


def _generate() -> Json:
    chat = json_content("ChatCompletion") | _events(CHAT_STREAM)
    completion = json_content("Completion") | _events(COMPLETION_STREAM)
    return {
        "/v1/chat/completions": _post("chat", "Answer a conversation", takes="ChatRequest", examples=CHAT, gives=chat),
        "/v1/completions": _post(
            "complete", "Continue a text", takes="CompletionRequest", examples=COMPLETION, gives=completion
        ),
        "/v1/embeddings": _post(
            "embed",
            "Turn texts into vectors",
            takes="EmbeddingRequest",
            examples=EMBEDDING,
            gives=json_content("Embeddings"),
        ),
    }


def _models() -> Json:
    paths: Json = {}
    for prefix, suffix, note in (("/v1", "", ""), ("", "Unversioned", " (without /v1)")):
        every = get(f"listModels{suffix}", f"All models{note}", tag="Models", gives=json_content("ModelList"))
        one = get(
            f"getModel{suffix}",
            f"One model{note}",
            tag="Models",
            gives=json_content("Model"),
            fails=(*KEYED_FAILS, 404),
        )
        paths |= {f"{prefix}/models": every, f"{prefix}/models/{{id}}": one | {"parameters": [_ID]}}
    return paths


def _health() -> Json:
    paths = {"/health": open_get("health", "How the process is doing", gives=json_content("HealthReport"))}
    for path in ("/health/live", "/health/liveness", "/health/liveliness", "/healthz"):
        paths[path] = open_get(_id_of("live", path), "Whether the process is up", gives=json_content("Status"))
    for path in ("/health/ready", "/health/readiness", "/readyz"):
        ready = open_get(_id_of("ready", path), "Whether new requests are taken", gives=json_content("Status"))
        ready["get"]["responses"]["503"] = response("It is shutting down.", json_content("Status"))
        paths[path] = ready
    return paths


def _metrics() -> Json:
    text = {"schema": {"type": "string"}}
    operation = get(
        "metrics",
        "Figures of this machine's processes (docs/metrics.md)",
        tag="Health",
        gives={"text/plain": text, "application/openmetrics-text": text},
    )
    return {"/metrics": operation}


def _description(page_files: Sequence[str]) -> Json:
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "enum": [*page_files]}}
    text = {"schema": {"type": "string"}}
    tag = "Description"
    page_file = get(
        "getPageFile",
        "A file of the page",
        tag=tag,
        gives={"text/javascript": text, "text/css": text},
        fails=(*KEYED_FAILS, 404),
    )
    return {
        "/": get("index", "Name, version and links", tag=tag, gives=json_content("Service")),
        "/docs": get("docsPage", "This description as a page", tag=tag, gives={"text/html": text}),
        "/docs/{name}": page_file | {"parameters": [name]},
        "/openapi.json": get(
            "openapi",
            "This description for programs",
            tag=tag,
            gives={"application/json": {"schema": {"type": "object"}}},
        ),
    }


# -- the forms that repeat


def _post(name: str, summary: str, *, takes: str, examples: Examples, gives: Json) -> Json:
    body = {"schema": {"$ref": f"#/components/schemas/{takes}"}, "examples": dict(examples)}
    operation = {
        "operationId": name,
        "summary": summary,
        "tags": ["Generate"],
        "parameters": [{"$ref": f"#/components/parameters/{header}"} for header in REQUEST_HEADERS],
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": {"200": response("The answer.", gives, headers=ON_ANSWERS), **failures(_GENERATE_FAILS)},
    }
    return {"post": operation}


def _events(example: str) -> Json:
    return {"text/event-stream": {"schema": {"type": "string", "description": _STREAM_FORM}, "example": example}}


def _id_of(name: str, path: str) -> str:
    """A name for the operation under each of its addresses."""
    return f"{name}_{path.strip('/').replace('/', '_')}"
