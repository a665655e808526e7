"""How each provider is doing: from the requests that it gets anyway, and from endpoints that cost nothing."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from llm_service.domain import ProviderState, fact
from llm_service.observability import Log
from llm_service.routing import Measures, ProviderFigures, TrippedBreaker
from llm_service.runtime import Clock
from llm_service.services.moments import moment_text
from llm_service.services.provider_news import News, ProviderNews, balance_object
from llm_service.services.provider_running import STALE_S, ProviderRunning
from llm_service.services.provider_states import ProviderStates

Condition = Literal["ok", "degraded", "down", "disabled", "draining", "unknown"]

FEW: Final = 3
"""So many failures in the last minute say something."""
DEGRADED_RATIO: Final = 0.1
UNTRIED_S: Final = 60.0
"""After how long a half-open breaker says nothing any more: nobody asks, and the deployment may long be well."""
PASSING: Final = frozenset(("upstream_rate_limited",))
"""What a free endpoint may answer although the provider is well."""
NOTHING: Final = ProviderFigures()


@fact
class Verdict:
    """What is to be said of a provider, why, and since when, as far as that is known."""

    condition: Condition
    cause: str | None = None
    since: datetime | None = None


@fact
class ProviderReport:
    """Everything that is known of a provider's health."""

    kind: str
    verdict: Verdict
    figures: ProviderFigures
    last_error_at: datetime | None
    breakers: Sequence[tuple[TrippedBreaker, datetime]]
    account: News | None
    checked_at: datetime | None
    running: int | None
    """Requests that run, in all processes as far as they tell; they do while the provider is drained. ``None``: other
    machines may be at it that are not heard of."""
    drained: bool | None
    """Nothing new begins, and nothing runs any more. ``None``: not here, and what other machines do is not known."""


