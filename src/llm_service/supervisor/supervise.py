"""The supervising process: starts the workers, replaces those that end, tells them what changes, and ends them."""

import select
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Protocol

from llm_service.observability import Log
from llm_service.runtime import Clock, Terminal
from llm_service.supervisor.alarm import Alarm
from llm_service.supervisor.channel import Message, SupervisorsEnd
from llm_service.supervisor.edition import Edition, Read, ReloadRefused, next_edition
from llm_service.supervisor.parcel import packed
from llm_service.supervisor.process import MINDED, RENEW, Process
from llm_service.supervisor.reload import tell_refused, tell_reloaded
from llm_service.supervisor.renewal import Renewal
from llm_service.supervisor.restarts import Restarts
from llm_service.supervisor.rollout import Rollout

READY_S: Final = 30.0
"""After how long the log names a worker that is not ready, and again after each such time: it is not ended, since a
database that is brought up to date takes as long as it takes."""
PREPARE_S: Final = 30.0
COMMIT_S: Final = 10.0
LAST_S: Final = 15.0
"""What a worker may take to close what it has, beyond the graces for its requests and for its last records."""
POLL_COMPANION_S: Final = 0.25
WORD_S: Final = 0.1
"""A worker that leaves is replaced after this: had all processes got the signal, the supervisor would know by then."""


class Companion(Protocol):
    """Another process that lives with the service, such as its private store. Called on the main thread alone."""

    def start(self) -> None:
        """Start it, and wait until it can be used. What it raises ends the run."""

    def poll(self) -> object:
        """Look after it, without waiting: called several times a second."""

    def close(self) -> None:
        """End it."""


Start = Callable[[int, Edition, Iterable[SupervisorsEnd]], Process]
"""Starts the worker of this number with these settings; the channels are those of the others. Raises OSError."""


@dataclass(slots=True, eq=False)
class _Seat:
    """A worker's place, whoever holds it now. Who leaves takes the seat along, and its number gets another."""

    number: int
    restarts: Restarts = field(default_factory=Restarts)
    process: Process | None = None
    started_at: float = 0.0
    ready: bool = False
    late_at: float = 0.0
    """When to log that it is not ready yet (monotonic)."""
    start_at: float | None = None
    """When to fill it again (monotonic)."""
    kill_at: float = float("inf")
    """When a worker that leaves must have ended (monotonic)."""


