"""Pure conversions between the two forms of an answer, for readers of the other form: whole to events, and back."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from llm_service.domain import Event, EventKind, Outcome, UpstreamInvalidResponse

_STREAMED: Final[Mapping[str, str]] = {"chat.completion": "chat.completion.chunk", "text_completion": "text_completion"}
_WHOLE: Final[Mapping[str, str]] = {streamed: whole for whole, streamed in _STREAMED.items()}
_GROWING: Final = frozenset(
    "content reasoning reasoning_content refusal text summary arguments input data transcript".split()
)


def encode(value: Any) -> bytes:
    """Well-formed JSON, whatever strings are in it. Raises UpstreamInvalidResponse for what is nested without end."""
    try:
        return orjson.dumps(value)
    except TypeError:  # half a surrogate pair, or more than 254 levels
        try:
            return json.dumps(value, separators=(",", ":")).encode()
        except RecursionError:
            raise UpstreamInvalidResponse("The provider sent JSON that is nested too deeply.") from None


def split(whole: bytes, outcome: Outcome) -> Sequence[Event]:
    """The events of a whole answer: one chunk with all content, the finish, the usage if the outcome knows one.

    An answer without choices (embeddings) has no events.
    """
    body = orjson.loads(whole)
    choices = body.pop("choices", None)
    if not choices:
        return ()
    usage = body.pop("usage", None)
    body["object"] = _STREAMED.get(body.get("object", ""), "chat.completion.chunk")
    parts = [_content_of(choice) for choice in choices]
    ends = [_end_of(choice) for choice in choices]
    chunks = [{**body, "choices": parts}, {**body, "choices": ends}]
    if usage is not None and outcome.usage is not None:
        chunks.append({**body, "choices": [], "usage": usage})
    kinds: tuple[EventKind, ...] = ("chunk", "finish", "usage")
    return [
        Event(seq, encode(chunk), kind, chunk=chunk)
        for seq, (chunk, kind) in enumerate(zip(chunks, kinds, strict=False), 1)
    ]


def collect(events: Sequence[Event]) -> bytes:
    """The whole answer of a stream that ended well: ``collect(split(answer, outcome))`` means what ``answer`` means."""
    body: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for event in events:
        for key, value in event.chunk.items():
            if body.get(key) is None and key != "choices":
                body[key] = value
        for part in event.chunk["choices"]:
            _merge_choice(choices.setdefault(part["index"], {}), part)
    body["object"] = _WHOLE.get(body.get("object", ""), "chat.completion")
    usage = body.pop("usage", None)
    body["choices"] = [_finished(choices[index]) for index in sorted(choices)]
    return encode(body if usage is None else {**body, "usage": usage})


def _content_of(choice: Mapping[str, Any]) -> dict[str, Any]:
    part = {"index": choice["index"], "finish_reason": None}
    if "logprobs" in choice:
        part["logprobs"] = choice["logprobs"]
    if "message" not in choice:
        return {**part, "text": choice["text"]}
    delta = dict(choice["message"])
    if delta.get("tool_calls"):
        delta["tool_calls"] = [{**call, "index": index} for index, call in enumerate(delta["tool_calls"])]
    return {**part, "delta": delta}


def _end_of(choice: Mapping[str, Any]) -> dict[str, Any]:
    part = {key: value for key, value in choice.items() if key not in ("message", "logprobs")}
    return {**part, **({"delta": {}} if "message" in choice else {"text": ""})}


def _finished(choice: dict[str, Any]) -> dict[str, Any]:
    """A merged choice in its whole form."""
    message = choice.pop("delta", None)
    if message is None:
        return choice
    calls = message.get("tool_calls")
    if calls:
        bare = [{key: value for key, value in call.items() if key != "index"} for call in calls]
        message = {**message, "tool_calls": bare}
    return {**choice, "message": {"role": "assistant", "content": None, **message}}


def _merge_choice(whole: dict[str, Any], part: Mapping[str, Any]) -> None:
    for key, value in part.items():
        if key == "delta":
            _merge_delta(whole.setdefault("delta", {}), value)
        elif key == "logprobs" and value and whole.get("logprobs"):
            whole["logprobs"] = _joined_lists(whole["logprobs"], value)
        elif key == "text":
            whole["text"] = whole.get("text", "") + value
        elif value is not None or key not in whole:
            whole[key] = value


def _merge_delta(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for key, value in delta.items():
        before = message.get(key)
        if value is None:
            message.setdefault(key, None)
        elif key == "tool_calls":
            message[key] = _merged_items(before or [], value, lambda item: item["index"])
        elif key == "reasoning_details":
            message[key] = _merged_items(before or [], value, _detail_place)
        elif isinstance(before, list) and isinstance(value, list):
            message[key] = before + value
        elif isinstance(before, dict) and isinstance(value, dict):
            message[key] = _grown(before, value)
        else:
            message[key] = before + value if before and key in _GROWING else value


def _detail_place(detail: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """What pieces of one reasoning detail have in common; ``None`` for one that stands alone."""
    return (detail["index"], detail.get("type")) if detail.get("index") is not None else None


def _merged_items(before: list[Any], news: Sequence[Any], place: Callable[[Any], Any]) -> list[Any]:
    """Each new piece added to the earlier item at its place; pieces of one delta are never added to each other."""
    items = list(before)
    at = {place(item): index for index, item in enumerate(before)}
    for piece in news:
        index = at.get(place(piece)) if place(piece) is not None else None
        if index is None:
            items.append(piece)
        else:
            items[index] = _grown(items[index], piece)
    return items


def _grown(item: Mapping[str, Any], piece: Mapping[str, Any]) -> dict[str, Any]:
    """An item with a further piece of it: texts grow, anything else is replaced."""
    grown = dict(item)
    for key, value in piece.items():
        before = grown.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            grown[key] = _grown(before, value)
        elif isinstance(before, str) and isinstance(value, str) and key in _GROWING:
            grown[key] = before + value
        elif value is not None or key not in grown:
            grown[key] = value
    return grown


def _joined_lists(before: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """Log probabilities of one more chunk."""
    joined = dict(before)
    for key, items in value.items():
        if isinstance(joined.get(key), list) and isinstance(items, list):
            joined[key] = joined[key] + items
        elif items is not None:
            joined[key] = items
    return joined
