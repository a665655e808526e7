"""From a pattern, the pattern of its beginnings: whether the end of a growing text may become a match.

Reads the part of RE2's syntax that patterns here are written in: characters, escapes, classes, ``(?:...)``, ``|``,
``?``, ``{n}`` and ``{m,n}``. What is unbounded is refused: how far a match reaches must be known.
"""

import re
from collections.abc import Sequence
from typing import Final, Protocol

from llm_service.domain import fact_in_order

_TOKEN: Final = re.compile(r"\(\?:|\\.|\[(?:\\.|[^\]\\])*\]|\{\d+(?:,\d+)?\}|.", re.DOTALL)


class Node(Protocol):
    """A part of a pattern: as it is ``written``, the beginnings of what it matches, and how long that can be."""

    @property
    def written(self) -> str: ...
    @property
    def begun(self) -> str: ...
    @property
    def longest(self) -> int: ...


@fact_in_order
class _Character:
    written: str

    @property
    def begun(self) -> str:
        return "" if self.written == r"\b" else f"{self.written}?"

    @property
    def longest(self) -> int:
        return 0 if self.written == r"\b" else 1


@fact_in_order
class _Repeated:
    node: Node
    least: int
    most: int

    @property
    def written(self) -> str:
        return f"(?:{self.node.written}){{{self.least},{self.most}}}"

    @property
    def begun(self) -> str:
        return f"(?:{self.node.written}){{0,{self.most - 1}}}(?:{self.node.begun})"

    @property
    def longest(self) -> int:
        return self.most * self.node.longest


@fact_in_order
class _Row:
    nodes: Sequence[Node]

    @property
    def written(self) -> str:
        return "".join(node.written for node in self.nodes)

    @property
    def begun(self) -> str:
        begun = ""
        for node in reversed(self.nodes):
            begun = f"(?:{node.written}{begun}|{node.begun})" if begun else f"(?:{node.begun})"
        return begun

    @property
    def longest(self) -> int:
        return sum(node.longest for node in self.nodes)


@fact_in_order
class _Choice:
    nodes: Sequence[Node]

    @property
    def written(self) -> str:
        return f"(?:{'|'.join(node.written for node in self.nodes)})"

    @property
    def begun(self) -> str:
        return f"(?:{'|'.join(node.begun for node in self.nodes)})"

    @property
    def longest(self) -> int:
        return max(node.longest for node in self.nodes)


def parse(pattern: str) -> Node:
    """The pattern in its parts. Raises ValueError for syntax that is not read here."""
    tokens = _TOKEN.findall(pattern)
    node, position = _choice(tokens, 0)
    if position != len(tokens):
        raise ValueError(f"unbalanced: {pattern}")
    return node


def _choice(tokens: Sequence[str], position: int) -> tuple[Node, int]:
    rows: list[Node] = []
    while True:
        row, position = _row(tokens, position)
        rows.append(row)
        if position == len(tokens) or tokens[position] != "|":
            return (rows[0] if len(rows) == 1 else _Choice(rows)), position
        position += 1


def _row(tokens: Sequence[str], position: int) -> tuple[Node, int]:
    nodes: list[Node] = []
    while position < len(tokens) and tokens[position] not in "|)":
        part = tokens[position]
        position += 1
        if part == "(?:":
            inner, position = _choice(tokens, position)
            nodes.append(inner)
            position += 1  # the closing one
        elif part == "?":
            nodes.append(_Repeated(nodes.pop(), 0, 1))
        elif part[0] == "{" and len(part) > 1:
            least, _, most = part[1:-1].partition(",")
            nodes.append(_Repeated(nodes.pop(), int(least), int(most or least)))
        elif part in "*+(^$":
            raise ValueError(f"{part} is not for patterns here")
        else:
            nodes.append(_Character(part))
    return _Row(nodes), position
