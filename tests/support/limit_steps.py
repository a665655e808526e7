"""Steps of the limit machine as values: they are taken again, made simpler, and told as a test would write them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llm_service.domain import Claim, Limit
from tests.support.limit_machine import Held, Limits, Open

SETTLING = frozenset(("settle", "settle_for_another"))


@dataclass(frozen=True, slots=True)
class Step:
    """A rule of the machine by its name. ``lease``: the number of the one that it is about, if any."""

    name: str
    arguments: Mapping[str, Any]
    lease: int | None = None

    def __str__(self) -> str:
        """The statement that takes it, with ``steps`` for the machine."""
        given = [f"{name}={told(value)}" for name, value in self.arguments.items()]
        lease = f"lease_{self.lease}"
        if self.lease is not None and self.name != "admit":
            given.insert(0, f"lease={lease}")
        call = f"steps.{self.name}({', '.join(given)})"
        return f"{lease} = {call}" if self.name in {"admit", "swap"} else call

    def simpler(self) -> Iterator["Step"]:
        """The same with one claim or one candidate less."""
        for name, value in self.arguments.items():
            if name in {"callers", "candidates"}:
                for less in _less(value):
                    yield replace(self, arguments={**self.arguments, name: less})


def _less(value: list[Any]) -> Iterator[list[Any]]:
    candidates = bool(value) and isinstance(value[0], list)
    for at, one in enumerate(value):
        if not candidates or len(value) > 1:
            yield [*value[:at], *value[at + 1 :]]
        if candidates:
            yield from ([*value[:at], less, *value[at + 1 :]] for less in _less(one))


def told(value: object) -> str:
    """As Python; a limit by its key."""
    match value:
        case Limit(key=key):
            return f"BY_KEY[{key!r}]"
        case Claim(limit=limit, cost=cost):
            return f"Claim({told(limit)}, {cost})"
        case list():
            return f"[{', '.join(map(told, value))}]"
        case set():
            return f"{{{', '.join(sorted(map(told, value)))}}}" if value else "set()"
        case _:
            return repr(value)


class Replay:
    """Takes steps. One of a lease that was not granted, or does not fit its state, is left out."""

    def __init__(self, machine: Limits) -> None:
        self.machine = machine
        self.held: dict[int | None, Held] = {}
        self.settled: dict[int | None, Held] = {}

    def take(self, step: Step) -> None:
        given = dict(step.arguments)
        if step.lease is not None and step.name != "admit":
            leases = self.settled if step.name == "settle_again" else self.held
            if step.lease not in leases:
                return
            given["lease"] = leases[step.lease]
        answer = getattr(self.machine, step.name)(**given)
        if step.name in SETTLING:
            self.settled[step.lease] = self.held.pop(step.lease)
        elif isinstance(answer, tuple):
            self.held[step.lease] = answer


def play(open_stores: Open, steps: Sequence[Step]) -> None:
    """Take steps on empty stores, as the machine is run: each is followed by what always holds."""
    machine = Limits(open_stores)
    replay = Replay(machine)
    try:
        for step in steps:
            replay.take(step)
            machine.nothing_stands_beyond_its_limit()
        machine.all_is_read()
    finally:
        machine.shut()
