"""What was decided at run time about providers: kept in the database, in force in every process within a second."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, get_args

import orjson

from llm_service.domain import InvalidValue, ProviderState, fact_in_order
from llm_service.observability import Log
from llm_service.runtime import Clock, Tasks
from llm_service.services.follow import Follower
from llm_service.services.moments import moment_text, read_moment
from llm_service.storage import Bulletin, FactStore, StoreUnavailable

PROVIDERS_TOPIC: Final = "providers"
"""The topic of the messages; each is the name of a provider whose state has changed."""
PREFIX: Final = "provider:"
"""Of the names of the facts; a provider's follows."""
STATES: Final[tuple[ProviderState, ...]] = get_args(ProviderState)


@fact_in_order
class Override:
    """A state that holds in place of the configured one, and since when (RFC 3339)."""

    state: ProviderState
    since: str


Overrides = Mapping[str, Override]
Hear = Callable[[str], None]


class ProviderOverrides:
    """The overrides as this process knows them. ``bulletin`` is ``None`` where no messages are to be had.

    The database alone says what holds. A change is read at once by message, and twice a second without; while the
    database does not answer, what is known goes on.
    """

    def __init__(self, facts: FactStore, *, bulletin: Bulletin | None, clock: Clock, tasks: Tasks, log: Log) -> None:
        self._facts = facts
        self._bulletin = bulletin
        self._clock = clock
        self._log = log
        self._known: Overrides = MappingProxyType({})
        self._hearing: dict[Hear, None] = {}
        self._misread: frozenset[tuple[str, str]] = frozenset()
        self._one_at_a_time = asyncio.Lock()
        self._follower = Follower(
            self.catch_up,
            what="changes of providers",
            meanwhile="known states go on",
            clock=clock,
            tasks=tasks,
            log=log,
        )

    @property
    def known(self) -> Overrides:
        """All of them, by the provider's name; also of providers that are not configured now."""
        return self._known

    def of(self, provider: str) -> Override | None:
        """What was decided about a provider; without I/O."""
        return self._known.get(provider)

    def start(self) -> None:
        """Follow from now on, until the tasks' owner ends them."""
        if self._bulletin is not None:
            self._bulletin.listen(PROVIDERS_TOPIC, lambda _: self._follower.look_now())
        self._follower.start()

    def on_reach(self, tell: Callable[[StoreUnavailable | None], None]) -> None:
        """Call back with why the database does not answer any more, and with ``None`` once it does again."""
        self._follower.on_change = tell

    def listen(self, hear: Hear) -> None:
        """Call back with the name of each provider whose override has changed, once it holds here."""
        self._hearing[hear] = None

    def leave(self, hear: Hear) -> None:
        """Call back no more."""
        self._hearing.pop(hear, None)

    async def put(self, provider: str, state: ProviderState | None) -> None:
        """Decide, for all processes; ``None``: as configured. Holds here when it returns.

        Raises StoreUnavailable where nothing was decided.
        """
        await self.catch_up()  # another process may have decided otherwise
        kept = self._known.get(provider)
        if state is None or kept is None or kept.state != state:
            await self._hold(provider, await put_override(self._facts, provider, state, now=self._clock.now()))
        await self._announce(provider)

    async def _hold(self, provider: str, override: Override | None) -> None:
        """Take in what was just kept, also where the database does not answer any more."""
        try:
            await self.catch_up()
        except StoreUnavailable as away:
            self._log.warning("a changed provider could not be read again", provider=provider, error=str(away))
            known = {name: one for name, one in self._known.items() if name != provider}
            if override is not None:
                known[provider] = override
            self._take(Read(MappingProxyType(known), self._misread))

    async def catch_up(self) -> None:
        """Take in what the database says. Raises StoreUnavailable, and leaves all as it is."""
        async with self._one_at_a_time:  # what was read earlier must not come to hold later
            self._take(await read_overrides(self._facts))

    def _take(self, found: "Read") -> None:
        for name, text in found.misread - self._misread:
            self._log.warning("a provider's state in the database makes no sense", provider=name, text=text[:200])
        self._misread = found.misread
        former, self._known = self._known, found.overrides
        changed = [name for name in {**former, **found.overrides} if former.get(name) != found.overrides.get(name)]
        for name in changed:
            self._tell(name)

    def _tell(self, name: str) -> None:
        for hear in tuple(self._hearing):
            try:
                hear(name)
            except Exception as defect:  # noqa: BLE001 - a listener's mistake, reported; the others hear all the same
                self._log.error("a changed provider was not acted upon", provider=name, exc_info=defect)

    async def _announce(self, provider: str) -> None:
        if self._bulletin is None:
            return
        try:
            await self._bulletin.publish(PROVIDERS_TOPIC, provider)
        except StoreUnavailable as away:
            said = "a changed provider was not announced; other processes find it in the database"
            self._log.warning(said, provider=provider, error=str(away))


@fact_in_order
class Read:
    """What the database has: overrides by provider, and what cannot be one, by provider and text."""

    overrides: Overrides
    misread: frozenset[tuple[str, str]]


async def read_overrides(facts: FactStore) -> Read:
    """All overrides that are kept. Raises StoreUnavailable."""
    kept = {name.removeprefix(PREFIX): text for name, text in (await facts.having(PREFIX)).items()}
    read = {name: override_of(text) for name, text in kept.items()}
    return Read(
        MappingProxyType({name: override for name, override in read.items() if override is not None}),
        frozenset((name, text) for name, text in kept.items() if read[name] is None),
    )


async def put_override(
    facts: FactStore, provider: str, state: ProviderState | None, *, now: datetime
) -> Override | None:
    """Keep an override, or none; running processes find it within half a second. Raises StoreUnavailable."""
    override = None if state is None else Override(state, moment_text(now.replace(microsecond=0)) or "")
    kept = None if override is None else orjson.dumps({"state": override.state, "since": override.since}).decode()
    await facts.put(PREFIX + provider, kept)
    return override


def override_of(text: str) -> Override | None:
    """The override that is kept as this text; ``None`` where it is none."""
    try:
        told: Any = orjson.loads(text)
        state, since = told["state"], read_moment("since", told["since"])
    except (orjson.JSONDecodeError, InvalidValue, KeyError, TypeError):
        return None
    return Override(state, moment_text(since) or "") if state in STATES else None
