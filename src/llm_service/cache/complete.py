"""Which answers are kept: whole and well ended ones that say something."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from llm_service.domain import Event, Operation, Outcome

_COMPLETE: Final = frozenset(("stop", "tool_calls", "function_call"))
"""Not ``length``, which is cut off, nor ``content_filter``, which is censored, nor any word that we do not know."""
_SAID: Final = ("content", "refusal", "tool_calls", "function_call", "audio", "images")
"""Where a message or a piece of one has what a client gets; thinking alone is no answer."""


def may_keep_whole(operation: Operation, whole: bytes, outcome: Outcome, *, max_bytes: int) -> bool:
    """Whether a whole answer, in its JSON, is kept. One that cannot be read is not."""
    if not _ended_well(outcome) or len(whole) > max_bytes:
        return False
    try:
        body = orjson.loads(whole)
    except orjson.JSONDecodeError:  # half a surrogate pair: some providers send it, standard JSON has no place for it
        return False
    if operation == "embedding":
        return bool(body.get("data"))
    choices = body.get("choices") or ()
    return _all_finished(choices) and any(map(_says_something, choices))


def may_keep_events(events: Sequence[Event], outcome: Outcome, *, max_bytes: int) -> bool:
    """Whether a streamed answer is kept, of which these are all events."""
    if not _ended_well(outcome) or sum([len(event.raw) for event in events]) > max_bytes:
        return False
    finishes = [choice for event in events if event.kind == "finish" for choice in event.chunk["choices"]]
    if not _all_finished(finishes) or any(event.kind == "error" for event in events):
        return False
    return any(_says_something(choice) for event in events for choice in event.chunk["choices"])


def _ended_well(outcome: Outcome) -> bool:
    return outcome.status == "ok" and outcome.late_error is None


def _all_finished(choices: Sequence[Mapping[str, Any]]) -> bool:
    return bool(choices) and all(choice.get("finish_reason") in _COMPLETE for choice in choices)


def _says_something(choice: Mapping[str, Any]) -> bool:
    """Of a choice of a whole answer or of a chunk, chat or text completion."""
    said = choice.get("message") or choice.get("delta")
    return any(map(said.get, _SAID)) if said else bool(choice.get("text"))
