"""The breakers of all deployments, as this process has them, and as all processes share them."""

from collections.abc import Callable, Sequence
from typing import Final

from llm_service.domain import Candidate, fact
from llm_service.observability import Log
from llm_service.routing.breaker import Breaker, BreakerState, Change, name_of
from llm_service.routing.breaker_sharing import BreakerSharing
from llm_service.routing.options import BreakerOptions
from llm_service.runtime import Clock
from llm_service.storage import Ejection

MOST: Final = 4096
"""Breakers that are kept: the names of models are the callers' to invent."""
FORGOTTEN: Final = MOST // 4
ROUNDING: Final = 1e-9

GroupsOf = Callable[[Candidate], Sequence[Sequence[Candidate]]]
"""For each model that a deployment serves, all the deployments of that model, itself among them."""


@fact
class BreakerReport:
    """How a breaker is. ``since``: when it opened or closed, Unix seconds; ``wait_s``: until the next request may pass.

    ``calls`` and ``failures`` are those of the window in this process. ``cause`` is empty unless it has opened.
    """

    candidate: Candidate
    state: BreakerState
    since: float
    cause: str
    wait_s: float
    calls: int
    failures: int


class Breakers:
    """Finds the breaker of a deployment. Survives reloads: settings are replaced, what is open stays open.

    What opens for its share of failures alone is bounded: together with those that are open already, for whatever
    reason, it is at most ``max_ejected`` of the deployments of each model that it serves, rounded down. With
    ``sharing`` that holds over all processes: an opening that came in between is taken back.
    """

    def __init__(self, *, clock: Clock, log: Log, sharing: BreakerSharing | None = None) -> None:
        self._clock = clock
        self._log = log
        self._sharing = sharing
        self._options = BreakerOptions()
        self._groups_of: GroupsOf = _no_groups
        self._breakers: dict[tuple[str, str], Breaker] = {}
        self._on_change: Callable[[Breaker], None] = lambda breaker: None

    def configure(self, options: BreakerOptions, groups_of: GroupsOf) -> None:
        """Go on with other settings."""
        self._options = options
        self._groups_of = groups_of
        for breaker in self._breakers.values():
            breaker.configure(options)

    def start(self) -> None:
        """Follow the other processes from now on, until the owner of the sharing's tasks ends them."""
        if self._sharing is not None:
            self._sharing.start(self)

    def on_change(self, tell: Callable[[Breaker], None]) -> None:
        """Call back with each breaker that opens or closes here; those that other processes tell of are theirs."""
        self._on_change = tell

    def of(self, candidate: Candidate) -> Breaker:
        """The breaker of a deployment, until it is ``forgotten``: one that says nothing is, when there are many."""
        key = candidate.provider, candidate.upstream_model
        return self._breakers.get(key) or self._made(key, candidate)

    async def claim(self, breaker: Breaker, permit: int) -> int:
        """Whether the one that `Breaker.permits` lets try may do so among all processes: its permit, or 0.

        Waits for a shared store for as long as that has to answer (100 ms); without one every process tries by itself.
        """
        if breaker.closed or self._sharing is None:
            return permit
        return await self._sharing.claim(breaker, permit)

    def states(self) -> list[BreakerReport]:
        """How all of them are."""
        now = self._clock.monotonic()
        return [_report(breaker, now) for breaker in self._breakers.values()]

    def tripped(self) -> Sequence[tuple[Candidate, BreakerState]]:
        """Those that let nobody pass, or few."""
        now = self._clock.monotonic()
        return [(one.candidate, one.state(now)) for one in self._breakers.values() if one.broken]

    def reset(self, provider: str) -> int:
        """Close those of a provider, here and in all processes, and forget its failures here. How many were open."""
        found = [breaker for (name, _), breaker in self._breakers.items() if name == provider]
        opened = sum(breaker.broken for breaker in found)
        for breaker in found:
            breaker.reset()
        return opened

    # -- for the sharing

    def find(self, candidate: Candidate) -> Breaker | None:
        """The breaker of a deployment that this process has asked, or has heard of."""
        return self._breakers.get((candidate.provider, candidate.upstream_model))

    def forget_heard(self) -> None:
        """Take in whatever comes next: the memory that all shared is lost."""
        for breaker in self._breakers.values():
            breaker.heard = 0

    def within(self, breaker: Breaker) -> Sequence[Ejection]:
        """What must hold when the breaker opens for its share of failures alone."""
        groups = self._groups_of(breaker.candidate) or ((breaker.candidate,),)
        share = self._options.max_ejected + ROUNDING
        return [Ejection(most=int(share * len(group)), names=[name_of(one) for one in group]) for group in groups]

    # -- the parts

    def _made(self, key: tuple[str, str], candidate: Candidate) -> Breaker:
        if len(self._breakers) >= MOST:
            self._forget()
        made = Breaker(
            candidate, self._options, time=self._clock.time, may_eject=self._may_eject, tell=self._changed
        )  # fmt: skip
        self._breakers[key] = made
        return made

    def _forget(self) -> None:
        """Let go of a part, first of those that say nothing, last of open ones; of the oldest among these."""
        now = self._clock.monotonic()
        kept_longest = sorted(self._breakers, key=lambda key: _weight(self._breakers[key], now))
        for key in kept_longest[:FORGOTTEN]:
            self._breakers.pop(key).forgotten = True

    def _may_eject(self, breaker: Breaker) -> bool:
        for group in self._groups_of(breaker.candidate) or ((breaker.candidate,),):
            others = sum(self._is_open(one) for one in group if one != breaker.candidate)
            if others + 1 > (self._options.max_ejected + ROUNDING) * len(group):
                return False
        return True

    def _is_open(self, candidate: Candidate) -> bool:
        breaker = self.find(candidate)
        return breaker is not None and breaker.broken

    def _changed(self, breaker: Breaker, change: Change) -> None:
        names = {"provider": breaker.candidate.provider, "model": breaker.candidate.upstream_model}
        if change == "opened":
            self._log.warning("deployment is left alone", **names, cause=breaker.cause, for_s=breaker.pause_s)
        elif change in ("closed", "reset"):
            self._log.info("deployment is asked again", **names)
        if change in ("opened", "closed", "reset"):
            self._on_change(breaker)
        if self._sharing is not None:
            self._sharing.tell(breaker, change)


def _no_groups(candidate: Candidate) -> Sequence[Sequence[Candidate]]:
    return ()


def _weight(breaker: Breaker, now: float) -> int:
    return 2 if breaker.broken else int(not breaker.is_idle(now))


def _report(breaker: Breaker, now: float) -> BreakerReport:
    state = breaker.state(now)
    calls, failures = breaker.counts(now)
    return BreakerReport(
        candidate=breaker.candidate,
        state=state,
        since=breaker.since,
        cause=breaker.cause,
        wait_s=0.0 if state == "closed" else max(0.0, breaker.open_until - now),
        calls=calls,
        failures=failures,
    )
