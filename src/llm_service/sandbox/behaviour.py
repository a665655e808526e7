"""From a model name such as `sandbox/slow-head-1s+cut-after-3` to the behaviour that it asks for."""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Any, Final

from llm_service.domain import fact_in_order

PREFIXES: Final = ("sandbox/", "sandbox-")
ORDINARY: Final = "chat"
"""The form that asks for nothing."""

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)?")
_SIZE: Final = re.compile(r"(\d+)(b|kb|mb)?", re.IGNORECASE)
_UNIT_S: Final[Mapping[str | None, float]] = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}
_UNIT_BYTES: Final = {"b": 1, "kb": 1024, "mb": 1024 * 1024}


class Kind(enum.Enum):
    """What stands behind the name of a form."""

    FLAG = "nothing"
    COUNT = "a count"
    SECONDS = "a duration: 200ms, 2s, 1m"
    BYTES = "a size: 100b, 64kb, 1mb"
    WORD = "a word"


@fact_in_order
class Form:
    """One thing that can be asked for. Without a default the argument is required."""

    name: str
    kind: Kind
    does: str
    default: str | None = None


Value = bool | int | float | str


class BadBehaviour(ValueError):
    """A form that does not exist, or an argument that it does not take."""


@fact_in_order
class Behaviour:
    """The forms that hold for one request, by name. An empty one is a provider on a good day."""

    values: Mapping[str, Value] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.values)

    def on(self, name: str) -> bool:
        """Whether the form was given."""
        return name in self.values

    def count(self, name: str) -> int | None:
        """Argument of a form of counts or sizes."""
        value = self.values.get(name)
        return None if value is None else int(value)

    def seconds(self, name: str) -> float | None:
        """Argument of a form of durations."""
        value = self.values.get(name)
        return None if value is None else float(value)

    def word(self, name: str) -> str | None:
        """Argument of a form of words."""
        value = self.values.get(name)
        return None if value is None else str(value)

    def over(self, below: Behaviour) -> Behaviour:
        """Both together; where both speak, this one holds."""
        if not self.values or not below.values:
            return self or below
        return Behaviour({**below.values, **self.values})

    def text(self) -> str:
        """For the journal: `form+form-argument`."""
        return "+".join(name if value is True else f"{name}-{value}" for name, value in self.values.items())


NORMAL: Final = Behaviour()


class Grammar:
    """Reads behaviours by a table of forms."""

    def __init__(self, forms: Iterable[Form]) -> None:
        self._forms = {form.name: form for form in forms}
        self._longest_first = sorted(self._forms, key=len, reverse=True)

    def of_model(self, model: str) -> Behaviour:
        """The behaviour in a model name; a name without one, such as `sandbox/chat`, is normal."""
        text = next((model.removeprefix(prefix) for prefix in PREFIXES if model.startswith(prefix)), None)
        if text is None:
            return NORMAL
        if "+" not in text and self._split(text) is None:
            self._warn_of_slip(text)
            return NORMAL
        return self.of_text(text)

    def of_text(self, text: str) -> Behaviour:
        """The behaviour in `form+form+...`; raises BadBehaviour."""
        values: dict[str, Value] = {}
        for part in filter(None, (part.strip() for part in text.split("+"))):
            found = self._split(part)
            if found is None:
                raise BadBehaviour(self._unknown(part))
            name, argument = found
            if name != ORDINARY:
                values[name] = self._value(name, argument)
        return Behaviour(values) if values else NORMAL

    def of_object(self, values: Mapping[str, Any]) -> Behaviour:
        """The behaviour in a JSON object: form names (with - or _) to arguments, true for none; numbers are seconds."""
        read: dict[str, Value] = {}
        for key, argument in values.items():
            name = key.replace("_", "-")
            if name not in self._forms:
                raise BadBehaviour(self._unknown(name))
            if argument is False or argument is None:
                continue
            read[name] = self._value(name, None if argument is True else str(argument))
        return Behaviour(read)

    def _split(self, part: str) -> tuple[str, str | None] | None:
        for name in self._longest_first:
            if part == name:
                return name, None
            if part.startswith(name + "-") and self._forms[name].kind is not Kind.FLAG:
                return name, part[len(name) + 1 :]
        return None

    def _value(self, name: str, argument: str | None) -> Value:
        form = self._forms[name]
        if form.kind is Kind.FLAG:
            return True
        text = argument if argument is not None else form.default
        if text is None:
            raise BadBehaviour(f"{name} needs {form.kind.value}, as in {name}-...")
        try:
            return _PARSERS[form.kind](text)
        except ValueError:
            raise BadBehaviour(f"{name} needs {form.kind.value}, not {text!r}") from None

    def _warn_of_slip(self, text: str) -> None:
        """A name that nearly is a form is a slip of the pen, not a model."""
        stem = re.sub(r"-?\d.*$", "", text)
        if difflib.get_close_matches(stem, self._forms, n=1, cutoff=0.85):
            raise BadBehaviour(self._unknown(text))

    def _unknown(self, part: str) -> str:
        near = difflib.get_close_matches(re.sub(r"-?\d.*$", "", part), self._forms, n=1, cutoff=0.6)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"unknown sandbox behaviour {part!r}{hint} GET /_control lists them all"


def _duration_s(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return float(match[1]) * _UNIT_S[match[2]]


def _size_bytes(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return int(match[1]) * _UNIT_BYTES[(match[2] or "b").lower()]


_PARSERS: Final[Mapping[Kind, Callable[[str], Value]]] = {
    Kind.COUNT: int,
    Kind.SECONDS: _duration_s,
    Kind.BYTES: _size_bytes,
    Kind.WORD: str,
}
