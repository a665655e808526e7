"""Settings of the ledger: how long records and acts are kept, and when they are safe from a loss of power."""

from dataclasses import dataclass
from typing import Annotated, Literal

from llm_service.domain import Bounds, Doc

Fsync = Literal["interval", "always"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerOptions:
    """How the usage records are kept."""

    retention_days: Annotated[
        int,
        Bounds(at_least=1, at_most=36500),
        Doc("Days that records are kept. Older ones are removed once a day; sums and seals stay."),
    ] = 400
    hourly_retention_days: Annotated[
        int,
        Bounds(at_least=32, at_most=36500),
        Doc("Days for which reports know the hour. Older sums are kept by the day, for ever."),
    ] = 400
    audit_retention_days: Annotated[
        int,
        Bounds(at_least=1, at_most=36500),
        Doc("Days that entries of the audit log are kept: what operators did. Older ones are removed once a day."),
    ] = 400
    fsync: Annotated[
        Fsync,
        Doc(
            "When a record is on the disk itself. `interval`: within 50 ms of the answer; `always`: before its last "
            "byte. A process that dies loses nothing either way."
        ),
    ] = "interval"
    shipping_grace_s: Annotated[
        float,
        Bounds(at_least=0, at_most=86400),
        Doc(
            "How long a process that ends, its requests finished, waits for the database to take the last records. "
            "What it does not take stays in the data directory, for the next process there or `llm-service usage ship`."
        ),
    ] = 5.0
