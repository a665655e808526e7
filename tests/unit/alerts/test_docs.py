"""docs/alerts.md names every kind, every built-in rule and every setting, and its example can be loaded."""

import re
from pathlib import Path

from llm_service.alerts import DEFAULT_RULES, KINDS, Rule, rule_problems
from llm_service.config import load_settings
from tests.support.deploy import alerts

DOCUMENT = Path(__file__).parents[3] / "docs" / "alerts.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")


def test_every_kind_has_its_row() -> None:
    rows = re.findall(r"^\| (`[a-z_]+`[^|]*)\|", TEXT.partition("## The kinds")[2], re.MULTILINE)
    assert set(re.findall(r"`([a-z_]+)`", " ".join(rows))) - {"quantile"} >= set(KINDS)


def test_every_built_in_rule_has_its_row_with_its_severity() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (critical|warning|info) \|", TEXT, re.MULTILINE))
    assert rows == {one.name: Rule.of(one).severity for one in DEFAULT_RULES}


def test_every_built_in_rule_ships_for_prometheus_with_its_severity() -> None:
    shipped = {name: rule["labels"]["severity"] for name, rule in alerts().items()}
    for one in DEFAULT_RULES:
        assert shipped[f"LlmService{one.name.title().replace('-', '')}"] == Rule.of(one).severity


def test_built_in_rules_have_no_problems() -> None:
    assert [problem for one in DEFAULT_RULES for problem in rule_problems(one)] == []


def test_the_example_can_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "slack-webhook").write_text("https://hooks.slack.com/services/x\n")
    (example,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    path = tmp_path / "llm-service.yaml"
    path.write_text(example.replace("/run/secrets", str(tmp_path)), encoding="utf-8")
    settings = load_settings(path=path, environ={}, cwd=tmp_path).settings
    assert [rule.name for rule in settings.alerts] == ["too-expensive", "slow-chat"]
