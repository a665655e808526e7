"""Boxes, arrows and words on a sheet, and their SVG: light or dark as the reader's system is, with its own ground."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final, Literal

Kind = Literal["step", "start", "good", "bad", "store"]
Side = Literal["start", "middle", "end"]
LINE_PX: Final = 16
CHAR_PX: Final = 6.6
"""About the width of a letter of 12 px; a test holds texts to their boxes by it."""
STYLE: Final = """\
svg { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.sheet { fill: #ffffff; } text { fill: #1f2328; } .name { font-weight: 600; } .quiet { fill: #59636e; }
rect.box { fill: #f6f8fa; stroke: #818b98; } rect.start { fill: #ddf4ff; stroke: #0969da; }
rect.good { fill: #dafbe1; stroke: #1a7f37; } rect.bad { fill: #ffebe9; stroke: #cf222e; }
rect.store { fill: #fff8c5; stroke: #9a6700; } rect.lane { fill: none; stroke: #d1d9e0; stroke-dasharray: 4 4; }
path.arrow { fill: none; stroke: #59636e; stroke-width: 1.5; } .head { fill: #59636e; }
@media (prefers-color-scheme: dark) {
.sheet { fill: #0d1117; } text { fill: #f0f6fc; } .quiet { fill: #9198a1; }
rect.box { fill: #151b23; stroke: #656c76; } rect.start { fill: #0c2d4d; stroke: #4493f8; }
rect.good { fill: #0f2f1b; stroke: #3fb950; } rect.bad { fill: #3c1417; stroke: #f85149; }
rect.store { fill: #341f00; stroke: #d29922; } rect.lane { stroke: #3d444d; }
path.arrow { stroke: #9198a1; } .head { fill: #9198a1; }
}"""


@dataclass(frozen=True, slots=True)
class Box:
    """A box with its name, and lines of what it means. ``x`` and ``y``: its upper left corner."""

    x: int
    y: int
    width: int
    height: int
    name: str
    lines: Sequence[str] = ()
    kind: Kind = "step"

    @property
    def middle(self) -> int:
        return self.x + self.width // 2

    @property
    def bottom(self) -> int:
        return self.y + self.height

    @property
    def right(self) -> int:
        return self.x + self.width


@dataclass(frozen=True, slots=True)
class Words:
    """Lines of text; ``y``: the base of the first."""

    x: int
    y: int
    lines: Sequence[str]
    side: Side = "start"
    name: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """A way over these points, with a head at its end, and words beside it."""

    points: Sequence[tuple[int, int]]
    words: Words | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """A frame around what belongs together."""

    x: int
    y: int
    width: int
    height: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A whole diagram. ``says``: what it shows, in words, for who cannot see it."""

    title: str
    says: str
    width: int
    height: int
    boxes: Sequence[Box]
    arrows: Sequence[Arrow] = ()
    words: Sequence[Words] = field(default_factory=tuple)
    lanes: Sequence[Lane] = ()

    @property
    def names(self) -> list[str]:
        """What the boxes are called."""
        return [box.name for box in self.boxes]

    @property
    def texts(self) -> list[Words]:
        """All words that stand outside of boxes."""
        return [*self.words, *(arrow.words for arrow in self.arrows if arrow.words is not None)]


def svg(sheet: Sheet) -> str:
    """The diagram as a file."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {sheet.width} {sheet.height}" '
        f'width="{sheet.width}" height="{sheet.height}" role="img" aria-labelledby="title says">',
        f'<title id="title">{escape(sheet.title)}</title>',
        f'<desc id="says">{escape(" ".join(sheet.says.split()))}</desc>',
        f"<style>\n{STYLE}\n</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path class="head" d="M0 0L8 4L0 8z"/></marker></defs>',
        f'<rect class="sheet" width="{sheet.width}" height="{sheet.height}" rx="8"/>',
        *(_lane(one) for one in sheet.lanes),
        *(_arrow(one) for one in sheet.arrows),
        *(_box(one) for one in sheet.boxes),
        *(_words(one) for one in sheet.texts),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _box(box: Box) -> str:
    top = box.y + (box.height - LINE_PX * len(box.lines)) // 2 + 4
    name = Words(box.middle, top, [box.name], "middle", name=True)
    lines = Words(box.middle, top + LINE_PX, box.lines, "middle")
    kind = f"box {box.kind}"
    shape = f'<rect class="{kind}" x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="6"/>'
    return "\n".join([shape, _words(name), *([_words(lines)] if box.lines else [])])


def _lane(lane: Lane) -> str:
    frame = f'<rect class="lane" x="{lane.x}" y="{lane.y}" width="{lane.width}" height="{lane.height}" rx="8"/>'
    return "\n".join([frame, _words(Words(lane.x + 10, lane.y + 18, [lane.name], name=True))])


def _arrow(arrow: Arrow) -> str:
    way = " ".join(f"{'L' if index else 'M'}{x} {y}" for index, (x, y) in enumerate(arrow.points))
    return f'<path class="arrow" d="{way}" marker-end="url(#head)"/>'


def _words(words: Words) -> str:
    kind = "name" if words.name else "quiet"
    return "\n".join(
        f'<text class="{kind}" x="{words.x}" y="{words.y + LINE_PX * index}" text-anchor="{words.side}">'
        f"{escape(line)}</text>"
        for index, line in enumerate(words.lines)
    )
