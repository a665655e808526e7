"""Every kind of rule finds what it is for, nothing else, and nothing in too little traffic."""

from collections.abc import Callable

import pytest

from llm_service.alerts.history import History
from llm_service.alerts.kinds import Finding, findings, span_text
from llm_service.alerts.options import AlertOptions, BurnOptions
from llm_service.alerts.rule import DEFAULT_RULES, KINDS, Rule, rule_problems
from llm_service.alerts.samples import condensed
from tests.support.figures import Machine

EVERY_S = 15
TTFC = "llm_time_to_first_chunk_seconds"


class Watched:
    """A machine that is sampled every 15 seconds."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.history = History(interval_s=EVERY_S)
        self._at = 0
        self._sample()

    def _sample(self) -> None:
        self.history.add("a", condensed(self.machine.snapshot(self._at), models=("slow-model",)))

    def passes(self, seconds: float, each: Callable[[Machine], None] = lambda _: None) -> None:
        """Time passes, and the same happens in every interval."""
        for _ in range(int(seconds / EVERY_S)):
            self._at += EVERY_S
            each(self.machine)
            self._sample()

    def finds(self, options: AlertOptions) -> list[Finding]:
        assert list(rule_problems(options)) == []
        return list(findings(self.history, Rule.of(options)))


@pytest.fixture
def watched() -> Watched:
    return Watched()


def rule(kind: str, **settings: object) -> AlertOptions:
    return AlertOptions(name="x", kind=kind, **settings)  # type: ignore[arg-type]


def served(good: int, bad: int = 0, refused: int = 0) -> Callable[[Machine], None]:
    return lambda machine: machine.requests(good, bad, refused=refused)


# -- what is promised


def test_availability_burns_when_both_windows_do(watched: Watched) -> None:
    watched.passes(3600, served(98, 2))
    (found,) = watched.finds(rule("availability"))
    assert found.value == pytest.approx(20)
    assert found.summary.startswith("2.00% of the requests of the last hour failed")


def test_availability_that_is_as_promised_does_not_burn(watched: Watched) -> None:
    watched.passes(3600, served(999, 1, refused=500))
    assert watched.finds(rule("availability")) == []


def test_a_burn_that_is_over_is_no_alert_though_the_long_window_shows_it(watched: Watched) -> None:
    watched.passes(1800, served(90, 10))
    assert watched.finds(rule("availability"))
    watched.passes(600, served(100))
    assert watched.history.increase("llm_request_errors_total", over_s=3600) > 1000
    fast = (BurnOptions(factor=14.4, long="1h", short="5m"),)
    assert watched.finds(rule("availability", burn=fast)) == []


def test_a_slow_burn_is_found_by_the_long_windows(watched: Watched) -> None:
    watched.passes(86_400 / 4, served(496, 4))
    assert watched.finds(rule("availability", burn=DEFAULT_RULES[0].burn))
    slow = Watched()
    slow.passes(86_400 / 2, served(996, 4))
    assert not slow.finds(rule("availability", burn=DEFAULT_RULES[0].burn))
    assert slow.finds(rule("availability", burn=DEFAULT_RULES[1].burn))


def test_callers_own_faults_do_not_count(watched: Watched) -> None:
    watched.passes(3600, served(10, 0, refused=90))
    assert watched.finds(rule("availability")) == []


def test_latency_burns_when_too_many_wait_too_long(watched: Watched) -> None:
    def each(machine: Machine) -> None:
        machine.observe(TTFC, 0.3, times=20, model="m", provider="a")
        machine.observe(TTFC, 30.0, times=80, model="slow-model", provider="b")

    watched.passes(900, each)
    (found,) = watched.finds(rule("latency", above=12.8, objective=0.95))
    assert found.value == pytest.approx(16)
    assert "waited longer than 12.8 s for the first content" in found.summary
    assert watched.finds(rule("latency", above=50, objective=0.95)) == []
    assert watched.finds(rule("latency", above=12.8, providers=("a",))) == []
    (named,) = watched.finds(rule("latency", above=12.8, models=("slow-model",), providers=("b",)))
    assert named.labels == {"model": "slow-model", "provider": "b"}


def test_a_quantile_of_latency_is_compared_with_its_bound(watched: Watched) -> None:
    watched.passes(300, lambda machine: machine.observe("llm_request_duration_seconds", 4.0, times=10))
    quantile = rule("latency", measure="duration", quantile=0.95, above=3, window="5m")
    (found,) = watched.finds(quantile)
    assert 2.5 < found.value <= 5
    assert watched.finds(rule("latency", measure="duration", quantile=0.95, above=5, window="5m")) == []


# -- errors, money, cache


def test_error_ratio_of_a_provider_and_of_answers_as_a_whole(watched: Watched) -> None:
    def each(machine: Machine) -> None:
        late = ("error", "ok", "lost", "lost", "aborted")  # half of what it ended by itself
        asked_wrongly = ("error", "error", "ok", "excused", "excused", "excused")
        for provider, outcomes in (
            ("bad", ("error",) * 3 + ("ok", "lost")),
            ("good", ("ok",) * 9 + ("error",)),
            ("late", late),
            ("asked wrongly", asked_wrongly),
        ):
            for outcome in outcomes:
                machine.count("llm_upstream_attempts_total", provider=provider, outcome=outcome)
        machine.requests(95, 5)

    watched.passes(300, each)
    (found,) = watched.finds(rule("error_ratio", per="provider"))
    assert (found.labels, found.value) == ({"provider": "bad"}, 0.75)
    assert "providers disable bad" in found.summary
    assert watched.finds(rule("error_ratio", per="provider", providers=("good",))) == []
    (whole,) = watched.finds(rule("error_ratio", above=0.04))
    assert (whole.labels, whole.value) == ({}, 0.05)


def test_cost_of_an_hour_and_of_a_day(watched: Watched) -> None:
    watched.passes(7200, lambda machine: machine.count("llm_cost_usd_total", 0.01, provider="a"))
    (hour,) = watched.finds(rule("cost_per_hour", above=2))
    (day,) = watched.finds(rule("cost_per_day", above=4))
    assert (round(hour.value, 6), round(day.value, 6)) == (2.4, 4.8)
    assert watched.finds(rule("cost_per_hour", above=2.5)) == []
    assert watched.finds(rule("cost_per_hour", above=1, providers=("b",))) == []
    (of_one,) = watched.finds(rule("cost_per_hour", above=1, providers=("a", "b")))
    assert of_one.labels == {"provider": "a"}


def test_cache_hit_ratio_is_compared_with_its_own_day(watched: Watched) -> None:
    def hits(hit: int, missed: int) -> Callable[[Machine], None]:
        def each(machine: Machine) -> None:
            machine.count("llm_cache_hits_total", hit, kind="hit")
            machine.count("llm_cache_hits_total", 50, kind="replay")
            machine.count("llm_cache_misses_total", missed)

        return each

    watched.passes(7200, hits(6, 4))
    assert watched.finds(rule("cache_hit_ratio")) == []
    watched.passes(1800, hits(4, 6))
    assert watched.finds(rule("cache_hit_ratio")) == []
    watched.passes(1800, hits(1, 9))
    (found,) = watched.finds(rule("cache_hit_ratio"))
    assert found.value == pytest.approx(0.1)


# -- gauges


def test_gauges_are_compared_with_their_bounds(watched: Watched) -> None:
    def each(machine: Machine) -> None:
        machine.gauge("llm_budget_used_ratio", 0.95, scope="key")
        machine.gauge("llm_budget_used_ratio", 0.5, scope="global")
        machine.gauge("llm_provider_balance_usd", 1.5, provider="a")
        machine.gauge("llm_provider_up", 0, provider="a")
        machine.gauge("llm_provider_up", 1, provider="b")
        machine.gauge("llm_store_up", 0, store="database")
        machine.gauge("llm_store_up", 1, store="limits")
        machine.gauge("llm_limit_drift_usd", -2.5)
        machine.gauge("llm_ledger_backlog", 12)
        machine.gauge("llm_ledger_backlog_seconds", 301)

    watched.passes(EVERY_S, each)
    expected = {
        "budget_share": ({"scope": "key"}, 0.95),
        "provider_down": ({"provider": "a"}, 1),
        "balance_low": ({"provider": "a"}, 1.5),
        "store_down": ({"store": "database"}, 1),
        "limit_drift": ({}, -2.5),
        "ledger_backlog": ({}, 301),
    }
    for kind, (labels, value) in expected.items():
        (found,) = watched.finds(rule(kind))
        assert (found.labels, found.value) == (labels, value), kind
    assert watched.finds(rule("budget_share", scopes=("global",))) == []
    assert watched.finds(rule("provider_down", providers=("b",))) == []
    assert watched.finds(rule("store_down", stores=("limits",))) == []
    assert watched.finds(rule("balance_low", below=1.5)) == []
    assert watched.finds(rule("limit_drift", above=3)) == []
    assert watched.finds(rule("ledger_backlog", above=301)) == []


# -- all


ALL_DEFAULTS = {
    kind: AlertOptions(name=kind, kind=kind, above=1.0 if "above" in usual.needs else None)
    for kind, usual in KINDS.items()
}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_found_where_nothing_was_measured(watched: Watched, kind: str) -> None:
    assert findings(History(interval_s=15), Rule.of(ALL_DEFAULTS[kind])) == []  # type: ignore[index]
    watched.passes(600)
    assert watched.finds(ALL_DEFAULTS[kind]) == []  # type: ignore[index]


@pytest.mark.parametrize("few", [1, 19])
def test_shares_of_few_requests_say_nothing(watched: Watched, few: int) -> None:
    def each(machine: Machine) -> None:
        machine.requests(0, few)
        for _ in range(few):
            machine.count("llm_upstream_attempts_total", provider="a", outcome="error")
            machine.observe(TTFC, 100.0)

    watched.passes(EVERY_S, each)
    shares = (
        rule("availability"),
        rule("error_ratio"),
        rule("error_ratio", per="provider"),
        rule("latency", above=1),
        rule("latency", above=1, quantile=0.5),
    )
    assert [watched.finds(one) for one in shares] == [[]] * 5
    watched.passes(EVERY_S, each if few == 19 else served(0))
    assert [bool(watched.finds(one)) for one in shares] == [few == 19] * 5


@pytest.mark.parametrize(
    ("seconds", "said"), [(3600, "hour"), (5400, "1.5 hours"), (300, "5 minutes"), (86400, "day"), (2, "2 seconds")]
)
def test_spans_are_told_in_words(seconds: float, said: str) -> None:
    assert span_text(seconds) == said
