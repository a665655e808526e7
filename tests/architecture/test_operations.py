"""docs/operations: what operators look up at night is what there is."""

import re
import shlex
from pathlib import Path

import pytest

from llm_service.alerts.rule import DEFAULT_RULES, RUNBOOK
from llm_service.storage import newest_schema
from tests.architecture.test_commands import understood
from tests.support.deploy import alerts

CHECKOUT = Path(__file__).parents[2]
OPERATIONS = CHECKOUT / "docs" / "operations"
PARTS = ("Means", "Look first", "Likely", "Do", "Wake somebody")
STANDS_FOR_ANY = re.compile(r"\b(NAME|ID|FILE|MACHINE)\b")


def page(name: str) -> str:
    return (OPERATIONS / name).read_text(encoding="utf-8")


def sections() -> dict[str, str]:
    """Of the runbook, by their anchors."""
    _, *found = re.split(r"^## ", page("runbook.md"), flags=re.MULTILINE)
    return {text.partition("\n")[0]: text for text in found}


def test_the_runbook_has_a_section_for_each_alert_and_no_other() -> None:
    shipped = {rule["annotations"]["runbook"] for rule in alerts().values()} | {*RUNBOOK.values()}
    assert {f"docs/operations/runbook.md#{name}" for name in sections()} == shipped


@pytest.mark.parametrize("name", sorted(sections()))
def test_a_section_says_all_that_is_asked_at_night(name: str) -> None:
    text = sections()[name]
    assert re.findall(r"^\*\*([\w ]+)\*\* \S", text, re.MULTILINE) == [*PARTS]
    assert text.startswith(f"{name}\n\n*Prometheus") == (name not in {rule.name for rule in DEFAULT_RULES})


COMMANDS = sorted(
    {
        (path.name, line)
        for path in OPERATIONS.glob("*.md")
        for line in re.findall(r"`(llm-service [a-z][^`]*)`", path.read_text(encoding="utf-8"))
    }
)


@pytest.mark.parametrize(("name", "line"), COMMANDS, ids=[line for _, line in COMMANDS])
def test_a_command_in_a_sentence_is_one_that_there_is(name: str, line: str) -> None:
    _, *words = shlex.split(STANDS_FOR_ANY.sub("any", line))
    understood(words)


def test_the_page_on_upgrades_names_every_schema() -> None:
    rows = [int(number) for number in re.findall(r"^\| (\d+) \| \d+\.\d+\.\d+ \| ", page("upgrade.md"), re.MULTILINE)]
    assert rows == [*range(1, newest_schema() + 1)]


def test_the_tests_that_the_pages_name_are_there() -> None:
    named = {name for path in OPERATIONS.glob("*.md") for name in re.findall(r"`(tests/[\w/.]+\.py)`", page(path.name))}
    assert len(named) > 5
    assert [name for name in sorted(named) if not (CHECKOUT / name).is_file()] == []
