"""The way out of an admitted request: what it used and cost, its one record, and its lease."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
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
    fact,
    usd_text,
)
from llm_service.observability import Log
from llm_service.pipeline.base import FREE, Exchange, Try, Watcher, Withheld
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


@fact
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

    __slots__ = ("_accounts", "_exchange", "_meter", "looks", "reply")

    def __init__(self, exchange: Exchange, accounts: Accounts) -> None:
        self.looks = exchange.request.stream
        self.reply: Reply | None = None
        self._exchange = exchange
        self._accounts = accounts
        self._meter: Meter | None = None  # until something is seen

    def see(self, event: Event) -> Event | None:
        """Meter an event on its way."""
        meter = self._meter
        if meter is None:
            meter = self._meter = Meter()
        meter.see(event.raw)
        return event

    def settle(self, outcome: Outcome) -> Awaitable[None] | None:
        """Close the account; at once where it is known what was used, and nothing that is held has to be settled."""
        exchange, usage, at_once = self._exchange, outcome.usage, self._accounts.at_once
        if usage is None or exchange.withheld is not None:
            closing = self._close(outcome)
            return begin(closing) if at_once else closing
        charged = self._charge(outcome, usage)
        if exchange.admitted.held is None:
            return self._keep(outcome, charged)
        if not at_once:
            return self._keep_and_settle(outcome, charged)
        written: Awaitable[None] | None = None
        try:
            written = self._keep(outcome, charged)
        finally:
            if written is None:
                self._settle(charged)
        if written is not None:
            return begin(self._settle_after(written, charged))
        self._tell_overrun(charged)
        return None

    async def _close(self, outcome: Outcome) -> None:
        if self._exchange.withheld is not None:
            outcome = self._with_what_is_withheld(outcome, self._exchange.withheld)
        usage, estimated = outcome.usage, False
        if usage is None:
            usage, estimated = await self._estimate(outcome), True
        await self._keep_and_settle(outcome, self._charge(outcome, usage, estimated=estimated))

    def _keep(self, outcome: Outcome, charged: Charge) -> Awaitable[None] | None:
        self._exchange.record = record = self._record(outcome, charged)
        return self._accounts.ledger.close(record)

    async def _keep_and_settle(self, outcome: Outcome, charged: Charge) -> None:
        try:
            if (written := self._keep(outcome, charged)) is not None:
                await written
        finally:
            if self._exchange.admitted.held is not None:
                await self._settle(charged)
        self._tell_overrun(charged)

    async def _settle_after(self, written: Awaitable[None], charged: Charge) -> None:
        try:
            await written
        finally:
            await self._settle(charged)
        self._tell_overrun(charged)

    def _settle(self, charged: Charge) -> Awaitable[None]:
        """Settle the lease; done when this returns, where that never waits."""
        return self._accounts.admission.settle(self._exchange.admitted, self._settlement(charged))

    def _with_what_is_withheld(self, outcome: Outcome, withheld: Withheld) -> Outcome:
        """What a provider has answered is paid, whoever gets it."""
        if withheld.pieces:
            meter = self._meter = self._meter or Meter()
            for piece in withheld.pieces:
                meter.see(piece)
        told = withheld.outcome
        if told is None or outcome.usage is not None:
            return outcome
        return replace(outcome, usage=told.usage, cost=told.cost, upstream_id=told.upstream_id)

    def _settlement(self, charged: Charge) -> Settlement:
        exchange, usage = self._exchange, charged.usage
        called = bool(exchange.tries)
        if exchange.cache in FREE:
            return Settlement(tokens=0, nano_usd=0, provider=called)
        tokens = usage.input_tokens + usage.output_tokens
        return Settlement(tokens=tokens, nano_usd=charged.nano_usd, provider=called)

    def _tell_overrun(self, charged: Charge) -> None:
        """Say so where a provider counted or billed more than the worst case that a limit granted."""
        admitted, record = self._exchange.admitted, self._exchange.record
        if admitted.size is None or admitted.held is None or record is None:
            return
        tokens, money = charged.usage.input_tokens + charged.usage.output_tokens, charged.nano_usd
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

    def _charge(self, outcome: Outcome, usage: Usage, *, estimated: bool = False) -> Charge:
        """What it is charged with; a request whose price cannot be had still has its record."""
        exchange, accounts = self._exchange, self._accounts
        if exchange.cache in FREE:
            return Charge(usage, 0, "none")
        try:
            price = accounts.price(exchange.candidate) if outcome.cost is None and exchange.tries else None
            return charge(usage, outcome.cost, price, exchange.at, estimated=estimated)
        except Exception as defect:  # noqa: BLE001 - reported
            accounts.report("charge", defect)
            return Charge(usage, 0, "none")

    async def _estimate(self, outcome: Outcome) -> Usage:
        """What was probably used where nobody says: nothing, where the provider refused before it began."""
        exchange, counter, meter = self._exchange, self._accounts.counter, self._meter
        if outcome.status == "ok" and self.reply is not None and self.reply.whole is not None and meter is None:
            meter = Meter()
            meter.see(self.reply.whole)
        elif not exchange.called or (meter is None and not _may_have_begun(outcome)):
            return NO_USAGE
        model = exchange.candidate.upstream_model
        try:
            counter.ready(model)
            return await (meter or Meter()).usage(
                lambda text: counter.text(model, text),
                lambda: counter.prompt(model, exchange.sent),
                input_bytes=exchange.sent.body_bytes,
            )
        except Exception as defect:  # noqa: BLE001 - reported; what cannot be counted still has its record
            self._accounts.report("charge", defect)
            return NO_USAGE

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
                duration_ms=None if one.ended_at is None else _ms(one.begun_at, one.ended_at),
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
        exchange, usage, error = self._exchange, charged.usage, outcome.error
        received_at, head_at, queue_s = exchange.received_at, exchange.head_at, exchange.queue_s
        now, tries, called = self._accounts.clock.monotonic(), self._tries(), exchange.tries
        candidate = exchange.candidate if called else None
        return UsageRecord(  # in the order of the fields: by their names it costs twice as much
            exchange.id,
            exchange.stream_id if exchange.request.stream else None,
            exchange.at,
            exchange.caller.key_id,
            exchange.user,
            exchange.tags,
            exchange.surface,
            exchange.request.model,
            None if candidate is None else candidate.provider,
            None if candidate is None else candidate.upstream_model,
            outcome.upstream_id,
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_input_tokens,
            usage.reasoning_tokens,
            charged.nano_usd,
            charged.cost_source,
            outcome.status,
            None if error is None else error.code,
            exchange.cache,
            exchange.cache_key,
            exchange.saved_nano_usd,
            len(called),  # attempts
            tries,
            sum([one.nano_usd for one in tries]) if tries else 0,  # wasted_nano_usd
            None if queue_s is None else _ms(0.0, queue_s),
            None if head_at is None else _ms(received_at, head_at),  # first_chunk_ms
            _ms(received_at, now),  # duration_ms
            _ms(received_at, called[0].begun_at if called else now),  # overhead_ms
            charged.price_date,
            None,  # adjusts
            tuple(exchange.verdicts),
        )


def intent_of(exchange: Exchange) -> Intent:
    """What the journal says before the upstream of an exchange is called."""
    candidate, admitted = exchange.candidate, exchange.admitted
    held = admitted.held
    return Intent(  # in the order of the fields
        exchange.id,
        exchange.stream_id if exchange.request.stream else None,
        exchange.at,
        exchange.caller.key_id,
        exchange.user,
        exchange.tags,
        exchange.surface,
        exchange.request.model,
        candidate.provider,
        candidate.upstream_model,
        _held(exchange),
        admitted.nano_usd,
        "" if held is None else held.life,
        () if held is None else tuple([limit.key for limit in held.budgets]),
        exchange.cache,
        exchange.cache_key,
    )


def _held(exchange: Exchange) -> Usage:
    """The most that the request may use where a limit asked for it; else what its prompt probably has."""
    size = exchange.admitted.size
    if size is not None:
        return Usage(size.input_tokens, size.output_tokens)
    return Usage(exchange.sent.body_bytes // BYTES_A_TOKEN, 0)


def _may_have_begun(outcome: Outcome) -> bool:
    """Whether a provider that said nothing may have worked, and bill, all the same."""
    return outcome.status == "aborted" or isinstance(outcome.error, UpstreamTimeout)


def _ms(begun: float, ended: float) -> float:
    """Milliseconds, to the microsecond; to round to digits behind the point would cost thrice as much."""
    return round((ended - begun) * 1e6) / 1000
