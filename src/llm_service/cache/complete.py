"""Which answers are kept: whole and well ended ones that say something."""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, Final

import orjson

from llm_service.domain import TERMINAL, Event, Operation, Outcome

_COMPLETE: Final = frozenset(("stop", "tool_calls", "function_call"))
"""Not ``length``, which is cut off, nor ``content_filter``, which is censored, nor any word that we do not know."""
_SAID: Final = ("refusal", "tool_calls", "function_call", "audio", "images")
"""Where, beside its content, a message or a piece of one has what a client gets; thinking alone is no answer."""


def may_keep_whole(
    operation: Operation, whole: bytes, outcome: Outcome, *, max_bytes: int, is_complete: bool | None = None
) -> bool:
    """Whether a whole answer, in its JSON, is kept. One that cannot be read is not.

    ``is_complete``: what :func:`is_complete_answer` has said of it, where it was asked.
    """
    if not _ended_well(outcome) or len(whole) > max_bytes:
        return False
    if is_complete is not None:
        return is_complete
    try:
        body = orjson.loads(whole)
    except orjson.JSONDecodeError:  # half a surrogate pair: some providers send it, standard JSON has no place for it
        return False
    return is_complete_answer(operation, body)


def is_complete_answer(operation: Operation, body: Mapping[str, Any]) -> bool:
    """Whether a decoded whole answer is all that was asked for, and says something."""
    if operation == "embedding":
        return bool(body.get("data"))
    says_something = False
    for choice in body.get("choices") or ():
        if choice.get("finish_reason") not in _COMPLETE:
            return False
        says_something = says_something or _says_something(choice)
    return says_something


def may_keep_events(events: Sequence[Event], outcome: Outcome, *, max_bytes: int) -> bool:
    """Whether a streamed answer is kept, of which these are all events."""
    if not _ended_well(outcome) or sum([len(event.raw) for event in events]) > max_bytes:
        return False
    ends = list(takewhile(lambda event: event.kind in TERMINAL, reversed(events)))  # they come last
    finishes = [choice for event in ends if event.kind == "finish" for choice in event.chunk["choices"]]
    if not _all_finished(finishes) or any(event.kind == "error" for event in ends):
        return False
    return any(_says_something(choice) for event in events for choice in event.chunk["choices"])


def _ended_well(outcome: Outcome) -> bool:
    return outcome.status == "ok" and outcome.late_error is None


def _all_finished(choices: Sequence[Mapping[str, Any]]) -> bool:
    return bool(choices) and all(choice.get("finish_reason") in _COMPLETE for choice in choices)


def _says_something(choice: Mapping[str, Any]) -> bool:
    """Of a choice of a whole answer or of a chunk, chat or text completion."""
    said = choice.get("message") or choice.get("delta")
    if not isinstance(said, dict):  # a text completion may have anything there
        return bool(choice.get("text"))
    return bool(said.get("content")) or any(map(said.get, _SAID))
