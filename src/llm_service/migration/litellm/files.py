"""Reads a LiteLLM configuration with the files that it includes; each value keeps its own file and line."""

from pathlib import Path
from typing import Final

from llm_service.config import (
    MAX_FILE_BYTES,
    Entry,
    Fields,
    Items,
    Mistake,
    Node,
    Scalar,
    SettingsError,
    Source,
    Unreadable,
    is_null,
    read_text,
    read_yaml,
)
from llm_service.migration.source import Found

_MOST_FILES: Final = 100
SECTIONS: Final = frozenset(("model_list", "litellm_settings", "general_settings", "router_settings"))
"""A configuration of LiteLLM's has at least one of these."""


def read_litellm(path: Path) -> Found:
    """The file's values, those of included files among them. Raises SettingsError with file and line."""
    source = _fields(path, name=str(path))
    merged, waiting, seen = dict(source.entries), _included(source), {path.resolve()}
    while waiting:
        named = waiting.pop(0)
        file = named.place.source.folder / named.text
        if file.resolve() in seen:
            continue
        seen.add(file.resolve())
        if len(seen) > _MOST_FILES:
            raise _refusal(named, f"includes more than {_MOST_FILES} files")
        included = _fields(file, name=str(file), asked_by=named)
        waiting += _included(included)
        _join(merged, included)
    if not SECTIONS & merged.keys():
        raise _refusal(source, f"is no configuration of LiteLLM's proxy: it has none of {', '.join(sorted(SECTIONS))}")
    return Found("", source.place, Fields(merged, source.place))


def _fields(path: Path, *, name: str, asked_by: Scalar | None = None) -> Fields:
    source = Source(name, path.parent)
    try:
        text = read_text(path, max_bytes=MAX_FILE_BYTES)
    except Unreadable as problem:
        place = Source(name, path.parent) if asked_by is None else asked_by.place.source
        line, column = (0, 0) if asked_by is None else (asked_by.place.line, asked_by.place.column)
        said = str(problem) if asked_by is None else f"includes {name}, which {problem}"
        raise SettingsError((Mistake(source=place.name, line=line, column=column, message=said),)) from None
    node, mistakes = read_yaml(text, source)
    if mistakes:
        raise SettingsError(tuple(mistakes))
    if node is None or is_null(node):
        raise SettingsError((Mistake(source=name, line=0, column=0, message="is empty"),))
    if not isinstance(node, Fields):
        raise _refusal(node, "must be a map of sections, as LiteLLM's config.yaml is")
    return node


def _included(fields: Fields) -> list[Scalar]:
    entry = fields.entries.get("include")
    if entry is None:
        return []
    nodes = entry.value.items if isinstance(entry.value, Items) else (entry.value,)
    return [node for node in nodes if isinstance(node, Scalar) and not node.is_null]


def _join(merged: dict[str, Entry], included: Fields) -> None:
    """Lists are put together, sections joined; of a single value that of the later file holds, as in LiteLLM."""
    for name, entry in included.entries.items():
        if name == "include":
            continue
        before = merged.get(name)
        if before is not None and isinstance(before.value, Items) and isinstance(entry.value, Items):
            merged[name] = Entry(before.place, Items((*before.value.items, *entry.value.items), before.value.place))
        elif before is not None and isinstance(before.value, Fields) and isinstance(entry.value, Fields):
            joined = {**before.value.entries, **entry.value.entries}
            merged[name] = Entry(before.place, Fields(joined, before.value.place))
        else:
            merged[name] = entry


def _refusal(node: Node, message: str) -> SettingsError:
    return SettingsError((Mistake.at(node.place, message),))
