"""Whatever an upstream says, in each dialect: an answer in our form, or an error of our tree."""

import json
from functools import cache

from llm_service.domain import Candidate, Event, LLMServiceError, chat_request
from llm_service.providers import SERVERS, Dialect, ProviderOptions, UpstreamCall, dialect_for
from llm_service.providers.sse import SseDecoder
from llm_service.runtime import SystemClock

_STATUSES = (400, 401, 402, 404, 408, 413, 429, 500, 503)


@cache
def dialects() -> list[Dialect]:
    options = ProviderOptions(base_url="https://upstream.test/v1")
    return [dialect_for(name, options, SystemClock()) for name in ("openrouter", "deepseek", *SERVERS)]


def one(data: bytes) -> None:
    """``data``: the body, of a stream, an answer or an error."""
    for dialect in dialects():
        check_stream(dialect, data)
        check_answer(dialect, data)
    status = _STATUSES[len(data) % len(_STATUSES)]
    for dialect in dialects():
        told = data[:64].decode("latin-1")
        assert dialect.error(status, {"retry-after": told, "x-ratelimit-reset": told}, data).message


def a_call(*, stream: bool) -> UpstreamCall:
    body = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": "Say it."}]}
    return UpstreamCall(request=chat_request(body), candidate=Candidate(provider="p", upstream_model="m"))


def check_stream(dialect: Dialect, data: bytes) -> None:
    decoder, reader = SseDecoder(), dialect.reader(a_call(stream=True))
    events: list[Event] = []
    try:
        reader.read_into(events, [(told, b"") for told, _ in (*decoder.feed(data), *decoder.close())])
        terminal, outcome = reader.close(done=True)
    except LLMServiceError:
        reader.outcome_so_far()
        return
    assert outcome.finish_reason
    for event in (*events, *terminal):
        check_written(event.raw)


def check_answer(dialect: Dialect, data: bytes) -> None:
    try:
        answer = dialect.answer(data, a_call(stream=False))
    except LLMServiceError:
        return
    check_written(answer.raw)


def check_written(raw: bytes) -> None:
    """An object; half a surrogate pair is passed on as the escape that it was."""
    assert raw.isascii() or raw.decode()
    assert isinstance(json.loads(raw, parse_constant=refuse), dict)


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")
