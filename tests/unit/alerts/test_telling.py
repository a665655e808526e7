"""Who is told what and when: groups, waits, repetitions, silences, resolutions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from llm_service.alerts.alert import Alert, resolved
from llm_service.alerts.options import AlertingOptions, Severity
from llm_service.alerts.silence import Matcher, Silence, read_silence, silence_text
from llm_service.alerts.telling import AGAIN_S, Due, Group, Telling, Told

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
OPTIONS = AlertingOptions(group_wait_s=10, group_interval_s=60, repeat_interval_s=3600)


def alert(rule: str, *, severity: Severity = "critical", notify: tuple[str, ...] = ("me",), **labels: str) -> Alert:
    return Alert(
        rule=rule,
        labels=labels,
        severity=severity,
        state="firing",
        since=NOON,
        held_at=NOON,
        fired_at=NOON,
        value=1.0,
        summary=f"{rule} is so.",
        notify=notify,
    )


class Receiver:
    """Goes through time and takes what is due as delivered."""

    def __init__(self, options: AlertingOptions = OPTIONS, *, instance: str = "here") -> None:
        self._telling = Telling(options, instance=instance)
        self.told: dict[Group, Told] = {}
        self.silences: list[Silence] = []

    def at(self, seconds: float, *alerts: Alert) -> list[Due]:
        now = NOON + timedelta(seconds=seconds)
        due = list(self._telling.due(alerts, self.told, self.silences, now))
        for one in due:
            self.told[one.place] = one.told(now)
        return due


def said(due: list[Due]) -> list[tuple[str, list[str]]]:
    return [(one.notice.status, [firing.rule for firing in one.notice.alerts]) for one in due]


def over(one: Alert, seconds: float) -> Alert:
    return resolved(one, NOON + timedelta(seconds=seconds))


def test_alerts_that_come_together_share_a_notice_after_a_wait() -> None:
    receiver, one, other = Receiver(), alert("a"), replace(alert("b"), fired_at=NOON + timedelta(seconds=5))
    assert said(receiver.at(9, one, other)) == []
    (due,) = receiver.at(10, one, other)
    assert (due.notifier, due.group, due.notice.severity) == ("me", "severity=critical", "critical")
    assert (due.notice.instance, due.notice.at) == ("here", NOON + timedelta(seconds=10))
    assert said([due]) == [("firing", ["a", "b"])]
    assert said(receiver.at(25, one, other)) == []


def test_what_comes_later_is_told_once_the_group_has_rested() -> None:
    receiver, one = Receiver(), alert("a")
    receiver.at(10, one)
    later = replace(alert("b"), fired_at=NOON + timedelta(seconds=20))
    assert said(receiver.at(30, one, later)) == []
    assert said(receiver.at(70, one, later)) == [("firing", ["a", "b"])]
    assert said(receiver.at(130, one, over(later, 125))) == [("firing", ["a", "b"])]
    assert said(receiver.at(190, one, over(later, 125))) == []


def test_the_end_of_the_last_one_is_told_at_once_and_once() -> None:
    receiver, one = Receiver(), alert("a")
    receiver.at(10, one)
    assert said(receiver.at(12, over(one, 12))) == [("resolved", ["a"])]
    assert said(receiver.at(14, over(one, 12))) == []


def test_a_group_that_is_over_is_a_new_one_when_it_begins_again() -> None:
    receiver, one = Receiver(), alert("a")
    receiver.at(10, one)
    receiver.at(12, over(one, 12))
    again = replace(one, fired_at=NOON + timedelta(seconds=20))
    assert said(receiver.at(29, again)) == []
    assert said(receiver.at(30, again)) == [("firing", ["a"])]


def test_nobody_is_told_of_the_end_of_what_they_never_heard_of() -> None:
    receiver, one = Receiver(), alert("a")
    assert said(receiver.at(5, one)) == []
    assert said(receiver.at(20, over(one, 6))) == []


def test_the_end_of_one_that_nearly_comes_again_is_told() -> None:
    receiver, one, other = Receiver(), alert("a"), alert("b")
    receiver.at(10, one, other)
    again = replace(other, state="pending", fired_at=None, former=over(other, 20))
    assert said(receiver.at(30, one, again)) == []
    assert said(receiver.at(70, one, again)) == [("firing", ["a", "b"])]
    assert said(receiver.at(130, one, over(other, 20))) == []


def test_whoever_goes_on_with_a_group_speaks_under_the_name_that_it_is_known_by() -> None:
    first, next_one = Receiver(instance="pod-1"), Receiver(instance="pod-2")
    one = alert("a")
    assert [due.notice.instance for due in first.at(10, one)] == ["pod-1"]
    next_one.told = first.told
    assert [due.notice.instance for due in next_one.at(70, over(one, 60))] == ["pod-1"]
    later = replace(alert("b"), fired_at=NOON + timedelta(seconds=200))
    assert [due.notice.instance for due in next_one.at(300, later)] == ["pod-2"]


def test_what_goes_on_is_told_again() -> None:
    receiver, one = Receiver(), alert("a")
    receiver.at(10, one)
    assert said(receiver.at(3609, one)) == []
    assert said(receiver.at(3610, one)) == [("firing", ["a"])]
    assert said(receiver.at(3625, one)) == []


def test_each_notifier_and_severity_has_a_group_of_its_own() -> None:
    receiver = Receiver()
    due = receiver.at(10, alert("a", notify=("me", "you")), alert("b", severity="info"), alert("c", notify=()))
    assert sorted((one.notifier, one.group) for one in due) == [
        ("me", "severity=critical"),
        ("me", "severity=info"),
        ("you", "severity=critical"),
    ]
    by_rule = Receiver(replace(OPTIONS, group_by="rule")).at(10, alert("a"), alert("b"))
    assert sorted(one.group for one in by_rule) == ["rule=a", "rule=b"]


def test_what_could_not_be_told_is_tried_again_after_a_while() -> None:
    receiver, one = Receiver(), alert("a")
    receiver.told["me", "severity=critical"] = Told(at=NOON, firing=frozenset(), failed_at=NOON)
    assert said(receiver.at(AGAIN_S - 1, one)) == []
    assert said(receiver.at(AGAIN_S, one)) == [("firing", ["a"])]


# -- silences


def silence(*matchers: Matcher, since: float = 0, until: float = 1000) -> Silence:
    return Silence(
        id="s",
        matchers=matchers,
        starts_at=NOON + timedelta(seconds=since),
        ends_at=NOON + timedelta(seconds=until),
        created_by="anna",
        comment="we know",
    )


def test_nobody_is_told_of_what_is_silenced_until_the_silence_ends() -> None:
    receiver, one, other = Receiver(), alert("a", provider="x"), alert("b")
    receiver.silences = [silence(Matcher(name="provider", value="x"))]
    assert said(receiver.at(10, one, other)) == [("firing", ["b"])]
    assert said(receiver.at(999, one, other)) == []
    assert said(receiver.at(1000, one, other)) == [("firing", ["a", "b"])]


def test_the_end_of_what_is_silenced_is_not_told() -> None:
    receiver, one = Receiver(), alert("a")
    receiver.at(10, one)
    receiver.silences = [silence(Matcher(name="rule", value="a"))]
    assert said(receiver.at(20, over(one, 20))) == []


@pytest.mark.parametrize(
    ("matcher", "fits"),
    [
        (Matcher(name="rule", value="down"), True),
        (Matcher(name="rule", value="down", operator="!="), False),
        (Matcher(name="severity", value="critical"), True),
        (Matcher(name="provider", value="deep*"), True),
        (Matcher(name="provider", value="*e*k"), True),
        (Matcher(name="provider", value="*p*p*"), False),
        (Matcher(name="provider", value="deepseek*k"), False),
        (Matcher(name="provider", value="*"), True),
        (Matcher(name="store", value="*"), True),
        (Matcher(name="store", value=""), True),
        (Matcher(name="store", value="x", operator="!="), True),
    ],
)
def test_matchers_are_about_rule_severity_and_labels(matcher: Matcher, fits: bool) -> None:
    held = silence(matcher).silences("down", "critical", {"provider": "deepseek"}, NOON)
    assert held == fits


def test_all_matchers_of_a_silence_must_be_met() -> None:
    both = silence(Matcher(name="rule", value="down"), Matcher(name="provider", value="x"))
    assert not both.silences("down", "critical", {"provider": "y"}, NOON)


def test_a_silence_holds_in_its_time_and_is_the_same_after_it_was_kept() -> None:
    one = silence(Matcher(name="rule", value="a", operator="!="), since=10, until=20)
    states = [one.state(NOON + timedelta(seconds=seconds)) for seconds in (9, 10, 19, 20)]
    assert states == ["pending", "active", "active", "expired"]
    assert read_silence(silence_text(one)) == one
