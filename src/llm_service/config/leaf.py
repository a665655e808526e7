"""Reads a single value of a known type from its text. Messages never repeat the text: it may be a secret."""

import math
import os
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

from llm_service.config.later import suggestion
from llm_service.config.shape import Leaf
from llm_service.domain import Secret

_MAX_DIGITS = 18
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_SWITCH: Mapping[str, bool] = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class BadValue(Exception):
    """The text is no value of this setting; the message is the end of a sentence that begins with its name."""


def parse(leaf: Leaf, text: str, *, folder: Path, home: str | None) -> object:
    """The value, checked by the setting's rules. Relative paths start at `folder`, `~` is `home`. Raises BadValue."""
    if leaf.type is Path:
        return _path(text, folder=folder, home=home)
    if leaf.choices:
        return _word(leaf, text)
    value = _PARSERS[leaf.type](text)
    for rule in leaf.rules:
        if problem := rule.problem(value):
            raise BadValue(problem)
    return Secret(text) if leaf.type is Secret else value


def _word(leaf: Leaf, text: str) -> str:
    if text in leaf.choices:
        return text
    if text in leaf.reserved:
        raise BadValue(f"cannot be {text} yet: the word is reserved for a later version")
    *others, last = leaf.choices
    raise BadValue(f"must be {', '.join(others)} or {last}{suggestion(text, leaf.choices)}")


def _whole_number(text: str) -> int:
    if re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII) and len(text) <= _MAX_DIGITS:
        return int(text)
    raise BadValue("must be a whole number")


def _number(text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if math.isfinite(value):
        return value
    raise BadValue("must be a number")


def _amount(text: str) -> Decimal:
    """Money, exactly as it is written."""
    if re.fullmatch(r"[+-]?[0-9]+(?:\.[0-9]+)?", text, re.ASCII) and len(text) <= _MAX_DIGITS:
        return Decimal(text)
    raise BadValue("must be a decimal number such as 12.50")


def _switch(text: str) -> bool:
    if text in _SWITCH:
        return _SWITCH[text]
    raise BadValue("must be true or false")


def _not_empty(text: str) -> str:
    if text:
        return text
    raise BadValue("must not be empty")


def _path(text: str, *, folder: Path, home: str | None) -> Path:
    try:
        usable = bool(text) and b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise BadValue("must be a path")
    if text == "~" or text.startswith("~/"):
        if not home:
            raise BadValue("begins with ~, and HOME is not set")
        return Path(home, text[2:])
    return folder / text


_PARSERS: Mapping[type, Callable[[str], object]] = {
    Decimal: _amount,
    bool: _switch,
    float: _number,
    int: _whole_number,
    str: str,
    Secret: _not_empty,
}
