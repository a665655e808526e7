"""Settings of what the service tells about itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from llm_service.domain import Bounds, Doc

LogLevel = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservabilityOptions:
    """How the service logs."""

    log_format: Annotated[
        Literal["auto", "json", "text"], Doc("`auto`: readable lines on a terminal, JSON lines elsewhere.")
    ] = "auto"
    log_level: Annotated[
        LogLevel, Doc("The least important kind of line that is written; `PATCH /admin/config` changes it at run time.")
    ] = "info"
    log_content: Annotated[
        bool, Doc("The line of each request has its prompt and its answer: personal data, unless you know better.")
    ] = False
    log_content_max_bytes: Annotated[
        int,
        Bounds(at_least=1, at_most=1_048_576),
        Doc("What is longer is cut, prompt and answer each; a mark says so."),
    ] = 8192
    log_file: Annotated[Path | None, Doc("The file that log lines go to; unset: standard error.")] = None
    log_max_bytes: Annotated[
        int, Bounds(at_least=4096), Doc("A log file that would become larger is put aside, and a new one begun.")
    ] = 104_857_600
    log_keep: Annotated[
        int, Bounds(at_least=0, at_most=10_000), Doc("So many log files that were put aside are kept, the newest.")
    ] = 5
    log_compress: Annotated[bool, Doc("Log files that were put aside are compressed (gzip).")] = True
