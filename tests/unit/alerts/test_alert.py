"""One alert against a model that knows only its whole past: pending, firing, over."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from llm_service.alerts.alert import OVER_S, Alert, step
from llm_service.alerts.book import Book, book_text, read_book
from llm_service.alerts.kinds import Finding
from llm_service.alerts.options import AlertOptions
from llm_service.alerts.rule import Rule
from llm_service.alerts.telling import Told

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FOUND = Finding(labels={"provider": "a"}, value=1.0, summary="It is so.")


def rule(for_s: float = 0, keep_s: float = 0) -> Rule:
    options = AlertOptions(
        name="r", kind="provider_down", for_=f"{for_s}s", keep_firing_for=f"{keep_s}s", labels={"team": "x"}
    )
    return Rule.of(options, notify=("me",))


@dataclass
class Look:
    """At a moment (seconds) the rule held, or not."""

    at: float
    holds: bool


def modelled(looks: list[Look], for_s: float, keep_s: float) -> str | None:
    """The state after all looks, from the past alone.

    A run is the looks that held from one that did not, or a resolution, on. It fires at its first look that is
    ``for_s`` after its begin, and then until the first look that does not hold and is ``keep_s`` after the last that
    did. Whoever is over is remembered for a while.
    """
    run_began: float | None = None
    fired = False
    last_held = ended = 0.0
    over = False
    for look in looks:
        if look.holds:
            if run_began is None:
                run_began, fired = look.at, False
            last_held = look.at
            fired = fired or look.at - run_began >= for_s
            over = over and not fired and look.at - ended < OVER_S
        elif run_began is not None and not fired:
            run_began = None
            over = over and look.at - ended < OVER_S
        elif run_began is not None and look.at - last_held >= keep_s:
            run_began, over, ended = None, True, look.at
        elif over and look.at - ended >= OVER_S:
            over = False
    if run_began is not None:
        return "firing" if fired else "pending"
    return "resolved" if over else None


@given(
    looks=st.lists(st.tuples(st.integers(1, 40) | st.just(int(OVER_S)), st.booleans()), max_size=40),
    for_s=st.sampled_from((0, 10, 60)),
    keep_s=st.sampled_from((0, 10, 60)),
)
def test_an_alert_is_as_its_whole_past_says(looks: list[tuple[int, bool]], for_s: float, keep_s: float) -> None:
    watched, past, at = rule(for_s, keep_s), list[Look](), 0
    alert: Alert | None = None
    for passed, holds in looks:
        at += passed
        past.append(Look(at, holds))
        alert = step(alert, FOUND if holds else None, watched, NOON + timedelta(seconds=at))
        assert (alert.state if alert else None) == modelled(past, for_s, keep_s)
        if alert is not None:
            assert (alert.fired_at is None) == (alert.state == "pending")
            assert (alert.resolved_at is None) == (alert.state != "resolved")
            assert alert.since <= (alert.fired_at or alert.since) <= alert.held_at


def test_an_alert_has_the_labels_of_its_rule_and_of_what_was_found_and_its_newest_figures() -> None:
    first = step(None, FOUND, rule(), NOON)
    assert first is not None
    assert (first.state, first.labels, first.notify) == ("firing", {"team": "x", "provider": "a"}, ("me",))
    worse = Finding(labels={"provider": "a"}, value=9.0, summary="Worse.")
    second = step(first, worse, rule(), NOON + timedelta(seconds=15))
    assert second is not None
    assert (second.value, second.summary, second.since) == (9.0, "Worse.", NOON)


def test_what_is_known_of_alerts_is_the_same_after_it_was_kept() -> None:
    firing = step(None, FOUND, rule(), NOON)
    assert firing is not None
    over = step(firing, None, rule(), NOON + timedelta(seconds=1))
    assert over is not None
    for alert in (firing, over):
        told = Told(at=NOON, firing=frozenset((alert.key,)), failed_at=NOON)
        book = Book(alerts={alert.key: alert}, told={("me", "g"): told}, looked_at=NOON)
        assert read_book(book_text(book)) == book
    assert read_book(None) == Book()


def test_one_that_is_over_and_nearly_comes_again_is_still_over() -> None:
    """Who was told that it fires may not have been told of its end yet."""
    watched, at = rule(for_s=60), [NOON + timedelta(seconds=10 * number) for number in range(20)]
    alert: Alert | None = None
    for moment in at[:8]:
        alert = step(alert, FOUND, watched, moment)
    over = step(alert, None, watched, at[8])
    again = step(over, FOUND, watched, at[9])
    assert over is not None
    assert again is not None
    assert (over.state, again.state, again.fired_at) == ("resolved", "pending", None)
    book = Book(alerts={again.key: again})
    assert read_book(book_text(book)) == book
    assert step(again, None, watched, at[10]) == over
