"""docs/metrics.md has the row of every metric, as the code has it."""

import re
from pathlib import Path

from llm_service.observability.metrics import Metric, catalog

DOCUMENT = Path(__file__).parents[4] / "docs" / "metrics.md"
TOGETHER = {"sum": "added up", "max": "the largest", "min": "the smallest", "latest": "the latest"}


def row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    kind = f"gauge, {TOGETHER[metric.merge]}" if metric.kind == "gauge" else metric.kind
    return f"| `{metric.name}` | {kind} | {labels} | {metric.help} |"


def buckets(bounds: tuple[float, ...]) -> str:
    names = ", ".join(f"`{metric.name}`" for metric in catalog.ALL.values() if metric.bounds == bounds)
    return f"| {names} | {' '.join(f'{bound:g}' for bound in bounds)} |"


def documented(section: str) -> list[str]:
    text = DOCUMENT.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return [line for line in text.splitlines() if re.match(r"\| `(llm|process)_", line)]


def test_the_table_has_every_metric_and_nothing_else() -> None:
    assert documented("All of them") == [row(metric) for metric in catalog.ALL.values()]


def test_the_bounds_of_all_histograms_are_documented() -> None:
    kinds = dict.fromkeys(metric.bounds for metric in catalog.ALL.values() if metric.bounds)
    assert documented("Buckets") == [buckets(bounds) for bounds in kinds]


def test_names_follow_the_conventions() -> None:
    """https://prometheus.io/docs/practices/naming/ (read 2026-11-26)."""
    for metric in catalog.ALL.values():
        assert re.fullmatch(r"(llm|process)_[a-z_]+", metric.name)
        assert (metric.kind == "counter") == metric.name.endswith("_total"), metric.name
        assert (metric.kind == "histogram") == bool(metric.bounds), metric.name
        assert list(metric.bounds) == sorted(set(metric.bounds)), metric.name
        assert metric.help.endswith("."), metric.name
        assert "\n" not in metric.help
        assert '"' not in metric.help
        assert not {"le", "quantile"} & set(metric.labels)
