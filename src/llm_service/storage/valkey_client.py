"""The connection to a Valkey or Redis server, sentinel set or cluster: bounded in time and number, with a breaker."""

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final, TypeVar

from llm_service.domain import fact
from llm_service.runtime import Clock, OnFailure, Patience, Tasks
from llm_service.storage.ports import StoreUnavailable
from llm_service.storage.valkey_address import AddressError, Endpoint, StoreAddress
from llm_service.storage.valkey_causes import OTHER_MEMORY, Unfit, cause_of, code_of, is_from_store, is_outage, words_of
from llm_service.storage.valkey_memory import Guarded, Memory, guarded, open_memory
from llm_service.storage.valkey_pool import Pool
from llm_service.storage.valkey_topology import locator_of
from llm_service.storage.valkey_wire import Wire, Word, load_library, open_wire, tls_context

_PROBE_EVERY_S: Final = 0.25
_PROBE_JITTER: Final = 0.2
_PROBE_DEADLINE_S: Final = 0.5

T = TypeVar("T")


@fact
class StoreState:
    """How the shared store is, for /health: since when, why not, and what an operator should change."""

    up: bool
    since: datetime
    cause: str | None = None
    warning: str | None = None


class ValkeyClient:
    """Runs scripts (ScriptRunner) and publishes. Call `start` once, in the event loop that uses it.

    The store has ``deadline_s`` to answer, and as long to be connected to; our own busyness does not count (Patience).
    Its first failure takes it down: calls then fail at once, until a probe in the background (at once, then every
    0.25 s) finds the server that holds our keys, writable and answering within the deadline. Who waits for one of
    ``max_connections`` waits for as long as the store answers the others: that we ask for much is no outage, and
    limits that each process kept by itself meanwhile would not be exact. A script is never sent twice, but for
    NOSCRIPT. All keys must carry the hash tag ``{adm}``; the client's own is ``<prefix>{adm}:life``.
    """

    def __init__(
        self,
        address: StoreAddress,
        *,
        prefix: str,
        clock: Clock,
        source: random.Random,
        on_failure: OnFailure,
        deadline_s: float = 0.1,
        max_connections: int = 16,
    ) -> None:
        """Raises AddressError when a TLS file of the address cannot be used."""
        self._address = address
        self._key = f"{prefix}{{adm}}:life"
        self._clock = clock
        self._random = source
        self._on_failure = on_failure
        self._deadline_s = deadline_s
        self._tls = _tls(address)
        self._locator = locator_of(address, key=self._key, tls=self._tls)
        self._pool = Pool(self._connect, max_connections=max_connections)
        self._tasks = Tasks(on_failure)
        self._scripts: dict[str, Guarded] = {}
        self._watchers: list[Callable[[bool], None]] = []
        self._primary = address.endpoints[0]
        self._memory = Memory(mark=b"", evicts=None)
        self._reign = 0  # of the store's being up; what failed in an earlier one says nothing about this one
        self._state = StoreState(up=False, since=clock.now(), cause="the store was not asked yet")

    @property
    def state(self) -> StoreState:
        """How the store is."""
        return self._state

    @property
    def run_id(self) -> str:
        """Identity of the store's memory (see ScriptRunner); empty until the store was reached once."""
        return self._memory.life

    def on_change(self, callback: Callable[[bool], None]) -> None:
        """Call back with ``up`` whenever that changes."""
        self._watchers.append(callback)

    async def start(self) -> None:
        """Look for the store, once; when it is not there, go on looking in the background."""
        load_library()
        if not await self._restored():
            self._tasks.spawn(self._restore(), name="store probe")

    async def run(self, script: str, keys: Sequence[str], args: Sequence[Word]) -> Any:
        """Run the script once, all or nothing (see ScriptRunner). Raises StoreUnavailable."""
        text = self._scripts.get(script) or self._scripts.setdefault(script, guarded(script))
        command = (len(keys) + 1, *keys, self._key, *args, self._memory.mark)
        return await self._call(lambda wire: _run(wire, text, command))

    async def publish(self, channel: str, text: str) -> None:
        """Send a message to whoever listens, in the whole cluster. Raises StoreUnavailable."""
        await self._call(lambda wire: wire.ask("PUBLISH", channel, text))

    async def open(self) -> Wire:
        """A connection of the caller's own, outside the pool. Raises StoreUnavailable."""
        reign = self._reign
        self._check(reign)
        try:
            return await self._connect()
        except Exception as error:
            raise self._unavailable(error, reign) from error

    async def aclose(self) -> None:
        """Look no more, and let go of the connections."""
        self._reign += 1
        self._set(up=False, cause="the service is ending")
        await self._tasks.aclose()
        await self._pool.clear()

    async def _call(self, work: Callable[[Wire], Awaitable[T]]) -> T:
        reign = self._reign
        self._check(reign)
        try:
            async with self._pool.turn():
                self._check(reign)
                async with self._pool.wire() as wire, Patience(self._deadline_s):
                    return await work(wire)
        except Exception as error:
            raise self._unavailable(error, reign) from error

    def _check(self, reign: int) -> None:
        if not self._state.up:
            raise StoreUnavailable(self._state.cause or "")
        if reign != self._reign:
            raise StoreUnavailable(words_of(OTHER_MEMORY))

    def _unavailable(self, error: Exception, reign: int) -> Exception:
        """What to raise for it; takes the store down where the error says that."""
        if isinstance(error, StoreUnavailable) or not is_from_store(error):
            return error
        if is_outage(error):
            self._take_down(cause_of(error), reign)
        return StoreUnavailable(cause_of(error))

    def _take_down(self, cause: str, reign: int) -> None:
        if reign != self._reign or not self._state.up:
            return
        self._set(up=False, cause=cause)
        self._tasks.spawn(self._restore(), name="store probe")

    async def _restore(self) -> None:
        await self._pool.clear()
        while not await self._restored():
            jitter = self._random.uniform(1 - _PROBE_JITTER, 1 + _PROBE_JITTER)
            await self._clock.sleep(_PROBE_EVERY_S * jitter)

    async def _restored(self) -> bool:
        try:
            async with asyncio.timeout(max(_PROBE_DEADLINE_S, self._deadline_s)):
                wire, memory = await self._find()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next probe may fare better
            if not is_from_store(error):
                self._on_failure("store probe", error)
            self._set(up=False, cause=cause_of(error))
            return False
        self._pool.add(wire)
        self._memory = memory
        self._reign += 1
        self._set(up=True)
        return True

    async def _find(self) -> tuple[Wire, Memory]:
        """A connection to the server that holds our keys, and what it says of its memory."""
        failure: Exception = Unfit("the store is not to be found")
        async with aclosing(self._locator.candidates()) as candidates:
            async for endpoint in candidates:
                try:
                    found = await self._open(endpoint)
                except Exception as error:  # noqa: BLE001 - one of several; the last is raised when none is fit
                    failure = error
                    continue
                self._primary = endpoint
                return found
        raise failure

    async def _connect(self) -> Wire:
        """One more connection to the same memory."""
        wire, memory = await self._open(self._primary)
        if memory.mark != self._memory.mark:
            await wire.drop()
            raise Unfit(words_of(OTHER_MEMORY))
        return wire

    async def _open(self, endpoint: Endpoint) -> tuple[Wire, Memory]:
        """A connection, and what it says of its memory. A store that is too slow for a call stays down."""
        login, database = self._address.login, self._address.database
        async with Patience(self._deadline_s):
            wire = await open_wire(endpoint, login, tls=self._tls, database=database)
            try:
                return wire, await open_memory(wire, key=self._key, source=self._random)
            except BaseException:
                await wire.drop()
                raise

    def _set(self, *, up: bool, cause: str | None = None) -> None:
        before = self._state
        since = before.since if before.up == up else self._clock.now()
        self._state = StoreState(up=up, since=since, cause=cause, warning=_warning(self._memory))
        if before.up != up:
            for tell in self._watchers:
                try:
                    tell(up)
                except Exception as error:  # noqa: BLE001 - a listener's failure is not the store's
                    self._on_failure("listener to the store's state", error)


async def _run(wire: Wire, script: Guarded, command: Sequence[Word]) -> Any:
    try:
        return await wire.ask("EVALSHA", script.sha1, *command)
    except Exception as error:
        if code_of(error) != "NOSCRIPT":
            raise
    return await wire.ask("EVAL", script.text, *command)


def _tls(address: StoreAddress) -> ssl.SSLContext | None:
    try:
        return tls_context(address.tls)
    except OSError as error:
        raise AddressError(
            f"names a file for TLS that cannot be used: {error.strerror or 'it is no certificate'}"
        ) from error


def _warning(memory: Memory) -> str | None:
    if memory.evicts is None:
        return None
    return f"maxmemory-policy is {memory.evicts}: set it to noeviction, or the store may forget limits when it is full"
