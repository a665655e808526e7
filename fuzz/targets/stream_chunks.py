"""Chunks of a stream that are recognised by their bytes mean what they mean when each is parsed."""

from functools import cache
from typing import Any

from llm_service.domain import Candidate, Event, LLMServiceError, chat_request
from llm_service.providers import Dialect, ProviderOptions, UpstreamCall, dialect_for
from llm_service.runtime import SystemClock

_CHUNK = b'{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[%b]%b}'
_FIRST = _CHUNK % (b'{"index":0,"delta":{"role":"assistant","content":"Once"},"finish_reason":null}', b"")


def one(data: bytes) -> None:
    """``data``: lines, each an event's data; where one is no object, it is a choice of a chunk that is."""
    said = [_FIRST, *map(_event, data.split(b"\n"))]
    assert told(said, parsing=False) == told(said, parsing=True)


def _event(line: bytes) -> bytes:
    if line.startswith(b"{") or line == b"[DONE]":
        return line
    return _CHUNK % (b'{"index":0,"delta":{"content":%b},"finish_reason":null}' % line, b',"usage":null')


@cache
def dialect() -> Dialect:
    return dialect_for("openrouter", ProviderOptions(base_url="https://upstream.test/v1"), SystemClock())


def told(said: list[bytes], *, parsing: bool) -> object:
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Say it."}]}
    reader: Any = dialect().reader(UpstreamCall(chat_request(body), Candidate(provider="p", upstream_model="m")))
    if parsing:
        reader._moulds_left = 0
    events: list[Event] = []
    try:
        ended: object = reader.read_into(events, [(line, b"") for line in said])
    except LLMServiceError as error:
        ended = type(error), error.message
    return ended, [(event.seq, event.raw, event.kind, event.chunk) for event in events], reader.outcome_so_far()
