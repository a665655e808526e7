"""The last hour of the service's figures, kept while somebody looks."""

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from llm_service.domain import InvalidValue
from llm_service.observability import Log, MetricsSource, Snapshot
from llm_service.runtime import Clock, Tasks
from llm_service.services.metrics_frame import (
    SERIES,
    ByName,
    Frame,
    MetricsSnapshot,
    frame_of,
    names_between,
    names_of,
    rates_between,
    series_between,
    shares_between,
    stamp,
)
from llm_service.storage import Bulletin, StoreUnavailable

LOOKED_AT_TOPIC: Final = "metrics-looked-at"
"""The topic of the messages that somebody looks; they have no content."""
SAMPLE_S: Final = 1.0
FINE_S: Final = 300.0
COARSE_STEP_S: Final = 10.0
LONGEST_S: Final = 3600.0
WARM_S: Final = 300.0
"""So long after the last one who looked samples are still taken: whoever comes back finds no hole."""
TELL_S: Final = 60.0
WINDOW_S: Final = 10.0
"""What ratios, quantiles and tables are of, at least."""
LONGEST_INTERVAL_S: Final = 60.0
MOST_POINTS: Final = 1000
MOST_READ_S: Final = 5.0
AT_ONCE: Final = 50
"""Figures that are reckoned before others have a turn: about a millisecond."""

Hear = Callable[[MetricsSnapshot], None]
Sample = TypeVar("Sample", Frame, ByName)


class Following:
    """Somebody who is told the figures again and again, until ``close``."""

    def __init__(self, hear: Hear, interval_s: float, due_at: float) -> None:
        self.hear: Hear | None = hear
        self.interval_s = interval_s
        self.due_at = due_at

    def close(self) -> None:
        """Tell nothing more; idempotent."""
        self.hear = None


