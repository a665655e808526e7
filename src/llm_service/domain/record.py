"""What the ledger keeps of each admitted request."""

from collections.abc import Mapping
from datetime import datetime

from llm_service.domain.event import OutcomeStatus
from llm_service.domain.fact import fact, fact_in_order
from llm_service.domain.filtering import Verdict
from llm_service.domain.usage import CostSource, Usage


@fact_in_order
class Intent:
    """Written before an upstream is called: what is known of a request that may never be closed by its process.

    Nobody changes one, nor a record; they are not frozen because one of each is made for every request, and freezing
    triples what that costs. Nor are they built of a part that both share: that costs half as much again.

    ``held``: the most that it may use, and what its record will say if the process dies; ``nano_usd`` is zero where no
    price is known. ``at``: aware UTC, when the request came in. ``life``: of the limit store that granted its lease,
    empty where it has none; ``budgets``: the keys of the budgets that the lease stands in. ``cache`` and ``cache_key``:
    as in the record.
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
    cache: str = "bypass"
    cache_key: str | None = None


@fact
class Tried:
    """One call of an upstream, as the record of its request keeps it.

    ``error_code``: why it failed; ``None``: it answered; ``lost``: another one answered first; ``aborted``: nobody
    waited for it any more. ``duration_ms``: until its first content, its failure, or its end. ``nano_usd``: what it
    cost the operator although nobody got its answer, where that is known.
    """

    provider: str
    upstream_model: str
    error_code: str | None = None
    duration_ms: float | None = None
    nano_usd: int = 0


@fact_in_order
class UsageRecord:
    """The one record of an admitted request; a correction is a further one that ``adjusts`` it.

    ``at``: aware UTC, when the request came in. ``nano_usd``: money that was charged; what it rests on says
    ``cost_source``. ``price_date``: the day of the catalogue's price. Durations in milliseconds, ``None`` where the
    request did not get so far; ``overhead_ms`` is our own share. Tokens and money of a correction are differences.

    ``cache``: a `CacheStatus`. ``cache_key``: the first 32 hexadecimal digits of the request's digest, ``None`` where
    it could not be cached. ``saved_nano_usd``: what the answer cost when it was made, where this request got it from
    the cache, or from another request's generation, and paid nothing.

    ``attempts``: calls of upstreams. ``tries``: what each of them was, in the order in which they began; empty where
    the first one answered, or nobody was called; of very many, some in the middle are left out. ``wasted_nano_usd``:
    what they cost the operator without being the answer. No caller is charged with it: it is no part of ``nano_usd``,
    and counts against no budget.

    ``verdicts``: what filters have found in the prompt and in the answer, in the order in which they said so; of very
    many, the last ones are left out.
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
    cache_key: str | None = None
    saved_nano_usd: int = 0
    attempts: int = 1
    tries: tuple[Tried, ...] = ()
    wasted_nano_usd: int = 0
    queue_ms: float | None = None
    first_chunk_ms: float | None = None
    duration_ms: float | None = None
    overhead_ms: float | None = None
    price_date: str | None = None
    adjusts: str | None = None
    verdicts: tuple[Verdict, ...] = ()
