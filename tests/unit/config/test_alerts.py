"""What is wrong with rules of alerts is told with its place; what is right says all that was meant."""

import pytest

from llm_service.alerts import DEFAULT_RULES, rules_of
from tests.unit.config.conftest import Configured

HOOK = "notifiers: {hook: {kind: webhook, url: 'http://127.0.0.1:9/x'}}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "alerts: [{name: a, kind: cost_per_hour}]",
            "alerts[0].above must be set for a rule of the kind cost_per_hour",
        ),
        (
            "alerts: [{name: a, kind: store_down, above: 3}]",
            "alerts[0].above means nothing to a rule of the kind store_down, which takes stores",
        ),
        (
            "alerts: [{name: a, kind: latency, above: 1, quantile: 0.9, objective: 0.9}]",
            "alerts[0].quantile cannot stand beside objective or burn: a latency is watched in one of two ways",
        ),
        (
            "alerts: [{name: a, kind: latency, above: 1, window: 5m}]",
            "alerts[0].window goes with quantile; the windows of a burn rate are those of burn",
        ),
        (
            "alerts: [{name: a, kind: error_ratio, window: 4d}]",
            "alerts[0].window must be above 0 and at most 3d, which is how far back samples go",
        ),
        (
            "alerts: [{name: a, kind: availability, burn: [{factor: 2, long: 1m, short: 5m}]}]",
            "alerts[0].burn[0] needs a short window that is no longer than the long one, and that at most 3d",
        ),
        ("alerts: [{name: a, kind: error_ratio, providers: [x]}]", "alerts[0].providers goes with per: provider"),
        (
            "alerts: [{name: a, kind: store_down}, {name: a, kind: provider_down}]",
            "alerts[1].name is a, as another rule is called already",
        ),
        (
            f"{HOOK}alerts: [{{name: a, kind: store_down, notify: [hock]}}]",
            "alerts[0].notify[0] is not the name of a configured notifier; did you mean hook?",
        ),
        ("alerts: [{name: a, kind: store_down, stores: [database2]}]", "did you mean database?"),
        (
            "alerts: [{name: a, kind: budget_share, scopes: [tenant]}]",
            "alerts[0].scopes[0] must be global, model, key, user or provider",
        ),
        (
            "alerts: [{name: a, kind: provider_down, providers: [deepsek]}]",
            "alerts[0].providers[0] is not the name of a configured provider",
        ),
        ("alerts: [{name: a, kind: error_ratio, above: 5}]", "alerts[0].above is a share of 1 and must be below that"),
        ("alerts: [{name: a, kind: budget_share, above: 90}]", "alerts[0].above is a share of 1"),
        ("alerts: [{name: a, kind: cache_hit_ratio, below: 50}]", "alerts[0].below is a share of the usual ratio"),
        ("alerts: [{name: a, kind: latency, quantile: 0.9, above: 120}]", "alerts[0].above must be below 120"),
        ("alerts: [{name: a, kind: latency, measure: duration, above: 700}]", "alerts[0].above must be below 640"),
        (
            "alerts: [{name: a, kind: availability, objective: 0.9, burn: [{factor: 14.4, long: 1h, short: 5m}]}]",
            "alerts[0].burn[0] must have a factor below 10: with this objective nothing burns faster",
        ),
        ("alerts: [{name: a, kind: availability, objective: 0.8}]", "alerts[0].objective needs burn beside it"),
        ("alerting: {notify: [x]}", "alerting.notify[0] is not the name of a configured notifier"),
        ("alerting: {off: [store-dwn]}", "alerting.off[0] is not the name of a rule; did you mean store-down?"),
        ("alerts: [{name: a, kind: store_down, for: soon}]", "alerts[0].for must be a span of time such as 30s, 5m"),
        ("alerts: [{name: a, kind: store_don}]", "did you mean store_down?"),
        ("alerts: [{kind: store_down}]", "alerts[0] needs name"),
    ],
)
def test_a_mistake_is_told_with_its_place(configured: Configured, text: str, message: str) -> None:
    (mistake,) = configured.mistakes(text)
    assert mistake.startswith("llm-service.yaml:")
    assert message in mistake


def test_rules_are_read_with_what_their_kinds_say_where_they_say_nothing(configured: Configured) -> None:
    text = (
        f"{HOOK}alerting: {{notify: [hook]}}\n"
        "alerts: [{name: a, kind: error_ratio, for: 90, window: 1.5h, keep_firing_for: 500ms, labels: {team: x}},"
        " {name: b, kind: store_down, severity: info, enabled: false}]"
    )
    settings = configured.settings(text)
    (rule,) = rules_of(settings.alerts, settings.alerting)
    assert (rule.for_s, rule.window_s, rule.keep_s, rule.above) == (90, 5400, 0.5, 0.5)
    assert (rule.severity, rule.notify, rule.labels) == ("warning", ("hook",), {"team": "x"})


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", [rule.name for rule in DEFAULT_RULES]),
        ("alerting: {defaults: off}", []),
        ("alerts: [{name: a, kind: store_down}]", ["a"]),
        (
            "alerts: [{name: store-down, kind: store_down}]\nalerting: {defaults: on, off: [limit-drift]}",
            ["store-down", *(one.name for one in DEFAULT_RULES if one.name not in ("store-down", "limit-drift"))],
        ),
    ],
)
def test_built_in_rules_apply_where_there_are_no_others_or_where_they_are_wanted(
    configured: Configured, text: str, names: list[str]
) -> None:
    settings = configured.settings(text or None)
    assert [rule.name for rule in rules_of(settings.alerts, settings.alerting)] == names