class MetricsHistory:
    """Takes a sample a second from when the first one looks until some minutes after the last; idle it costs nothing.

    Kept are 300 samples a second apart, and 360 ten seconds apart: less than a megabyte. All processes that share a
    ``bulletin`` take samples while somebody looks at one of them, so that each has the whole history.
    """

    def __init__(
        self, source: MetricsSource, *, bulletin: Bulletin | None, clock: Clock, tasks: Tasks, log: Log
    ) -> None:
        self._source = source
        self._bulletin = bulletin
        self._clock = clock
        self._tasks = tasks
        self._log = log
        self._fine: deque[Frame] = deque(maxlen=int(FINE_S / SAMPLE_S) + 1)
        self._coarse: deque[Frame] = deque(maxlen=int(LONGEST_S / COARSE_STEP_S) + 1)
        self._names: deque[ByName] = deque(maxlen=int(LONGEST_INTERVAL_S / SAMPLE_S) + 2)
        self._following: list[Following] = []
        self._sampling: asyncio.Task[None] | None = None
        self._sampled = asyncio.Event()
        self._warm_until = 0.0
        self._told_at: float | None = None
        self._failing = False

    def start(self) -> None:
        """Hear of those who look at other processes, from now on."""
        if self._bulletin is not None:
            self._bulletin.listen(LOOKED_AT_TOPIC, lambda _: self._keep_warm())

    # -- looking

    def follow(self, hear: Hear, *, interval_s: float) -> Following:
        """Call back with the figures after each interval (1 to 60 s), the first time as soon as there are some."""
        following = Following(hear, interval_s, self._clock.monotonic())
        self._following.append(following)
        self._look()
        return following

    async def series(self, *, window_s: float, step_s: float) -> dict[str, Any]:
        """The figures of ``SERIES`` at each step of the last so many seconds, as ``GET /admin/metrics`` shows them.

        A figure is of the step that ends at its moment; ``None`` where nobody looked then, or nothing was to tell.
        For more than five minutes steps are at least ten seconds: ``step_s`` says how long. Raises InvalidValue.
        """
        step_s = max(step_s, COARSE_STEP_S if window_s > FINE_S else SAMPLE_S)
        if window_s / step_s > MOST_POINTS:
            raise InvalidValue(f"That is more than {MOST_POINTS} steps: make 'step_s' larger.", param="step_s")
        self._look()
        if not self._fine:
            await self._sampled.wait()
        moments = self._moments(window_s, step_s)
        found: list[dict[str, float | None] | None] = []
        for moment in moments:
            found.append(self._figures_at(moment, step_s))
            if len(found) % AT_ONCE == 0:
                await asyncio.sleep(0)  # others have a turn
        return {
            "step_s": step_s,
            "at": [stamp(moment) for moment in moments],
            "series": {name: [None if one is None else one[name] for one in found] for name in SERIES},
        }

    def latest(self, interval_s: float = SAMPLE_S) -> MetricsSnapshot | None:
        """The figures now; ``None`` until there are two samples."""
        now = self._fine[-1] if self._fine else None
        before = None if now is None else _near(self._fine, now.at - interval_s)
        if now is None or before is None or before is now:
            return None
        wide = _near(self._fine, now.at - max(interval_s, WINDOW_S)) or before
        wide = before if wide is now else wide
        names, earlier = self._names[-1], _near(self._names, wide.at) or self._names[0]
        seconds = max(now.at - wide.at, SAMPLE_S)
        figures: dict[str, Any] = {**rates_between(before, now), **shares_between(wide, now)}
        return MetricsSnapshot(
            at=now.at,
            interval_s=round(now.at - before.at, 3),
            window_s=round(now.at - wide.at, 3),
            in_flight=int(now.in_flight),
            workers=now.workers,
            by_provider=names_between(earlier.providers, names.providers, seconds),
            by_model=names_between(earlier.models, names.models, seconds),
            **figures,
        )

    def _moments(self, window_s: float, step_s: float) -> Sequence[float]:
        """The ends of whole steps up to now, the earliest first."""
        last = int((self._fine[-1].at if self._fine else self._clock.time()) / step_s)
        return [step * step_s for step in range(last - max(int(window_s / step_s), 1) + 1, last + 1)]

    def _figures_at(self, moment: float, step_s: float) -> dict[str, float | None] | None:
        earlier, later = self._near(moment - step_s, step_s), self._near(moment, step_s)
        if earlier is None or later is None or later.at <= earlier.at:
            return None
        return series_between(earlier, later)

    def _near(self, moment: float, step_s: float) -> Frame | None:
        """The sample that is nearest to a moment, if it is near enough to stand for it."""
        in_fine = bool(self._fine) and moment >= self._fine[0].at - SAMPLE_S
        found = _near(self._fine if in_fine else self._coarse, moment)
        return found if found is not None and abs(found.at - moment) <= max(step_s / 2, SAMPLE_S) else None

    # -- keeping on

    def _look(self) -> None:
        self._keep_warm()
        now = self._clock.monotonic()
        if self._bulletin is not None and (self._told_at is None or now - self._told_at >= TELL_S):
            self._told_at = now
            self._tasks.spawn(self._tell_others(self._bulletin), name="somebody looks at the figures")

    async def _tell_others(self, bulletin: Bulletin) -> None:
        try:
            await bulletin.publish(LOOKED_AT_TOPIC, "")
        except StoreUnavailable as away:
            self._log.debug("other processes do not know that somebody looks", cause=str(away))

    def _keep_warm(self) -> None:
        self._warm_until = self._clock.monotonic() + WARM_S
        if self._sampling is None or self._sampling.done():
            self._sampled.clear()
            self._fine.clear()  # what comes is not a second behind it
            self._names.clear()
            self._sampling = self._tasks.spawn(self._sample_on(), name="figures for live charts")

    async def _sample_on(self) -> None:
        due_at = self._clock.monotonic()
        while self._following or self._clock.monotonic() < self._warm_until:
            if self._following:
                self._look()
            await self._sample()
            self._tell()
            due_at = max(due_at + SAMPLE_S, self._clock.monotonic())
            await self._clock.sleep(due_at - self._clock.monotonic())

    async def _sample(self) -> None:
        try:
            async with asyncio.timeout(MOST_READ_S):
                snapshot = await self._source.read()
            await self._take_in(snapshot)
        except Exception as defect:  # noqa: BLE001 - told once; the next one may succeed
            if not self._failing:
                self._log.error("figures cannot be read", exc_info=defect)
            self._failing = True
        else:
            self._failing = False
        self._sampled.set()

    async def _take_in(self, snapshot: Snapshot) -> None:
        """Keep what charts need; with many series each part takes a millisecond or two, and others have a turn."""
        frame = frame_of(snapshot)
        await asyncio.sleep(0)
        providers = names_of(snapshot, "provider")
        await asyncio.sleep(0)
        self._keep(frame, ByName(at=snapshot.at, providers=providers, models=names_of(snapshot, "model")))

    def _keep(self, frame: Frame, names: ByName) -> None:
        if self._fine and frame.at <= self._fine[-1].at:
            if self._fine[-1].at - frame.at < COARSE_STEP_S:
                return  # the clock was set back a little: it will have caught up soon
            for samples in (self._fine, self._coarse, self._names):
                samples.clear()
        while self._coarse and self._coarse[-1].at >= frame.at:  # it was set back while nobody looked
            self._coarse.pop()
        self._fine.append(frame)
        self._names.append(names)
        if not self._coarse or frame.at - self._coarse[-1].at >= COARSE_STEP_S - SAMPLE_S / 2:
            self._coarse.append(frame)

    def _tell(self) -> None:
        """Tell those whose interval is over; figures of one interval are reckoned once for all of them."""
        self._following = [one for one in self._following if one.hear is not None]
        now, made = self._clock.monotonic(), dict[float, MetricsSnapshot | None]()
        for one in self._following:
            if one.hear is None or now < one.due_at - SAMPLE_S / 2:
                continue
            if one.interval_s not in made:
                made[one.interval_s] = self.latest(one.interval_s)
            if (snapshot := made[one.interval_s]) is not None:
                one.due_at = now + one.interval_s
                one.hear(snapshot)


def _near(samples: "deque[Sample]", moment: float) -> Sample | None:
    """The one nearest to a moment; ``None`` where there are none."""
    if not samples:
        return None
    at = bisect_left(samples, moment, key=lambda one: one.at)
    around = [samples[place] for place in (at - 1, at) if 0 <= place < len(samples)]
    return min(around, key=lambda one: abs(one.at - moment))
