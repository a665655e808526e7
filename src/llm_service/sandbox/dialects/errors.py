"""Documented errors as data, and how an entry of the table becomes a body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_service.domain import fact_in_order
from llm_service.sandbox.messages import Headers, Json


@fact_in_order
class ErrorCase:
    """One documented error. Strings may hold {placeholders}; a body that is a string is not JSON."""

    status: int
    body: Any
    headers: Headers = ()
    content_type: str = "application/json"


Errors = Mapping[str, ErrorCase]


class Refusal(Exception):
    """An error of the table, to be sent instead of an answer."""

    def __init__(self, case: str, **values: object) -> None:
        super().__init__(case)
        self.case = case
        self.values = values


def filled(value: Any, values: Mapping[str, object]) -> Any:
    """A copy with its placeholders replaced; a string that is nothing but a placeholder becomes the value itself."""
    if isinstance(value, str):
        return _filled_text(value, values) if "{" in value else value
    if isinstance(value, Mapping):
        return {name: filled(inner, values) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [filled(inner, values) for inner in value]
    return value


def _filled_text(text: str, values: Mapping[str, object]) -> object:
    if text[0] == "{" and text[-1] == "}" and text[1:-1] in values:
        return values[text[1:-1]]
    for name, value in values.items():
        text = text.replace("{" + name + "}", str(value))
    return text


def error_in(body: Any) -> Json:
    """The error object of a body, whatever envelope it came in."""
    inner = body[0] if isinstance(body, list) else body
    if isinstance(inner, Mapping):
        inner = inner.get("error", inner)
    return dict(inner) if isinstance(inner, Mapping) else {"message": str(inner)}
