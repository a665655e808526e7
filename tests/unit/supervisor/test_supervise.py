"""The supervisor's loop with workers that are not there: what it says to whom, whom it starts, and when.

A script is its companion: every turn of the loop calls it, and it makes one thing happen after the other.
"""

import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from llm_service.api import ServerOptions
from llm_service.config import Loaded, Settings
from llm_service.ledger import LedgerOptions
from llm_service.runtime import Terminal
from llm_service.supervisor import Edition, Process, ReloadRefused, Supervisor, SupervisorsEnd
from llm_service.supervisor.edition import Generation
from llm_service.supervisor.parcel import unpacked
from llm_service.supervisor.process import RENEW
from llm_service.supervisor.supervise import COMMIT_S, LAST_S, PREPARE_S, READY_S, WORD_S
from tests.support.clock import ManualClock
from tests.support.service import LogLines
from tests.unit.supervisor.conftest import loaded

GRACE_S = 5.0
SHIPPING_S = LedgerOptions().shipping_grace_s
Script = Callable[["House"], Iterator[Any]]


class Worker:
    """A worker of which only the channel exists."""

    def __init__(self, pid: int, number: int, edition: Edition) -> None:
        ours, self._theirs = socket.socketpair()
        self._theirs.settimeout(0)
        self._unread = b""
        self.pid = pid
        self.number = number
        self.edition = edition
        self.channel = SupervisorsEnd(ours)
        self.code: int | None = None
        self.killed = False

    def kill(self) -> None:
        self.killed = True
        self.ends(-9)

    def exit_code(self) -> int | None:
        return self.code

    def ends(self, code: int) -> None:
        self.code = code
        self._theirs.close()

    def says(self, say: str, **facts: Any) -> None:
        self._theirs.sendall(orjson.dumps({"say": say, **facts}) + b"\n")

    def heard(self) -> list[dict[str, Any]]:
        """What it has been told since it was last asked."""
        with suppress(BlockingIOError):
            self._unread += self._theirs.recv(1_000_000)
        *lines, self._unread = self._unread.split(b"\n")
        return [orjson.loads(line) for line in lines]

    def told(self) -> list[str]:
        return [message["say"] for message in self.heard()]


@dataclass
class House:
    """A supervisor and all that it has to do with."""

    script: Script
    clock: ManualClock = field(default_factory=ManualClock)
    log: LogLines = field(default_factory=LogLines)
    workers: list[Worker] = field(default_factory=list)
    announced: int = 0
    closed: bool = False
    unreadable: Exception | None = None
    now: Settings = field(default_factory=lambda: Settings(server=ServerOptions(workers=2, shutdown_grace_s=GRACE_S)))

    def run(self) -> int:
        """Until the script asks for the end and all workers have ended."""
        self._steps = self.script(self)
        first = Edition(generation=Generation(number=1, loaded_at=self.clock.now()), loaded=loaded(self.now))
        supervisor = Supervisor(
            first=first,
            start=self._start,
            read=self._read,
            announce=self._announce,
            clock=self.clock,
            log=self.log,
            terminal=Terminal(),
            companion=self,
        )
        return supervisor.run()

    def _start(self, number: int, edition: Edition, _: Iterable[SupervisorsEnd]) -> Process:
        self.workers.append(Worker(1000 + len(self.workers), number, edition))
        return cast("Process", self.workers[-1])

    def _read(self) -> Loaded:
        if self.unreadable is not None:
            raise self.unreadable
        return loaded(self.now)

    def _announce(self) -> None:
        self.announced += 1

    def start(self) -> None:
        assert self.workers == []

    def poll(self) -> None:
        signal.raise_signal(signal.SIGCHLD)  # so that the next turn comes at once
        next(self._steps, None)

    def close(self) -> None:
        self.closed = True

    # -- what scripts are made of

    def all_ready(self) -> Iterator[None]:
        for worker in self.workers:
            worker.says("ready")
        yield

    def ends(self, *others: Worker) -> Iterator[None]:
        signal.raise_signal(signal.SIGTERM)
        yield
        for worker in self.workers:
            if worker.code is None and worker not in others:
                worker.ends(0)
        yield

    def reload(self) -> Iterator[None]:
        signal.raise_signal(signal.SIGHUP)
        yield

    def renew(self) -> Iterator[None]:
        signal.raise_signal(RENEW)
        yield


def test_it_announces_once_all_are_ready_and_ends_when_all_have() -> None:
    def script(house: House) -> Iterator[None]:
        house.workers[0].says("ready")
        yield
        assert house.announced == 0
        yield from house.all_ready()
        assert house.announced == 1
        signal.raise_signal(signal.SIGTERM)
        yield
        assert [worker.told() for worker in house.workers] == [["stop"], ["stop"]]
        signal.raise_signal(signal.SIGINT)
        yield
        assert [worker.told() for worker in house.workers] == [["hurry"], ["hurry"]]
        yield from house.ends()

    house = House(script)
    assert house.run() == 0
    assert [worker.number for worker in house.workers] == [1, 2]
    assert house.closed


