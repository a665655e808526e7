"""Every link of the repository's pages leads somewhere, tables are tables, and every page has its place on the site."""

from functools import cache
from urllib.parse import urlsplit

import pytest
from scripts.website.markdown import Link, anchors, links, prose
from scripts.website.navigation import filled, load
from scripts.website.staging import CHECKOUT, aimed_at, pages, place, tracked

FILES = frozenset(tracked())
PAGES = sorted(name for name in FILES if name.endswith(".md"))


@cache
def text_of(page: str) -> str:
    return (CHECKOUT / page).read_text(encoding="utf-8")


@cache
def anchors_of(page: str) -> frozenset[str]:
    return anchors(text_of(page))


def fault(page: str, link: Link) -> str | None:
    """What is wrong with a link, or None."""
    if link.is_external:
        parts = urlsplit(link.target)
        well_formed = parts.scheme in {"https", "http", "mailto"} and (parts.hostname or parts.scheme == "mailto")
        return None if well_formed else "is no address"
    there = aimed_at(page, link)
    if there not in FILES:
        return "leads to no file; folders cannot be linked" if (CHECKOUT / there).is_dir() else "leads to no file"
    if link.anchor and there.endswith(".md") and link.anchor not in anchors_of(there):
        return f"names no heading of {there}"
    return None


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    faults = [
        f"{page}:{link.line}: {link.target} {wrong}" for link in links(text_of(page)) if (wrong := fault(page, link))
    ]
    assert faults == []


@pytest.mark.parametrize("page", PAGES)
def test_every_row_stands_in_a_table(page: str) -> None:
    lines = {number: line.lstrip() for number, line in prose(text_of(page))}
    begins = [
        number for number, line in lines.items() if line.startswith("|") and "|" not in lines.get(number - 1, "")[:1]
    ]
    assert [f"{page}:{number}" for number in begins if not lines.get(number + 1, "").startswith(("|-", "| -"))] == []


def test_every_page_has_its_place_in_the_navigation() -> None:
    assert filled(load(), [place(page) for page in pages(FILES)])
