"""SECURITY.md names code and tests that are there, and each row of the OWASP lists once."""

import re
from pathlib import Path

import pytest
from scripts.supply.packages import CHECKOUT

PAGES = [CHECKOUT / "SECURITY.md", CHECKOUT / "docs" / "security.md"]
PATHS = re.compile(r"`((?:src|tests|docs|scripts|fuzz|requirements)/[\w./-]*)`")
LINKS = re.compile(r"\]\(([\w./-]+\.md)")
PAGE = PAGES[0].read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = [CHECKOUT / path for path in PATHS.findall(text)] + [page.parent / link for link in LINKS.findall(text)]
    assert len(named) >= 8
    assert [str(path) for path in named if not path.exists()] == []


def test_every_threat_has_its_code_and_its_test() -> None:
    table = PAGE.partition("### What answers what")[2].partition("### Supply chain")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ") and "---" not in line][
        1:
    ]
    assert len(rows) > 20
    for threat, control, code, shown in rows:
        assert control.strip()
        assert PATHS.search(code), threat
        assert re.search(r"`(tests|fuzz)/", shown), threat


@pytest.mark.parametrize("prefix", ["API", "LLM"])
def test_the_lists_are_whole(prefix: str) -> None:
    numbers = [int(number) for number in re.findall(rf"^\| {prefix}(\d+) \|", PAGE, re.MULTILINE)]
    assert numbers == list(range(1, 11))
