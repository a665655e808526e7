"""Silences as they are asked for."""

from datetime import datetime, timedelta
from typing import Any, Final

from llm_service.alerts import Matcher, Silence
from llm_service.domain import Body, Caller, InvalidValue, MissingParameter
from llm_service.services.moments import read_moment
from llm_service.services.usage_fields import unknown_name

LONGEST_SILENCE_S: Final = 366 * 86400.0
MOST_MATCHERS: Final = 32
MOST_CHARS: Final = 1024
SILENCE_FIELDS: Final = ("matchers", "starts_at", "ends_at", "duration_s", "comment", "created_by")
MATCHER_FIELDS: Final = ("name", "value", "operator")


def read_silence_body(body: Body, caller: Caller, *, silence_id: str, now: datetime) -> Silence:
    """A silence from its JSON. Raises InvalidValue and MissingParameter."""
    for name in body:
        if name not in SILENCE_FIELDS:
            raise unknown_name(name, SILENCE_FIELDS)
    matchers = body.get("matchers")
    if matchers is None:
        raise MissingParameter("'matchers' is required: which alerts are silenced.", param="matchers")
    if not isinstance(matchers, list) or not 1 <= len(matchers) <= MOST_MATCHERS:
        raise InvalidValue(f"'matchers' must be a list of 1 to {MOST_MATCHERS} conditions.", param="matchers")
    starts_at = now if body.get("starts_at") is None else read_moment("starts_at", body["starts_at"])
    return Silence(
        id=silence_id,
        matchers=tuple(_matcher(number, one) for number, one in enumerate(matchers)),
        starts_at=starts_at,
        ends_at=_end_of(body, starts_at, now),
        created_by=_text("created_by", body.get("created_by")) or caller.key_id,
        comment=_text("comment", body.get("comment")),
    )


def _end_of(body: Body, starts_at: datetime, now: datetime) -> datetime:
    ends, lasts = body.get("ends_at"), body.get("duration_s")
    if (ends is None) == (lasts is None):
        raise InvalidValue("Exactly one of 'ends_at' and 'duration_s' says how long a silence lasts.", param="ends_at")
    if ends is not None:
        ends_at = read_moment("ends_at", ends)
    elif isinstance(lasts, (int, float)) and not isinstance(lasts, bool) and 1 <= lasts <= LONGEST_SILENCE_S:
        if (starts_at - now).total_seconds() > LONGEST_SILENCE_S:
            raise InvalidValue("'starts_at' must lie within a year.", param="starts_at")
        ends_at = starts_at + timedelta(seconds=lasts)
    else:
        raise InvalidValue(f"'duration_s' must be from 1 to {LONGEST_SILENCE_S:.0f} seconds.", param="duration_s")
    if ends_at <= max(now, starts_at):
        raise InvalidValue("'ends_at' must lie in the future and after 'starts_at'.", param="ends_at")
    if (ends_at - now).total_seconds() > LONGEST_SILENCE_S:
        raise InvalidValue("'ends_at' must lie within a year: what is silenced for good is forgotten.", param="ends_at")
    return ends_at


def _matcher(number: int, given: Any) -> Matcher:
    at = f"matchers[{number}]"
    if not isinstance(given, dict) or not {"name", "value"} <= given.keys() <= set(MATCHER_FIELDS):
        said = f"'{at}' must be an object with name, value and, if it is not '=', operator."
        raise InvalidValue(said, param=at)
    name, value = _text(f"{at}.name", given["name"]), _text(f"{at}.value", given["value"])
    operator = given.get("operator", "=")
    if not name:
        raise InvalidValue(f"'{at}.name' must be `rule`, `severity` or the name of a label.", param=f"{at}.name")
    if operator == "=":
        return Matcher(name=name, value=value)
    if operator == "!=":
        return Matcher(name=name, value=value, operator="!=")
    raise InvalidValue(f"'{at}.operator' must be '=' or '!='.", param=f"{at}.operator")


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str) and len(value) <= MOST_CHARS and "\0" not in value:
        return value.encode("utf-8", "replace").decode()
    raise InvalidValue(f"'{name}' must be a text of at most {MOST_CHARS} characters.", param=name)
