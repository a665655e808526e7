"""The navigation: docs/site/navigation.toml, its patterns filled with the pages that there are.

An entry is a page (``"keys.md"``), a pattern (``"decisions/*.md"``: all such pages that are named nowhere else), a page
with a title (``{"Api keys" = "keys.md"}``), or a section (``{"Guides" = [...]}``).
"""

import json
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from scripts.website.staging import CHECKOUT, CannotBuildError

FILE: Final = CHECKOUT / "docs" / "site" / "navigation.toml"
Entry = str | dict[str, Any]


def load() -> list[Entry]:
    """The entries as they are written."""
    entries: list[Entry] = tomllib.loads(FILE.read_text(encoding="utf-8"))["entries"]
    return entries


def filled(entries: Sequence[Entry], pages: Sequence[str]) -> list[Entry]:
    """The entries without patterns. Raises CannotBuildError where a page is missing, left out or named twice."""
    written = [*_names(entries)]
    free = sorted(set(pages) - set(written))
    whole = [*_filled(entries, free)]
    named = Counter(_names(whole))
    problems = [f"navigation: there is no page {name}" for name in named if name not in set(pages)]
    problems += [f"navigation: {page} has no entry" for page in pages if page not in named]
    problems += [f"navigation: {name} has {times} entries" for name, times in named.items() if times > 1]
    if problems:
        raise CannotBuildError([f"{problem} (docs/site/navigation.toml)" for problem in sorted(problems)])
    return whole


def as_toml(value: Sequence[Entry] | Entry) -> str:
    """The entries as a value of TOML."""
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, dict):
        pairs = (f"{json.dumps(name)} = {as_toml(inner)}" for name, inner in value.items())
        return f"{{{', '.join(pairs)}}}"
    return f"[{', '.join(map(as_toml, value))}]"


def _filled(entries: Sequence[Entry], free: Sequence[str]) -> Iterator[Entry]:
    for entry in entries:
        if isinstance(entry, str):
            yield from [page for page in free if _matches(page, entry)] if "*" in entry else [entry]
            continue
        ((name, inner),) = entry.items()
        whole = inner if isinstance(inner, str) else [*_filled(inner, free)]
        if whole:
            yield {name: whole}


def _matches(page: str, pattern: str) -> bool:
    """A ``*`` stands for no slash."""
    return fnmatchcase(page, pattern) and page.count("/") == pattern.count("/")


def _names(entries: Sequence[Entry]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, dict):
            for inner in entry.values():
                yield from _names([inner] if isinstance(inner, str) else inner)
        elif "*" not in entry:
            yield entry
