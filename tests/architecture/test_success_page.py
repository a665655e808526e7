"""docs/success.md: each row says what was asked for, what was measured and whether that is kept, and names a command
that there is."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.architecture.test_reliability_page import found_in

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "success.md").read_text(encoding="utf-8")
KEPT = re.compile(r"(yes|no|limit yes, aim no)\b")
DAY = re.compile(r"\b20\d\d-\d\d-\d\d\b")
HEADS = "| figure | asked for | measured | kept | measured by | on |"


def rows() -> Iterator[Sequence[str]]:
    """The cells of each row of the tables that have these heads."""
    inside = False
    for line in PAGE.splitlines():
        inside = line == HEADS or (inside and line.startswith("|"))
        if inside and line not in (HEADS, "|---|---|---|---|---|---|"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def commands(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def faults(command: str) -> list[str]:
    """What a command names that is not there: its program, or a test."""
    words = command.split()
    if words[0] == "python":
        words = words[1:]
    files = [word for word in words if re.match(r"(\./|scripts/|bench/|tests/)", word)]
    if not files or files[0] != words[0]:
        return [f"{command}: no program of ours"]
    found = []
    for word in files:
        path, _, name = word.removeprefix("./").partition("::")
        if not (CHECKOUT / path).exists():
            found.append(f"{command}: there is no {path}")
        elif name and name not in found_in(path):
            found.append(f"{command}: {path} has no {name}")
    return found


def test_there_are_rows() -> None:
    assert len([*rows()]) > 20


@pytest.mark.parametrize("row", [*rows()], ids=lambda row: row[0][:40])
def test_each_row_is_whole_and_its_commands_are_there(row: Sequence[str]) -> None:
    _, asked, measured, kept, measured_by, on = row
    assert asked
    assert re.search(r"\d|none|all", measured)
    assert KEPT.match(kept), kept
    assert DAY.search(on)
    named = commands(measured_by)
    assert named or "](" in measured_by
    assert [fault for command in named for fault in faults(command)] == []


def test_a_command_that_is_not_there_is_found() -> None:
    assert faults("./test --full tests/e2e/test_soak.py") == []
    assert faults("python scripts/bench_stages.py") == []
    assert faults("scripts/nothing --here") != []
    assert faults("./test tests/e2e/test_soak.py::test_nothing") != []
    assert faults("rm -r everything") != []
