"""What a request says beside its body, in the same words through every door."""

import re
from collections.abc import Mapping
from dataclasses import field
from math import isfinite
from typing import Final, Literal, NamedTuple

from llm_service.domain import ANY_ANSWER, NO_TAGS, CacheControl, InvalidValue, fact

OnDisconnect = Literal["cancel", "finish"]

MAX_TIMEOUT_S: Final = 86400.0
MAX_USER_CHARS: Final = 256
MAX_KEY_CHARS: Final = 255
MAX_TAGS: Final = 16
MAX_TAG_CHARS: Final = 128
_TAG: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class TraceHeaders(NamedTuple):
    """``traceparent`` and ``tracestate`` as they were said, valid or not (W3C Trace Context)."""

    parent: str | None = None
    state: str | None = None


NO_TRACE: Final = TraceHeaders()


@fact
class CallOptions:
    """What may be said of one call. ``None``: not said.

    ``timeout_s``: the caller's own deadline, from the request's arrival. ``control``: what the cache may do.
    ``on_disconnect``: what becomes of the generation when its client leaves. ``trace``: the trace that it belongs to.
    """

    timeout_s: float | None = None
    user: str | None = None
    tags: Mapping[str, str] = field(default_factory=lambda: NO_TAGS)
    control: CacheControl = ANY_ANSWER
    idempotency_key: str | None = None
    on_disconnect: OnDisconnect | None = None
    trace: TraceHeaders = NO_TRACE


NO_OPTIONS: Final = CallOptions()


class Place(NamedTuple):
    """Where an option stands: how a sentence about it begins, and what the error's ``param`` is."""

    said: str
    param: str


def timeout_s_in(value: float, place: Place) -> float:
    """A deadline in seconds. Raises InvalidValue."""
    if not isfinite(value) or not 0 < value <= MAX_TIMEOUT_S:
        said = f"{place.said} must be a number of seconds above 0, at most {MAX_TIMEOUT_S:.0f}."
        raise InvalidValue(said, param=place.param)
    return value


def on_disconnect_in(value: str, place: Place) -> OnDisconnect:
    """What is asked for. Raises InvalidValue for something that there is not."""
    if value == "finish":
        return "finish"
    if value == "cancel":
        return "cancel"
    raise InvalidValue(f"{place.said} must be 'cancel' or 'finish'.", param=place.param)


def idempotency_key_in(value: str, place: Place) -> str:
    """The key. Raises InvalidValue."""
    return _short_text(value, MAX_KEY_CHARS, place)


def user_in(value: str, place: Place) -> str:
    """The end user that is named. Raises InvalidValue."""
    return _short_text(value, MAX_USER_CHARS, place)


def tags_in(pairs: Mapping[str, str], place: Place, *, such_as: str) -> Mapping[str, str]:
    """The tags, stripped. Raises InvalidValue; ``such_as``: an example in the form of the door."""
    tags: dict[str, str] = {}
    for name, value in pairs.items():
        if not _TAG.fullmatch(name.strip()) or len(value) > MAX_TAG_CHARS or not value.isprintable():
            raise InvalidValue(
                f"{place.said} must be tags such as {such_as}: names of at most 64 letters, digits, '.', '_' and '-', "
                f"printable values of at most {MAX_TAG_CHARS} characters.",
                param=place.param,
            )
        tags[name.strip()] = value.strip()
    if len(tags) > MAX_TAGS:
        raise InvalidValue(f"{place.said} may hold at most {MAX_TAGS} tags.", param=place.param)
    return tags


def printable(value: str, place: Place) -> str:
    """The text, stripped. Raises InvalidValue where it would be more than one line, or holds what cannot be seen."""
    if not value.isprintable():
        raise InvalidValue(f"{place.said} must be printable text.", param=place.param)
    return value.strip()


def _short_text(value: str, most_chars: int, place: Place) -> str:
    text = printable(value, place)
    if not 0 < len(text) <= most_chars:
        raise InvalidValue(f"{place.said} must have 1 to {most_chars} characters.", param=place.param)
    return text
