"""Settings of what the service tells about itself."""

from dataclasses import dataclass
from typing import Annotated, Literal

from llm_service.domain import Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservabilityOptions:
    """How the service logs."""

    log_format: Annotated[
        Literal["auto", "json", "text"], Doc("`auto`: readable lines on a terminal, JSON lines elsewhere.")
    ] = "auto"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Doc("The least important kind of line that is written.")
    ] = "info"
