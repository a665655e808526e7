"""The ports to what outlives a request: limits and leases, api keys, the ledger's records, answers, messages.

A method is one whole decision, so that two processes always agree. Every port has an embedded and a shared
implementation behind one conformance suite. All methods raise StoreUnavailable when the store does not answer in time
or cannot do its work; what was asked for may have happened then.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

from llm_service.domain import (
    ApiKey,
    Ask,
    Decision,
    KeptAnswer,
    KeySecret,
    Lease,
    Limit,
    LimitScope,
    LimitState,
    Settlement,
    UsageRecord,
    fact,
)

Reach = Literal["process", "machine", "cluster"]
"""For whom a store's state holds."""


class StoreUnavailable(Exception):
    """A store did not answer in time, or cannot do its work now. The message holds no secret and no address."""


NOT_KNOWN: Final = "the limit store does not know this lease"


class LimitStore(Protocol):
    """Counters and leases. Windows slide: ``amount`` in any 60 s, in buckets of one second, by the store's clock.

    Each call is atomic over all limits that it names, between all processes that share the store.
    """

    reach: Reach

    @property
    def life(self) -> str:
        """Names the store's memory: another one after a restart or a failover, when leases and budgets are lost."""

    async def admit(self, ask: Ask) -> Decision:
        """Take all claims of the callers and of the first candidate with room, or nothing at all."""

    async def swap(self, lease: Lease, ask: Ask) -> Decision:
        """For a fallback: take the first of ``ask.candidates`` with room (``ask.callers`` is empty), then give back
        what ``lease`` holds of its provider. The lease of the result replaces ``lease``; on a refusal that stays.

        Raises StoreUnavailable when the store does not know the lease: then nobody would settle the new part.
        """

    async def settle(self, lease: Lease, settlement: Settlement | None) -> bool:
        """Put what was used in place of what was held, refunds into the second of the grant; ``None`` gives all back.

        Idempotent. False: the store does not know this lease (settled before, or lost with the store's state).
        """

    async def settle_lost(self, holder: str, lease_id: str, settlement: Settlement | None) -> bool:
        """Settle a lease of another, dead holder, or one whose grant was never heard of. Idempotent, as above."""

    async def seed(self, limit: Limit, *, used: int, mark: int) -> None:
        """Say what was spent of a budget (nano-USD) in the ledger's records up to ``mark``; first come, only served."""

    async def add(self, limit: Limit, *, cost: int, mark: int) -> None:
        """Count nano-USD of the ledger's record ``mark`` that no lease here stands for, unless the seed held it.

        Once for each mark. Of a budget that is not known yet it is remembered for the seed, an hour at most.
        """

    def seen(self, limit: Limit) -> int | None:
        """What stood against a limit when this process last heard of it: a guide that costs no round trip."""

    async def read(self, limits: Sequence[Limit]) -> Sequence[LimitState]:
        """Where the limits stand, in their order."""

    async def beat(self) -> int:
        """Say that the holder lives; call every second. How many holders do (itself included)."""

    async def lives(self, holder: str) -> bool:
        """Whether a holder has said lately that it lives."""

    async def reap(self, *, silent_s: float) -> int:
        """Settle the leases of holders that were silent for so long, as if all that was held had been used.

        How many leases that were. What a journal still tells is settled by ``settle_lost`` before, and rightly.
        """

    async def release(self, holder: str) -> int:
        """Give back all that a dead holder still holds: its journal has told all, and knows of no upstream call for it.

        How many leases that were.
        """

    async def aclose(self) -> None:
        """Let go of connections."""


class KeyStore(Protocol):
    """Api keys and their secrets' hashes."""

    async def insert(self, key: ApiKey, secret: KeySecret) -> None:
        """A new key with its first secret."""

    async def find(self, prefix: str) -> tuple[ApiKey, KeySecret] | None:
        """The key and the secret that a presented key's prefix names: one indexed look-up."""

    async def get(self, key_id: str) -> ApiKey | None:
        """One key."""

    async def page(self, *, after: str | None, count: int) -> Sequence[ApiKey]:
        """Keys in the order of their ids, those after ``after``."""

    async def update(self, key: ApiKey) -> bool:
        """Replace a key's fields. False: it is not there, or not at ``key.version - 1`` any more."""

    async def add_secret(self, key: ApiKey, secret: KeySecret, *, others_end_at: datetime) -> bool:
        """A further secret for a key, whose other ones expire then at the latest. False as for ``update``."""

    async def changed_since(self, mark: int) -> tuple[Sequence[str], int]:
        """Ids of the keys that changed after ``mark``, and the mark to ask with next; 0 asks for the mark alone."""


