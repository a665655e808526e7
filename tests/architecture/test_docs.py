"""docs/architecture.md names the rooms that there are."""

import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def rooms_in(text: str) -> set[str]:
    """The first word of each line of the fenced block under ``## Rooms``."""
    section = text.partition("\n## Rooms\n")[2].partition("\n## ")[0]
    block = section.partition("\n```")[2].partition("\n```")[0]
    return set(re.findall(r"^(\w+)/", block, re.MULTILINE))


def test_the_documented_rooms_are_the_rooms() -> None:
    documented = rooms_in((CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    rooms = {path.parent.name for path in (CHECKOUT / "src" / "llm_service").glob("*/__init__.py")}
    assert documented == rooms


def test_rooms_are_read_from_the_block_below_their_heading() -> None:
    block = "```text\ndomain/   nouns\n  chat.py/\napi/  doors\n```\n"
    text = f"# A\n```\nother/\n```\n## Rooms\nWords.\n{block}## More\n```\nlast/\n```\n"
    assert rooms_in(text) == {"domain", "api"}
