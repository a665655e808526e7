"""What happens in the service, told as it happens to whoever listens, at this process or at another one."""

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, get_args

import orjson

from llm_service.domain import ConcurrencyLimited, InvalidApiKey, InvalidValue, LLMServiceError, fact_in_order
from llm_service.observability import AlertChanged, Log, Redaction, RequestFinished
from llm_service.runtime import Clock, Tasks, TimerHandle
from llm_service.services.metrics_frame import MetricsSnapshot, metrics_object, stamp
from llm_service.services.metrics_history import LONGEST_INTERVAL_S, SAMPLE_S, MetricsHistory
from llm_service.services.request_event import request_data
from llm_service.storage import Bulletin, StoreUnavailable

EVENTS_TOPIC: Final = "events"
"""The topic of the messages: ``[process, lost, [[kind, at, worker, data], ...]]``."""
WANTED_TOPIC: Final = "events-wanted"
"""The topic of what listeners of a process want: ``[process, [kind, ...]]``, again and again while they do."""
EventKind = Literal["request", "alert", "breaker", "provider", "config", "store", "metrics"]
KINDS: Final[tuple[EventKind, ...]] = get_args(EventKind)
UNLESS_ASKED: Final[tuple[EventKind, ...]] = tuple(kind for kind in KINDS if kind != "metrics")
"""What is told to who names no kinds: figures come by the clock, though nothing happens."""

MOST_KEPT: Final = 256
"""Events for one listener; one that is slower loses the oldest."""
MOST_LISTENERS: Final = 20
"""Of one api key, at one process."""
MOST_REQUESTS_PER_S: Final = 200
SEND_S: Final = 0.1
MOST_UNSENT: Final = 256
BEAT_S: Final = 2.0
WANTED_S: Final = 6.0
"""So long after the last word that events are wanted elsewhere they are sent: two of three words may be lost."""

EXPIRED: Final = "The presented key has expired."


@fact_in_order
class ServiceEvent:
    """Something that happened. ``at``: Unix seconds; ``worker``: where, among several. ``snapshot``: of ``metrics``."""

    kind: EventKind
    at: float
    worker: int | None
    data: Mapping[str, Any]
    snapshot: MetricsSnapshot | None = None


class Heard(NamedTuple):
    """An event as it comes to a listener. ``dropped``: so many before it were lost, since the listener is too slow."""

    event: ServiceEvent
    dropped: int


class Listening:
    """What one listener has still to take. ``error``: why it ends, if it does before its time."""

    def __init__(self, events: "Events", kinds: Collection[EventKind], owner: str) -> None:
        self.kinds = frozenset(kinds)
        self.owner = owner
        self.error: LLMServiceError | None = None
        self._events = events
        self._kept: deque[ServiceEvent] = deque()
        self._dropped = 0
        self._due = asyncio.Event()
        self._ended = False
        self._until: TimerHandle | None = None

    @property
    def over(self) -> bool:
        """Whether nothing is left, and nothing will come."""
        return self._ended and not self._kept

    def last_for(self, seconds: float, clock: Clock) -> None:
        """End then, with the error that the key has expired."""
        self._until = clock.call_later(max(seconds, 0.0), lambda: self.end(InvalidApiKey(EXPIRED)))

    def offer(self, event: ServiceEvent) -> None:
        """Keep it until it is taken, in place of the oldest when there are too many."""
        if self._ended:
            return
        if len(self._kept) >= MOST_KEPT:
            self._kept.popleft()
            self._dropped += 1
        self._kept.append(event)
        self._due.set()

    def take(self) -> list[Heard]:
        """All that is kept, at once."""
        kept = [Heard(event, 0) for event in self._kept]
        if kept and self._dropped:
            kept[0] = Heard(kept[0].event, self._dropped)
            self._dropped = 0
        self._kept.clear()
        return kept

    async def wait(self) -> None:
        """Until there is something to take, or it is over."""
        if not self._kept and not self._ended:
            self._due.clear()
            await self._due.wait()

    def end(self, error: LLMServiceError | None = None) -> None:
        """Nothing more comes; what is kept can still be taken. Idempotent."""
        if not self._ended:
            self._ended, self.error = True, error
            self._due.set()
            if self._until is not None:
                self._until.cancel()

    def close(self) -> None:
        """Nobody listens any more; idempotent."""
        self.end()
        self._events.leave(self)


