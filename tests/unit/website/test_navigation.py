"""The navigation takes in every page once."""

import tomllib

import pytest
from scripts.website.navigation import Entry, as_toml, filled
from scripts.website.staging import CannotBuildError

PAGES = ["a.md", "d/1.md", "d/2.md", "d/README.md"]
ENTRIES: list[Entry] = [{"First": "a.md"}, {"More": ["d/README.md", "d/*.md"]}, {"Later": ["e/*.md"]}]


def test_patterns_take_what_no_entry_names() -> None:
    assert filled(ENTRIES, PAGES) == [{"First": "a.md"}, {"More": ["d/README.md", "d/1.md", "d/2.md"]}]


@pytest.mark.parametrize(
    ("entries", "pages", "problem"),
    [
        (ENTRIES, [*PAGES, "b.md"], "b.md has no entry"),
        (ENTRIES, [*PAGES, "d/deeper/1.md"], "d/deeper/1.md has no entry"),
        (ENTRIES, PAGES[1:], "there is no page a.md"),
        ([*ENTRIES, "a.md"], PAGES, "a.md has 2 entries"),
    ],
)
def test_what_does_not_fit_is_refused(entries: list[Entry], pages: list[str], problem: str) -> None:
    with pytest.raises(CannotBuildError, match=problem):
        filled(entries, pages)


def test_it_is_written_as_toml() -> None:
    whole: list[Entry] = [{'A "quoted" name': "a.md"}, "b.md", {"More": ["c.md", {"Deep": ["d.md"]}]}]
    assert tomllib.loads(f"nav = {as_toml(whole)}") == {"nav": whole}
