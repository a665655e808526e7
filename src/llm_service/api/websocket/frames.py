"""What the service says over a WebSocket: each frame as bytes, ready to be written."""

from typing import Any, Final

import orjson

from llm_service.api.errors import error_object
from llm_service.api.stream_facts import closing_facts
from llm_service.api.websocket.wire import text_frame
from llm_service.domain import Event, Head, LLMServiceError, Outcome, Usage
from llm_service.streams import Stream

PONG: Final = text_frame(b'{"type":"pong"}')


def started(name: str, stream: Stream, head: Head) -> bytes:
    """``chat.started``: who answers."""
    return _frame(
        {
            "type": "chat.started",
            "id": name,
            "request_id": stream.request_id,
            "stream_id": stream.id,
            "model": head.upstream_model,
            "provider": head.provider,
            "cache": stream.cache,
        }
    )


class ChunkForm:
    """``chat.chunk`` of one generation: an event's JSON goes into it as it came."""

    __slots__ = ("_cursor", "_head")

    def __init__(self, name: str, stream_id: str) -> None:
        self._head = b'{"type":"chat.chunk","id":%b,"seq":' % orjson.dumps(name)
        self._cursor = b',"cursor":"%b.' % stream_id.encode()

    def of(self, event: Event) -> bytes:
        """The frame of one event."""
        raw = event.raw
        if not raw.isascii():
            raw = as_utf8(raw)
        return text_frame(b'%b%d%b%d","chunk":%b}' % (self._head, event.seq, self._cursor, event.seq, raw))


def as_utf8(raw: bytes) -> bytes:
    """The same bytes, unless they are no UTF-8: those would end the client's socket, with all that runs over it."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return raw.decode(errors="replace").encode()
    return raw


def done(name: str, stream: Stream, head: Head | None, outcome: Outcome) -> bytes:
    """``chat.done``: what only the end knows."""
    facts = {"cost_usd": None, "cost_source": "none", "provider": None, "attempts": None}
    said = {
        "type": "chat.done",
        "id": name,
        "finish_reason": outcome.finish_reason,
        "usage": usage_object(outcome.usage),
        **facts,
        **closing_facts(stream, head),
    }
    return _frame(said)


def usage_object(usage: Usage | None) -> dict[str, Any] | None:
    """The usage in OpenAI's form, the same for every provider."""
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def failed(
    error: LLMServiceError, *, request_id: str, name: str | None = None, stream_id: str | None = None, after: int = 0
) -> bytes:
    """``error``, as REST says it. ``after``: the number of the last event before it, of a stream that has begun."""
    said: dict[str, Any] = {"type": "error"}
    if name is not None:
        said["id"] = name
    if stream_id is not None:
        said |= {"stream_id": stream_id, "seq": after, "cursor": f"{stream_id}.{after}"}
    said |= error_object(error, request_id=request_id)
    if error.retry_after_s is not None and error.retryable:
        said["retry_after_s"] = error.retry_after_s
    if error.attempts:
        said["attempts"] = error.attempts
    return _frame(said)


def _frame(said: dict[str, Any]) -> bytes:
    return text_frame(orjson.dumps(said))
