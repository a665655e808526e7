"""Strings that fit a JSON schema's format, pattern and length."""

from __future__ import annotations

from typing import Final

from llm_service.sandbox.content.dice import Dice
from llm_service.sandbox.content.pattern import matching
from llm_service.sandbox.messages import Json

MAX_CHARACTERS: Final = 4096

_WORDS: Final = (
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "harbor",
    "island",
    "juniper",
    "kettle",
    "lagoon",
)


def string_for(schema: Json, dice: Dice, words: list[str]) -> str:
    """A string for the schema; a word given beforehand is used up when it fits."""
    pattern, kind = schema.get("pattern"), schema.get("format")
    if isinstance(pattern, str):
        return matching(pattern, dice)
    if isinstance(kind, str) and (text := _formatted(kind, dice)) is not None:
        return text
    text = words.pop(0) if words else dice.pick(_WORDS)
    lowest, highest = schema.get("minLength"), schema.get("maxLength")
    while isinstance(lowest, int) and len(text) < min(lowest, MAX_CHARACTERS):
        text += " " + dice.pick(_WORDS)
    return text[: max(0, highest)] if isinstance(highest, int) else text


def _formatted(kind: str, dice: Dice) -> str | None:
    day = f"20{dice.between(20, 29)}-{dice.between(1, 12):02}-{dice.between(1, 28):02}"
    time = f"{dice.below(24):02}:{dice.below(60):02}:{dice.below(60):02}Z"
    word = dice.pick(_WORDS)
    made = {
        "date": day,
        "time": time,
        "date-time": f"{day}T{time}",
        "duration": f"P{dice.between(1, 9)}D",
        "email": f"{word}@example.com",
        "hostname": f"{word}.example.com",
        "uri": f"https://example.com/{word}",
        "url": f"https://example.com/{word}",
        "uuid": dice.uuid(),
        "ipv4": f"192.0.2.{dice.between(1, 254)}",
        "ipv6": f"2001:db8::{dice.between(1, 9999):x}",
    }
    return made.get(kind)
