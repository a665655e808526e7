"""Counts every request when it is over: the one listener whose cost each request pays."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final

from llm_service.domain import Lease, Limit, LimitReached, LLMServiceError, UsageRecord, limits_among
from llm_service.observability.facts import Attempted, RequestFinished
from llm_service.observability.metrics import catalog
from llm_service.observability.metrics.cells import Floats
from llm_service.observability.metrics.meters import OTHER, Exemplar, Meters
from llm_service.observability.metrics.metric import Metric

NONE: Final = "none"
"""The label where there is no model, or nobody was asked."""
PARSE: Final = "parse"
"""What comes before the first stage."""
TOTAL: Final = "total"
"""All stages together."""
MOST_BOUND: Final = 4096
"""Combinations of labels whose cells are kept at hand; all are forgotten when there are more."""
TAKEN: Final = frozenset(("hit", "semantic", "coalesced", "stale", "replay"))
"""What the cache did where somebody else's call was the answer."""
WAITED: Final = frozenset(("coalesced", "replay"))
"""Of these, where the time until the answer may be what another request's call took."""
FINISHED_WELL: Final = "ok"
KINDS: Final = ("input", "output", "cached_input", "reasoning")
"""Of tokens; the third is a part of the first, and the fourth of the second."""

_ANSWER_S: Final = catalog.ANSWER_S
_FIRST_CHUNK_S: Final = catalog.FIRST_CHUNK_S
_TOKEN_S: Final = catalog.TOKEN_S
_OVERHEAD_S: Final = catalog.OVERHEAD_S
_SHORTEST_S: Final = catalog.OVERHEAD_S[0]
_QUEUE_S: Final = catalog.QUEUE.bounds
_ANSWER_SUM: Final = len(_ANSWER_S) + 1
_FIRST_CHUNK_SUM: Final = len(_FIRST_CHUNK_S) + 1
_TOKEN_SUM: Final = len(_TOKEN_S) + 1
_OVERHEAD_SUM: Final = len(_OVERHEAD_S) + 1

Knows = Callable[[str], bool]
"""Whether a model has a name that is configured, or is in a catalogue."""


class _Bound:
    """The cells of requests with the same labels; -1: not needed yet, so that no series is there without a figure."""

    __slots__ = (
        "answered", "cost", "duration", "first_chunk", "model", "provider", "requests", "saved", "stream", "taken",
        "token", "tokens",
    )  # fmt: skip

    def __init__(self, model: str, provider: str, requests: int, duration: int) -> None:
        self.model = model
        self.provider = provider
        self.requests = requests
        self.duration = duration
        self.answered = self.first_chunk = self.saved = self.stream = self.taken = self.token = -1
        self.tokens: Sequence[int] = ()
        self.cost: dict[str, int] = {}


