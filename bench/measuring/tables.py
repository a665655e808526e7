"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The first column to the left, all others, of figures, to the right. A pipe in a cell is kept from ending it."""
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]
    return (
        "\n".join("| " + " | ".join(cell(value) for value in line) + " |" for line in lines)
        .replace("| --- |", "|---|")
        .replace(" --: |", "--:|")
    )


def cell(value: object) -> str:
    if value is None:
        return "-"
    return str(value).replace("|", "\\|").replace("\n", " ")


def figure(value: float | None, digits: int = 0) -> str:
    """With commas between thousands; a dash where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}"
