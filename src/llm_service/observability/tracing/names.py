"""Every name of an attribute or metric that goes out by OTLP: ours, and what the conventions call it. The one table.

Generative AI: open-telemetry/semantic-conventions-genai, status Development. ``latest``: as of semantic conventions
1.44 (2026-08); ``stable``: 1.36, which instrumentations keep to that were not asked for the newer ones by
``OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental``. ``None``: that version has nothing of the kind. HTTP,
server, error and service attributes are stable in both.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

Semconv = Literal["stable", "latest"]


def _both(name: str) -> tuple[str, str]:
    return name, name


ATTRIBUTES: Final[Mapping[str, tuple[str | None, str]]] = MappingProxyType(
    {
        # -- a call of a model
        "operation": _both("gen_ai.operation.name"),
        "provider": ("gen_ai.system", "gen_ai.provider.name"),
        "request_model": _both("gen_ai.request.model"),
        "response_model": _both("gen_ai.response.model"),
        "response_id": _both("gen_ai.response.id"),
        "finish_reasons": _both("gen_ai.response.finish_reasons"),
        "time_to_first_chunk": (None, "gen_ai.response.time_to_first_chunk"),
        "stream": (None, "gen_ai.request.stream"),
        "max_tokens": _both("gen_ai.request.max_tokens"),
        "temperature": _both("gen_ai.request.temperature"),
        "top_p": _both("gen_ai.request.top_p"),
        "top_k": _both("gen_ai.request.top_k"),
        "seed": _both("gen_ai.request.seed"),
        "stop_sequences": _both("gen_ai.request.stop_sequences"),
        "frequency_penalty": _both("gen_ai.request.frequency_penalty"),
        "presence_penalty": _both("gen_ai.request.presence_penalty"),
        "choice_count": _both("gen_ai.request.choice.count"),
        "encoding_formats": _both("gen_ai.request.encoding_formats"),
        "dimensions": (None, "gen_ai.embeddings.dimension.count"),
        "output_type": _both("gen_ai.output.type"),
        "api_type": (None, "openai.api.type"),
        "service_tier": ("gen_ai.openai.request.service_tier", "openai.request.service_tier"),
        "input_tokens": _both("gen_ai.usage.input_tokens"),
        "output_tokens": _both("gen_ai.usage.output_tokens"),
        "cached_input_tokens": (None, "gen_ai.usage.cache_read.input_tokens"),
        "reasoning_tokens": (None, "gen_ai.usage.reasoning.output_tokens"),
        "token_type": _both("gen_ai.token.type"),
        # -- what was said, where that is asked for
        "input_messages": (None, "gen_ai.input.messages"),
        "output_messages": (None, "gen_ai.output.messages"),
        "tools": (None, "gen_ai.tool.definitions"),
        # -- HTTP, and where it goes
        "method": _both("http.request.method"),
        "route": _both("http.route"),
        "path": _both("url.path"),
        "scheme": _both("url.scheme"),
        "status_code": _both("http.response.status_code"),
        "resend_count": _both("http.request.resend_count"),
        "server_address": _both("server.address"),
        "server_port": _both("server.port"),
        "error_type": _both("error.type"),
        # -- what no convention has
        "request_id": _both("llm_service.request_id"),
        "stream_id": _both("llm_service.stream_id"),
        "surface": _both("llm_service.surface"),
        "key_id": _both("llm_service.key_id"),
        "asked_model": _both("llm_service.model"),
        "served_by": _both("llm_service.provider"),
        "status": _both("llm_service.status"),
        "error_code": _both("llm_service.error_code"),
        "cache": _both("llm_service.cache"),
        "attempts": _both("llm_service.attempts"),
        "attempt": _both("llm_service.attempt"),
        "attempt_outcome": _both("llm_service.attempt.outcome"),
        "cost_usd": _both("llm_service.cost_usd"),
        "cost_source": _both("llm_service.cost_source"),
        "queue_ms": _both("llm_service.queue_ms"),
    }
)

METRICS: Final[Mapping[str, tuple[str | None, str]]] = MappingProxyType(
    {
        "client_duration": _both("gen_ai.client.operation.duration"),
        "client_tokens": _both("gen_ai.client.token.usage"),
        "client_first_chunk": (None, "gen_ai.client.operation.time_to_first_chunk"),
        "server_duration": _both("gen_ai.server.request.duration"),
        "server_first_token": _both("gen_ai.server.time_to_first_token"),
        "server_per_token": _both("gen_ai.server.time_per_output_token"),
    }
)

OPERATIONS: Final[Mapping[str, str]] = MappingProxyType(
    {"chat": "chat", "completion": "text_completion", "embedding": "embeddings"}
)
PROVIDERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "azure": "azure.ai.openai",
        "deepseek": "deepseek",
        "gemini": "gcp.gemini",
        "groq": "groq",
        "mistral": "mistral_ai",
        "openai": "openai",
        "openrouter": "openrouter",
        "xai": "x_ai",
    }
)
"""By the row of the provider catalogue; for others their name in the configuration stands."""


def provider_name(row: str, name: str) -> str:
    """What the conventions call a provider. ``row``: of the provider catalogue; ``name``: in the configuration."""
    return PROVIDERS.get(row, name)


def names_of(table: Mapping[str, tuple[str | None, str]], semconv: Semconv) -> Mapping[str, str]:
    """The names of that version by our own words, without those that it does not have."""
    column = 0 if semconv == "stable" else 1
    return {word: name for word, columns in table.items() if (name := columns[column]) is not None}
