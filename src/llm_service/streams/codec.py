"""Events, heads and ends as bytes, and back: what processes write into a log for each other."""

from collections.abc import Iterator
from typing import Any, Final, get_args

import orjson

from llm_service.domain import (
    CostSource,
    Event,
    EventKind,
    Head,
    LLMServiceError,
    Outcome,
    OutcomeStatus,
    StreamInterrupted,
    Usage,
)

_LETTERS: Final[dict[EventKind, bytes]] = {"chunk": b"c", "finish": b"f", "usage": b"u", "error": b"e"}
_KINDS: Final[dict[bytes, EventKind]] = {letter: kind for kind, letter in _LETTERS.items()}


def event_bytes(event: Event) -> bytes:
    """A letter for the kind, and the event's JSON, or that of its error."""
    if event.error is not None:
        return b"e" + orjson.dumps(_error_fields(event.error))
    return _LETTERS[event.kind] + event.raw


def event_of(data: bytes, seq: int) -> Event:
    """The event again. Raises ValueError for what is none."""
    kind = _KINDS.get(data[:1])
    if kind is None:
        raise ValueError("an event begins with the letter of its kind")
    match orjson.loads(data[1:]):
        case dict() as fields:
            error = _error(fields) if kind == "error" else None
            return Event(seq, b"" if error else data[1:], kind, error=error)
        case _:
            raise ValueError("an event is a JSON object")


def head_bytes(head: Head) -> bytes:
    """A head as JSON. The count at its end is read by versions before this one alone, which want one."""
    return orjson.dumps((head.provider, head.model, head.upstream_model, 1))


def head_of(data: bytes) -> Head:
    """The head again. Raises ValueError for what is none."""
    match orjson.loads(data):
        case [str(provider), str(model), str(upstream_model), int()]:
            return Head(provider=provider, model=model, upstream_model=upstream_model)
        case _:
            raise ValueError("not the head of an answer")


def end_bytes(outcome: Outcome, *, nano_usd: int, cost_source: CostSource) -> bytes:
    """How a generation ended, and what it cost whoever paid."""
    usage = outcome.usage
    counts = usage and (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.reasoning_tokens)
    fields = {
        "status": outcome.status,
        "usage": counts,
        "error": None if outcome.error is None else _error_fields(outcome.error),
        "finish_reason": outcome.finish_reason,
        "upstream_id": outcome.upstream_id,
        "response_model": outcome.response_model,
        "nano_usd": nano_usd,
        "cost_source": cost_source,
    }
    return orjson.dumps(fields)


def end_of(data: bytes) -> tuple[Outcome, int, CostSource]:
    """The outcome, the cost in nano-USD and where it comes from. Raises ValueError for what is no end."""
    match orjson.loads(data):
        case {
            "status": status,
            "usage": counts,
            "error": None | dict() as error,
            "finish_reason": None | str() as finish_reason,
            "upstream_id": None | str() as upstream_id,
            "response_model": None | str() as response_model,
            "nano_usd": int(nano_usd),
            "cost_source": cost_source,
        } if status in get_args(OutcomeStatus) and cost_source in get_args(CostSource):
            outcome = Outcome(
                status=status,
                usage=_usage(counts),
                error=None if error is None else _error(error),
                finish_reason=finish_reason,
                upstream_id=upstream_id,
                response_model=response_model,
            )
            return outcome, nano_usd, cost_source
        case _:
            raise ValueError("not the end of an answer, or that of a later version")


def _usage(counts: object) -> Usage | None:
    match counts:
        case None:
            return None
        case [int(given), int(answered), int(cached), int(reasoned)]:
            return Usage(
                input_tokens=given, output_tokens=answered, cached_input_tokens=cached, reasoning_tokens=reasoned
            )
        case _:
            raise ValueError("not the usage of an answer")


def _error_fields(error: LLMServiceError) -> dict[str, Any]:
    return {
        "class": type(error).__name__,
        "message": error.message,
        "param": error.param,
        "provider": error.provider,
        "retryable": error.retryable,
        "retry_after_s": error.retry_after_s,
    }


def _error(fields: dict[str, Any]) -> LLMServiceError:
    """The error of that class; of one that this version does not have, that the stream broke off."""
    match fields:
        case {
            "class": str(name),
            "message": str(message),
            "param": None | str() as param,
            "provider": None | str() as provider,
            "retryable": bool(retryable),
            "retry_after_s": None | int() | float() as retry_after_s,
        }:
            kind = next((one for one in _classes(LLMServiceError) if one.__name__ == name), StreamInterrupted)
            error = kind.__new__(kind)
            LLMServiceError.__init__(
                error, message, param=param, provider=provider, retryable=retryable, retry_after_s=retry_after_s
            )
            return error
        case _:
            raise ValueError("not an error of this service")


def _classes(root: type[LLMServiceError]) -> Iterator[type[LLMServiceError]]:
    yield root
    for below in root.__subclasses__():
        yield from _classes(below)