def test_a_worker_that_takes_long_to_be_ready_is_named_again_and_again() -> None:
    def script(house: House) -> Iterator[None]:
        yield
        house.workers[0].says("ready")
        for _ in range(3):
            house.clock.advance(READY_S - 1)
            yield
            house.clock.advance(1)
            yield
        yield from house.ends()

    house = House(script)
    assert house.run() == 0
    late = [line for line in house.log.lines if line["event"] == "worker not ready"]
    assert [(line["worker"], line["since_s"]) for line in late] == [(2, 30), (2, 60), (2, 90)]
    assert house.announced == 0


def test_a_worker_that_does_not_start_ends_it_all() -> None:
    def script(house: House) -> Iterator[None]:
        house.workers[0].ends(1)
        yield
        assert house.workers[1].told() == ["stop"]
        house.workers[1].ends(0)
        yield

    house = House(script)
    assert house.run() == 1
    assert house.announced == 0
    assert house.log.of("worker did not start")[0]["exit_code"] == 1


def test_one_that_ends_later_is_replaced_at_once_and_then_after_pauses() -> None:
    def script(house: House) -> Iterator[None]:
        yield from house.all_ready()
        for started, pause_s in ((3, 0.0), (4, 0.25), (5, 0.5)):
            house.workers[-1 if started > 3 else 0].ends(1)
            yield
            if pause_s:
                house.clock.advance(pause_s - 0.01)
                yield
                assert len(house.workers) == started - 1
                house.clock.advance(0.01)
                yield
            assert len(house.workers) == started
            assert house.workers[-1].number == 1
        yield from house.ends()

    house = House(script)
    assert house.run() == 0
    assert [line["restart_in_s"] for line in house.log.of("worker ended")] == [0.0, 0.25, 0.5]


def test_one_that_outlives_the_grace_is_killed() -> None:
    def script(house: House) -> Iterator[None]:
        yield from house.all_ready()
        yield from house.ends(house.workers[1])
        house.clock.advance(GRACE_S + SHIPPING_S + LAST_S - 0.1)
        yield
        assert not house.workers[1].killed
        house.clock.advance(0.1)
        yield

    house = House(script)
    assert house.run() == 1
    assert house.workers[1].killed


def test_a_reload_is_prepared_by_all_then_committed_by_all_and_answered() -> None:
    def script(house: House) -> Iterator[None]:
        yield from house.all_ready()
        one, two = house.workers
        house.now = Settings(server=house.now.server, sandbox="on")
        one.says("reload", ask=7)
        yield
        (order,) = two.heard()
        assert (order["say"], unpacked(order["edition"]).loaded.settings.sandbox) == ("prepare", "on")
        assert one.told() == ["prepare"]
        two.says("prepared", attempt=order["attempt"])
        yield
        assert (one.told(), two.told()) == ([], [])
        one.says("prepared", attempt=order["attempt"])
        yield
        assert (one.told(), two.told()) == (["commit"], ["commit"])
        for worker in (one, two):
            worker.says("committed", attempt=order["attempt"])
        yield
        (answer,) = one.heard()
        assert (answer["say"], answer["ask"], answer["generation"], two.heard()) == ("reloaded", 7, 2, [])
        one.ends(0)
        yield
        assert house.workers[-1].edition.generation.number == 2
        yield from house.ends()

    assert House(script).run() == 0


def test_a_reload_that_one_cannot_prepare_is_given_up_by_all_with_the_reasons() -> None:
    def script(house: House) -> Iterator[None]:
        yield from house.all_ready()
        one, two = house.workers
        two.says("reload", ask=1)
        yield
        (order,) = two.heard()
        one.says("prepared", attempt=order["attempt"])
        two.says("cannot", attempt=order["attempt"], reasons=["no file"])
        yield
        assert one.told() == ["prepare", "abort"]
        abort, answer = two.heard()
        assert (abort["say"], answer["reasons"]) == ("abort", ["no file"])
        one.ends(0)
        yield
        assert house.workers[-1].edition.generation.number == 1
        yield from house.ends()

    house = House(script)
    assert house.run() == 0
    assert house.log.of("reload refused")[0]["reasons"] == ["no file"]


