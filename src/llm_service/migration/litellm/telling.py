"""What LiteLLM tells of requests, and whom: callbacks, logs, alerts."""

from collections.abc import Callable, Mapping
from typing import Final

from llm_service.migration.draft import Draft
from llm_service.migration.litellm.settings import of_section
from llm_service.migration.litellm.values import flag
from llm_service.migration.source import Found

Handler = Callable[[Draft, Found], None]

_LISTS: Final = ("callbacks", "success_callback", "failure_callback", "service_callbacks", "audit_log_callbacks")
_OTLP: Final = (
    "It takes OpenTelemetry: set observability.otlp_endpoint to its address, and otlp_headers for "
    "its key (docs/tracing.md). "
    "Prompts are not in it unless observability.log_content is on."
)
_RECORDS: Final = "Export records: `llm-service usage export`, or GET /admin/usage/export (docs/usage.md)."
_BY_NAME: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        "langfuse langfuse_otel langsmith arize arize_phoenix logfire traceloop braintrust opik weave_otel".split(),
        _OTLP,
    ),
    **dict.fromkeys("datadog datadog_llm_observability dynatrace honeycomb newrelic signoz levo".split(), _OTLP),
    **dict.fromkeys("s3 s3_v2 gcs_bucket azure_storage dynamodb sqs gcs_pubsub aws_sqs".split(), _RECORDS),
    "sentry": "Have the log read (JSON lines, docs/logs.md), or let alerts tell (docs/alerts.md).",
    "generic_api": "Read events as they happen: GET /admin/events (docs/events.md).",
    "webhook": "Give alerts a webhook: notifiers.<name> (docs/notices.md).",
    "slack": "Give alerts a Slack webhook: notifiers.<name> (docs/notices.md).",
    "email": "Give alerts an address: notifiers.<name> (docs/notices.md).",
    "detect_prompt_injection": "Set a filter: {type: prompt_injection} (docs/filters.md).",
    "presidio": "Set a filter: {type: pii} (docs/filters.md).",
    "hide_secrets": "Set a filter: {type: secrets, action: mask} (docs/filters.md).",
    "llamaguard_moderations": "Set a filter: {type: moderation, model: ...} (docs/filters.md).",
    "dynamic_rate_limiter": "Limits are exact for each key: limits.per_key, or those of a key (docs/limits.md).",
    "dynamic_rate_limiter_v3": "Limits are exact for each key: limits.per_key, or those of a key (docs/limits.md).",
}
_CODE: Final = "Code of your own is not loaded. Read events (GET /admin/events) or records (GET /admin/usage) instead."
_OTHER: Final = (
    "Nothing is sent there. Figures are at /metrics, traces go to an OpenTelemetry collector, records are exported."
)


def build_telling(draft: Draft) -> None:
    """Write ``observability`` and ``notifiers``."""
    for name in _LISTS:
        found = of_section(draft, "litellm_settings", name)
        for one in [] if found is None else found.each():
            _callback(draft, one)
    for name, handler in _LOGS.items():
        if (found := of_section(draft, "litellm_settings", name)) is not None:
            handler(draft, found)
    found = of_section(draft, "general_settings", "alerting")
    for one in [] if found is None else found.each():
        _alerting(draft, one)


def _callback(draft: Draft, found: Found) -> None:
    name = found.text() or ""
    if name == "prometheus":
        message = (
            "Figures are at /metrics by themselves, under names of their own, for keys with the scope "
            "read, or for all by observability.metrics_open."
        )
        draft.report.changed(found, "observability", message)
    elif name in ("otel", "opentelemetry"):
        draft.put("observability.otlp_endpoint", "${OTEL_EXPORTER_OTLP_ENDPOINT:-}")
        message = (
            "To the collector that OTEL_EXPORTER_OTLP_ENDPOINT names, by OTLP over HTTP; unset, nothing "
            "is sent. Of one request in ten: observability.trace_sample_ratio."
        )
        draft.report.changed(found, "observability.otlp_endpoint", message)
    else:
        draft.report.lost(found, _BY_NAME.get(name, _CODE if "." in name else _OTHER))


def _verbose(draft: Draft, found: Found) -> None:
    if flag(found):
        draft.put("observability.log_level", "debug")
    draft.report.carried(found, "observability.log_level")


def _json_logs(draft: Draft, found: Found) -> None:
    draft.put("observability.log_format", "json" if flag(found) else "auto")
    draft.report.carried(found, "observability.log_format")


def _no_messages(draft: Draft, found: Found) -> None:
    if flag(found):
        draft.report.carried(found, "observability.log_content", "Prompts and answers are not logged by default.")
    else:
        draft.report.changed(
            found, "observability.log_content", "Prompts and answers are not logged. For that set it to true."
        )


_LOGS: Final[Mapping[str, Handler]] = {
    "set_verbose": _verbose,
    "json_logs": _json_logs,
    "turn_off_message_logging": _no_messages,
}


def _alerting(draft: Draft, found: Found) -> None:
    name = found.text() or ""
    if name == "slack":
        draft.put("notifiers.slack", {"kind": "slack", "webhook_url": draft.variables.refer("SLACK_WEBHOOK_URL")})
        draft.settings.setdefault("alerting", {}).setdefault("notify", []).append("slack")
        message = "The built-in rules tell Slack (docs/alerts.md); they are not LiteLLM's alert types."
        draft.report.changed(found, "notifiers.slack", message)
    elif name == "webhook":
        draft.put("notifiers.webhook", {"kind": "webhook", "url": draft.variables.refer("WEBHOOK_URL")})
        draft.settings.setdefault("alerting", {}).setdefault("notify", []).append("webhook")
        message = "In the form of Alertmanager's webhook, not in LiteLLM's (docs/notices.md)."
        draft.report.changed(found, "notifiers.webhook", message)
    else:
        draft.report.lost(
            found, "Give alerts an address: notifiers.<name>, kind email, slack or webhook (docs/notices.md)."
        )
