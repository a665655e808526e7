"""What is told of a request that has ended: whose it was, who answered, how it went. No prompt, no answer."""

from typing import Any

from llm_service.observability import RequestFinished


def request_data(fact: RequestFinished) -> dict[str, Any]:
    """The facts by name; what is unknown is left out. Durations in milliseconds, money as a decimal text in USD."""
    outcome = fact.outcome
    data: dict[str, Any] = {
        "request_id": fact.request_id,
        "stream_id": fact.stream_id,
        "surface": fact.surface,
        "key_id": fact.key_id,
        "model": fact.model,
        "provider": fact.provider,
        "upstream_model": fact.upstream_model,
        "stream": fact.stream,
        "status": outcome.status,
        "duration_ms": round(fact.duration_ms, 2),
        "first_content_ms": None if fact.first_content_ms is None else round(fact.first_content_ms, 2),
        "attempts": fact.attempts,
    }
    if outcome.usage is not None:
        data["input_tokens"] = outcome.usage.input_tokens
        data["output_tokens"] = outcome.usage.output_tokens
    if outcome.cost is not None:
        data["cost_usd"] = str(outcome.cost.usd)
    if outcome.error is not None:
        data["error_code"] = outcome.error.code
        data["error"] = outcome.error.message if outcome.error.fault != "caller" else None
    return {name: value for name, value in data.items() if value is not None}
