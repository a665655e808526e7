"""Where the texts of an answer stand: in the choices of a chunk, or of a whole answer."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

Path = tuple[str | int, ...]

_TEXTS: Final = ("content", "refusal")
_REASONING: Final = ("reasoning_content", "reasoning")
_DETAILS: Final = ("text", "summary")
_CALLS: Final = (("function", "arguments"), ("custom", "input"))
_HOLDERS: Final = ("delta", "message")
_TOLD_TWICE: Final = ("logprobs", "token_ids")
"""What says once more which tokens the text is made of."""
_KEPT: Final = ("index", "finish_reason", "native_finish_reason")


class Place(NamedTuple):
    """A text in a choice. ``path``: its keys from there on; ``key``: the same for all pieces of one text.

    ``is_json``: the text is JSON, in which characters may be escaped.
    """

    path: Path
    key: Path
    text: str
    is_json: bool


def places_of(choice: Mapping[str, Any]) -> Iterator[Place]:
    """All texts of a choice that are not empty, in the order in which they are written: thinking comes first."""
    for holder in _HOLDERS:
        said = choice.get(holder)
        if isinstance(said, dict):
            if len(said) == 1 and type(text := said.get("content")) is str:  # what nearly every chunk is
                if text:
                    yield Place((holder, "content"), ("content",), text, is_json=False)
            else:
                yield from _said(holder, said)
    text = choice.get("text")
    if type(text) is str and text:
        yield Place(("text",), ("text",), text, is_json=False)


def _said(holder: str, said: Mapping[str, Any]) -> Iterator[Place]:
    for name in _REASONING:
        yield from _of(said, name, (holder,), ())
    for at, detail in _items(said.get("reasoning_details")):
        place: Path = ("reasoning_details", _number(detail, at), str(detail.get("type")))
        for name in _DETAILS:
            yield from _of(detail, name, (holder, "reasoning_details", at), place)
    for name in _TEXTS:
        yield from _of(said, name, (holder,), ())
    if isinstance(audio := said.get("audio"), dict):
        yield from _of(audio, "transcript", (holder, "audio"), ("audio",))
    if isinstance(call := said.get("function_call"), dict):
        yield from _of(call, "arguments", (holder, "function_call"), ("function_call",), is_json=True)
    for at, call in _items(said.get("tool_calls")):
        for body, name in _CALLS:
            if isinstance(inner := call.get(body), dict):
                key = ("tool_calls", _number(call, at))
                yield from _of(inner, name, (holder, "tool_calls", at, body), key, is_json=name == "arguments")


def _of(holder: Mapping[str, Any], name: str, path: Path, key: Path, *, is_json: bool = False) -> Iterator[Place]:
    text = holder.get(name)
    if type(text) is str and text:
        yield Place((*path, name), (*key, name), text, is_json)


def _items(value: object) -> Iterator[tuple[int, dict[str, Any]]]:
    for at, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, dict):
            yield at, item


def _number(item: Mapping[str, Any], at: int) -> int:
    """Which of several items a piece belongs to; in whole answers that is where it stands."""
    index = item.get("index")
    return index if type(index) is int else at


def with_texts(choice: Mapping[str, Any], texts: Mapping[Path, str]) -> dict[str, Any]:
    """The choice with other texts at these places, and without what would tell of the old ones."""
    made = dict(choice)
    for name in _TOLD_TWICE:
        if name in made:
            made[name] = None
    for path, text in texts.items():
        made = _put(made, path, text)
        if path[1:2] == ("audio",):
            made[path[0]]["audio"].pop("data", None)
    return made


def cut_off(choice: Mapping[str, Any], texts: Mapping[Path, str]) -> dict[str, Any]:
    """What is left of a choice that ends here: these texts, and of anything else only what they need."""
    full = with_texts(choice, texts)
    made: dict[str, Any] = {name: full[name] for name in _KEPT if name in full}
    for name in _TOLD_TWICE:
        if name in full:
            made[name] = None
    if "text" in full:
        made["text"] = texts.get(("text",), "")
    for holder in _HOLDERS:
        if isinstance(said := full.get(holder), dict):
            made[holder] = _left(said, [path[1:] for path in texts if path[0] == holder], whole=holder == "message")
    return made


def _left(said: Mapping[str, Any], paths: list[Path], *, whole: bool) -> dict[str, Any]:
    names = {path[0] for path in paths}
    left: dict[str, Any] = {"role": said["role"]} if "role" in said else {}
    if whole:
        left["content"] = None
    for name, value in said.items():
        if name in names:
            kept = {path[1] for path in paths if path[0] == name and len(path) > 1}
            left[name] = [item for at, item in enumerate(value) if at in kept] if isinstance(value, list) else value
    return left


def _put(holder: Any, path: Path, text: str) -> Any:
    """A copy of what is nested, with the text at the path."""
    key, rest = path[0], path[1:]
    made: Any = list(holder) if isinstance(holder, list) else dict(holder)
    made[key] = _put(made[key], rest, text) if rest else text
    return made
