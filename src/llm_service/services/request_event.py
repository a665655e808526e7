"""What is told of a request that has ended: whose it was, who answered, how it went. No prompt, no answer."""

from typing import Any

from llm_service.domain import usd_text
from llm_service.observability import Redaction, RequestFinished
from llm_service.services.usage_fields import verdict_object


def request_data(fact: RequestFinished, redaction: Redaction) -> dict[str, Any]:
    """The facts by name; what is unknown is left out. Durations in milliseconds, money as a decimal text in USD.

    Tokens and money are those of the request's record. What others wrote is redacted, as in the request's line in the
    log: names of models, and what a provider complains of.
    """
    outcome, record, model, upstream_model = fact.outcome, fact.record, fact.model, fact.upstream_model
    data: dict[str, Any] = {
        "request_id": fact.request_id,
        "stream_id": fact.stream_id,
        "surface": fact.surface,
        "key_id": fact.key_id,
        "model": None if model is None else redaction.often(model),
        "provider": fact.provider,
        "upstream_model": None if upstream_model is None else redaction.often(upstream_model),
        "stream": fact.stream,
        "status": outcome.status,
        "cache": fact.cache,
        "duration_ms": round(fact.duration_ms, 2),
        "first_content_ms": None if fact.first_content_ms is None else round(fact.first_content_ms, 2),
        "attempts": fact.attempts,
    }
    if record is not None:
        data["input_tokens"] = record.input_tokens
        data["output_tokens"] = record.output_tokens
        data["cost_usd"] = usd_text(record.nano_usd)
    if fact.verdicts:
        data["verdicts"] = [verdict_object(one) for one in fact.verdicts]
    if outcome.error is not None:
        data["error_code"] = outcome.error.code
        data["error"] = redaction.often(outcome.error.message) if outcome.error.fault != "caller" else None
    return {name: value for name, value in data.items() if value is not None}
