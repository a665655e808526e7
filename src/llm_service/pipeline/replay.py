"""Stage: a request that comes again under its ``Idempotency-Key`` gets the answer of the first time, unpaid."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Final, Literal, TypeVar

from llm_service.cache import digest_of
from llm_service.domain import (
    LARGE_BYTES,
    DeadlineExceeded,
    IdempotencyKeyReused,
    InvalidValue,
    LedgerUnavailable,
    Outcome,
    Reply,
    fact,
)
from llm_service.observability import Log
from llm_service.pipeline.answer import answer_of
from llm_service.pipeline.base import Exchange, Passing, Proceed, Watcher
from llm_service.pipeline.letting_go import TRY_S, LettingGo
from llm_service.pipeline.share import Share
from llm_service.runtime import Clock, Tasks
from llm_service.storage import Replay as Promise
from llm_service.storage import ReplayStore, StoreUnavailable, aside, packed, unpacked
from llm_service.streams import Streams

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of a larger answer it is only kept that there was one."""
TIMES_PACKED: Final = 8
"""About how much larger than its packed bytes an answer is."""
LOOK_S: Final = 0.05
"""How soon one asks again for an answer that another process is about to give; each time twice as long after."""
MOST_LOOK_S: Final = 0.25
NOT_KEPT: Final = b""
"""In place of an answer that was given and cannot be kept."""
TRYING_S: Final = 300.0
"""How long one tries to give an answer to a database that is away; then the key is let go."""
PROMISED_S: Final = 3600.0
"""Longer than a request lasts, unless the settings allow longer ones."""

KeyState = Literal["new", "running", "kept"]
"""Of an ``Idempotency-Key``: whoever comes with it is to answer itself, waits for an answer, or gets one of before."""

T = TypeVar("T")


@fact
class Promises:
    """What repeated answers need. ``holder`` names this process; ``lives`` says whether a process still does.

    ``tasks``: whose it is to go on with answers that the database could not be told. ``promised_s``: longer than a
    request lasts; so long its key is held without an answer, unless its process is known to be dead.
    """

    store: ReplayStore
    streams: Streams
    holder: str
    lives: Callable[[str], Awaitable[bool]]
    retention_s: float
    clock: Clock
    log: Log
    tasks: Tasks
    promised_s: float = PROMISED_S


