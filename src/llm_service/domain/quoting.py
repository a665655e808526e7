"""Whether a message repeats what somebody has said: prompts stand in no error, whoever words it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

LEAST_CHARS: Final = 8
"""A shorter text is a word like any other."""
_RUN_CHARS: Final = 16
_STEP: Final = 2
_DEEPEST: Final = 64
_NAMES: Final = frozenset(
    """model models role type name id tool_call_id user format detail effort encoding_format reasoning_effort
    service_tier prompt_cache_key safety_identifier property_name""".split()
)
"""Fields whose texts name something, which messages may say."""


def quotes(message: str, said: Any) -> bool:
    """Whether the message has a whole text of ``said`` (a JSON value; names of fields are no texts), or 17 characters
    in a row of one, whatever blanks are between words. Fields that name something (a model, a role) do not count.

    In time linear in the texts.
    """
    words = " ".join(message.split())
    texts = [" ".join(text.split()) for text in _texts(said, _DEEPEST)]
    if any(len(text) >= LEAST_CHARS and text in words for text in texts):
        return True
    long = "\n".join(text for text in texts if len(text) > _RUN_CHARS)
    return bool(long) and any(
        words[at : at + _RUN_CHARS] in long for at in range(0, len(words) - _RUN_CHARS + 1, _STEP)
    )


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, Mapping):
        for name, inner in value.items():
            if not (name in _NAMES and isinstance(inner, str | list) and not _holds_objects(inner)):
                yield from _texts(inner, depth - 1)
    elif depth and isinstance(value, list):
        for inner in value:
            yield from _texts(inner, depth - 1)


def _holds_objects(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(one, Mapping) for one in value)
