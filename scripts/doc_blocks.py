"""The code blocks of the pages that people read, and shellcheck over those of a shell.

``python -P scripts/doc_blocks.py SHELLCHECK`` fails on the first page with a mistake.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parents[1]
FRONT: Final = ("README.md", "CONTRIBUTING.md", "SECURITY.md")
APART: Final = ("docs/decisions/", "docs/evidence/")
"""What was decided and measured at some time is kept as it was."""
SHELLS: Final = ("sh", "bash")
_OPENING: Final = re.compile(r"(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<words>[^`\n]*)$")

# A page names variables whose values or uses stand in its words, and whoever types sees that a cd fails.
NOT_OF_A_BLOCK: Final = "SC2034,SC2154,SC2164"


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the line of its first fence, its language ("" where it names none), what is in it."""

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def first_line(self) -> str:
        return next((line.strip() for line in self.text.splitlines() if line.strip()), "")


def pages() -> list[str]:
    """Every page whose blocks are held to the code."""
    found = (path.relative_to(CHECKOUT).as_posix() for path in CHECKOUT.glob("docs/**/*.md"))
    return [*FRONT, *sorted(page for page in found if not page.startswith(APART))]


def blocks_in(page: str, text: str) -> Iterator[Block]:
    """The blocks of a page in their order. ValueError where one has no end."""
    opening, begun_at, lines = None, 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        if opening is None:
            if opening := _OPENING.match(line):
                begun_at, lines = number, []
        elif re.fullmatch(rf" *{opening['fence'][0]}{{{len(opening['fence'])},}} *", line):
            language = (opening["words"].split() or [""])[0]
            yield Block(page, begun_at, language, dedent("".join(f"{each}\n" for each in lines)))
            opening = None
        else:
            lines.append(line)
    if opening is not None:
        raise ValueError(f"{page}:{begun_at}: the block has no end")


def all_blocks() -> list[Block]:
    """Those of all pages."""
    return [block for page in pages() for block in blocks_in(page, (CHECKOUT / page).read_text(encoding="utf-8"))]


def main(shellcheck: str) -> int:
    """Have each block of a shell looked at; the exit code of the first that is not well, 0 where there is none."""
    for block in all_blocks():
        if block.language in SHELLS:
            command = (shellcheck, "--shell=bash", "--severity=warning", f"--exclude={NOT_OF_A_BLOCK}", "-")
            looked = subprocess.run(command, input=block.text, text=True, stdout=subprocess.PIPE, check=False)
            if looked.returncode:
                print(
                    f"{block.place}: line 1 below is line {block.line + 1} of the page\n{looked.stdout}",
                    file=sys.stderr,
                )
                return looked.returncode
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