class ProviderHealth:
    """Judges the configured providers; asks nobody. ``kinds``: their kinds by name. ``measures``: the live traffic.

    - *down*: every deployment that was asked has its breaker open, or half open and was tried within a minute; or none
      of the last minute's requests succeeded and a free endpoint fails, the account has no money, or all of at least
      three requests failed.
    - *degraded*: some of that while requests succeed: a breaker that is not closed, a tenth of the requests failed
      (three at least), a free endpoint that fails.
    - *unknown*: nobody has asked it yet.
    """

    def __init__(
        self,
        kinds: Mapping[str, str],
        states: ProviderStates,
        news: ProviderNews,
        *,
        running: ProviderRunning,
        measures: Measures | None,
        clock: Clock,
        log: Log,
    ) -> None:
        self._kinds = kinds
        self._states = states
        self._news = news
        self._running = running
        self._measures = measures
        self._clock = clock
        self._log = log
        self._noticed: dict[str, tuple[Condition, datetime]] = {}
        self._changed_at = dict.fromkeys(kinds, clock.monotonic())
        states.on_change(self._on_change)

    @property
    def kinds(self) -> Mapping[str, str]:
        """The kinds of all configured providers, by name."""
        return self._kinds

    def figures(self, name: str) -> ProviderFigures:
        """The live figures of this process."""
        return NOTHING if self._measures is None else self._measures.figures(name, self._clock.monotonic())

    def is_down(self, name: str) -> bool:
        """Whether it is to be looked at again soon."""
        return self._judged(name, self.figures(name)).condition == "down"

    def report(self, name: str) -> ProviderReport:
        """Everything that is known of a configured provider."""
        figures = self.figures(name)
        account, catalogue = self._news.last(name, "account"), self._news.last(name, "catalogue")
        checks = [news.at for news in (account, catalogue) if news is not None]
        return ProviderReport(
            kind=self._kinds[name],
            verdict=self._dated(name, self._verdict(name, figures)),
            figures=figures,
            last_error_at=None if figures.last_error_at is None else self._wall(figures.last_error_at),
            breakers=[(breaker, datetime.fromtimestamp(breaker.since, UTC)) for breaker in figures.tripped],
            account=account,
            checked_at=_moment(max(checks)) if checks else None,
            running=figures.in_flight + self._running.elsewhere(name) if self._running.sees_all else None,
            drained=self._is_drained(name, figures),
        )

    async def tell_running(self) -> None:
        """Let the other processes know what runs here of providers that get nothing new."""
        for name in self._kinds:
            if self._states.state_of(name) != "enabled" and (running := self.figures(name).in_flight):
                await self._running.tell(name, running)

    def notice(self) -> None:
        """Look at all of them, so that the log is told of those that are better or worse than before."""
        for name in self._kinds:
            self._dated(name, self._verdict(name, self.figures(name)))

    def _on_change(self, name: str, state: ProviderState) -> None:
        self._changed_at[name] = self._clock.monotonic()

    def _is_drained(self, name: str, figures: ProviderFigures) -> bool | None:
        """Known for sure only once every process that has something to tell has had the time to."""
        if self._states.state_of(name) == "enabled" or figures.in_flight or self._running.elsewhere(name):
            return False
        is_told = self._running.alone or self._clock.monotonic() - self._changed_at[name] >= STALE_S
        return None if is_told and not self._running.sees_all else is_told

    def _dated(self, name: str, verdict: Verdict) -> Verdict:
        """The verdict with the moment at which its condition was first noticed, unless it has an earlier one."""
        noticed = self._noticed.get(name)
        if noticed is None or noticed[0] != verdict.condition:
            if noticed is not None:
                self._tell(name, verdict, before=noticed[0])
            noticed = self._noticed[name] = verdict.condition, verdict.since or self._clock.now()
        return Verdict(condition=verdict.condition, cause=verdict.cause, since=verdict.since or noticed[1])

    def _tell(self, name: str, verdict: Verdict, *, before: Condition) -> None:
        if (before, verdict.condition) == ("unknown", "ok"):
            return
        tell = self._log.warning if verdict.condition in ("down", "degraded") else self._log.info
        tell("provider", provider=name, condition=verdict.condition, before=before, cause=verdict.cause)

    def _verdict(self, name: str, figures: ProviderFigures) -> Verdict:
        state, override = self._states.state_of(name), self._states.override_of(name)
        if state == "enabled":
            return self._judged(name, figures)
        since = None if override is None else datetime.fromisoformat(override.since)
        if state == "disabled":
            cause = "switched off in the configuration" if override is None else "switched off at run time"
            return Verdict(condition="disabled", cause=cause, since=since)
        running = figures.in_flight + self._running.elsewhere(name)
        left = "nothing runs any more" if not running else f"{running} request{'s' * (running > 1)} still running"
        where = "" if self._running.sees_all else ", as far as this machine knows"
        return Verdict(condition="draining", cause=f"gets nothing new; {left}{where}", since=since)

    def _judged(self, name: str, figures: ProviderFigures) -> Verdict:
        faults = [*self._of_traffic(figures), *self._of_endpoints(name, succeeded=figures.judged > figures.failures)]
        for condition in ("down", "degraded"):
            found = next((fault for fault in faults if fault.condition == condition), None)
            if found is not None:
                return found
        asked = figures.requests or any(self._news.last(name, one) for one in ("catalogue", "account"))
        return Verdict(condition="ok" if asked else "unknown", cause=None if asked else "not asked yet")

    def _of_traffic(self, figures: ProviderFigures) -> Sequence[Verdict]:
        faults = []
        if tripped := [breaker for breaker in figures.tripped if breaker.untried_s < UNTRIED_S]:
            first = min(tripped, key=lambda breaker: breaker.since)
            all_of_them = len(tripped) >= figures.deployments
            said = f"{len(tripped)} of {figures.deployments} deployments left alone: {first.cause}"
            condition: Condition = "down" if all_of_them else "degraded"
            faults.append(Verdict(condition=condition, cause=said, since=datetime.fromtimestamp(first.since, UTC)))
        if figures.failures >= FEW and figures.failures >= DEGRADED_RATIO * figures.judged:
            condition = "down" if figures.failures == figures.judged else "degraded"
            last = f"; the last: {figures.last_error_code}" if figures.last_error_code else ""
            said = f"{figures.failures} of {figures.judged} requests of the last minute failed{last}"
            faults.append(Verdict(condition=condition, cause=said))
        return faults

    def _of_endpoints(self, name: str, *, succeeded: bool) -> Sequence[Verdict]:
        worst: Condition = "degraded" if succeeded else "down"
        faults = []
        account, catalogue = self._news.last(name, "account"), self._news.last(name, "catalogue")
        if account is not None and not account.usable:
            since = _moment(account.failing_since)
            faults.append(Verdict(condition=worst, cause="the account has no money left", since=since))
        for what, news in (("account", account), ("catalogue", catalogue)):
            if news is not None and news.code is not None:
                condition: Condition = "degraded" if news.code in PASSING else worst
                said = f"the {what} cannot be read: {news.cause}"
                faults.append(Verdict(condition=condition, cause=said, since=_moment(news.failing_since)))
        return faults

    def _wall(self, monotonic_s: float) -> datetime:
        return self._clock.now() - timedelta(seconds=self._clock.monotonic() - monotonic_s)


def health_object(report: ProviderReport) -> dict[str, Any]:
    """A provider's health as the interface shows it. Traffic is that of the answering process, in the last minute."""
    figures, verdict = report.figures, report.verdict
    return {
        "kind": report.kind,
        "state": verdict.condition,
        "cause": verdict.cause,
        "since": _text(verdict.since),
        "requests": figures.requests,
        "error_ratio": round(figures.failures / figures.judged, 4) if figures.judged else None,
        "first_content_p50_s": _seconds(figures.first_content_p50_s),
        "first_content_p95_s": _seconds(figures.first_content_p95_s),
        "in_flight": figures.in_flight,
        "waiting": figures.waiting,
        "breaker": _breaker(figures),
        "breakers": [
            {
                "model": breaker.upstream_model,
                "state": breaker.state,
                "cause": breaker.cause,
                "since": _text(since),
            }
            for breaker, since in report.breakers
        ],
        "balance": balance_object(report.account),
        "last_error": None
        if figures.last_error_code is None
        else {"code": figures.last_error_code, "at": _text(report.last_error_at)},
        "checked_at": _text(report.checked_at),
    }


def _breaker(figures: ProviderFigures) -> str:
    """The worst of a provider's breakers, in a word."""
    states = {breaker.state for breaker in figures.tripped}
    return "open" if "open" in states else "half_open" if states else "closed"


def _seconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


def _moment(unix_s: float | None) -> datetime | None:
    return None if unix_s is None else datetime.fromtimestamp(unix_s, UTC)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment_text(moment.replace(microsecond=moment.microsecond // 1000 * 1000))
