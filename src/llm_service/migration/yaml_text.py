"""Settings as the text of a YAML file, for people to read and go on with."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_WORDS: Final = frozenset(("null", "true", "false"))
_WIDTH: Final = 120


def yaml_text(settings: Mapping[str, Any]) -> str:
    """One block for each name at the top, in their order; what fits into a line stands in one."""
    return "".join(f"{line}\n" for name, value in settings.items() for line in _entry(name, value, indent=0))


def _entry(name: str, value: Any, *, indent: int) -> Iterator[str]:
    head = f"{' ' * indent}{_scalar(name)}:"
    inner = _inline(value)
    fits = len(head) + len(inner) < _WIDTH and not _holds_collections(value)
    is_block_at_top = isinstance(value, Mapping) and not indent
    if not isinstance(value, Mapping | list | tuple) or (fits and not is_block_at_top):
        yield f"{head} {inner}"
        return
    yield head
    if isinstance(value, Mapping):
        for below, item in value.items():
            yield from _entry(below, item, indent=indent + 2)
    else:
        for item in value:
            yield f"{' ' * (indent + 2)}- {_inline(item)}"


def _holds_collections(value: Any) -> bool:
    inner = value.values() if isinstance(value, Mapping) else value if _is_list(value) else ()
    return any(isinstance(one, Mapping) or (_is_list(one) and isinstance(value, Mapping)) for one in inner)


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(name)}: {_inline(item)}" for name, item in value.items()) + "}"
    if _is_list(value):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    text = str(value)
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else _quoted(text)


def _quoted(text: str) -> str:
    """As JSON quotes, with what YAML does not take, or nobody sees, by its number."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in quoted)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