class Events:
    """Tells of events those who listen here, and, while somebody listens elsewhere, the other processes.

    Messages to other processes are collected for a tenth of a second. What cannot be sent is lost to them: nobody's
    record hangs on it. While nobody listens anywhere a request costs one look at a flag.
    """

    def __init__(
        self,
        history: MetricsHistory,
        *,
        bulletin: Bulletin | None,
        process: str,
        worker: int | None,
        clock: Clock,
        tasks: Tasks,
        log: Log,
    ) -> None:
        """``bulletin``: ``None`` where this process is alone. ``process``: its name among all."""
        self._history = history
        self._bulletin = bulletin
        self._process = process
        self._worker = worker
        self._clock = clock
        self._tasks = tasks
        self._log = log
        self._listening: dict[Listening, Any] = {}
        self._here: Counter[EventKind] = Counter()
        self._there: dict[str, float] = {}
        self._hears_others = False
        self._beating: asyncio.Task[None] | None = None
        self._unsent: list[list[Any]] = []
        self._lost = 0
        self._wants_requests = False
        self._pace = _Pace(MOST_REQUESTS_PER_S)
        self.redaction = Redaction()
        """What takes out of events what must not be shown; one for all settings that this process has had."""

    def start(self) -> None:
        """Hear what is wanted elsewhere, from now on."""
        if self._bulletin is not None:
            self._bulletin.listen(WANTED_TOPIC, self._hear_wanted)

    # -- listening

    def listen(
        self, kinds: Collection[EventKind], *, owner: str, until: datetime | None = None, interval_s: float = 1.0
    ) -> Listening:
        """Listen from now on, until ``close``. ``owner``: the key that asks; ``interval_s``: between two ``metrics``.

        ``until``: when the key expires; it ends with InvalidApiKey then.
        Raises InvalidValue, and ConcurrencyLimited for one key that listens too often.
        """
        if not SAMPLE_S <= interval_s <= LONGEST_INTERVAL_S:
            said = f"'interval_s' must be from {SAMPLE_S:g} to {LONGEST_INTERVAL_S:g} seconds."
            raise InvalidValue(said, param="interval_s")
        if sum(one.owner == owner for one in self._listening) >= MOST_LISTENERS:
            raise ConcurrencyLimited(f"A key may listen to events {MOST_LISTENERS} times at once.", retry_after_s=1.0)
        listening = Listening(self, kinds, owner)
        follows = None
        if "metrics" in listening.kinds:
            follows = self._history.follow(lambda one: listening.offer(self._figures(one)), interval_s=interval_s)
        self._listening[listening] = follows
        if until is not None:
            listening.last_for(until.timestamp() - self._clock.time(), self._clock)
        self._here.update(listening.kinds)
        self._wants_requests = self._wants_requests or "request" in listening.kinds
        self._call_for_others()
        return listening

    def leave(self, listening: Listening) -> None:
        """Tell this one nothing more; idempotent."""
        if listening in self._listening:
            follows = self._listening.pop(listening)
            if follows is not None:
                follows.close()
            self._here.subtract(listening.kinds)

    def _figures(self, snapshot: MetricsSnapshot) -> ServiceEvent:
        return ServiceEvent("metrics", snapshot.at, self._worker, metrics_object(snapshot), snapshot)

    # -- telling

    def request_finished(self, fact: RequestFinished) -> None:
        """A request is over: its facts, no prompt. At most 200 a second are told.

        The next one has the number of those that were left out, as ``skipped``.
        """
        if not self._wants_requests:
            return
        now = self._clock.monotonic()
        if not self._wanted("request", now):
            self._wants_requests = False
            self._pace.skipped = 0  # whoever listens next has missed nothing
        elif self._pace.may(now):
            skipped = self._pace.skipped
            self._pace.skipped = 0
            data = request_data(fact, self.redaction)
            self._tell("request", {**data, "skipped": skipped} if skipped else data)

    def close(self) -> None:
        """A generation of the settings is over; the next one goes on telling."""

    def alert_changed(self, fact: AlertChanged) -> None:
        """An alert goes into another state; one process alone knows it."""
        self.tell(
            "alert",
            {
                "rule": fact.rule,
                "labels": dict(fact.labels),
                "severity": fact.severity,
                "state": fact.state,
                "summary": fact.summary,
                "value": fact.value,
                "at": stamp(fact.at.timestamp()),
            },
        )

    def tell(self, kind: EventKind, data: Mapping[str, Any]) -> None:
        """Something that this process alone has seen: all are told."""
        if self._wanted(kind, self._clock.monotonic()):
            self._tell(kind, self.redaction.facts(data))

    def tell_here(self, kind: EventKind, data: Mapping[str, Any]) -> None:
        """Something that every process sees by itself: who listens here is told."""
        if self._here[kind]:
            self._offer(ServiceEvent(kind, self._clock.time(), self._worker, self.redaction.facts(data)))

    def _tell(self, kind: EventKind, data: Mapping[str, Any]) -> None:
        at = self._clock.time()
        if self._here[kind]:
            self._offer(ServiceEvent(kind, at, self._worker, data))
        if self._there.get(kind, 0.0) > self._clock.monotonic():
            self._send(kind, at, data)

    def _wanted(self, kind: EventKind, now: float) -> bool:
        return bool(self._here[kind]) or self._there.get(kind, 0.0) > now

    def _offer(self, event: ServiceEvent) -> None:
        for listening in self._listening:
            if event.kind in listening.kinds:
                listening.offer(event)

    # -- among processes

    def _call_for_others(self) -> None:
        """Have the other processes send what is wanted here, while it is."""
        if self._bulletin is None or not self._kinds_wanted():
            return
        if not self._hears_others:
            self._hears_others = True
            self._bulletin.listen(EVENTS_TOPIC, self._hear)
        if self._beating is None or self._beating.done():
            self._beating = self._tasks.spawn(self._beat(), name="events of other processes")
        else:
            self._tasks.spawn(self._say_wanted(), name="events of other processes")

    async def _beat(self) -> None:
        while self._kinds_wanted():
            await self._say_wanted()
            await self._clock.sleep(BEAT_S)

    def _kinds_wanted(self) -> list[str]:
        return [kind for kind, count in self._here.items() if count and kind != "metrics"]

    async def _say_wanted(self) -> None:
        await self._publish(WANTED_TOPIC, [self._process, self._kinds_wanted()])

    def _hear_wanted(self, text: str) -> None:
        process, kinds = self._read(text, 2)
        if process is None or process == self._process:
            return
        until = self._clock.monotonic() + WANTED_S
        self._there.update((str(kind), until) for kind in kinds if kind in KINDS)
        self._wants_requests = self._wants_requests or "request" in kinds

    def _send(self, kind: EventKind, at: float, data: Mapping[str, Any]) -> None:
        if len(self._unsent) >= MOST_UNSENT:
            self._lost += 1
            return
        if not self._unsent:
            self._clock.call_later(SEND_S, self._send_all)
        self._unsent.append([kind, at, self._worker, data])

    def _send_all(self) -> None:
        unsent, self._unsent = self._unsent, []
        lost, self._lost = self._lost, 0
        self._tasks.spawn(self._publish(EVENTS_TOPIC, [self._process, lost, unsent]), name="events for other processes")

    async def _publish(self, topic: str, message: list[Any]) -> None:
        if self._bulletin is None:
            return
        try:
            await self._bulletin.publish(topic, orjson.dumps(message).decode())
        except StoreUnavailable as away:
            self._log.debug("events are not told to other processes", cause=str(away))

    def _hear(self, text: str) -> None:
        if not self._listening:
            return
        process, lost, told = self._read(text, 3)
        if process is None or process == self._process:
            return
        for one in told:
            if (event := _event_of(one)) is not None:
                self._offer(event)
        if lost:
            self._log.debug("another process could not tell all of its events", lost=lost)

    def _read(self, text: str, length: int) -> Any:
        """The message's parts, or as many times ``None``."""
        try:
            parts = orjson.loads(text)
        except orjson.JSONDecodeError:
            parts = None
        if not isinstance(parts, list) or len(parts) != length or not isinstance(parts[-1], list):
            self._log.debug("a message about events is not understood", text=text[:200])
            return (None,) * length
        return parts


