"""Links, anchors and headings of Markdown as GitHub reads it. Code is left out of account."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

_FENCE: Final = re.compile(r"\s{0,3}(`{3,}|~{3,})")
_CODE: Final = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
_HEADING: Final = re.compile(r"#{1,6}\s+(.+?)\s*#*$")
_TARGETS: Final = re.compile(
    r"""\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)  # [text](target "title"), and images
    |^\s{0,3}\[[^\]]+\]:\s+<?([^\s>]+)             # [label]: target
    |\b(?:href|src)="([^"]+)"                      # HTML
    |<(https?://[^>\s]+)>                          # <address>
    """,
    re.VERBOSE,
)
_ANCHOR: Final = re.compile(r"""<a\s+(?:id|name)="([^"]+)">""")
_LINK_TEXT: Final = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_NOT_IN_SLUGS: Final = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Link:
    """A target as it is written, and its line, from 1."""

    line: int
    target: str

    @property
    def is_external(self) -> bool:
        return re.match(r"[a-zA-Z][\w+.-]*:|//", self.target) is not None

    @property
    def path(self) -> str:
        return self.target.partition("#")[0]

    @property
    def anchor(self) -> str:
        return self.target.partition("#")[2]


def links(text: str) -> Iterator[Link]:
    """Every link and image of a page, in its order."""
    for number, line in prose(text):
        for found in _TARGETS.finditer(without_code(line)):
            yield Link(number, found[found.lastindex or 0])


def anchors(text: str) -> frozenset[str]:
    """What may stand behind a ``#``: the slugs of the headings, and anchors in HTML."""
    seen, found = Counter[str](), set[str]()
    for _, line in prose(text):
        found.update(_ANCHOR.findall(without_code(line)))
        if heading := _HEADING.match(line):
            slug = slug_of(heading[1])
            found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return frozenset(found)


def slug_of(heading: str) -> str:
    """As GitHub makes it: small letters, no punctuation, a dash for each blank."""
    plain = _LINK_TEXT.sub(r"\1", heading).replace("`", "").replace("*", "")
    return _NOT_IN_SLUGS.sub("", plain.lower()).replace(" ", "-")


def with_other_targets(text: str, other: Callable[[str], str]) -> str:
    """The text with each target replaced by what ``other`` makes of it."""
    lines = text.split("\n")
    for number, line in prose(text):
        for found in reversed([*_TARGETS.finditer(without_code(line))]):
            start, end = found.span(found.lastindex or 0)
            lines[number - 1] = lines[number - 1][:start] + other(line[start:end]) + lines[number - 1][end:]
    return "\n".join(lines)


def prose(text: str) -> Iterator[tuple[int, str]]:
    """The lines outside of fenced code, with their numbers from 1."""
    fence = ""
    for number, line in enumerate(text.split("\n"), 1):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence):
                fence = ""
        elif mark:
            fence = mark[1]
        else:
            yield number, line


def without_code(line: str) -> str:
    """The line, as long as before, with blanks where code was."""
    return _CODE.sub(lambda code: " " * len(code[0]), line)
