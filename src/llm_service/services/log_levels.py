"""The level of the log as it was decided at run time, for good or for a while: everywhere within a second."""

import asyncio
from datetime import datetime, timedelta
from typing import Any, Final, get_args

import orjson

from llm_service.domain import Body, InvalidValue, fact_in_order
from llm_service.observability import LevelOverride, Log, LogLevel
from llm_service.runtime import Clock, Tasks
from llm_service.services.database import database_needed
from llm_service.services.follow import Follower
from llm_service.services.moments import moment_text, read_moment
from llm_service.storage import Bulletin, FactStore, StoreUnavailable

LEVEL_TOPIC: Final = "log-level"
"""The topic of the messages; each says that the fact has changed."""
FACT: Final = "log_level"
LEVELS: Final[tuple[LogLevel, ...]] = get_args(LogLevel)
LONGEST_S: Final = 7 * 86400
AWAY: Final = "The level of the log cannot be changed now: the database does not answer."
_FIELDS: Final = ("log_level", "log_level_for_s")


@fact_in_order
class DecidedLevel:
    """A level that holds in place of the configured one: since when, and until when unless for good (aware, UTC)."""

    level: LogLevel
    since: datetime
    until: datetime | None


class LogLevels:
    """The decided level, as this process knows it, put in force here by ``override``.

    The database alone says what holds. A change is read at once by message, and twice a second without; while the
    database does not answer, what is known goes on, to its end where it has one.
    """

    def __init__(
        self,
        facts: FactStore,
        *,
        override: LevelOverride,
        bulletin: Bulletin | None,
        clock: Clock,
        tasks: Tasks,
        log: Log,
    ) -> None:
        self._facts = facts
        self._override = override
        self._bulletin = bulletin
        self._clock = clock
        self._log = log
        self._known: DecidedLevel | None = None
        self._misread: str | None = None
        self._one_at_a_time = asyncio.Lock()
        self._follower = Follower(
            self._look,
            what="the level of the log",
            meanwhile="the known one goes on",
            clock=clock,
            tasks=tasks,
            log=log,
        )

    @property
    def decided(self) -> DecidedLevel | None:
        """What holds here now; ``None``: as configured."""
        return self._known

    def start(self) -> None:
        """Follow from now on, until the tasks' owner ends them."""
        if self._bulletin is not None:
            self._bulletin.listen(LEVEL_TOPIC, lambda _: self._follower.look_now())
        self._follower.start()

    async def change(self, body: Body) -> None:
        """Decide, for all processes: in force here when this returns, everywhere within a second.

        ``log_level``, for ``log_level_for_s`` seconds or for good; ``None``: as configured. Raises InvalidValue, and
        LedgerUnavailable where nothing was decided.
        """
        decided = decision(body, self._clock.now())
        with database_needed(AWAY):
            await self._facts.put(FACT, None if decided is None else _text(decided))
        async with self._one_at_a_time:  # what was read before must not come to hold after this
            self._take(decided)
        await self._announce()

    async def catch_up(self) -> None:
        """Take in what the database says. Raises StoreUnavailable, and leaves all as it is."""
        async with self._one_at_a_time:
            text = await self._facts.get(FACT)
            decided = None if text is None else decided_of(text)
            if text is not None and decided is None and text != self._misread:
                self._log.warning("the level of the log in the database makes no sense", text=text[:200])
            self._misread = text if decided is None else None
            self._take(decided)

    async def _look(self) -> None:
        self._take(self._known)
        await self.catch_up()

    def _take(self, decided: DecidedLevel | None) -> None:
        """Put in force what is not over."""
        if decided is not None and decided.until is not None and decided.until <= self._clock.now():
            decided = None
        if decided == self._known:
            return
        if decided is None:
            self._override.level = self._known = None
            self._log.warning("the log goes by the configured level again")
            return
        self._log.warning("the log goes by another level", **_shown(decided))
        self._known, self._override.level = decided, decided.level

    async def _announce(self) -> None:
        if self._bulletin is None:
            return
        try:
            await self._bulletin.publish(LEVEL_TOPIC, "")
        except StoreUnavailable as away:
            said = "a changed level was not announced; other processes find it in the database"
            self._log.warning(said, error=str(away))


def decision(body: Body, now: datetime) -> DecidedLevel | None:
    """What a change says about the level. Raises InvalidValue."""
    for name in body:
        if name not in _FIELDS:
            said = f"'{name[:100]}' is no setting that can be changed at run time: 'log_level' is."
            raise InvalidValue(said, param=name[:100])
    if "log_level" not in body:
        raise InvalidValue("Nothing is to be changed: give 'log_level'.", param="log_level")
    level, for_s = body["log_level"], body.get("log_level_for_s")
    if level is not None and level not in LEVELS:
        raise InvalidValue(f"'log_level' must be one of {', '.join(LEVELS)}, or null.", param="log_level")
    if for_s is not None and (type(for_s) not in (int, float) or not 0 < for_s <= LONGEST_S):
        said = f"'log_level_for_s' must be a number of seconds above 0 and at most {LONGEST_S}, or null."
        raise InvalidValue(said, param="log_level_for_s")
    if level is None:
        return None
    since = now.replace(microsecond=0)
    return DecidedLevel(level, since, None if for_s is None else now + timedelta(seconds=for_s))


def decided_of(text: str) -> DecidedLevel | None:
    """The level that is kept as this text; ``None`` where it is none."""
    try:
        told: Any = orjson.loads(text)
        level, since, until = told["level"], read_moment("since", told["since"]), told["until"]
        until = None if until is None else read_moment("until", until)
    except (orjson.JSONDecodeError, InvalidValue, KeyError, TypeError):
        return None
    return DecidedLevel(level, since, until) if level in LEVELS else None


def level_object(decided: DecidedLevel) -> dict[str, str | None]:
    """A decided level as the interface shows it."""
    return {"level": decided.level, "since": moment_text(decided.since), "until": moment_text(decided.until)}


def _shown(decided: DecidedLevel) -> dict[str, str | None]:
    """For a line of the log, whose own level is another one."""
    return {"log_level": decided.level, "until": moment_text(decided.until)}


def _text(decided: DecidedLevel) -> str:
    return orjson.dumps(level_object(decided)).decode()
