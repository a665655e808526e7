"""Checks of single fields of a request: what is wrong with a value, by the path of its field and what was expected."""

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

from llm_service.domain.errors import InvalidValue, MissingParameter

Check = Callable[[str, Any], None]
"""Of a field's path and its value, which is not null. Raises InvalidValue and MissingParameter."""

MAX_NAME_CHARS: Final = 512  # names of models go into response headers and log lines
SHOWN_CHARS: Final = 64
MAX_ENTRIES: Final = 65_536
"""Of any list whose entries are looked at one by one. Ten megabytes hold millions, which would take seconds."""
_JSON_TYPES: Final[Mapping[type, str]] = MappingProxyType(
    {str: "a string", int: "an integer", float: "a number", bool: "a boolean", list: "a list", dict: "an object"}
)
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


def json_type(value: Any) -> str:
    """What a value is, in the words of JSON."""
    return _JSON_TYPES.get(type(value), "null")


def typed(kinds: type | tuple[type, ...], said: str) -> Check:
    """A check of a field's JSON type; ``bool`` passes for a number nowhere."""
    expected = kinds if isinstance(kinds, tuple) else (kinds,)

    def check(name: str, value: Any) -> None:
        if type(value) not in expected:
            raise InvalidValue(f"'{name}' must be {said}, not {json_type(value)}.", param=name)

    return check


def between(least: float, most: float) -> Check:
    """A check of a number's range."""

    def check(name: str, value: Any) -> None:
        number(name, value)
        if not least <= value <= most:
            raise InvalidValue(f"'{name}' must be a number from {least:g} to {most:g}, not {value:g}.", param=name)

    return check


def at_least(least: float) -> Check:
    """A check of a number that is finite, and not below another."""

    def check(name: str, value: Any) -> None:
        number(name, value)
        if not least <= value < float("inf"):
            raise InvalidValue(f"'{name}' must be a number of at least {least:g}, not {value:g}.", param=name)

    return check


def count(name: str, value: Any) -> None:
    """A check of an integer from 1 on."""
    whole(name, value)
    if value < 1:
        raise InvalidValue(f"'{name}' must be at least 1, not {value}.", param=name)


def whole(name: str, value: Any) -> None:
    """A check of an integer of 64 bits: what is longer has lost digits on the way."""
    if type(value) is not int:
        raise InvalidValue(f"'{name}' must be an integer, not {json_type(value)}.", param=name)
    if not _SMALLEST <= value <= _LARGEST:
        raise InvalidValue(f"'{name}' must be an integer of at most 64 bits.", param=name)


def text(name: str, value: Any) -> None:
    """A check of a string."""
    if type(value) is not str:
        raise InvalidValue(f"'{name}' must be a string, not {json_type(value)}.", param=name)


def filled(name: str, value: Any) -> None:
    """A check of a string that says something."""
    text(name, value)
    if not value.strip():
        raise InvalidValue(f"'{name}' must not be empty.", param=name)


def model_name(name: str, value: Any) -> None:
    """A check of a model's name."""
    filled(name, value)
    if len(value) > MAX_NAME_CHARS:
        raise InvalidValue(f"'{name}' must not be longer than {MAX_NAME_CHARS} characters.", param=name)


def bounded(name: str, value: list[Any]) -> None:
    """A check of a list's length, before each of its entries is looked at."""
    if len(value) > MAX_ENTRIES:
        raise InvalidValue(f"'{name}' must not hold more than {MAX_ENTRIES} entries.", param=name)


def each(of: Check, said: str) -> Check:
    """A check of a list, and of all that is in it."""
    is_list = typed(list, said)

    def check(name: str, value: Any) -> None:
        is_list(name, value)
        bounded(name, value)
        for index, entry in enumerate(value):
            of(f"{name}[{index}]", entry)

    return check


def text_or_each(of: Check, said: str) -> Check:
    """A check of a string, or of a list and all that is in it."""
    is_either = typed((str, list), said)

    def check(name: str, value: Any) -> None:
        is_either(name, value)
        if type(value) is list:
            bounded(name, value)
            for index, entry in enumerate(value):
                of(f"{name}[{index}]", entry)

    return check


def fields(known: Mapping[str, Check | None], *, needed: Collection[str] = (), said: str = "an object") -> Check:
    """A check of an object: what it must have, and the fields of it that are known; others ride along.

    A known field whose check is ``None`` may be anything.
    """
    is_object = typed(dict, said)

    def check(name: str, value: Any) -> None:
        is_object(name, value)
        for field in needed:
            if value.get(field) is None:
                raise MissingParameter(f"'{name}.{field}' is required.", param=f"{name}.{field}")
        check_fields(value, known, f"{name}.")

    return check


def check_fields(holder: Mapping[str, Any], known: Mapping[str, Check | None], path: str = "") -> None:
    """Check what an object has of these fields; null counts as absent. ``path``: of the object, with a dot.

    A field that differs from a known one in the case of its letters is refused: servers that do not tell the two apart
    (Go's JSON) would take it for the known one, which nobody here has looked at.
    """
    for name, value in holder.items():
        if name in known:
            if value is not None and (check := known[name]) is not None:
                check(path + name, value)
        elif (folded := name.casefold()) in known:
            shown = f"{path}{name[:SHOWN_CHARS]}"
            raise InvalidValue(f"'{shown}' must be spelled '{folded}'.", param=shown)


number: Final = typed((int, float), "a number")
flag: Final = typed(bool, "true or false")
an_object: Final = typed(dict, "an object")
objects: Final = each(an_object, "a list of objects")
