"""docs/reliability.md: each row names a test, each of them is there, and no fault of the chaos suite is left out."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.chaos.faults import FAULTS

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "reliability.md").read_text(encoding="utf-8")
POINTER = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> Iterator[str]:
    """The rows of all tables, without their heads."""
    for line in PAGE.splitlines():
        if line.startswith("| ") and not line.startswith("| what happens |"):
            yield line


@cache
def found_in(path: str) -> frozenset[str]:
    """The tests that a file has."""
    tree = ast.parse((CHECKOUT / path).read_text(encoding="utf-8"))
    functions = (one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(name for name in functions if name.startswith("test_"))


@pytest.mark.parametrize("row", [*rows()], ids=lambda row: row[2:42])
def test_each_row_ends_with_tests_that_there_are(row: str) -> None:
    shown_by = row.rstrip(" |").rpartition(" | ")[2]
    pointers = POINTER.findall(shown_by)
    assert pointers
    assert POINTER.sub("", shown_by).strip(", ") == ""
    for path, name in pointers:
        assert name in found_in(path), f"{path} has no {name}"


def test_each_fault_of_the_chaos_suite_has_its_place() -> None:
    named = {name for row in rows() for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])}
    assert named >= set(FAULTS)
