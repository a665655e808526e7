"""What is left of an answer of which nothing may be given out: its form, and why it ends."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from llm_service.domain import Event
from llm_service.filters.sieve import FILTERED


def decoded(whole: bytes) -> dict[str, Any]:
    """A whole answer, whatever strings are in it."""
    answer: dict[str, Any]
    try:
        answer = orjson.loads(whole)
    except orjson.JSONDecodeError:  # half a surrogate pair passes here
        answer = json.loads(whole)
    return answer


def emptied(answer: Mapping[str, Any]) -> dict[str, Any]:
    """A whole answer whose choices say nothing, and have ended because of a filter."""
    return {**answer, "choices": [_emptied(one) for one in answer["choices"]]}


def _emptied(choice: Mapping[str, Any]) -> dict[str, Any]:
    nothing: dict[str, Any] = {"text": ""}
    if "message" in choice:
        nothing = {"message": {"role": "assistant", "content": ""}}
    more = {"logprobs": None} if "logprobs" in choice else {}
    return {"index": choice.get("index", 0), **nothing, **more, "finish_reason": FILTERED}


def ending(events: Sequence[Event], *, encode: Callable[[Any], bytes]) -> list[Event]:
    """The events of a stream of which nothing but its end is given out: an error stays one, usage is told."""
    if events and events[-1].kind == "error":
        return [Event(1, b"", "error", error=events[-1].error)]
    around: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for event in events:
        around = around or {name: value for name, value in event.chunk.items() if name not in ("choices", "usage")}
        for one in event.chunk.get("choices") or ():
            nothing: dict[str, Any] = {"delta": {}} if "delta" in one else {"text": ""}
            choices[one["index"]] = {"index": one["index"], **nothing, "finish_reason": FILTERED}
    chunk = {**around, "choices": [choices[index] for index in sorted(choices)]}
    usage = [one for one in events if one.kind == "usage"]
    return [
        Event(1, encode(chunk), "finish", chunk=chunk),
        *(Event(number, one.raw, "usage") for number, one in enumerate(usage, 2)),
    ]
