"""An upstream's error in one normal form, whichever of a dozen envelopes it came in."""

import json
import re
from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any, Final

import orjson

from llm_service.domain import fact

MAX_MESSAGE_CHARS: Final = 500
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_MARKUP: Final = re.compile(r"<(?:!doctype|html|head|body|center|h1|title|script)\b", re.IGNORECASE)
_CREDENTIAL: Final = re.compile(r"\b(?:sk|gsk|xai|pk|rk|llms|key)[-_][\w*.-]{6,}|\bBearer\s+[\w*.~+/=-]{6,}|\*{4,}\w+")
_TITLE: Final = re.compile(r"<title>\s*([45]\d\d)\b", re.IGNORECASE)
_STATUS_NAMES: Final = ("http_status", "status_code", "raw_status_code", "status", "code")


@fact
class Complaint:
    """What an upstream says went wrong. ``status``: the HTTP status that it means, 0 where it names none.

    ``words``: its stable words, the most exact first. ``detail``: the error object itself, for further members.
    """

    status: int
    message: str = ""
    words: tuple[str, ...] = ()
    param: str | None = None
    detail: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    def part(self, name: str) -> Mapping[str, Any]:
        """A member of the error object that is an object; an empty one where it is not."""
        inner = self.detail.get(name)
        return inner if isinstance(inner, Mapping) else _NOTHING


def complaint_of(status: int, body: bytes) -> Complaint:
    """The error in a body, parsed by what it is, whatever its content type says."""
    text = body.strip()
    try:
        told = orjson.loads(text)
    except orjson.JSONDecodeError:
        told = text[: 4 * MAX_MESSAGE_CHARS].decode("utf-8", "replace")
    return complaint(told, status)


def names_an_error(body: Mapping[str, Any]) -> bool:
    """Whether a body of status 200, or an event of a stream, is an error in one of the envelopes, and no answer."""
    if body.get("error") or body.get("object") == "error":
        return True
    if "choices" in body or "data" in body:
        return False
    return isinstance(body.get("message"), str) or isinstance(body.get("detail"), str | list)


def complaint(told: object, status: int = 0) -> Complaint:
    """The normal form: ``error`` (object or string), else ``message``, else ``detail``, else the text.

    ``status``: that of the response; 0 for an error inside an answer of status 200, whose own number then counts.
    """
    if isinstance(told, list) and told:
        told = told[0]
    if not isinstance(told, Mapping):
        text = told if isinstance(told, str) else ""
        return Complaint(status=status or _status_of_text(text), message=clean(text))
    inner = told.get("error")
    around = told
    if isinstance(inner, Mapping):
        told = inner
    elif isinstance(inner, str):
        told = {**told, "message": inner}
    message, param = _message(told)
    return Complaint(
        status=status or _status(told) or _status(around) or _status_of_text(message),
        message=clean(message),
        words=_words(told),
        param=param,
        detail=told,
    )


def clean(text: str) -> str:
    """A message fit to be shown: one line, at most 500 characters, no markup, nothing that looks like a credential."""
    if _MARKUP.search(text):
        return ""
    line = " ".join(_CONTROL.sub(" ", text[: 4 * MAX_MESSAGE_CHARS]).split())
    line = _CREDENTIAL.sub("***", line)
    return line if len(line) <= MAX_MESSAGE_CHARS else line[: MAX_MESSAGE_CHARS - 3] + "..."


def inner_message(raw: object) -> str:
    """The message in an error that another provider gave, passed on as text, as JSON in a text or as an object."""
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError):
            return clean(str(raw))
    return complaint(raw).message


def _message(told: Mapping[str, Any]) -> tuple[str, str | None]:
    """The message, and the field at fault."""
    param = told.get("param")
    message = told.get("message", told.get("detail", ""))
    if isinstance(message, Mapping):
        message = message.get("detail", message.get("message", ""))
    if isinstance(message, list):
        message, where = _listed(message)
        param = param or where
    return (message if isinstance(message, str) else ""), (clean(param) or None if isinstance(param, str) else None)


def _listed(problems: list[Any]) -> tuple[str, str | None]:
    """FastAPI's list of ``{loc, msg}``; the location without the word ``body``."""
    lines: list[str] = []
    places: list[str] = []
    for problem in problems:
        if not isinstance(problem, Mapping):
            lines.append(str(problem))
            continue
        location = problem.get("loc")
        place = ".".join(str(step) for step in location if step != "body") if isinstance(location, list) else ""
        places.append(place)
        lines.append(f"{place}: {problem.get('msg', '')}" if place else str(problem.get("msg", "")))
    return "; ".join(lines), next(filter(None, places), None)


def _words(told: Mapping[str, Any]) -> tuple[str, ...]:
    holders = (told.get("availability"), told.get("metadata"), told.get("innererror"), told)
    words = [
        holder.get(name)
        for holder in holders
        if isinstance(holder, Mapping)
        for name in ("code", "error_type", "type", "status")
    ]
    return tuple(word for word in words if isinstance(word, str) and word)


def _status(told: Mapping[str, Any]) -> int:
    numbers = (_number(told.get(name)) for name in _STATUS_NAMES)
    return next((number for number in numbers if 300 <= number <= 599), _status_of_list(told))


def _number(told: object) -> int:
    if isinstance(told, str) and len(told) == 3 and told.isascii() and told.isdigit():
        return int(told)
    return told if type(told) is int else 0


def _status_of_list(told: Mapping[str, Any]) -> int:
    """FastAPI gives its list of problems with one status alone."""
    problems = told.get("detail")
    return (
        422 if isinstance(problems, list) and any(isinstance(one, Mapping) and "loc" in one for one in problems) else 0
    )


def _status_of_text(text: str) -> int:
    """The status in the title of a proxy's page."""
    found = _TITLE.search(text)
    return int(found[1]) if found else 0
