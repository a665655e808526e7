"""Rules for Prometheus: each is tested both ways, tells what to do, and asks for what there is."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from llm_service.observability.metrics import catalog
from tests.support import promql
from tests.support.deploy import CHECKOUT, PROMETHEUS, RULE_TESTS, alerts, recorded, rules, yaml

ASKED = re.compile(r'ALERTS\{alertname="(\w+)", alertstate="firing"\}')
ANSWERED = re.compile(r'ALERTS\{alertname="(\w+)", alertstate="firing"[,}]')
BOUND = re.compile(r'(\w+)_bucket\{[^}]*le=~?"([^"]+)"')


def cases() -> Iterator[tuple[str, list[Any]]]:
    """Each alert that a test of promtool looks for by its name, and what it is to see."""
    for path in RULE_TESTS:
        for test in yaml(path)["tests"]:
            for case in test.get("promql_expr_test", ()):
                if asked := ASKED.fullmatch(case["expr"]):
                    yield asked[1], case.get("exp_samples", [])


def fires_somewhere() -> set[str]:
    samples = [
        sample["labels"]
        for path in RULE_TESTS
        for test in yaml(path)["tests"]
        for case in test.get("promql_expr_test", ())
        for sample in case.get("exp_samples", ())
    ]
    return {found[1] for labels in samples if (found := ANSWERED.match(labels))}


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    assert fires_somewhere() == set(alerts())


def test_every_alert_has_a_case_in_which_it_does_not() -> None:
    assert {name for name, seen in cases() if not seen} == set(alerts())


def test_every_test_is_of_the_rules_that_are_shipped() -> None:
    shipped = {path.name for path in (PROMETHEUS / "rules").iterdir()}
    for path in RULE_TESTS:
        assert {name.removeprefix("../rules/") for name in yaml(path)["rule_files"]} == shipped, path.name


@pytest.mark.parametrize("name", sorted(alerts()))
def test_an_alert_says_how_bad_it_is_and_what_to_do(name: str) -> None:
    rule = alerts()[name]
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert len(rule["annotations"]["description"]) > 80
    anchor = re.sub(r"(?<!^)(?=[A-Z])", "-", name.removeprefix("LlmService")).lower()
    assert rule["annotations"]["runbook"] == f"docs/operations/runbook.md#{anchor}"


def test_the_documented_alerts_are_the_alerts() -> None:
    page = (CHECKOUT / "docs" / "prometheus.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `(LlmService\w+)` \|.*\| (\w+) \| (\w+) \|$", page, re.MULTILINE))
    assert rows == {(name, rule["for"], rule["labels"]["severity"]) for name, rule in alerts().items()}


def test_names_are_given_once() -> None:
    names = [rule.get("alert") or rule["record"] for rule in rules()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.get("alert") or rule["record"]) for rule in rules()])
def test_a_rule_asks_for_metrics_and_labels_that_there_are(rule: dict[str, Any]) -> None:
    assert promql.read(rule["expr"]).series
    assert promql.mistakes(rule["expr"], recorded()) == []


def test_shares_are_above_bounds_of_the_histograms() -> None:
    """Of another bound there is no bucket, and the rule would never fire."""
    found = [match for rule in rules() for match in BOUND.findall(rule["expr"])]
    assert len(found) == 3
    for metric, bounds in found:
        for bound in bounds.split("|"):
            assert float(bound) in catalog.ALL[metric].bounds


@pytest.mark.parametrize("name", sorted(name for name in recorded() if ":ratio_rate" in name))
def test_a_recorded_ratio_is_over_the_window_of_its_name(name: str) -> None:
    (rule,) = (rule for rule in rules() if rule.get("record") == name)
    windows = set(re.findall(r"\[(\w+)\]", rule["expr"])) or set(re.findall(r":rate(\w+)", rule["expr"]))
    assert windows == {name.rpartition("ratio_rate")[2]}


def test_what_is_recorded_is_used() -> None:
    used = {series.name for rule in rules() for series in promql.read(rule["expr"]).series}
    assert recorded() <= used


def test_an_expression_is_read_for_what_it_asks() -> None:
    assert promql.read('sum by (job) (rate(job:a:rate5m[1h] offset 5m)) / scalar(up{job="x"}) > bool 1e6').series == (
        promql.Series("job:a:rate5m", frozenset()),
        promql.Series("up", frozenset({"job"})),
    )
    assert promql.read("sum by (job, fault) (x) / on (kind) group_left () y").grouped_by == {"job", "fault", "kind"}


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        ("llm_nothing_total", "no metric llm_nothing_total"),
        ("sum by (shop) (up)", "nothing has the label shop"),
        ('llm_requests_total{job="a", fault="caller"}', "llm_requests_total has no label fault"),
        ("llm_overhead_seconds", "no metric llm_overhead_seconds"),
        ("llm_requests_total_sum", "no metric llm_requests_total_sum"),
        ('llm_overhead_seconds_sum{le="1"}', "llm_overhead_seconds_sum has no label le"),
        ('job:a:rate5m{instance="1"}', "job:a:rate5m has no label instance"),
    ],
)
def test_what_there_is_not_is_found(asked: str, wrong: str) -> None:
    assert promql.mistakes(asked, frozenset({"job:a:rate5m"})) == [wrong]
