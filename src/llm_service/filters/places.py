"""Where the texts of an answer stand: in the choices of a chunk, or of a whole answer."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from llm_service.filters.walk import is_base64

Path = tuple[str | int, ...]

_FIRST: Final = (
    "reasoning_content", "reasoning", "reasoning_details", "content", "refusal", "audio", "function_call", "tool_calls"
)  # fmt: skip
"""In the order in which they are written. Whatever else there is, in a field that nobody knows too, comes after."""
_NO_TEXTS: Final = frozenset(("role", "id", "type", "format"))
"""Not judged: words and ids of the protocol, as providers make them. Of names of members nothing is judged either."""
_DATA: Final = frozenset(("data", "signature", "b64_json", "url"))
"""Not judged where they are base64: sounds, pictures, and what providers encrypt."""
_KEPT_WITH: Final = frozenset((*_NO_TEXTS, "index"))
"""What is left of an object in which something is left."""
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
                    yield Place((holder, "content"), (*_apart(holder, choice), "content"), text, is_json=False)
            else:
                yield from _said(holder, said, _apart(holder, choice))
    text = choice.get("text")
    if type(text) is str and text:
        yield Place(("text",), ("text",), text, is_json=False)


def _apart(holder: str, choice: Mapping[str, Any]) -> Path:
    """Some providers say in each chunk once more all that has come so far: in a message, beside the delta."""
    return ("message",) if holder == "message" and "delta" in choice else ()


def _said(holder: str, said: Mapping[str, Any], key: Path) -> Iterator[Place]:
    for name in _FIRST:
        if value := said.get(name):
            yield from _within(value, name, (holder, name), (*key, name))
    for name, value in said.items():
        if value and name not in _FIRST:
            yield from _within(value, name, (holder, name), (*key, name))


def _within(value: Any, name: str, path: Path, key: Path) -> Iterator[Place]:
    """The texts of a member, those of an object in their order. Without recursion: answers may be deep."""
    left: list[tuple[Any, str | int, Path, Path]] = [(value, name, path, key)]
    while left:
        value, step, path, key = left.pop()
        if type(value) is str:
            if value and step not in _NO_TEXTS and not (step in _DATA and is_base64(value)):
                yield Place(path, key, value, is_json=step == "arguments")
        elif type(value) is dict:
            left += [(inner, name, (*path, name), (*key, name)) for name, inner in reversed(value.items())]
        elif type(value) is list:
            left += reversed(
                [(item, at, (*path, at), (*key, *_item_key(item, at, step))) for at, item in enumerate(value)]
            )


def _item_key(item: Any, at: int, name: str | int) -> Path:
    """What pieces of one item have in common."""
    if type(item) is not dict:
        return (at,)
    return (_number(item, at), str(item.get("type"))) if name == "reasoning_details" else (_number(item, at),)


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
        if path[1:2] == ("audio",) and path[2:] == ("transcript",):
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


def _left(said: Mapping[str, Any], paths: Sequence[Path], *, whole: bool) -> dict[str, Any]:
    left: dict[str, Any] = {"role": said["role"]} if "role" in said else {}
    if whole:
        left["content"] = None
    left.update(_only(said, paths))
    return left


def _only(holder: Any, paths: Sequence[Path]) -> Any:
    """What is nested, with the texts at these paths, and of all else only what says which they are."""
    rests: dict[str | int, list[Path]] = {}
    for path in paths:
        rests.setdefault(path[0], []).append(path[1:])
    if isinstance(holder, list):
        return [_only(item, rests[at]) if rests[at][0] else item for at, item in enumerate(holder) if at in rests]
    made: dict[str, Any] = {}
    for name, value in holder.items():
        if name in rests:
            made[name] = _only(value, rests[name]) if rests[name][0] else value
        elif name in _KEPT_WITH:
            made[name] = value
    return made


def _put(holder: Any, path: Path, text: str) -> Any:
    """A copy of what is nested, with the text at the path."""
    key, rest = path[0], path[1:]
    made: Any = list(holder) if isinstance(holder, list) else dict(holder)
    made[key] = _put(made[key], rest, text) if rest else text
    return made
