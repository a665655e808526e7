"""A body is refused, or means the same to us, to another reader, and however it is written again."""

import json
from typing import Any

import orjson

from llm_service.api.rest.wire import json_object
from llm_service.cache import digest_of
from llm_service.domain import InvalidValue, LLMServiceError, chat_request, completion_request, embedding_request
from llm_service.tokens import bound_input_tokens

_MAKERS = (chat_request, completion_request, embedding_request)


def one(data: bytes) -> None:
    """``data``: what a client sends."""
    try:
        body = json_object(data)
    except LLMServiceError as refused:
        assert refused.message
        return
    assert body == otherwise_read(data)
    for make in _MAKERS:
        try:
            request = make(body)
        except LLMServiceError as refused:
            assert refused.message
            continue
        check(request, len(data))


def otherwise_read(data: bytes) -> Any:
    return json.loads(data, parse_int=whole)


def whole(digits: str) -> int | float:
    """Beyond 64 bits a number is a double, as in JavaScript."""
    number = int(digits) if len(digits) < 4000 else float(digits)
    return number if -(2**63) <= number < 2**64 else float(digits)


def check(request: Any, body_bytes: int) -> None:
    digest = digest_of(request.operation, request.body, scope="key:a", deployments=())
    if digest is not None:
        again = json_object(orjson.dumps(dict(reversed(request.body.items()))))
        assert digest_of(request.operation, again, scope="key:a", deployments=()) == digest
        assert digest_of(request.operation, again, scope="key:b", deployments=()) != digest
    try:
        assert bound_input_tokens(request, model="m", body_bytes=body_bytes) > 0 or "image" in repr(request.body)
    except InvalidValue:
        return
