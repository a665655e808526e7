"""What a request may be whatever the model: how much of each thing it may hold, and how deep."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

import orjson

from llm_service.domain import KNOWN_FIELDS, InvalidValue, ModelRequest
from llm_service.pipeline.options import ValidationOptions

WRITABLE_DEPTH: Final = 250
"""What is nested deeper cannot be written as JSON, so that whoever sends it on refuses it. Looking costs more."""
_SMALL_BYTES: Final = 64 * 1024
_SHOWN_CHARS: Final = 64
_HOLDERS: Final = (dict, list)
_COUNTED: Final = frozenset(("n", "best_of", "stop", "tools", "functions"))
"""Fields with bounds of their own, which most requests have none of."""


def check_bounds(request: ModelRequest, options: ValidationOptions) -> None:
    """Raises InvalidValue, naming the field and its bound, for a request that exceeds one."""
    body = request.body
    if options.max_depth < WRITABLE_DEPTH or request.body_bytes > _SMALL_BYTES:
        _check_depth(body, options.max_depth)
    if request.operation != "embedding":
        if not _COUNTED.isdisjoint(body):
            _check_counted(request, options)
        if request.operation == "chat":
            _check_length(body, "messages", options.max_messages, "max_messages")
    if options.unknown_fields == "refuse":
        _check_names(request)


def _check_counted(request: ModelRequest, options: ValidationOptions) -> None:
    body = request.body
    for name in ("n", "best_of"):
        if type(count := body.get(name)) is int and count > options.max_choices:
            raise _exceeds(name, f"must be at most {options.max_choices}", count, "max_choices")
    _check_length(body, "stop", options.max_stops, "max_stops")
    if request.operation == "chat" and (body.get("tools") or body.get("functions")):
        _check_tools(request, options)


def _check_length(body: Mapping[str, Any], name: str, most: int, setting: str) -> None:
    listed = body.get(name)
    if type(listed) is list and len(listed) > most:
        raise _exceeds(name, f"must not hold more than {most}", len(listed), setting)


def _check_tools(request: ModelRequest, options: ValidationOptions) -> None:
    for name in ("tools", "functions"):
        _check_length(request.body, name, options.max_tools, "max_tools")
        most = options.max_tool_bytes
        if request.body_bytes > most and (size := len(orjson.dumps(request.body.get(name)))) > most:
            raise _exceeds(name, f"must not be longer than {most} bytes", size, "max_tool_bytes")


def _check_names(request: ModelRequest) -> None:
    known = KNOWN_FIELDS[request.operation]
    for name in request.body:
        if name not in known:
            near = next(iter(get_close_matches(name, known, n=1)), None)
            meant = f"; did you mean '{near}'?" if near else "."
            shown = name[:_SHOWN_CHARS]
            said = f"'{shown}' is not known here, and unknown fields are refused (validation.unknown_fields){meant}"
            raise InvalidValue(said, param=shown)


def _check_depth(body: Mapping[str, Any], most: int) -> None:
    """Level by level: a depth that JSON allows need not fit the call stack."""
    level: list[Any] = [body]
    for _ in range(most):
        level = [
            inner
            for holder in level
            for inner in (holder.values() if type(holder) is dict else holder)
            if type(inner) in _HOLDERS
        ]
        if not level:
            return
    raise InvalidValue(
        f"The body is nested too deeply: {most} levels of objects and lists are allowed (validation.max_depth)."
    )


def _exceeds(name: str, must: str, found: int, setting: str) -> InvalidValue:
    return InvalidValue(f"'{name}' {must}, and has {found} (validation.{setting}).", param=name)
