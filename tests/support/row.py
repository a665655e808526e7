"""The row of stages with a provider, a ledger and limits that a test plays, and clients that come, read and leave."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, cast

from llm_service.admission import Admitted, Held, Size
from llm_service.cache import CacheOptions, CachePolicy
from llm_service.domain import (
    ANY_ANSWER,
    CacheControl,
    Caller,
    Cost,
    Intent,
    Lease,
    LLMServiceError,
    ModelRequest,
    Outcome,
    Reply,
    Settlement,
    Usage,
    UsageRecord,
    chat_request,
)
from llm_service.filters import NO_POLICY, Masks, Policy
from llm_service.pipeline import (
    Account,
    Accounts,
    Admit,
    Asking,
    Exchange,
    Moderate,
    Proceed,
    Promises,
    Remember,
    Replay,
    Share,
    Sift,
    Stage,
    Vet,
    compose,
)
from llm_service.pipeline.base import Try
from llm_service.pipeline.replay import PROMISED_S
from llm_service.runtime import DONE, Tally, Tasks
from llm_service.services import Gateway
from llm_service.storage import CacheStore, LimitStore, MemoryCache, StoreUnavailable
from llm_service.streams import Stream, Streams
from tests.support.clock import ManualClock
from tests.support.generations import Reader, ScriptedSource
from tests.support.memory_replays import MemoryReplays
from tests.support.routes import a_route
from tests.support.service import LogLines
from tests.support.waiting import loop_turns

NANO_USD = 500
PAID = Outcome(
    status="ok",
    usage=Usage(input_tokens=10, output_tokens=20),
    cost=Cost(Decimal("0.0000005"), "provider"),
    finish_reason="stop",
    upstream_id="gen_1",
)
HELLO = b'{"choices":[{"index":0,"delta":{"content":"Hello"}}]}'
FINISH = b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
USAGE = b'{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":20}}'
WHOLE = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}'
NOTHING: Mapping[str, Any] = MappingProxyType({})
TURNS = 30
"""More than anything here takes that waits for nobody outside."""


class Call:
    """One call of the provider: the test says how it begins and ends."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.cancelled = False
        self.source: ScriptedSource | None = None
        self.answer: asyncio.Future[ScriptedSource] = asyncio.get_running_loop().create_future()

    def begins(self) -> ScriptedSource:
        """The first chunk of a stream is there."""
        self.source = ScriptedSource()
        self.source.say(HELLO)
        self.answer.set_result(self.source)
        return self.source

    def says_all(self, *, pieces: Sequence[bytes] = (), whole: bytes = WHOLE) -> None:
        """A whole answer, or the rest of a stream that has begun, or all of one; ``pieces``: more of it."""
        if not self.exchange.request.stream:
            self.answer.set_result(ScriptedSource(whole=whole, outcome=PAID))
            return
        source = self.source or self.begins()
        for piece in pieces:
            source.say(piece)
        source.say(FINISH, USAGE, kinds=("finish", "usage"))
        source.finish(PAID)

    def fails(self, error: LLMServiceError) -> None:
        """Before the first chunk."""
        self.answer.set_exception(error)


class Client:
    """One request, by the door's way of treating it."""

    def __init__(self, exchange: Exchange, gateway: Gateway) -> None:
        self.exchange = exchange
        self.reader = Reader(leads=True)  # or not: of the pace it is not asked here
        self.reply: Reply | None = None
        self.error: BaseException | None = None
        self.task = asyncio.get_running_loop().create_task(self._ask(gateway))

    async def _ask(self, gateway: Gateway) -> None:
        try:
            self.reply = await gateway.chat(self.exchange)
        except BaseException as error:  # noqa: BLE001 - the test asks what it was
            self.error = error
            return
        if self.exchange.request.stream:
            self.reader.follow(self.reply)

    async def hang_up(self) -> None:
        """Its client leaves, now."""
        if not self.task.done():
            if not self.exchange.goes_on(self.task):
                self.task.cancel()
        elif not self.reader.ended:
            stays = self.reader.leave()
            self.reader.left = not stays
        await loop_turns(TURNS)

    @property
    def record(self) -> UsageRecord:
        assert self.exchange.record is not None
        return self.exchange.record

    @property
    def whole(self) -> bytes | None:
        return None if self.reply is None else self.reply.whole

    @property
    def has_all(self) -> bool:
        if not self.exchange.request.stream:
            return self.reply is not None
        return [outcome.status for outcome in self.reader.outcomes] == ["ok"] and self.reader.error is None


