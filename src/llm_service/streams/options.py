"""Settings of the streams: how long they can be resumed, how much is kept for that, and what a hang-up means."""

from dataclasses import dataclass
from typing import Annotated, Literal

from llm_service.domain import Bounds, Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """What becomes of a stream whose reader leaves, and of one that has ended."""

    retention_s: Annotated[
        float,
        Bounds(at_least=0, at_most=86400),
        Doc("How long a stream can still be resumed after its end."),
    ] = 300.0
    max_bytes: Annotated[
        int,
        Bounds(at_least=65_536, at_most=1_073_741_824),
        Doc("Most that is kept of one stream, so that it can be resumed."),
    ] = 8_388_608
    total_bytes: Annotated[
        int,
        Bounds(at_least=0, at_most=1_099_511_627_776),
        Doc("Most that one process keeps of ended streams; those that ended first are forgotten first."),
    ] = 67_108_864
    on_disconnect: Annotated[
        Literal["cancel", "finish"],
        Doc(
            "When the last reader of a stream leaves: `cancel` ends the upstream, `finish` lets the answer run to its "
            "end and keeps it. The api key, and the header `X-LLM-On-Disconnect`, may say otherwise."
        ),
    ] = "cancel"