class Supervisor:
    """Keeps ``workers`` processes serving until a signal ends them. One thread, no event loop: it may fork."""

    def __init__(
        self,
        *,
        first: Edition,
        start: Start,
        read: Read,
        announce: Callable[[], None],
        clock: Clock,
        log: Log,
        terminal: Terminal,
        companion: Companion | None = None,
    ) -> None:
        self._edition = first
        self._start_worker = start
        self._read = read
        self._announce = announce
        self._clock = clock
        self._log = log
        self._terminal = terminal
        self._companion = companion
        self._seats = {n: _Seat(n) for n in range(1, first.loaded.settings.server.workers + 1)}
        self._leaving: list[_Seat] = []
        self._renewal: Renewal | None = None
        self._successor: _Seat | None = None  # of the worker that is to be renewed now, until it serves
        self._announced = False
        self._ending = False
        self._kill_at = float("inf")
        self._code = 0
        self._attempt = 0
        self._wishes: list[tuple[SupervisorsEnd, int] | None] = []  # who asked for a reload; None: a signal
        self._asked: list[tuple[SupervisorsEnd, int] | None] = []  # the same of the one that is going on
        self._candidate = first
        self._rollout: Rollout | None = None
        self._give_up_at = 0.0
        self._hear = MappingProxyType[str, Callable[[_Seat, Message], None]](
            {
                "ready": self._is_ready,
                "prepared": self._prepared,
                "cannot": self._cannot,
                "committed": self._committed,
                "reload": self._wishes_reload,
                "leaving": self._leaves,
            }
        )

    def run(self) -> int:
        """Until all has ended; the exit code. Raises what the companion raises, and OSError where nobody can start."""
        with Alarm(MINDED) as alarm:
            try:
                if self._companion is not None:
                    self._companion.start()
                for seat in self._seats.values():
                    self._start(seat)
                while self._everybody or not self._ending:
                    self._turn(alarm)
            finally:
                for seat in self._everybody:  # nobody, unless this loop has failed
                    self._kill(seat)
                for channel in self._channels():
                    channel.close()
                if self._companion is not None:
                    self._companion.close()
        self._log.info("stopped")
        return self._code

    @property
    def _busy(self) -> list[_Seat]:
        return [seat for seat in self._seats.values() if seat.process is not None]

    @property
    def _everybody(self) -> list[_Seat]:
        """Also who leaves, and who is to take a seat over."""
        return self._busy + self._leaving + ([] if self._successor is None else [self._successor])

    @property
    def _grace_s(self) -> float:
        return self._edition.loaded.settings.server.shutdown_grace_s

    @property
    def _last_s(self) -> float:
        """What a worker may take when its requests are over."""
        return self._edition.loaded.settings.ledger.shipping_grace_s + LAST_S

    def _channels(self) -> list[SupervisorsEnd]:
        return [seat.process.channel for seat in self._everybody if seat.process is not None]

    def _tell_seated(self, say: str, **facts: Any) -> None:
        """What a reload says: who leaves keeps what it has."""
        for seat in self._busy:
            if seat.process is not None:
                seat.process.channel.say(say, **facts)

    # -- one turn of the loop

    def _turn(self, alarm: Alarm) -> None:
        self._wait(alarm)
        for number in alarm.rung():
            self._signalled(number)
        for seat in self._everybody:
            self._listen(seat)
        self._follow_rollout()
        self._reload_if_wished()
        self._fill_seats()
        self._follow_renewal()
        self._name_the_late()
        self._mind_the_grace()
        if self._companion is not None:
            self._companion.poll()

    def _wait(self, alarm: Alarm) -> None:
        """Until something is to be read, or to be done."""
        waiting = select.poll()
        waiting.register(alarm, select.POLLIN)
        for channel in self._channels():
            if not channel.ended:
                waiting.register(channel, select.POLLIN | (select.POLLOUT if channel.has_unsent else 0))
        moments = [self._kill_at, *(seat.kill_at for seat in self._leaving)]
        if self._rollout is not None:
            moments.append(self._give_up_at)  # nobody is started meanwhile
        else:
            moments += [seat.start_at for seat in self._seats.values() if seat.start_at is not None]
            moments += [seat.late_at for seat in self._everybody if not seat.ready]
        now = self._clock.monotonic()
        wait_s = min(moments) - now
        if self._companion is not None:
            wait_s = min(wait_s, POLL_COMPANION_S)
        waiting.poll(None if wait_s == float("inf") else max(0.0, wait_s) * 1000 + 1)

    def _signalled(self, number: signal.Signals) -> None:
        if number is signal.SIGCHLD:
            return  # every turn looks who has ended
        if number is signal.SIGHUP and not self._terminal.is_gone:
            self._wishes.append(None)
        elif number is RENEW:
            self._renew()
        else:
            self._end()

    def _listen(self, seat: _Seat) -> None:
        process = seat.process
        if process is None:
            return
        exit_code = process.exit_code()  # asked first: what it said before its end is heard all the same
        process.channel.flush()
        for message in process.channel.heard():
            self._hear[message["say"]](seat, message)
        if exit_code is not None:
            self._ended(seat, process, exit_code)

    # -- workers come and go

    def _start(self, seat: _Seat) -> None:
        seat.start_at = None
        seat.ready = False
        seat.started_at = self._clock.monotonic()
        seat.late_at = seat.started_at + READY_S
        seat.process = self._start_worker(seat.number, self._edition, self._channels())

    def _start_again(self, seat: _Seat) -> None:
        try:
            self._start(seat)
        except OSError as failure:  # no memory, or too many processes
            self._fill_later(seat, failure=str(failure))

    def _fill_seats(self) -> None:
        now = self._clock.monotonic()
        for seat in self._seats.values():
            if seat.start_at is not None and seat.start_at <= now and self._rollout is None:
                self._start_again(seat)

    def _fill_later(self, seat: _Seat, **facts: Any) -> None:
        now = self._clock.monotonic()
        pause_s = seat.restarts.pause_s(now - seat.started_at)
        seat.start_at = now + pause_s
        self._log.warning("worker ended", worker=seat.number, restart_in_s=pause_s, **facts)

    def _is_ready(self, seat: _Seat, _: Message) -> None:
        seat.ready = True
        pid = None if seat.process is None else seat.process.pid
        self._log.info("worker ready", worker=seat.number, pid=pid)
        if seat is self._successor and not self._ending:
            self._take_over(seat)
        if not self._announced and not self._ending and all(one.ready for one in self._seats.values()):
            self._announced = True
            self._announce()

    def _name_the_late(self) -> None:
        now = self._clock.monotonic()
        for seat in self._everybody:
            if not seat.ready and seat.late_at <= now and seat.process is not None:
                since_s = round(now - seat.started_at)
                self._log.warning("worker not ready", worker=seat.number, pid=seat.process.pid, since_s=since_s)
                seat.late_at = now + READY_S

    def _ended(self, seat: _Seat, process: Process, exit_code: int) -> None:
        process.channel.close()
        seat.process = None
        self._wishes = [wish for wish in self._wishes if wish is None or wish[0] is not process.channel]
        self._asked = [wish for wish in self._asked if wish is None or wish[0] is not process.channel]
        if seat in self._leaving:
            self._has_left(seat, process, exit_code)
        elif seat is self._successor:
            self._successor = None
            self._give_up_renewal(pid=process.pid, exit_code=exit_code)
        elif self._rollout is not None:
            self._rollout.ended(seat.number)
        if self._ending:
            if exit_code not in (0, -signal.SIGTERM):
                self._code = 1
        elif self._seats[seat.number] is not seat:
            return
        elif self._announced:
            self._fill_later(seat, pid=process.pid, exit_code=exit_code)
        else:
            self._log.error("worker did not start", worker=seat.number, pid=process.pid, exit_code=exit_code)
            self._code = 1
            self._end()

    def _end(self) -> None:
        """Ask all workers to end; asked again, to hurry."""
        say = "hurry" if self._ending else "stop"
        if not self._ending:
            self._kill_at = self._clock.monotonic() + self._grace_s + self._last_s
            self._ending = True
            self._renewal = None
        for seat in self._seats.values():
            seat.start_at = None
        for channel in self._channels():
            channel.say(say)

    def _mind_the_grace(self) -> None:
        """Who has not ended long after the grace never will."""
        now = self._clock.monotonic()
        all_late, self._kill_at = (True, float("inf")) if now >= self._kill_at else (False, self._kill_at)
        for seat in self._everybody if all_late else [one for one in self._leaving if now >= one.kill_at]:
            self._log.error("worker does not end", worker=seat.number)
            seat.kill_at = float("inf")
            self._code = 1 if self._ending else self._code
            self._kill(seat)

    def _kill(self, seat: _Seat) -> None:
        if seat.process is not None:
            seat.process.kill()

    # -- workers that leave, and a renewal of all of them

    def _leaves(self, seat: _Seat, _: Message) -> None:
        """A signal has asked this one worker to end: another takes its seat at once, while it finishes."""
        if self._ending or self._seats[seat.number] is not seat:
            return
        if self._rollout is not None:
            self._rollout.left(seat.number)
        self._let_go(seat, _Seat(seat.number, restarts=seat.restarts, start_at=self._clock.monotonic() + WORD_S))

    def _let_go(self, seat: _Seat, other: _Seat) -> None:
        self._seats[seat.number] = other
        if seat.process is not None:
            seat.kill_at = self._clock.monotonic() + 2 * self._grace_s + self._last_s
            self._leaving.append(seat)
            self._log.info("worker leaving", worker=seat.number, pid=seat.process.pid)

    def _has_left(self, seat: _Seat, process: Process, exit_code: int) -> None:
        self._leaving.remove(seat)
        self._log.info("worker left", worker=seat.number, pid=process.pid, exit_code=exit_code)
        if self._renewal is not None:
            self._renewal.replaced(seat.number)

    def _renew(self) -> None:
        if self._announced and not self._ending and self._renewal is None:
            self._renewal = Renewal(self._seats)
            self._log.info("renewing", workers=len(self._seats))

    def _follow_renewal(self) -> None:
        if self._renewal is None or self._rollout is not None:
            return
        if self._renewal.step == "start":
            self._successor = _Seat(self._renewal.started())
            try:
                self._start(self._successor)
            except OSError as failure:
                self._successor = None
                self._give_up_renewal(failure=str(failure))
        elif self._renewal.step == "done":
            self._renewal = None
            self._log.info("renewed", workers=len(self._seats))

    def _take_over(self, successor: _Seat) -> None:
        self._successor = None
        old = self._seats[successor.number]
        self._let_go(old, successor)
        if old.process is not None:
            old.process.channel.say("leave")
        elif self._renewal is not None:  # it has ended meanwhile, or left by itself
            self._renewal.replaced(successor.number)

    def _give_up_renewal(self, **facts: Any) -> None:
        """What does not start now would not take over from the others either: they stay."""
        if self._renewal is not None:
            self._renewal = None
            self._log.error("not renewed", reason="a new worker did not start", **facts)

    # -- a reload

    def _wishes_reload(self, seat: _Seat, message: Message) -> None:
        if seat.process is not None:
            self._wishes.append((seat.process.channel, message["ask"]))

    def _reload_if_wished(self) -> None:
        """Begin one for all who wish it by now: each gets what it can have changed before it asked."""
        if not self._wishes or not self._announced or self._rollout is not None:
            return
        late = self._successor is not None and self._clock.monotonic() - self._successor.started_at >= PREPARE_S
        if self._successor is not None and not late:
            return
        self._asked, self._wishes = self._wishes, []
        if self._ending:
            self._refuse(ReloadRefused("the service is shutting down"))
            return
        if late:
            self._refuse(ReloadRefused("a new worker, which is to take over from another, does not get ready"))
            return
        try:
            candidate = next_edition(self._edition, self._read, self._clock)
            edition = packed(candidate)
        except ReloadRefused as refused:
            self._refuse(refused)
            return
        except Exception as defect:  # noqa: BLE001 - the service goes on
            self._log.error("defect", exc_info=defect)
            self._refuse(ReloadRefused("the service failed on this; its log has the details"))
            return
        self._candidate = candidate
        self._attempt += 1
        self._rollout = Rollout(seat.number for seat in self._busy)
        self._give_up_at = self._clock.monotonic() + PREPARE_S
        self._tell_seated("prepare", attempt=self._attempt, edition=edition)
        self._follow_rollout()

    def _prepared(self, seat: _Seat, message: Message) -> None:
        if (rollout := self._spoken_of(seat, message)) is not None:
            rollout.prepared(seat.number)

    def _cannot(self, seat: _Seat, message: Message) -> None:
        if (rollout := self._spoken_of(seat, message)) is not None:
            rollout.cannot(seat.number, *message["reasons"])

    def _committed(self, seat: _Seat, message: Message) -> None:
        if (rollout := self._spoken_of(seat, message)) is not None:
            rollout.committed(seat.number)

    def _spoken_of(self, seat: _Seat, message: Message) -> Rollout | None:
        """The rollout that the message is about, if it goes on and the worker has a part in it."""
        is_seated = self._seats[seat.number] is seat
        return self._rollout if is_seated and message["attempt"] == self._attempt else None

    def _follow_rollout(self) -> None:
        rollout = self._rollout
        if rollout is None:
            return
        if self._clock.monotonic() >= self._give_up_at:
            rollout.expired()
        if rollout.phase == "failed":
            self._rollout = None
            self._tell_seated("abort")
            self._refuse(ReloadRefused(*rollout.reasons))
        elif rollout.phase != "preparing" and self._edition is not self._candidate:
            self._edition = self._candidate
            self._give_up_at = self._clock.monotonic() + COMMIT_S
            self._tell_seated("commit", attempt=self._attempt)
        if rollout.phase == "done":
            self._rollout = None
            self._tell_reloaded()

    def _refuse(self, refused: ReloadRefused) -> None:
        tell_refused(self._log, refused, generation=self._edition.generation.number)
        self._answer(reasons=refused.reasons)

    def _tell_reloaded(self) -> None:
        generation = self._edition.generation
        tell_reloaded(self._log, generation, notes=self._edition.loaded.notes)
        self._answer(generation=generation.number, loaded_at=generation.loaded_at.isoformat())

    def _answer(self, **facts: Any) -> None:
        asked, self._asked = self._asked, []
        for wish in asked:
            if wish is not None:
                channel, number = wish
                channel.say("reloaded", ask=number, **facts)
