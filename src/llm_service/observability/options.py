"""Settings of what the service tells about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from llm_service.domain import HEADER_VALUE, Bounds, Confidential, Doc, HeaderName, Pattern
from llm_service.observability.tracing.names import Semconv

LogLevel = Literal["debug", "info", "warning", "error"]
_ADDRESS = Pattern(
    r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[1-9][0-9]{0,4})?(?:/[!-\"$->@-~]*)?",
    "an http:// or https:// address without credentials, query and fragment",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservabilityOptions:
    """Logs, traces, and figures that are sent or asked for."""

    log_format: Annotated[
        Literal["auto", "json", "text"], Doc("`auto`: readable lines on a terminal, JSON lines elsewhere.")
    ] = "auto"
    log_level: Annotated[
        LogLevel, Doc("The least important kind of line that is written; `PATCH /admin/config` changes it at run time.")
    ] = "info"
    metrics_open: Annotated[
        bool, Doc("`/metrics` answers everybody. Otherwise it takes a key with the scope `read`, or the admin key.")
    ] = False
    metrics_key_label: Annotated[
        bool,
        Doc("Requests, tokens and cost by API key as well (`llm_key_*`): 1000 keys at most have their own."),
    ] = False
    log_content: Annotated[
        bool,
        Doc(
            "Tell what was said: prompts and answers, in the line and the span of each request. They are personal data."
        ),
    ] = False
    log_content_max_bytes: Annotated[
        int,
        Bounds(at_least=1, at_most=1_048_576),
        Doc("Of the texts of a prompt, and of those of an answer: what is longer is cut, and a mark says so."),
    ] = 8192
    log_file: Annotated[Path | None, Doc("The file that log lines go to; unset: standard error.")] = None
    log_max_bytes: Annotated[
        int, Bounds(at_least=4096), Doc("A log file that would become larger is put aside, and a new one begun.")
    ] = 104_857_600
    log_keep: Annotated[
        int, Bounds(at_least=0, at_most=10_000), Doc("So many log files that were put aside are kept, the newest.")
    ] = 5
    log_compress: Annotated[bool, Doc("Log files that were put aside are compressed (gzip).")] = True
    otlp_endpoint: Annotated[
        str | None,
        _ADDRESS,
        Doc(
            "Address of an OpenTelemetry collector (OTLP over HTTP, usually port 4318); `/v1/traces` and `/v1/metrics` "
            "are appended. Unset: nothing is sent."
        ),
    ] = None
    otlp_headers: Annotated[
        Mapping[Annotated[str, HeaderName()], Annotated[str, HEADER_VALUE]],
        Confidential(),
        Doc("Further headers of every request to the collector; the values are treated as secrets."),
    ] = field(default_factory=dict, repr=False)
    otlp_interval_s: Annotated[
        float, Bounds(at_least=0.1, at_most=3600), Doc("Time between two sendings of metrics, and of spans.")
    ] = 10.0
    trace_sample_ratio: Annotated[
        float,
        Bounds(at_least=0, at_most=1),
        Doc("Share of requests that spans are sent of. Where the caller sends a `traceparent`, its decision counts."),
    ] = 0.1
    semconv: Annotated[
        Semconv,
        Doc(
            "Version of OpenTelemetry's generative AI conventions whose names are used: `latest` (1.44), or `stable` "
            "(1.36) for tools that know no other."
        ),
    ] = "latest"