class Replay(Passing):
    """Requests without the header pass untouched.

    A request in flight in this process is joined; one in another process is waited for. A failure does not burn the
    key. The request that holds a key goes on when its client leaves, so that the next try finds its answer.
    """

    def __init__(self, promises: Promises, share: Share) -> None:
        self._promises = promises
        self._share = share
        self._keyed = promises.streams.keyed
        self._letting_go = LettingGo(promises.store, clock=promises.clock, tasks=promises.tasks)

    def passes(self, exchange: Exchange, proceed: Proceed) -> Awaitable[Reply] | None:
        """The answer of before, or a new one; with a wait only where there is a key.

        Raises IdempotencyKeyReused, and LedgerUnavailable without a database.
        """
        return None if exchange.idempotency_key is None else self._keyed_call(exchange, proceed)

    async def _keyed_call(self, exchange: Exchange, proceed: Proceed) -> Reply:
        is_large = exchange.request.body_bytes > LARGE_BYTES
        fingerprint = await asyncio.to_thread(fingerprint_of, exchange) if is_large else fingerprint_of(exchange)
        self._keyed[exchange.id] = exchange
        try:
            reply = await self._answered(exchange, fingerprint)
        except BaseException:
            del self._keyed[exchange.id]
            raise
        if reply is not None:
            del self._keyed[exchange.id]
            return reply
        exchange.watchers.append(_Keep(exchange, self._promises, fingerprint, self._letting_go))
        return await proceed(exchange)

    async def _answered(self, exchange: Exchange, fingerprint: bytes) -> Reply | None:
        """The answer of before; ``None`` when the key is this request's, which is to answer itself."""
        look_s = LOOK_S
        while True:
            promise = await self._begin(exchange, fingerprint)
            _check(promise)
            if promise.state == "begun" or await self._takes_over(exchange, promise):
                return None
            if promise.state == "kept":
                return await self._kept(exchange, promise, fingerprint)
            if (reply := await self._joined(exchange, promise, look_s=look_s)) is not None:
                return reply
            look_s = min(look_s * 2, MOST_LOOK_S)

    async def _begin(self, exchange: Exchange, fingerprint: bytes) -> Promise:
        promises = self._promises
        now = promises.clock.now()
        work = promises.store.begin(
            tenant_of(exchange),
            exchange.idempotency_key or "",
            fingerprint=fingerprint,
            request_id=exchange.id,
            holder=promises.holder,
            now=now,
            expires_at=now + timedelta(seconds=promises.promised_s),
        )
        return await self._said(exchange, work)

    async def _takes_over(self, exchange: Exchange, promise: Promise) -> bool:
        """Whether the key is this request's now: the one that held it can answer no more.

        Its process is dead; or it is this one, which knows nothing of it: it could not let the key go when it failed.
        """
        promises = self._promises
        if not await self._is_lost(promise):
            return False
        work = promises.store.take_over(
            tenant_of(exchange),
            exchange.idempotency_key or "",
            from_request_id=promise.request_id,
            request_id=exchange.id,
            holder=promises.holder,
            expires_at=promises.clock.now() + timedelta(seconds=promises.promised_s),
        )
        return await self._said(exchange, work)

    async def _is_lost(self, promise: Promise) -> bool:
        """Whether the request that holds a key can answer no more."""
        if promise.state != "running" or promise.request_id in self._keyed:
            return False
        return promise.holder == self._promises.holder or not await self._lives(promise.holder)

    async def foresee(self, exchange: Exchange) -> KeyState | None:
        """What the request's key would do now; ``None``: it has none. Holds nothing.

        Raises IdempotencyKeyReused, and LedgerUnavailable without a database.
        """
        if exchange.idempotency_key is None:
            return None
        promises = self._promises
        try:
            promise = await promises.store.find(
                tenant_of(exchange),
                exchange.idempotency_key,
                fingerprint=fingerprint_of(exchange),
                now=promises.clock.now(),
            )
        except StoreUnavailable as failure:
            raise _no_database() from failure
        if promise is None or await self._is_lost(promise):
            return "new"
        _check(promise)
        return "kept" if promise.state == "kept" else "running"

    async def _said(self, exchange: Exchange, work: Awaitable[T]) -> T:
        """What the database says. Raises LedgerUnavailable.

        Where it says nothing, the key may be this request's all the same, and nobody may wait for that.
        """
        try:
            return await work
        except BaseException as failure:
            self._letting_go.owe(
                tenant_of(exchange),
                exchange.idempotency_key or "",
                request_id=exchange.id,
                within_s=self._promises.promised_s,
            )
            if isinstance(failure, StoreUnavailable):
                raise _no_database() from failure
            raise

    async def _lives(self, holder: str) -> bool:
        """Whether a process lives: one of which nothing can be known does, for a call would be paid twice."""
        try:
            return await self._promises.lives(holder)
        except StoreUnavailable:
            return True

    async def _kept(self, exchange: Exchange, promise: Promise, fingerprint: bytes) -> Reply:
        found, data = None, promise.answer
        if data is not None:
            work = partial(unpacked, data, digest=fingerprint, max_bytes=MOST_BYTES)
            found = await aside(len(data) * TIMES_PACKED, work)
        if found is None:
            raise LedgerUnavailable("The answer that is kept under this Idempotency-Key cannot be read.")
        return self._share.give(exchange, found[0], "replay")

    async def _joined(self, exchange: Exchange, promise: Promise, *, look_s: float) -> Reply | None:
        """The answer on its way here; ``None`` after ``look_s`` where it is of no use, or on its way elsewhere.

        Raises DeadlineExceeded: nobody waits beyond the request's own deadline.
        """
        deadline, clock = exchange.deadline, self._promises.clock
        try:
            async with asyncio.timeout(None if deadline is None else deadline - clock.monotonic()):
                leader = self._keyed.get(promise.request_id)
                generation = None if leader is None else leader.generation or leader.followed
                reply = None if generation is None else await self._share.join(exchange, generation, "replay")
                if reply is None:  # it failed, or is too old for this one: its key is held until the database knows
                    await clock.sleep(look_s)
                return reply
        except TimeoutError:
            raise DeadlineExceeded("The request's own deadline passed before its answer was complete.") from None


