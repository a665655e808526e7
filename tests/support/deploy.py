"""The files of deploy/ as data."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

CHECKOUT = Path(__file__).parents[2]
DEPLOY = CHECKOUT / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
RULE_FILES = tuple(sorted((PROMETHEUS / "rules").glob("*.yml")))
RULE_TESTS = tuple(sorted((PROMETHEUS / "tests").glob("*.yml")))
DASHBOARDS = tuple(sorted((DEPLOY / "grafana" / "dashboards").glob("*.json")))


@cache
def yaml(path: Path) -> Any:
    """Not to be changed by who asks: it is read once."""
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def rules() -> Iterator[dict[str, Any]]:
    """All of all files: those that alert, and those that record."""
    for path in RULE_FILES:
        for group in yaml(path)["groups"]:
            yield from group["rules"]


@cache
def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


@cache
def recorded() -> frozenset[str]:
    return frozenset(rule["record"] for rule in rules() if "record" in rule)


def dashboard(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def expressions_of(board: Any) -> Iterator[tuple[str, str]]:
    """What is asked of Prometheus, and where: panels, annotations."""
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for annotation in board["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def as_prometheus_sees_it(expression: str) -> str:
    """With Grafana's variables filled in."""
    for name, value in {"$__rate_interval": "5m", "$__range": "6h"}.items():
        expression = expression.replace(name, value)
    for name in ("job", "instance", "model", "provider"):
        expression = expression.replace(f'=~"${name}"', '=~".*"')
    assert "$" not in expression, expression
    return expression
