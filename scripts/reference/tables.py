"""Tables of Markdown, and what stands in their cells."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

NOTE: Final = "<!-- Written by scripts/update-reference from the code. Change the code, and run it. -->"


def page(title: str, about: str, parts: Iterable[str]) -> str:
    """A whole page."""
    return "\n\n".join([f"# {title}", NOTE, about, *(part for part in parts if part)]) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; nothing where there are no rows."""
    return "\n".join([line(head), line(["---"] * len(head)), *map(line, rows)]) if rows else ""


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(cell, cells))} |"


def cell(text: str) -> str:
    """Text on one line, in which no bar ends the cell."""
    return " ".join(text.split()).replace("|", "\\|") or "-"


def one_of(words: Iterable[object]) -> str:
    return " or ".join(f"`{word}`" for word in words)


def without_empty_columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """Head and rows, less the columns in which no row says anything."""
    kept = [index for index in range(len(head)) if any(row[index] for row in rows)]
    yield from ([row[index] for index in kept] for row in (head, *rows))