def test_a_word_on_a_former_attempt_does_not_count() -> None:
    def script(house: House) -> Iterator[None]:
        yield from house.all_ready()
        one, two = house.workers
        yield from house.reload()
        one.says("cannot", attempt=1, reasons=["no file"])
        yield
        yield from house.reload()
        two.says("prepared", attempt=1)  # late
        one.says("prepared", attempt=2)
        yield
        assert "commit" not in one.told()
        two.says("prepared", attempt=2)
        yield
        assert one.told() == ["commit"]
        yield from house.ends()

    assert House(script).run() == 0


def test_a_death_before_the_commit_stops_the_reload_and_its_place_is_filled_by_the_old() -> None:
    def script(house: House) -> Iterator[None]:
        yield from house.all_ready()
        yield from house.reload()
        house.workers[1].ends(-9)
        yield
        yield
        assert house.workers[0].told() == ["prepare", "abort"]
        assert [worker.edition.generation.number for worker in house.workers] == [1, 1, 1]
        yield from house.ends()

    assert House(script).run() == 0


def test_nobody_is_started_while_a_reload_is_prepared() -> None:
    def script(house: House) -> Iterator[None]:
        yield from house.all_ready()
        for _ in range(2):
            house.workers[-1].ends(1)
            yield
        assert len(house.workers) == 3  # the fourth has to wait
        yield from house.reload()
        house.clock.advance(1.0)
        yield
        assert len(house.workers) == 3
        for say in ("prepared", "committed"):
            house.workers[0].says(say, attempt=1)
            yield
        yield
        assert house.workers[3].edition.generation.number == 2
        yield from house.ends()

    assert House(script).run() == 0


def test_a_worker_that_says_nothing_stops_a_reload_for_so_long_only() -> None:
    def script(house: House) -> Iterator[None]:
        yield from house.all_ready()
        yield from house.reload()
        house.clock.advance(PREPARE_S)
        yield
        assert house.workers[0].told() == ["prepare", "abort"]
        yield from house.reload()
        for worker in house.workers:
            worker.says("prepared", attempt=2)
        yield
        house.clock.advance(COMMIT_S)
        yield
        assert house.log.of("reloaded")[0]["generation"] == 2
        yield from house.ends()

    house = House(script)
    assert house.run() == 0
    assert house.log.of("reload refused")[0]["reasons"] == ["not every worker prepared the change in time"]


def test_settings_that_cannot_be_read_are_asked_of_no_worker() -> None:
    def script(house: House) -> Iterator[None]:
        yield from house.all_ready()
        for house.unreadable in (ReloadRefused("a.yaml:1:1: is wrong"), RuntimeError("a defect")):
            yield from house.reload()
        assert house.workers[0].told() == []
        yield from house.ends()

    house = House(script)
    assert house.run() == 0
    reasons = [line["reasons"] for line in house.log.of("reload refused")]
    assert reasons == [["a.yaml:1:1: is wrong"], ["the service failed on this; its log has the details"]]
    assert len(house.log.of("defect")) == 1


def test_who_asks_for_a_reload_in_the_end_is_refused() -> None:
    def script(house: House) -> Iterator[None]:
        yield from house.all_ready()
        one = house.workers[0]
        signal.raise_signal(signal.SIGTERM)
        yield
        one.says("reload", ask=3)
        yield
        stop, answer = one.heard()
        assert (stop["say"], answer["reasons"]) == ("stop", ["the service is shutting down"])
        yield from house.ends()

    assert House(script).run() == 0


# -- workers that leave, and a renewal of all of them


def test_a_renewal_starts_each_successor_first_and_goes_on_when_the_old_one_has_ended() -> None:
    def script(house: House) -> Iterator[None]:
        yield from house.all_ready()
        yield from house.renew()
        one, two, newcomer = house.workers
        assert (newcomer.number, one.told(), two.told()) == (1, [], [])
        newcomer.says("ready")
        yield
        assert (one.told(), two.told(), len(house.workers)) == (["leave"], [], 3)
        one.ends(0)
        yield
        yield
        assert house.workers[-1].number == 2
        house.workers[-1].says("ready")
        yield
        assert two.told() == ["leave"]
        two.ends(0)
        yield
        yield
        assert len(house.workers) == 4
        yield from house.ends()

    house = House(script)
    assert house.run() == 0
    assert len(house.log.of("renewed")) == 1
    assert house.log.of("worker ended") == []
    assert house.announced == 1


def test_a_renewal_stops_where_a_successor_does_not_start() -> None:
    def script(house: House) -> Iterator[None]:
        yield from house.all_ready()
        yield from house.renew()
        house.workers[2].ends(1)
        yield
        yield
        assert [worker.told() for worker in house.workers[:2]] == [[], []]
        assert len(house.workers) == 3
        yield from house.ends()

    house = House(script)
    assert house.run() == 0
    assert house.log.of("not renewed")[0]["exit_code"] == 1


