"""What the ledger keeps of each admitted request."""

from collections.abc import Mapping
from datetime import datetime

from llm_service.domain.event import OutcomeStatus
from llm_service.domain.fact import fact
from llm_service.domain.usage import CostSource, Usage


@fact
class Intent:
    """Written before an upstream is called: what is known of a request that may never be closed by its process.

    Nobody changes one, nor a record; they are not frozen because one of each is made for every request, and freezing
    triples what that costs. Nor are they built of a part that both share: that costs half as much again.

    ``held``: the most that it may use, and what its record will say if the process dies; ``nano_usd`` is zero where no
    price is known. ``at``: aware UTC, when the request came in. ``life``: of the limit store that granted its lease,
    empty where it has none; ``budgets``: the keys of the budgets that the lease stands in.
    """

    request_id: str
    stream_id: str | None
    at: datetime
    key_id: str
    user: str | None
    tags: Mapping[str, str]
    surface: str
    model: str
    provider: str
    upstream_model: str
    held: Usage
    nano_usd: int
    life: str = ""
    budgets: tuple[str, ...] = ()


@fact
class UsageRecord:
    """The one record of an admitted request; a correction is a further one that ``adjusts`` it.

    ``at``: aware UTC, when the request came in. ``nano_usd``: money that was charged; what it rests on says
    ``cost_source``. ``price_date``: the day of the catalogue's price. Durations in milliseconds, ``None`` where the
    request did not get so far; ``overhead_ms`` is our own share. Tokens and money of a correction are differences.
    """

    request_id: str
    stream_id: str | None
    at: datetime
    key_id: str
    user: str | None
    tags: Mapping[str, str]
    surface: str
    model: str
    provider: str | None
    upstream_model: str | None
    upstream_id: str | None
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    reasoning_tokens: int
    nano_usd: int
    cost_source: CostSource
    status: OutcomeStatus
    error_code: str | None = None
    cache: str = "bypass"
    attempts: int = 1
    queue_ms: float | None = None
    first_chunk_ms: float | None = None
    duration_ms: float | None = None
    overhead_ms: float | None = None
    price_date: str | None = None
    adjusts: str | None = None