def _event_of(told: Any) -> ServiceEvent | None:
    """What another process tells; ``None`` for what no event of this version looks like."""
    match told:
        case [str(kind), int() | float() as at, int() | None as worker, {**data}] if kind in UNLESS_ASKED:
            return ServiceEvent(kind, at, worker, data)  # type: ignore[arg-type]
    return None


class _Pace:
    """So many a second, and how many there were beyond."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._second = -1
        self._passed = 0
        self.skipped = 0

    def may(self, now: float) -> bool:
        """Whether one more may pass."""
        if int(now) != self._second:
            self._second, self._passed = int(now), 0
        self._passed += 1
        if self._passed > self._most:
            self.skipped += 1
            return False
        return True


def event_object(heard: Heard) -> dict[str, Any]:
    """An event's data as the interface shows them; ``worker`` and ``dropped`` where there is something to tell."""
    event = heard.event
    shown: dict[str, Any] = {"at": stamp(event.at)}
    if event.worker is not None:
        shown["worker"] = event.worker
    if heard.dropped:
        shown["dropped"] = heard.dropped
    return {**shown, **event.data}


def read_kinds(text: str | None) -> tuple[EventKind, ...]:
    """The kinds that a text names, separated by commas; all but ``metrics`` without one. Raises InvalidValue."""
    if text is None:
        return UNLESS_ASKED
    named = [part.strip() for part in text.split(",")]
    for name in named:
        if name not in KINDS:
            said = f"There are no events of the kind '{name[:32]}'; there are {', '.join(KINDS)}."
            raise InvalidValue(said, param="kinds")
    return tuple(kind for kind in KINDS if kind in named)
