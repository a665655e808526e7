"""The way out of an admitted request: what it used and cost, its one record, and its lease."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from llm_service.admission import Admission
from llm_service.domain import (
    Candidate,
    Event,
    Intent,
    ModelRequest,
    Outcome,
    Reply,
    Settlement,
    Tried,
    UpstreamTimeout,
    Usage,
    UsageRecord,
    usd_text,
)
from llm_service.observability import Log
from llm_service.pipeline.base import Exchange, Try, Watcher, Withheld
from llm_service.prices import NO_USAGE, Charge, Meter, ModelPrice, charge
from llm_service.runtime import Clock, OnFailure, begin

BYTES_A_TOKEN: Final = 4


class Ledger(Protocol):
    """Where records are kept; both methods have written when they return, and raise LedgerUnavailable otherwise."""

    def open(self, intent: Intent) -> None:
        """Say that an upstream is about to be called."""

    def close(self, record: UsageRecord) -> Awaitable[None] | None:
        """Keep the record; something to await where it has to reach the disk first."""


class Counter(Protocol):
    """Counts tokens by a model's vocabulary, or estimates them where there is none."""

    def ready(self, model: str) -> None:
        """Call on the event loop's thread before anything is counted for this model, which may be done in another."""

    def text(self, model: str, text: str) -> int:
        """Tokens of a text."""

    def prompt(self, model: str, request: ModelRequest) -> int:
        """Tokens of a request's prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """What closing an account needs. ``price``: of a deployment, ``None`` where nobody knows.

    ``at_once``: the limits are kept in this process, so that settling a lease never waits. ``report`` hears of
    defects, ``log`` of requests that used more than was set aside for them.
    """

    admission: Admission
    ledger: Ledger
    price: Callable[[Candidate], ModelPrice | None]
    counter: Counter
    clock: Clock
    at_once: bool
    report: OnFailure
    log: Log


class Closing(Watcher):
    """Closes the record, then settles the lease: whoever has the whole answer has a journalled record.

    Streams are metered as they pass, so that one that breaks off, or whose provider tells no usage, is still counted.
    """

    __slots__ = ("_accounts", "_exchange", "_meter", "_seen", "looks", "reply")

    def __init__(self, exchange: Exchange, accounts: Accounts) -> None:
        self.looks = exchange.request.stream
        self.reply: Reply | None = None
        self._exchange = exchange
        self._accounts = accounts
        self._meter = Meter()
        self._seen = False

    def see(self, event: Event) -> Event | None:
        """Meter an event on its way."""
        self._meter.see(event.raw)
        self._seen = True
        return event

    def settle(self, outcome: Outcome) -> Awaitable[None] | None:
        """Close the account."""
        closing = self._close(outcome)
        return begin(closing) if self._accounts.at_once else closing

    async def _close(self, outcome: Outcome) -> None:
        accounts, exchange = self._accounts, self._exchange
        if exchange.withheld is not None:
            outcome = self._with_what_is_withheld(outcome, exchange.withheld)
        try:
            charged = await self._charge(outcome)
        except Exception as defect:  # noqa: BLE001 - reported; and a request without a price still has its record
            accounts.report("charge", defect)
            charged = Charge(usage=outcome.usage or NO_USAGE, nano_usd=0, cost_source="none")
        exchange.record = record = self._record(outcome, charged)
        try:
            if (written := accounts.ledger.close(record)) is not None:
                await written
        finally:
            if exchange.admitted.held is not None:
                await accounts.admission.settle(exchange.admitted, self._settlement(charged))
        self._tell_overrun(record)

    def _with_what_is_withheld(self, outcome: Outcome, withheld: Withheld) -> Outcome:
        """What a provider has answered is paid, whoever gets it."""
        for piece in withheld.pieces:
            self._meter.see(piece)
            self._seen = True
        told = withheld.outcome
        if told is None or outcome.usage is not None:
            return outcome
        return replace(outcome, usage=told.usage, cost=told.cost, upstream_id=told.upstream_id)

    def _settlement(self, charged: Charge) -> Settlement:
        if self._exchange.is_free:
            return Settlement(tokens=0, nano_usd=0, provider=self._exchange.called)
        usage = charged.usage
        tokens = usage.input_tokens + usage.output_tokens
        return Settlement(tokens=tokens, nano_usd=charged.nano_usd, provider=self._exchange.called)

    def _tell_overrun(self, record: UsageRecord) -> None:
        """Say so where a provider counted or billed more than the worst case that a limit granted."""
        admitted = self._exchange.admitted
        if admitted.size is None or admitted.held is None:
            return
        tokens, money = record.input_tokens + record.output_tokens, record.nano_usd
        if tokens > admitted.size.tokens or (money > admitted.nano_usd and admitted.held.budgets):
            self._accounts.log.warning(
                "overrun",
                request_id=record.request_id,
                key_id=record.key_id,
                provider=record.provider,
                upstream_model=record.upstream_model,
                reserved_tokens=admitted.size.tokens,
                used_tokens=tokens,
                reserved_usd=usd_text(admitted.nano_usd),
                cost_usd=usd_text(money),
                cost_source=record.cost_source,
            )

    # -- what it used and cost

    async def _charge(self, outcome: Outcome) -> Charge:
        exchange, accounts = self._exchange, self._accounts
        candidate = exchange.candidate
        usage, estimated = outcome.usage, False
        if usage is None:
            usage, estimated = await self._estimate(outcome, candidate), True
        if exchange.is_free:
            return Charge(usage=usage, nano_usd=0, cost_source="none")
        price = accounts.price(candidate) if outcome.cost is None and exchange.called else None
        return charge(usage, outcome.cost, price, exchange.at, estimated=estimated)

    async def _estimate(self, outcome: Outcome, candidate: Candidate) -> Usage:
        """What was probably used where nobody says: nothing, where the provider refused before it began."""
        exchange, counter = self._exchange, self._accounts.counter
        if outcome.status == "ok" and self.reply is not None and self.reply.whole is not None and not self._seen:
            self._meter.see(self.reply.whole)
        elif not exchange.called or not (self._seen or _may_have_begun(outcome)):
            return NO_USAGE
        model = candidate.upstream_model
        counter.ready(model)
        return await self._meter.usage(
            lambda text: counter.text(model, text),
            lambda: counter.prompt(model, exchange.sent),
            input_bytes=exchange.sent.body_bytes,
        )

    def _tries(self) -> tuple[Tried, ...]:
        """What the attempts were, unless there was one and it answered."""
        tries = self._exchange.tries
        if not tries or (len(tries) == 1 and tries[0].error_code is None):
            return ()
        return tuple(
            Tried(
                provider=one.candidate.provider,
                upstream_model=one.candidate.upstream_model,
                error_code=one.error_code,
                duration_ms=_ms(one.begun_at, one.ended_at),
                nano_usd=one.nano_usd + self._billed(one),
            )
            for one in tries
        )

    def _billed(self, failed: Try) -> int:
        """What a provider bills for an attempt that failed, in nano-USD, where it says so."""
        if failed.usage is None and failed.cost is None:
            return 0
        accounts = self._accounts
        try:
            price = accounts.price(failed.candidate) if failed.cost is None else None
            return charge(failed.usage, failed.cost, price, self._exchange.at).nano_usd
        except Exception as defect:  # noqa: BLE001 - reported; and what cannot be priced has been tried all the same
            accounts.report("charge", defect)
            return 0

    def _record(self, outcome: Outcome, charged: Charge) -> UsageRecord:
        exchange, tries = self._exchange, self._tries()
        now = self._accounts.clock.monotonic()
        candidate = exchange.candidate if exchange.called else None
        usage = charged.usage
        return UsageRecord(
            request_id=exchange.id,
            stream_id=exchange.stream_id if exchange.request.stream else None,
            at=exchange.at,
            key_id=exchange.caller.key_id,
            user=exchange.user,
            tags=exchange.tags,
            surface=exchange.surface,
            model=exchange.request.model,
            provider=candidate.provider if candidate else None,
            upstream_model=candidate.upstream_model if candidate else None,
            upstream_id=outcome.upstream_id,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            nano_usd=charged.nano_usd,
            cost_source=charged.cost_source,
            status=outcome.status,
            error_code=outcome.error.code if outcome.error else None,
            attempts=len(exchange.tries),
            tries=tries,
            wasted_nano_usd=sum(one.nano_usd for one in tries),
            queue_ms=None if exchange.queue_s is None else round(exchange.queue_s * 1000, 3),
            first_chunk_ms=_ms(exchange.received_at, exchange.head_at),
            duration_ms=_ms(exchange.received_at, now),
            overhead_ms=_ms(exchange.received_at, exchange.tries[0].begun_at if exchange.called else now),
            price_date=charged.price_date,
            cache=exchange.cache,
            cache_key=exchange.cache_key,
            saved_nano_usd=exchange.saved_nano_usd,
            verdicts=tuple(exchange.verdicts),
        )


def intent_of(exchange: Exchange) -> Intent:
    """What the journal says before the upstream of an exchange is called."""
    candidate, admitted = exchange.candidate, exchange.admitted
    return Intent(
        request_id=exchange.id,
        stream_id=exchange.stream_id if exchange.request.stream else None,
        at=exchange.at,
        key_id=exchange.caller.key_id,
        user=exchange.user,
        tags=exchange.tags,
        surface=exchange.surface,
        model=exchange.request.model,
        provider=candidate.provider,
        upstream_model=candidate.upstream_model,
        held=_held(exchange),
        nano_usd=admitted.nano_usd,
        life="" if admitted.held is None else admitted.held.life,
        budgets=() if admitted.held is None else tuple(limit.key for limit in admitted.held.budgets),
        cache=exchange.cache,
        cache_key=exchange.cache_key,
    )


def _held(exchange: Exchange) -> Usage:
    """The most that the request may use where a limit asked for it; else what its prompt probably has."""
    size = exchange.admitted.size
    if size is not None:
        return Usage(input_tokens=size.input_tokens, output_tokens=size.output_tokens)
    return Usage(input_tokens=exchange.sent.body_bytes // BYTES_A_TOKEN, output_tokens=0)


def _may_have_begun(outcome: Outcome) -> bool:
    """Whether a provider that said nothing may have worked, and bill, all the same."""
    return outcome.status == "aborted" or isinstance(outcome.error, UpstreamTimeout)


def _ms(begun: float, ended: float | None) -> float | None:
    return None if ended is None else round((ended - begun) * 1000, 3)
