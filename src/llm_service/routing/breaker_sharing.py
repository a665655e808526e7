"""What one process learns of a deployment, all act upon: at once by message, within a second or so without."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import astuple
from typing import Final, Protocol

import orjson

from llm_service.domain import Candidate
from llm_service.observability import Log
from llm_service.routing.breaker import Breaker, Change
from llm_service.runtime import Clock, Tasks
from llm_service.storage import BreakerAnswer, BreakerNews, BreakerStore, Bulletin, Ejection, StoreUnavailable

BREAKERS_TOPIC: Final = "breakers"
"""The topic of the messages; each is a `BreakerNews` as a JSON array."""
POLL_S: Final = 1.0
POLL_JITTER: Final = 0.2
MOST_UNTOLD: Final = 4096


class Known(Protocol):
    """The breakers of this process."""

    def of(self, candidate: Candidate) -> Breaker:
        """The breaker of a deployment, made where there is none."""

    def find(self, candidate: Candidate) -> Breaker | None:
        """The breaker of a deployment, where there is one."""

    def within(self, breaker: Breaker) -> Sequence[Ejection]:
        """What must hold when the breaker opens for its share of failures alone."""

    def forget_heard(self) -> None:
        """Take in whatever comes next."""


class BreakerSharing:
    """Tells a shared store of openings, probes and closings, and takes in those of other processes.

    Changes are told in the background, the latest for each breaker, and those that cannot be told are kept for when the
    store is there again. While it is away, each process goes on by itself.
    """

    def __init__(
        self,
        store: BreakerStore,
        *,
        bulletin: Bulletin,
        clock: Clock,
        dice: random.Random,
        tasks: Tasks,
        log: Log,
    ) -> None:
        self._store = store
        self._bulletin = bulletin
        self._clock = clock
        self._random = dice
        self._tasks = tasks
        self._log = log
        self._known: Known
        self._untold: dict[str, tuple[Breaker, Change, int]] = {}
        self._asking: set[str] = set()  # breakers of which the store is told or asked now
        self._busy = False
        self._mark = 0

    def start(self, known: Known) -> None:
        """Follow from now on, until the tasks' owner ends them."""
        self._known = known
        self._bulletin.listen(BREAKERS_TOPIC, self._hear)
        self._tasks.spawn(self._follow(), name="breakers of other processes")

    async def claim(self, breaker: Breaker, permit: int) -> int:
        """The permit of a probe if no other process tries the deployment, else 0; also where the store is away."""
        self._asking.add(breaker.name)
        try:
            answer = await self._store.claim(
                breaker.name,
                number=permit,
                lease_s=breaker.probe_s,
                seen=breaker.heard,
                cause=breaker.cause,
                pause_s=breaker.pause_s,
            )
        except StoreUnavailable:
            return permit
        except asyncio.CancelledError:
            breaker.abandoned(self._clock.monotonic(), permit)
            raise
        finally:
            self._asking.discard(breaker.name)
        if breaker.permit != permit and not breaker.closed:  # a later request tries it: what it hears is newer
            return 0
        breaker.heard = max(breaker.heard, answer.news.version)
        if not answer.done:
            self._take_in(breaker, answer.news)
        if breaker.closed:  # others have closed it meanwhile
            return breaker.permits(self._clock.monotonic())
        return permit if answer.done else 0

    # -- telling

    def tell(self, breaker: Breaker, change: Change) -> None:
        """Tell it to all processes, soon."""
        name = breaker.name
        if name not in self._untold and len(self._untold) >= MOST_UNTOLD:
            return
        if (
            change != "abandoned" or name not in self._untold
        ):  # what is untold says more: there was no claim to give back
            self._untold[name] = breaker, change, breaker.permit
        self._tell_soon()

    def _tell_soon(self) -> None:
        if self._untold and not self._busy:
            self._busy = True
            self._tasks.spawn(self._tell_all(), name="breakers for other processes")

    async def _tell_all(self) -> None:
        try:
            while self._untold:
                name = next(iter(self._untold))
                told = self._untold.pop(name)
                self._asking.add(name)
                try:
                    await self._tell(name, *told)
                except StoreUnavailable as away:
                    self._untold.setdefault(name, told)  # unless there is a later one
                    self._log.debug("breakers cannot be shared", cause=str(away))
                    return
                finally:
                    self._asking.discard(name)
        finally:
            self._busy = False

    async def _tell(self, name: str, breaker: Breaker, change: Change, number: int) -> None:
        answer = await self._told(name, breaker, change, number)
        if answer is None:
            return
        breaker.heard = max(breaker.heard, answer.news.version)
        if change != "abandoned" and name not in self._untold and not breaker.probing:
            self._take_in(breaker, answer.news)
        if answer.done:
            await self._publish(answer.news)

    async def _told(self, name: str, breaker: Breaker, change: Change, number: int) -> BreakerAnswer | None:
        store, cause, pause_s = self._store, breaker.cause, breaker.pause_s
        if change in ("opened", "failed") and breaker.ready(self._clock.monotonic()):
            return None  # the store was away for so long that nothing is left of it
        match change:
            case "opened":
                within = self._known.within(breaker) if breaker.by_ratio else ()
                return await store.open(name, cause=cause, pause_s=pause_s, within=within)
            case "failed":
                return await store.failed(name, number=number, cause=cause, pause_s=pause_s, seen=breaker.heard)
            case "abandoned":
                return await store.give_back(name, number=number)
            case _:
                return await store.close(name, seen=breaker.heard if change == "closed" else None)

    async def _publish(self, news: BreakerNews) -> None:
        try:
            await self._bulletin.publish(BREAKERS_TOPIC, orjson.dumps(astuple(news)).decode())
        except StoreUnavailable as away:
            self._log.debug("a breaker was not announced; other processes find it in the store", cause=str(away))

    # -- hearing

    def _hear(self, text: str) -> None:
        news = _news(text)
        if news is not None:
            self._heard(news)

    def _heard(self, news: BreakerNews) -> bool:
        """Take in what is new. Whether that can be done now: what this process tells or asks may be later."""
        candidate = _candidate(news.name)
        breaker = self._known.of(candidate) if news.is_open else self._known.find(candidate)
        if breaker is None or news.version <= breaker.heard:
            return True
        if news.name in self._asking or news.name in self._untold:
            return False
        breaker.heard = news.version
        self._take_in(breaker, news)
        return True

    def _take_in(self, breaker: Breaker, news: BreakerNews) -> None:
        if not news.is_open:
            breaker.heard_closed()
            return
        breaker.heard_open(
            self._clock.monotonic(),
            left_s=news.left_s,
            pause_s=news.pause_s,
            opened_at=news.since,
            cause=news.cause,
        )

    async def _follow(self) -> None:
        while True:
            try:
                await self._catch_up()
                self._tell_soon()
            except StoreUnavailable as away:
                self._log.debug("breakers of other processes cannot be read", cause=str(away))
            except Exception as defect:  # noqa: BLE001 - without this task this process would never hear of others again
                self._log.error("breakers of other processes cannot be read", exc_info=defect)
            await self._clock.sleep(POLL_S * self._random.uniform(1 - POLL_JITTER, 1 + POLL_JITTER))

    async def _catch_up(self) -> None:
        """The mark moves on only when all was taken in, and begins anew where the store does."""
        newest, changed = await self._store.news(self._mark)
        if newest < self._mark:
            self._known.forget_heard()
        taken_in = [self._heard(news) for news in changed]
        if all(taken_in):
            self._mark = newest


def _candidate(name: str) -> Candidate:
    provider, _, model = name.partition("/")  # a provider's name has no slash
    return Candidate(provider=provider, upstream_model=model)


def _news(text: str) -> BreakerNews | None:
    """The news of a message; none where it is somebody else's."""
    try:
        name, version, is_open, since, left_s, pause_s, cause = orjson.loads(text)
        return BreakerNews(
            name=str(name),
            version=int(version),
            is_open=bool(is_open),
            since=float(since),
            left_s=float(left_s),
            pause_s=float(pause_s),
            cause=str(cause),
        )
    except (TypeError, ValueError):
        return None
