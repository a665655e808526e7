"""OpenRouter's records: the calling key, credits, providers, and what a generation cost."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from typing import Final

from llm_service.sandbox.dialects.openrouter_models import PROVIDERS, Model
from llm_service.sandbox.journal import OPEN, Entry
from llm_service.sandbox.messages import Ending, Json
from llm_service.sandbox.money import json_number

MAX_GENERATIONS: Final = 20_000


class Generations:
    """Records of generations by id; each can be seen from a given moment on."""

    def __init__(self) -> None:
        self._records: OrderedDict[str, tuple[Entry, Model, str, float]] = OrderedDict()

    def keep(self, entry: Entry, *, model: Model, provider: str, visible_at: float) -> None:
        """Take a generation in; old ones make room."""
        self._records[entry.upstream_id] = (entry, model, provider, visible_at)
        if len(self._records) > MAX_GENERATIONS:
            self._records.popitem(last=False)

    def record(self, generation_id: str, at: float) -> Json | None:
        """The record, once it can be seen; while the answer is on its way there is none."""
        kept = self._records.get(generation_id)
        if kept is None or kept[0].state == OPEN or at < kept[3]:
            return None
        entry, model, provider, _ = kept
        headers = entry.request.headers
        finish = "stop" if entry.state == Ending.COMPLETED.value else None
        return {
            "id": generation_id,
            "api_type": "completions",
            "cancelled": entry.state == Ending.CANCELLED.value,
            "created_at": datetime.fromtimestamp(entry.at, UTC).isoformat(),
            "data_region": "global",
            "finish_reason": finish,
            "native_finish_reason": None if finish is None else model.native(finish),
            "generation_time": int(((entry.ended_at or entry.at) - entry.at) * 1000),
            "latency": 10,
            "is_byok": False,
            "model": model.served_as or model.id,
            "provider_name": PROVIDERS[provider],
            "streamed": entry.stream,
            "native_tokens_prompt": entry.input_tokens,
            "native_tokens_completion": entry.output_tokens,
            "native_tokens_reasoning": min(entry.reasoning_tokens, entry.output_tokens),
            "native_tokens_cached": entry.cached_tokens,
            "tokens_prompt": entry.input_tokens,
            "tokens_completion": entry.output_tokens,
            "total_cost": json_number(entry.cost_usd),
            "usage": json_number(entry.cost_usd),
            "upstream_inference_cost": json_number(entry.cost_usd),
            "cache_discount": None,
            "service_tier": "default",
            "router": None,
            "provider_responses": None,
            "session_id": headers.get("x-session-id"),
            "http_referer": headers.get("http-referer"),
            "user_agent": headers.get("user-agent"),
            "num_fetches": 0,
            "num_media_prompt": 0,
            "num_media_completion": 0,
            "num_search_results": 0,
            "upstream_id": f"chatcmpl-{generation_id[-20:]}",
        }


def key_record(key: str) -> Json:
    """The `data` of `GET /key`."""
    return {
        "label": f"{key[:12]}...{key[-4:]}",
        "limit": 100,
        "limit_remaining": 74.5,
        "limit_reset": "monthly",
        "include_byok_in_limit": False,
        "usage": 25.5,
        "usage_daily": 1.2,
        "usage_weekly": 5.1,
        "usage_monthly": 25.5,
        "byok_usage": 0,
        "byok_usage_daily": 0,
        "byok_usage_weekly": 0,
        "byok_usage_monthly": 0,
        "is_free_tier": False,
        "is_management_key": key.startswith("sk-or-mgmt"),
        "is_provisioning_key": False,
        "expires_at": None,
        "creator_user_id": "user_SANDBOX",
        "rate_limit": {"requests": -1, "interval": "10s", "note": "This field is deprecated and safe to ignore."},
    }


def provider_records() -> list[Json]:
    """The `data` of `GET /providers`."""
    return [
        {
            "name": name,
            "slug": slug,
            "privacy_policy_url": f"https://{slug}.example/privacy",
            "terms_of_service_url": f"https://{slug}.example/terms",
            "status_page_url": None,
            "headquarters": "US",
            "datacenters": ["US"],
        }
        for slug, name in PROVIDERS.items()
    ]


def endpoint_records(model: Model) -> Json:
    """The `data` of `GET /models/{author}/{slug}/endpoints`."""
    endpoints = [
        {
            "name": f"{PROVIDERS[slug]} | {model.id}",
            "model_id": model.id,
            "model_name": model.name,
            "context_length": model.context_length,
            "pricing": {**model.pricing(), "discount": 0},
            "provider_name": PROVIDERS[slug],
            "tag": slug,
            "quantization": None,
            "max_completion_tokens": model.max_output,
            "max_prompt_tokens": None,
            "supported_parameters": model.parameters.split(),
            "supports_implicit_caching": model.cache_read is not None,
            "status": 0,
            "uptime_last_5m": 100,
            "uptime_last_30m": 99.97,
            "uptime_last_1d": 99.91,
            "latency_last_30m": {"p50": 412, "p75": 590, "p90": 870, "p99": 2400},
            "throughput_last_30m": {"p50": 88, "p75": 74, "p90": 55, "p99": 21},
        }
        for slug in model.providers
    ]
    described = {name: model.listed()[name] for name in ("id", "name", "created", "description", "architecture")}
    return {**described, "endpoints": endpoints}