@fact
class ChainLink:
    """A record's place in its writer's hash chain: ``hash`` is over ``previous`` and the record's canonical JSON."""

    writer: str
    seq: int
    previous: str
    hash: str


@fact
class LedgerRow:
    """A record as the ledger holds it. ``mark``: its place in the ledger, in the order of commits; 0 before."""

    record: UsageRecord
    link: ChainLink
    mark: int = 0


UsageGroup = Literal["key", "user", "model", "provider", "tag", "hour", "day", "surface", "status", "cache"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFilter:
    """Which records: ``None`` lets all through. ``since`` is inclusive, ``until`` exclusive, by ``at``."""

    since: datetime | None = None
    until: datetime | None = None
    key_id: str | None = None
    user: str | None = None
    model: str | None = None
    provider: str | None = None
    tag: tuple[str, str] | None = None
    status: str | None = None
    cache: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSum:
    """Sums over the records of one group; ``group`` has a value for each asked-for name. Corrections are included.

    ``hits``: requests whose ``cache`` is one of ``CACHE_HITS``.
    """

    group: Mapping[str, str | None]
    requests: int
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    reasoning_tokens: int
    nano_usd: int
    saved_nano_usd: int
    errors: int
    hits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """The end of a sealed piece of a writer's chain: records ``first_seq`` to ``last_seq``, the last one's hash.

    ``removed``: retention has removed the piece; its head (this row) stays, so that the rest can still be verified.
    """

    writer: str
    first_seq: int
    last_seq: int
    hash: str
    sealed_at: datetime
    removed: bool = False


class LedgerStore(Protocol):
    """The records of all processes, append-only."""

    async def append(self, rows: Sequence[LedgerRow]) -> Sequence[int]:
        """Append what is not there yet (by request id) in one transaction; the marks of all, in their order.

        Commits of all processes happen one after the other, so that marks are in the order of commits. Rollups per
        hour and day grow in the same transaction.
        """

    async def known(self, request_ids: Sequence[str]) -> frozenset[str]:
        """Which of these have a record."""

    async def find(self, request_id: str) -> Sequence[LedgerRow]:
        """The record of a request and its corrections, oldest first; by the upstream's own id as well."""

    async def page(self, which: UsageFilter, *, after: int | None, count: int) -> Sequence[LedgerRow]:
        """Records, newest first (by mark), those before mark ``after``."""

    async def sums(self, which: UsageFilter, *, by: Sequence[UsageGroup]) -> Sequence[UsageSum]:
        """Sums by groups, from the rollups where they can tell, else from the records."""

    async def spent(
        self, scope: LimitScope, subject: str, *, since: datetime | None, until: datetime | None
    ) -> tuple[int, int]:
        """Nano-USD of the records of a scope and subject in a period, and the mark of the newest record seen."""

    async def chain(self, writer: str, *, after_seq: int, count: int) -> Sequence[LedgerRow]:
        """A writer's records in the order of its chain."""

    async def writers(self) -> Sequence[str]:
        """Every writer that has records or seals."""

    async def seals(self, writer: str) -> Sequence[Seal]:
        """A writer's seals in order."""

    async def seal(self, seal: Seal) -> None:
        """Keep a seal; the same one again does nothing."""

    async def remove_sealed(self, *, before: datetime) -> int:
        """Remove the records of whole sealed pieces whose records are all older; seals and rollups stay. How many."""

    async def estimates(self, provider: str, *, since: datetime, count: int) -> Sequence[LedgerRow]:
        """Records of a provider with an upstream id and no correction yet, oldest first, whose cost is an estimate, or
        that used tokens at a price that nobody knew (``none``).
        """


class FactStore(Protocol):
    """Small facts of the deployment by name: the hash key's fingerprint, changes made at run time."""

    async def get(self, name: str) -> str | None:
        """What is kept under a name."""

    async def put_if_absent(self, name: str, value: str) -> str:
        """Keep a value unless there is one; the one that is kept now."""

    async def put(self, name: str, value: str | None) -> None:
        """Keep a value, or nothing."""


@fact
class Replay:
    """What stands under an idempotency key.

    ``begun``: the request that asked holds it, and is to answer; ``running``: the request ``request_id`` of the process
    ``holder`` does; ``kept``: it has answered, with ``answer``; ``other``: the key stands for another request.
    """

    state: Literal["begun", "running", "kept", "other"]
    request_id: str
    holder: str
    answer: bytes | None = None


class ReplayStore(Protocol):
    """Answers under their ``Idempotency-Key``: what is asked again is not paid again.

    ``tenant`` says whose key it is (``key:<id>``): the same one of two tenants is two. A key is held by one request,
    until it keeps an answer or gives up. Each call is atomic between all processes that share the database; moments are
    aware UTC, by the clocks of those who call.
    """

    async def begin(
        self,
        tenant: str,
        idempotency_key: str,
        *,
        fingerprint: bytes,
        request_id: str,
        holder: str,
        now: datetime,
        expires_at: datetime,
    ) -> Replay:
        """Hold a key that nobody holds, or whose time is over; what stands under it otherwise.

        ``fingerprint`` says what is asked: no other bytes ask for the same. ``expires_at`` is later than the request
        can last, for then the key is free. Idempotent: the request that holds the key begins it again.
        """

    async def keep(
        self, tenant: str, idempotency_key: str, *, request_id: str, answer: bytes, expires_at: datetime
    ) -> bool:
        """Keep the answer until then. Idempotent: the first one stays. False: the request does not hold the key."""

    async def give_up(self, tenant: str, idempotency_key: str, *, request_id: str) -> bool:
        """Let the key go: a failure does not burn it. False: the request does not hold it, or has kept an answer."""

    async def take_over(
        self,
        tenant: str,
        idempotency_key: str,
        *,
        from_request_id: str,
        request_id: str,
        holder: str,
        expires_at: datetime,
    ) -> bool:
        """Hold the key in place of a request whose process died, whose fingerprint stays.

        False: that request does not hold it any more, or has kept an answer.
        """

    async def remove_expired(self, now: datetime, count: int) -> int:
        """Remove what expired, the longest ago first, at most ``count`` in one transaction. How many that were."""


class Database(Protocol):
    """The durable store: SQLite in the data directory, or PostgreSQL. Opened with its schema migrated."""

    reach: Reach
    keys: KeyStore
    ledger: LedgerStore
    facts: FactStore
    replays: ReplayStore

    async def ping(self) -> None:
        """Raises StoreUnavailable when it cannot be reached."""

    async def check(self) -> Sequence[str]:
        """What is wrong with the stored data, nothing when it is whole; reads all of it. PostgreSQL checks itself."""

    async def backup(self, path: str) -> None:
        """A consistent copy in a new file. SQLite only; PostgreSQL has tools of its own, and says so."""

    async def aclose(self) -> None:
        """Let go of connections."""


@fact
class CacheLook:
    """What a look-up found. ``epochs``: where the asked-for groups stood then; `put` takes it again."""

    answer: KeptAnswer | None
    epochs: tuple[int, ...]


@fact
class CacheSizes:
    """How full the cache is, in this process (``reach`` of the store says whether there is more)."""

    entries: int
    bytes: int
    max_bytes: int
    evictions: int
    too_large: int


class CacheStore(Protocol):
    """Complete answers by their digest, bounded in bytes.

    Each answer is in ``groups`` (``all``, ``model:<name>``, ``tenant:<name>``, ``tag:<name>=<value>``). A group that is
    purged begins a new epoch, for all processes at once: no look-up that begins afterwards finds an answer of before,
    and no answer whose generation looked the cache up before is kept. `look` and `put` answer at once where they need
    not wait, and something to await otherwise.

    They never raise: an answer that cannot be had is not there, and one that cannot be kept is not. What administers
    the cache raises StoreUnavailable.
    """

    reach: Reach

    def look(self, digest: bytes, groups: Sequence[str]) -> CacheLook | Awaitable[CacheLook]:
        """The answer, if there is one whose own digest is this one, fresh or stale."""

    def put(self, answer: KeptAnswer, groups: Sequence[str], epochs: tuple[int, ...]) -> bool | Awaitable[bool]:
        """Keep an answer. False: it is too large, or one of the groups was purged since the look-up."""

    async def remove(self, digest: bytes) -> int:
        """Forget one answer. How many there were: 0 or 1."""

    async def purge(self, group: str, *, stored_before: float | None = None) -> int:
        """Forget the answers of a group, or those of it that are older (Unix seconds). How many there were."""

    async def sizes(self) -> CacheSizes:
        """How full it is."""

    async def aclose(self) -> None:
        """Let go of what it holds."""


@fact
class LogPart:
    """News of a log: its next events, from number ``first_seq`` on. ``head``, ``end``: empty where there is no news."""

    log_id: str
    first_seq: int
    events: Sequence[bytes]
    head: bytes = b""
    end: bytes = b""


@fact
class LogRead:
    """What a log has. ``holder``: the process that writes it, empty where there is no such log.

    ``head`` and ``end`` are empty as long as they are not known; ``cut``: later events are missing.
    """

    holder: str
    head: bytes
    end: bytes
    cut: bool
    events: Sequence[bytes]


@fact
class Flight:
    """A generation that answers all requests of a digest. ``as_events``: its log tells it while it comes.

    Without it the answer is there when the flight is over: it is kept then, or there is none.
    """

    log_id: str
    holder: str
    as_events: bool


class StreamStore(Protocol):
    """What processes tell each other of running generations: logs of events, streams by their ids, flights.

    A log is bounded in bytes (what is beyond is missing, and it says so) and kept for a while after its end.
    All methods raise StoreUnavailable.
    """

    reach: Reach

    async def append(self, parts: Sequence[LogPart]) -> None:
        """Append to logs, in one round trip. What comes for a log that has ended changes nothing."""

    async def read(self, log_id: str, *, after: int, counts: bool = True) -> LogRead:
        """The next events after that number, a bounded count. ``counts``: whoever reads is a reader for a moment."""

    async def is_read(self, log_id: str) -> bool:
        """Whether somebody read a log a moment ago. If nobody did, its flight is anybody's from now on.

        So nobody follows a generation in the moment in which it is given up.
        """

    async def put_stream(self, stream_id: str, facts: bytes, *, ended: bool) -> None:
        """Keep what a stream's client was told: as long as it may run, or as long as an ended log."""

    async def get_stream(self, stream_id: str) -> bytes | None:
        """The same again."""

    async def claim(
        self, digest: bytes, mine: Flight, *, seen_at: float | None = None, instead_of: Flight | None = None
    ) -> Flight | None:
        """The flight of a digest: this one, unless there is another that is not to be replaced.

        ``None``: an answer has been kept meanwhile, another one than the caller has seen, which was stored at
        ``seen_at``. Whoever is told of another's flight counts for a moment as a reader of its log.
        """

    async def flight(self, digest: bytes) -> Flight | None:
        """The flight of a digest now."""

    async def land(self, digest: bytes, mine: Flight) -> None:
        """The flight is over: its answer is kept, or there is none."""


class Bulletin(Protocol):
    """Short messages to every process that shares the store; at most once, so each reader also has a slower way."""

    async def publish(self, topic: str, text: str) -> None:
        """Tell all, this process included."""

    def listen(self, topic: str, hear: Callable[[str], None]) -> None:
        """Call back with every message on a topic from now on, reconnecting as needed."""

    async def aclose(self) -> None:
        """Hear no more."""


Spent = Callable[[Limit], Awaitable[tuple[int, int]]]
"""What the ledger says was spent of a budget (nano-USD), and up to which mark."""
