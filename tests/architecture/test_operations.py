"""docs/operations: what operators look up at night is what there is."""

import re
from pathlib import Path

from llm_service.storage import newest_schema

CHECKOUT = Path(__file__).parents[2]
OPERATIONS = CHECKOUT / "docs" / "operations"


def test_the_page_on_upgrades_names_every_schema() -> None:
    page = (OPERATIONS / "upgrade.md").read_text(encoding="utf-8")
    rows = [int(number) for number in re.findall(r"^\| (\d+) \| \d+\.\d+\.\d+ \| ", page, re.MULTILINE)]
    assert rows == [*range(1, newest_schema() + 1)]