class RequestMeter:
    """A listener: one look-up for the labels of a request, then some additions.

    ``knows`` is asked once for each combination of labels: whoever calls may invent names, and what nobody knows is
    counted under the model `other`. ``per_key``: each key has series of its own.
    """

    def __init__(
        self,
        meters: Meters,
        *,
        knows: Knows,
        per_key: bool,
        time: Callable[[], float],
    ) -> None:
        """``time``: seconds since the epoch."""
        self._meters = meters
        self._view: Floats = meters.view
        self._knows = knows
        self._per_key = per_key
        self._time = time
        self._bound: dict[tuple[str, str | None, str | None, str, str], _Bound] = {}
        self._limits: dict[str, int] = {}
        self._counted: dict[tuple[str, ...], int] = {}
        self._parse = meters.cell(catalog.OVERHEAD, (PARSE,))
        self._stages: Sequence[int] = ()
        self._stage_sums: Sequence[int] = ()
        self._total = meters.cell(catalog.OVERHEAD, (TOTAL,))
        self._misses = meters.cell(catalog.CACHE_MISSES, ())

    def name_stages(self, names: Sequence[str]) -> None:
        """The moments in ``RequestFinished.marks`` from now on; the last one is that of the call itself."""
        self._stages = [self._meters.cell(catalog.OVERHEAD, (name,)) for name in names[:-1]]
        self._stage_sums = [cell + _OVERHEAD_SUM for cell in self._stages]

    def request_finished(self, fact: RequestFinished) -> None:
        """Count a request."""
        view, outcome, tries, record = self._view, fact.outcome, fact.tries, fact.record
        status, cache = outcome.status, fact.cache
        labels = (fact.surface, fact.model, fact.provider if tries else None, status, cache)
        bound = self._bound.get(labels) or self._bind(labels)
        view[bound.requests] += 1.0
        if bound.duration >= 0:
            self._lasted(fact, bound)
        if record is not None:
            self._used(record, bound)
        if fact.marks:
            self._overhead(fact)
        if cache == "miss" and record is not None:  # what a limit refuses was not accepted: no miss of the cache's
            view[self._misses] += 1.0
        elif cache in TAKEN:
            self._took(fact, bound)
        if tries:
            self._tried(fact, bound)
        if fact.lease is not None:
            self._met(fact.lease)
        if outcome.error is not None or fact.verdicts:
            self._refused(fact)
        if fact.stream:
            cell = bound.stream
            view[cell if cell >= 0 else self._streamed(bound, status)] += 1.0

    def close(self) -> None:
        """Nothing is kept back."""

    # -- parts of it

    def _lasted(self, fact: RequestFinished, bound: _Bound) -> None:
        """How long it took to the end; of a stream to the first content as well, and how fast it went on."""
        view, record = self._view, fact.record
        duration_s = fact.duration_ms * 0.001
        cell = bound.duration + bisect_left(_ANSWER_S, duration_s)
        view[cell] += 1.0
        view[bound.duration + _ANSWER_SUM] += duration_s
        if fact.trace_id is not None:
            self._remember(cell, fact, duration_s)
        if fact.first_content_ms is None or not fact.stream:  # a whole answer begins when it ends
            return
        first_s = fact.first_content_ms * 0.001
        if bound.first_chunk < 0:
            bound.first_chunk = self._meters.cell(catalog.TIME_TO_FIRST_CHUNK, (bound.model, bound.provider))
        cell = bound.first_chunk + bisect_left(_FIRST_CHUNK_S, first_s)
        view[cell] += 1.0
        view[bound.first_chunk + _FIRST_CHUNK_SUM] += first_s
        if fact.trace_id is not None:
            self._remember(cell, fact, first_s)
        if record is not None and fact.tries and record.output_tokens > 1:
            if bound.token < 0:
                bound.token = self._meters.cell(catalog.TIME_PER_OUTPUT_TOKEN, (bound.model, bound.provider))
            token_s = (duration_s - first_s) / (record.output_tokens - 1)
            view[bound.token + bisect_left(_TOKEN_S, token_s)] += 1.0
            view[bound.token + _TOKEN_SUM] += token_s

    def _remember(self, cell: int, fact: RequestFinished, value: float) -> None:
        """Let the bucket point to the request's trace, unless nobody keeps that one."""
        if fact.trace_id is not None and (fact.trace is None or fact.trace.sampled):
            self._meters.exemplars[cell] = Exemplar(fact.trace_id, value, self._time())

    def _used(self, record: UsageRecord, bound: _Bound) -> None:
        """Tokens and money, as recorded."""
        view, tokens = self._view, bound.tokens
        if not tokens:
            tokens = bound.tokens = self._tokens(bound)
        view[tokens[0]] += record.input_tokens
        view[tokens[1]] += record.output_tokens
        if record.cached_input_tokens:
            view[tokens[2]] += record.cached_input_tokens
        if record.reasoning_tokens:
            view[tokens[3]] += record.reasoning_tokens
        if record.nano_usd:
            source = record.cost_source
            cell = bound.cost.get(source, -1)
            if cell < 0:
                cell = bound.cost[source] = self._meters.cell(catalog.COST, (bound.model, bound.provider, source))
            view[cell] += record.nano_usd * 1e-9
        if self._per_key:
            self._count_key(record)
        if record.wasted_nano_usd:
            self._wasted(record)

    def _wasted(self, record: UsageRecord) -> None:
        for one in record.tries:
            if one.nano_usd:
                self._add(catalog.WASTED, one.provider, amount=one.nano_usd * 1e-9)

    def _overhead(self, fact: RequestFinished) -> None:
        """What each stage took until the next began; the last one until the answer, unless others were waited for."""
        view, marks, stages, shortest_s = self._view, fact.marks, self._stages, _SHORTEST_S
        begun = marks[0]
        took_s = begun - fact.received_at
        cell = self._parse
        view[cell if took_s <= shortest_s else cell + bisect_left(_OVERHEAD_S, took_s)] += 1.0
        view[cell + _OVERHEAD_SUM] += took_s
        for cell, sum_cell, moment in zip(stages, self._stage_sums, marks[1:], strict=False):
            took_s = moment - begun
            begun = moment
            view[cell if took_s <= shortest_s else cell + bisect_left(_OVERHEAD_S, took_s)] += 1.0
            view[sum_cell] += took_s
        if len(marks) <= len(stages):  # nobody was called
            if fact.head_at is None or fact.cache in WAITED:
                return
            cell, took_s = stages[len(marks) - 1], fact.head_at - begun
            begun = fact.head_at
            view[cell + bisect_left(_OVERHEAD_S, took_s)] += 1.0
            view[cell + _OVERHEAD_SUM] += took_s
        took_s = begun - fact.received_at
        view[self._total + bisect_left(_OVERHEAD_S, took_s)] += 1.0
        view[self._total + _OVERHEAD_SUM] += took_s

    def _took(self, fact: RequestFinished, bound: _Bound) -> None:
        """Somebody else's call was the answer."""
        if bound.taken < 0:
            bound.taken = self._meters.cell(catalog.CACHE_HITS, (fact.cache,))
        self._view[bound.taken] += 1.0
        if fact.saved_nano_usd:
            if bound.saved < 0:
                bound.saved = self._meters.cell(catalog.SAVED, (bound.model,))
            self._view[bound.saved] += fact.saved_nano_usd * 1e-9

    def _tried(self, fact: RequestFinished, bound: _Bound) -> None:
        """The calls of upstreams, and what became of the first of them."""
        tries = fact.tries
        if len(tries) == 1 and fact.queue_s is None and tries[0].error_code is None and fact.outcome.error is None:
            cell = bound.answered
            self._view[cell if cell >= 0 else self._answered(bound)] += 1.0
            return
        for one in tries[:-1]:
            self._count_try(one, one.error_code)
        last, code = tries[-1], tries[-1].error_code
        error = fact.outcome.error
        if code is None and error is not None and error.fault == "upstream":
            code = error.code  # it broke off behind its first content
        self._count_try(last, code)
        if fact.queue_s is not None:
            cell = self._cell(catalog.QUEUE, last.candidate.provider)
            self._view[cell + bisect_left(_QUEUE_S, fact.queue_s)] += 1.0
            self._view[cell + len(_QUEUE_S) + 1] += fact.queue_s
        if len(tries) > 1:
            self._beyond_the_first(fact, bound)

    def _beyond_the_first(self, fact: RequestFinished, bound: _Bound) -> None:
        first, codes = fact.tries[0], [one.error_code for one in fact.tries]
        if "lost" in codes:
            self._add(catalog.HEDGES, "won" if codes[0] == "lost" else "lost")
        elif fact.outcome.status == FINISHED_WELL and (
            (fact.provider, fact.upstream_model) != (first.candidate.provider, first.candidate.upstream_model)
        ):
            self._add(catalog.FALLBACKS, bound.model)

    def _count_try(self, one: Attempted, code: str | None) -> None:
        provider = one.candidate.provider
        if code is None:
            self._add(catalog.ATTEMPTS, provider, FINISHED_WELL)
        elif code in ("lost", "aborted"):
            self._add(catalog.ATTEMPTS, provider, code)
        else:
            self._add(catalog.ATTEMPTS, provider, "error" if one.is_fault else "excused")
            self._add(catalog.UPSTREAM_ERRORS, provider, code)

    def _met(self, lease: Lease) -> None:
        """The limits that had room for it."""
        view, cells = self._view, self._limits
        for limit in limits_among(lease.callers):
            view[cells.get(limit.key) or self._admitted(limit)] += 1.0
        for limit in limits_among(lease.provider):
            view[cells.get(limit.key) or self._admitted(limit)] += 1.0

    def _refused(self, fact: RequestFinished) -> None:
        """What filters said, and why it failed, if it did."""
        for one in fact.verdicts:
            self._add(catalog.FILTER_VERDICTS, one.filter, one.type, one.on, one.action)
        if fact.outcome.error is not None:
            self._failed(fact.outcome.error)

    def _failed(self, error: LLMServiceError) -> None:
        self._add(catalog.REQUEST_ERRORS, error.code, error.fault)
        if isinstance(error, LimitReached) and error.limit is not None:
            self._add(catalog.LIMIT_DECISIONS, error.limit.scope, error.limit.kind, "refused")

    def _count_key(self, record: UsageRecord) -> None:
        key_id = record.key_id
        self._add(catalog.KEY_REQUESTS, key_id, record.status)
        for metric, kind, amount in (
            (catalog.KEY_COST, "", record.nano_usd * 1e-9),
            (catalog.KEY_TOKENS, "input", float(record.input_tokens)),
            (catalog.KEY_TOKENS, "output", float(record.output_tokens)),
        ):
            if amount:
                self._add(metric, key_id, *((kind,) if kind else ()), amount=amount)

    # -- cells

    def _bind(self, labels: tuple[str, str | None, str | None, str, str]) -> _Bound:
        """The cells of a combination of labels; one with a model that nobody knows is not kept at hand."""
        surface, asked, provider, status, cache = labels
        if asked is not None and asked != OTHER and not self._knows(asked):
            labels = (surface, OTHER, provider, status, cache)
            if (bound := self._bound.get(labels)) is not None:
                return bound
        model, whom = labels[1] or NONE, provider or NONE
        bound = _Bound(
            model,
            whom,
            self._meters.cell(catalog.REQUESTS, (surface, model, whom, status, cache)),
            self._meters.cell(catalog.REQUEST_DURATION, (model, whom, cache)) if status != "refused" else -1,
        )
        if len(self._bound) >= MOST_BOUND:
            self._bound.clear()
        self._bound[labels] = bound
        return bound

    def _answered(self, bound: _Bound) -> int:
        cell = bound.answered = self._cell(catalog.ATTEMPTS, bound.provider, FINISHED_WELL)
        return cell

    def _streamed(self, bound: _Bound, status: str) -> int:
        cell = bound.stream = self._cell(catalog.STREAMS, status)
        return cell

    def _tokens(self, bound: _Bound) -> Sequence[int]:
        return [self._meters.cell(catalog.TOKENS, (bound.model, bound.provider, kind)) for kind in KINDS]

    def _admitted(self, limit: Limit) -> int:
        if len(self._limits) >= MOST_BOUND:  # each user and each period of a budget has limits of its own
            self._limits.clear()
        cell = self._limits[limit.key] = self._cell(catalog.LIMIT_DECISIONS, limit.scope, limit.kind, "admitted")
        return cell

    def _cell(self, metric: Metric, *labels: str) -> int:
        key = (metric.name, *labels)
        cell = self._counted.get(key, -1)
        if cell < 0:
            if len(self._counted) >= MOST_BOUND:  # there may be any number of keys
                self._counted.clear()
            cell = self._counted[key] = self._meters.cell(metric, labels)
        return cell

    def _add(self, metric: Metric, *labels: str, amount: float = 1.0) -> None:
        self._view[self._cell(metric, *labels)] += amount
