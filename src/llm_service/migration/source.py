"""What stands in a foreign file: each value with the path that leads there and its line."""

import json
import re
from collections.abc import Iterator
from typing import Final

from llm_service.config import Fields, Items, Node, Place, Scalar, is_null
from llm_service.domain import fact_in_order

_PLAIN: Final = re.compile(r"[A-Za-z0-9_/*:-]+")


@fact_in_order
class Found:
    """A value: its path as a report shows it, where it stands, and what it is."""

    path: str
    place: Place
    node: Node

    def get(self, name: str) -> "Found | None":
        """What a map has under a name, unless that is nothing."""
        found = dict(self.entries()).get(name)
        return None if found is None or is_null(found.node) else found

    def text(self) -> str | None:
        """Of a single value."""
        return self.node.text if isinstance(self.node, Scalar) and not self.node.is_null else None

    def entries(self) -> Iterator[tuple[str, "Found"]]:
        """Of a map, in its order; of anything else nothing."""
        if isinstance(self.node, Fields):
            for name, entry in self.node.entries.items():
                yield name, Found(_below(self.path, name), entry.place, entry.value)

    def items(self) -> list["Found"]:
        """Of a list, in its order; of anything else nothing."""
        nodes = self.node.items if isinstance(self.node, Items) else ()
        return [Found(f"{self.path}[{number}]", node.place, node) for number, node in enumerate(nodes)]

    def each(self) -> list["Found"]:
        """The items of a list, or the single value that stands for a list of it alone."""
        return [self] if isinstance(self.node, Scalar) else self.items()

    def below(self) -> list["Found"]:
        """What is directly in it."""
        return [found for _, found in self.entries()] or self.items()


def _below(path: str, name: str) -> str:
    if _PLAIN.fullmatch(name):
        return f"{path}.{name}" if path else name
    return f"{path}[{json.dumps(name)}]"