class World:
    """Ledger, limits and provider in one; what they were told stands in ``told``, in its order."""

    def __init__(
        self,
        *,
        cache: CacheStore | None = None,
        replays: MemoryReplays | None = None,
        options: CacheOptions | None = None,
        streams: Streams | None = None,
        clock: ManualClock | None = None,
        first_id: int = 1,
        promised_s: float = PROMISED_S,
        policy: Policy = NO_POLICY,
        masks: Masks | None = None,
        asking: Asking | None = None,
    ) -> None:
        """``policy``, ``masks``: what screening makes of every request."""
        self.policy = policy
        self.masks = masks
        self.first_id = first_id
        self.clock = clock or ManualClock()
        self.log = LogLines()
        self.defects: list[BaseException] = []
        self.tasks = Tasks(lambda work, failure: self.defects.append(failure))
        self.streams = streams or Streams(self.clock, retention_s=300, total_bytes=1_000_000)
        self.cache = cache or MemoryCache(self.clock, max_bytes=10**7, max_entry_bytes=10**6)
        self.replays = replays or MemoryReplays()
        self.alive = {"proc_1"}
        self.shared_is_away = False
        self.calls: list[Call] = []
        self.clients: list[Client] = []
        self.told: list[tuple[str, Any]] = []
        self.ledger_is_full: LLMServiceError | None = None
        accounts = Accounts(
            admission=cast(Any, self),
            ledger=self,
            price=lambda candidate: None,
            counter=cast(Any, self),
            clock=self.clock,
            at_once=True,
            report=lambda work, defect: self.defects.append(defect),
            log=self.log,
        )
        caching = CachePolicy(
            options or CacheOptions(), ttls_s={}, address=lambda one: (one.provider, "http://p", one.upstream_model)
        )
        self.share = Share(store=self.cache, streams=self.streams, max_bytes=100_000, clock=self.clock)
        promises = Promises(
            store=self.replays,
            streams=self.streams,
            holder="proc_1",
            lives=self.lives,
            retention_s=600,
            clock=self.clock,
            log=self.log,
            tasks=self.tasks,
            promised_s=promised_s,
        )
        self.unsettled = Tally()
        remember = Remember(
            policy=caching,
            store=self.cache,
            streams=self.streams,
            max_entry_bytes=10**6,
            clock=self.clock,
            unsettled=self.unsettled,
        )
        row = compose(
            [
                ("resolve", self.resolve),
                ("remember", remember),
                ("replay", Replay(promises, self.share)),
                ("admit", Admit(accounts)),
                *([] if asking is None else [("moderate", cast(Stage, Moderate(asking)))]),
                ("share", self.share),
                ("account", Account(accounts)),
                *([] if asking is None else [("vet", cast(Stage, Vet(asking)))]),
                ("sift", Sift(clock=self.clock, report=lambda name, defect: self.defects.append(defect))),
            ],
            ("provider", self.call),
            now=self.clock.monotonic,
        )
        self.gateway = Gateway(row=row, tasks=self.tasks, log=self.log, clock=self.clock, ids=cast(Any, self))

    # -- what a test does

    async def ask(
        self,
        *,
        stream: bool = True,
        text: str = "Hi",
        control: CacheControl = ANY_ANSWER,
        finish: bool = False,
        key: str | None = None,
        deadline_s: float | None = None,
        more: Mapping[str, Any] = NOTHING,
    ) -> Client:
        """A client comes with a request, which goes as far as it can. ``more``: fields of its body."""
        number = len(self.clients) + self.first_id
        body = {"model": "p/m", "stream": stream, "messages": [{"role": "user", "content": text}], **more}
        exchange = Exchange(
            id=f"req_{number}",
            stream_id=f"str_{number}",
            surface="rest",
            request=chat_request(body, 60),
            caller=Caller(key_id="key_1", scopes=frozenset()),
            tasks=self.tasks,
            received_at=self.clock.monotonic(),
            deadline=None if deadline_s is None else self.clock.monotonic() + deadline_s,
            control=control,
            finish=finish or key is not None,
            idempotency_key=key,
        )
        if stream:
            exchange.stream = Stream(id=f"str_{number}", request_id=exchange.id, owner="key_1", include_usage=True)
        client = Client(exchange, self.gateway)
        self.clients.append(client)
        await loop_turns(TURNS)
        return client

    async def answered(self, **asked: Any) -> Client:
        """A request that the provider answers at once, if it is asked."""
        before = len(self.calls)
        client = await self.ask(**asked)
        for call in self.calls[before:]:
            call.says_all()
        await loop_turns(TURNS)
        return client

    def of(self, request_id: str, what: str) -> Sequence[Any]:
        """What was told of a request: ``intent``, ``record``, ``settlement``."""
        return [told for kind, told in self.told if kind == f"{what} {request_id}"]

    def check_all_closed(self) -> None:
        """Nobody is owed anything: one record and one settlement each, and nothing is left in flight."""
        for client in self.clients:
            admitted = client.exchange.admitted.held is not None
            assert client.task.done()
            assert client.exchange.watchers == []
            assert len(self.of(client.exchange.id, "settlement")) == int(admitted), client.exchange.id
            assert len(self.of(client.exchange.id, "record")) == int(admitted)
            generation = client.exchange.generation
            assert generation is None or (generation.settled and not generation._readings)
        assert all(count == 1 for count in Counter(kind for kind, _ in self.told).values())
        assert (self.streams.flights, self.streams.running, self.streams.keyed) == ({}, (), {})
        assert self.unsettled.count == 0
        assert self.defects == []
        assert len(self.tasks) == 0

    # -- the parts that are played

    async def resolve(self, exchange: Exchange, proceed: Proceed) -> Reply:
        exchange.route = a_route("p")
        exchange.order = exchange.route.plain
        exchange.policy, exchange.masks = self.policy, self.masks
        return await proceed(exchange)

    async def call(self, exchange: Exchange) -> Reply:
        call = Call(exchange)
        self.calls.append(call)
        exchange.tries.append(Try(exchange.candidate, self.clock.monotonic()))
        try:
            source = await call.answer
        except asyncio.CancelledError:
            call.cancelled = True
            raise
        exchange.head_at = self.clock.monotonic()
        return source

    async def admit(self, request: ModelRequest, *, lease_id: str, **_: Any) -> Admitted:
        lease = Lease(lease_id, callers=[], candidate=0, provider=[], second=0)
        return Admitted(held=Held(lease, cast(LimitStore, object()), "a life"), size=Size(100, 200), nano_usd=9_000)

    async def admit_free(self, request: ModelRequest, *, lease_id: str, **_: Any) -> Admitted:
        lease = Lease(lease_id, callers=[], candidate=-1, provider=[], second=0)
        return Admitted(held=Held(lease, cast(LimitStore, object()), "a life"))

    def settle(self, admitted: Admitted, settlement: Settlement | None) -> Awaitable[None]:
        assert admitted.held is not None
        if settlement is None:
            assert admitted.held.lease.candidate == -1  # a place that was not enough after all
            return DONE
        self.told.append((f"settlement {admitted.held.lease.id}", settlement))
        return DONE

    def open(self, intent: Intent) -> None:
        self.told.append((f"intent {intent.request_id}", intent))

    def close(self, record: UsageRecord) -> Awaitable[None] | None:
        if self.ledger_is_full is not None:
            raise self.ledger_is_full
        self.told.append((f"record {record.request_id}", record))
        return None

    def new(self, prefix: str) -> str:
        return f"{prefix}_anew_{len(self.calls)}"

    async def lives(self, holder: str) -> bool:
        if self.shared_is_away:
            raise StoreUnavailable("away")
        return holder in self.alive

    def ready(self, model: str) -> None:
        """Counts without a vocabulary."""

    def text(self, model: str, text: str) -> int:
        return len(text.split())

    def prompt(self, model: str, request: ModelRequest) -> int:
        return 7
