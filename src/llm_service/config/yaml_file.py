"""Reads a YAML 1.2 text into nodes with their places; refuses what a configuration has no use for."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from llm_service.config.mistake import Mistake, Place, SettingsError, Source, shown, shown_name
from llm_service.config.node import Entry, Fields, Items, Node, Scalar

MAX_DEPTH = 50
MAX_NODES = 100_000
"""Aliases counted as often as they are used: what is short as text can be endless as a tree."""

_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_CORE_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null"))


def read_yaml(text: str, source: Source) -> tuple[Node | None, list[Mistake]]:
    """The document, None when it is empty, and the mistakes that do not end the reading.

    Raises SettingsError when it is no YAML, or too deep or too large.
    """
    reader = _Reader(source)
    for event in _events(text, source):
        reader.take(event)
    return reader.document, reader.mistakes


def _events(text: str, source: Source) -> Iterator[Any]:
    from ruamel.yaml import YAML  # slow to import, and needed only where there is a file
    from ruamel.yaml.error import YAMLError

    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        # Not str(error): that quotes the line, and a secret may stand in it.
        raise _refusal(_place(source, mark), f"is not valid YAML: {shown(str(problem))}") from None
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        # The scanner lets some of its own slips through on malformed escapes and directives.
        raise _refusal(Place(source), f"is not valid YAML ({type(error).__name__} in the parser)") from None


@dataclass(slots=True)
class _Open:
    """A list or map that is being read."""

    place: Place
    anchor: str | None
    is_map: bool
    nodes: list[Node] = field(default_factory=list)
    size: int = 1


class _Reader:
    """Builds nodes out of the parser's events, without recursion."""

    def __init__(self, source: Source) -> None:
        self.document: Node | None = None
        self.mistakes: list[Mistake] = []
        self._source = source
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}

    def take(self, event: Any) -> None:
        match type(event).__name__:
            case "ScalarEvent":
                self._scalar(event)
            case "AliasEvent":
                self._alias(event)
            case "SequenceStartEvent" | "MappingStartEvent":
                self._begin(event)
            case "SequenceEndEvent" | "MappingEndEvent":
                self._end()
            case "DocumentStartEvent" if self.document is not None:
                raise _refusal(_place(self._source, event.start_mark), "must be a single document, here is another one")

    def _scalar(self, event: Any) -> None:
        place = _place(self._source, event.start_mark)
        self._refuse_tag(event, place)
        plain = event.style in (None, "")
        self._close(Scalar(event.value, place, is_null=plain and event.value in _NULLS), anchor=event.anchor, size=1)

    def _alias(self, event: Any) -> None:
        place = _place(self._source, event.start_mark)
        if event.anchor not in self._anchors:
            raise _refusal(place, f"the alias *{shown(event.anchor)} names nothing that is complete above it")
        node, size = self._anchors[event.anchor]
        self._close(node, anchor=None, size=size)

    def _begin(self, event: Any) -> None:
        place = _place(self._source, event.start_mark)
        self._refuse_tag(event, place)
        if len(self._open) == MAX_DEPTH:
            raise _refusal(place, f"is nested more than {MAX_DEPTH} levels deep")
        self._open.append(_Open(place, event.anchor, is_map=type(event).__name__ == "MappingStartEvent"))

    def _end(self) -> None:
        done = self._open.pop()
        node = self._map(done) if done.is_map else Items(tuple(done.nodes), done.place)
        self._close(node, anchor=done.anchor, size=done.size)

    def _close(self, node: Node, *, anchor: str | None, size: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        if not self._open:
            self.document = node
            return
        around = self._open[-1]
        around.nodes.append(node)
        around.size += size
        if around.size > MAX_NODES:
            raise _refusal(node.place, f"has more than {MAX_NODES} values, aliases counted as often as they are used")

    def _refuse_tag(self, event: Any, place: Place) -> None:
        tag = str(event.tag) if event.tag is not None else None
        if tag is not None and tag not in _CORE_TAGS:
            self.mistakes.append(Mistake.at(place, f"the tag {shown(tag)} means nothing here"))

    def _map(self, done: _Open) -> Fields:
        entries: dict[str, Entry] = {}
        merged: list[Node] = []
        for key, value in zip(done.nodes[::2], done.nodes[1::2], strict=True):
            if not isinstance(key, Scalar) or key.is_null:
                self.mistakes.append(Mistake.at(key.place, "a name must be a text"))
            elif key.text == "<<":
                merged += value.items if isinstance(value, Items) else (value,)
            elif key.text in entries:
                first = entries[key.text].place
                self.mistakes.append(Mistake.at(key.place, f"{shown_name(key.text)} is given twice, first at {first}"))
            else:
                entries[key.text] = Entry(key.place, value)
        return Fields(self._with_merged(entries, merged), done.place)

    def _with_merged(self, entries: dict[str, Entry], merged: list[Node]) -> dict[str, Entry]:
        for node in merged:  # an earlier one wins over a later one, and the map's own entries over all
            if isinstance(node, Fields):
                entries = {**node.entries, **entries}
            else:
                self.mistakes.append(Mistake.at(node.place, "<< takes a map or a list of maps"))
        return entries


def _place(source: Source, mark: Any) -> Place:
    return Place(source, mark.line + 1, mark.column + 1) if mark is not None else Place(source)


def _refusal(place: Place, message: str) -> SettingsError:
    return SettingsError((Mistake.at(place, message),))