class _Keep(Watcher):
    """Keeps the answer under the key, or lets the key go; later, if the database is away.

    Until an answer is kept, who comes with its key gets it from the generation, which is held as long.
    """

    __slots__ = ("_exchange", "_fingerprint", "_letting_go", "_promises")

    def __init__(self, exchange: Exchange, promises: Promises, fingerprint: bytes, letting_go: LettingGo) -> None:
        self._exchange = exchange
        self._fingerprint = fingerprint
        self._letting_go = letting_go
        self._promises = promises

    def settle(self, outcome: Outcome) -> Awaitable[None] | None:
        return self._keep(outcome)

    async def _keep(self, outcome: Outcome) -> None:
        trying: asyncio.Task[None] | None = None
        try:
            data = await self._packed(outcome)
            if not await self._told(data):
                trying = self._promises.tasks.spawn(self._try_again(data), name="keep an answer")
        finally:
            if trying is None or outcome.status != "ok":
                self._leave()
            else:
                trying.add_done_callback(self._leave)

    def _leave(self, _: object = None) -> None:
        del self._promises.streams.keyed[self._exchange.id]

    async def _told(self, data: bytes | None) -> bool:
        """Keep the answer, or give up where there is none. Whether the database answered."""
        exchange, promises = self._exchange, self._promises
        tenant, key = tenant_of(exchange), exchange.idempotency_key or ""
        try:
            if data is None:
                await promises.store.give_up(tenant, key, request_id=exchange.id)
            else:
                expires_at = promises.clock.now() + timedelta(seconds=promises.retention_s)
                kept = await promises.store.keep(
                    tenant, key, request_id=exchange.id, answer=data, expires_at=expires_at
                )
                if not kept:
                    promises.log.warning("an answer is not kept: its key was lost", request_id=exchange.id)
        except StoreUnavailable as failure:
            promises.log.debug("an answer is not kept yet", request_id=exchange.id, cause=str(failure))
            return False
        return True

    async def _try_again(self, data: bytes | None) -> None:
        clock, told = self._promises.clock, False
        ends_at = clock.monotonic() + TRYING_S
        try:
            while not told and clock.monotonic() < ends_at:
                await clock.sleep(TRY_S)
                told = await self._told(data)
            if not told:
                self._let_go()
        finally:
            if not told:
                self._promises.log.warning("an answer is not kept", request_id=self._exchange.id)

    def _let_go(self) -> None:
        """Other processes must not wait for what this one gives them no more."""
        exchange = self._exchange
        self._letting_go.owe(
            tenant_of(exchange),
            exchange.idempotency_key or "",
            request_id=exchange.id,
            within_s=self._promises.promised_s,
        )

    async def _packed(self, outcome: Outcome) -> bytes | None:
        """What is to be kept; ``None`` when the request failed."""
        if outcome.status != "ok":
            return None
        answer = answer_of(self._exchange, outcome, digest=self._fingerprint, now=self._promises.clock.time())
        data = None
        if answer is not None:
            data = await aside(answer.size, partial(packed, answer, (), max_bytes=MOST_BYTES))
        if data is None:
            self._promises.log.warning("an answer is too large to be kept", request_id=self._exchange.id)
        return NOT_KEPT if data is None else data


def tenant_of(exchange: Exchange) -> str:
    """Whose Idempotency-Keys they are."""
    return f"key:{exchange.caller.key_id}"


def fingerprint_of(exchange: Exchange) -> bytes:
    """What makes two requests under one key the same: operation and body, however they travel.

    Raises InvalidValue for a body that is nested too deeply.
    """
    request = exchange.request
    digest = digest_of(request.operation, request.body, scope="", deployments=())
    if digest is not None:
        return digest
    try:
        # where the cache has no digest: half a surrogate pair, say, or an integer beyond 64 bits
        text = json.dumps((request.operation, request.body), sort_keys=True)
    except RecursionError:
        raise InvalidValue("The body is nested too deeply: 250 levels are passed on.") from None
    return sha256(text.encode()).digest()


def _check(promise: Promise) -> None:
    """Raises IdempotencyKeyReused where what stands under the key is of no use to who comes with it."""
    if promise.state == "other":
        said = "This Idempotency-Key was used with another request: use a new key for a new request."
        raise IdempotencyKeyReused(said, param="Idempotency-Key")
    if promise.state == "kept" and promise.answer == NOT_KEPT:
        raise IdempotencyKeyReused(
            "The request under this Idempotency-Key was answered, and its answer is too large to be kept: use a new"
            " key to have it answered, and paid, again.",
            param="Idempotency-Key",
        )


def _no_database() -> LedgerUnavailable:
    return LedgerUnavailable("The database that keeps what was answered under an Idempotency-Key does not answer.")
