"""The tables of docs/graphql.md say what the code does."""

import re
from pathlib import Path

from llm_service.api import GraphqlOptions
from llm_service.api.graphql.complexity import (
    INTROSPECTION_DEPTH,
    MAX_DIRECTIVES,
    MAX_FRAGMENTS,
    MAX_OPERATIONS,
    MAX_SAME,
)
from llm_service.api.graphql.costs import COSTS, LENGTHS
from llm_service.api.graphql.documents import MAX_VALUES

DOCUMENT = (Path(__file__).parents[2] / "docs" / "graphql.md").read_text(encoding="utf-8")


def test_the_limits_are_the_defaults() -> None:
    options = GraphqlOptions()
    section = DOCUMENT.partition("\n## Limits\n")[2].partition("\n## ")[0]
    assert f"| bytes of a document | {options.max_document_bytes // 1024} KiB |" in section
    assert f"| words and signs of it | {options.max_tokens:,} |" in section
    assert f"items of lists | {MAX_VALUES:,} | - |" in section
    assert f"| {MAX_FRAGMENTS}, {MAX_OPERATIONS}, {MAX_DIRECTIVES} |" in section
    assert f"in one operation | {MAX_SAME} |" in section
    assert f"| {options.max_depth}; {INTROSPECTION_DEPTH} |" in section
    for name in ("max_aliases", "max_cost", "max_batch", "max_subscriptions_per_socket"):
        assert re.search(rf"\| {getattr(options, name):,} \| `graphql\.{name}` \|", section)


def test_the_costs_are_those_of_the_code() -> None:
    section = DOCUMENT.partition("The cost is reckoned")[2].partition("\nSo `{")[0]
    cells = [row.split("|") for row in section.splitlines() if row.startswith("| ")][1:]
    costs = {
        name: cost.strip().replace(",", "") for _, names, cost, *_ in cells for name in re.findall(r"`(\w+)`", names)
    }
    assert costs == {path.partition(".")[2]: str(cost) for path, cost in COSTS.items()}
    lengths = {name: many.strip() for *_, names, many, _ in cells for name in re.findall(r"`(\w+)`", names)}
    lengths.pop("first")
    assert lengths == {path.partition(".")[2]: str(length) for path, length in LENGTHS.items()}