def test_a_successor_takes_the_seat_of_one_that_has_died_meanwhile() -> None:
    def script(house: House) -> Iterator[None]:
        yield from house.all_ready()
        yield from house.renew()
        one, two, newcomer = house.workers
        one.ends(-9)
        yield
        yield  # its place is filled at once, as ever
        newcomer.says("ready")
        yield
        filled = house.workers[3]
        assert (filled.number, filled.told()) == (1, ["leave"])
        filled.ends(0)
        yield
        yield
        assert house.workers[-1].number == 2
        two.ends(0)
        yield from house.ends()

    assert House(script).run() == 0


def test_a_renewal_and_a_reload_wait_for_each_other() -> None:
    def script(house: House) -> Iterator[None]:
        yield from house.all_ready()
        one, two = house.workers
        yield from house.renew()
        newcomer = house.workers[2]
        yield from house.reload()
        assert one.told() == []
        newcomer.says("ready")
        yield
        assert one.told() == ["leave"]  # and is told nothing of the settings to come
        assert (two.told(), newcomer.told()) == (["prepare"], ["prepare"])
        one.ends(0)
        yield
        yield
        assert len(house.workers) == 3
        for say in ("prepared", "committed"):
            for worker in (two, newcomer):
                worker.says(say, attempt=1)
            yield
        yield
        assert (house.workers[3].number, house.workers[3].edition.generation.number) == (2, 2)
        yield from house.ends()

    house = House(script)
    assert house.run() == 0
    assert house.log.of("reloaded")[0]["generation"] == 2


def test_a_reload_does_not_wait_for_ever_for_a_successor() -> None:
    def script(house: House) -> Iterator[None]:
        yield from house.all_ready()
        one = house.workers[0]
        yield from house.renew()
        one.says("reload", ask=3)
        yield
        house.clock.advance(PREPARE_S - 0.1)
        yield
        assert one.told() == []
        house.clock.advance(0.1)
        yield
        (answer,) = one.heard()
        assert "does not get ready" in answer["reasons"][0]
        house.workers[2].says("ready")
        yield
        assert one.told() == ["leave"]
        yield from house.ends()

    assert House(script).run() == 0


def test_the_end_comes_also_to_who_leaves_and_to_who_is_to_take_over() -> None:
    def script(house: House) -> Iterator[None]:
        yield from house.all_ready()
        house.workers[1].says("leaving")
        yield
        yield from house.renew()
        signal.raise_signal(signal.SIGTERM)
        yield
        assert [worker.told() for worker in house.workers] == [["stop"]] * 3
        yield from house.ends()

    assert House(script).run() == 0


def test_one_that_a_signal_asks_to_end_is_replaced_while_it_finishes() -> None:
    def script(house: House) -> Iterator[None]:
        yield from house.all_ready()
        two = house.workers[1]
        two.says("leaving")
        yield
        assert len(house.workers) == 2  # the signal may have been for all
        house.clock.advance(WORD_S)
        yield
        assert house.workers[2].number == 2
        house.workers[2].says("ready")
        two.says("reload", ask=3)  # over a connection that is still open
        yield
        assert two.told() == []
        assert house.workers[2].told() == ["prepare"]
        for say in ("prepared", "committed"):
            for worker in (house.workers[0], house.workers[2]):
                worker.says(say, attempt=1)
            yield
        assert two.heard()[0]["generation"] == 2
        two.ends(0)
        yield
        assert len(house.workers) == 3
        yield from house.ends()

    house = House(script)
    assert house.run() == 0
    assert [(line["worker"], line["exit_code"]) for line in house.log.of("worker left")] == [(2, 0)]
    assert house.log.of("worker ended") == []


def test_one_that_leaves_does_not_stand_in_the_way_of_a_reload_that_it_had_begun() -> None:
    def script(house: House) -> Iterator[None]:
        yield from house.all_ready()
        yield from house.reload()
        one, two = house.workers
        two.says("leaving")
        yield
        one.says("prepared", attempt=1)
        yield
        assert one.told() == ["prepare", "commit"]
        one.says("committed", attempt=1)
        yield
        two.says("committed", attempt=1)
        yield
        yield from house.ends()

    house = House(script)
    assert house.run() == 0
    assert house.log.of("reloaded")[0]["generation"] == 2


def test_one_that_does_not_get_done_with_leaving_is_killed() -> None:
    def script(house: House) -> Iterator[None]:
        yield from house.all_ready()
        house.workers[1].says("leaving")
        yield
        house.clock.advance(2 * GRACE_S + SHIPPING_S + LAST_S - 0.1)
        yield
        assert not house.workers[1].killed
        house.clock.advance(0.1)
        yield
        assert house.workers[1].killed
        yield
        yield from house.ends()

    house = House(script)
    assert house.run() == 0
    assert [line["worker"] for line in house.log.of("worker does not end")] == [2]
