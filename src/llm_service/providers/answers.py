"""Whole answers: every upstream's JSON into the one form that strict clients accept, untouched where it is that."""

from collections.abc import Callable
from typing import Any

from llm_service.cache import is_complete_answer
from llm_service.domain import LLMServiceError, Operation, Outcome, UpstreamError, UpstreamInvalidResponse
from llm_service.providers.base import Answer, UpstreamCall
from llm_service.providers.catalog import Server
from llm_service.providers.complaints import names_an_error
from llm_service.providers.metering import cost_of, usage_of
from llm_service.providers.tool_calls import whole_calls
from llm_service.providers.wire import FINISH_REASONS, decode, finish_word, is_failure, own_id, unblocked
from llm_service.streams import encode

Fail = Callable[[object], LLMServiceError]


def answer_of(raw: bytes, call: UpstreamCall, *, server: Server, fail: Fail) -> Answer:
    """The answer in a body of status 200. ``fail`` maps an error inside it into our tree.

    Raises UpstreamError for a body of blank lines (DeepSeek keeps a waiting connection open with them, and gives up
    after ten minutes), the mapped error for an error in the body, UpstreamInvalidResponse for anything else that is
    no answer. An error whose answer was billed carries the usage.
    """
    received = raw.strip()
    if not received:
        raise UpstreamError("The provider closed the connection before the answer began.")
    body, data = decode(received)
    operation = call.request.operation
    if _is_plain(body, operation, server):
        told, finish_reason = (body["id"], body["model"]), body["choices"][0]["finish_reason"]
        is_complete = is_complete_answer(operation, body) if data is received else None
        return Answer(data, _outcome(body, data, server, told, finish_reason), is_complete)
    if not isinstance(body, dict) or names_an_error(body):
        raise fail(body) if body and isinstance(body, list | dict) else _no_answer()
    if operation == "embedding":
        if not isinstance(body.get("data"), list):
            raise _no_answer()
        told = body.get("id"), body.get("model")
        is_complete = is_complete_answer(operation, body) if data is received else None
        return Answer(data, _outcome(body, data, server, told), is_complete)
    choices = body.get("choices")
    if not isinstance(choices, list) or set(map(type, choices)) != {dict}:
        raise _no_answer()
    told = body.get("id"), body.get("model")
    changed = _fix_envelope(body, call, own_ids=server.own_ids)
    for position, choice in enumerate(choices):
        if choice.get("error") or is_failure(choice.get("finish_reason")):
            error = fail(choice if choice.get("error") else choice["finish_reason"])
            raise _billed(error, _outcome(body, data, server, told))
        changed |= _fix_choice(choice, position, call)
    outcome = _outcome(body, data, server, told, choices[0]["finish_reason"])
    is_complete = is_complete_answer(operation, body) if data is received else None
    return Answer(encode(body) if changed else data, outcome, is_complete)


def _is_plain(body: Any, operation: Operation, server: Server) -> bool:
    """Whether it is what most answers are, and as it should be: a chat's, with one choice, text, and all its names."""
    try:
        (choice,) = body["choices"]
        message = choice["message"]
        upstream_id, model, content = body["id"], body["model"], message["content"]
        return (
            body["object"] == "chat.completion"
            and choice["finish_reason"] in FINISH_REASONS
            and message["role"] == "assistant"
            and (type(content) is str or content is None)
            and type(choice["index"]) is int
            and type(body["created"]) is int
            and type(upstream_id) is str
            and type(model) is str
            and upstream_id != ""
            and model != ""
            and "tool_calls" not in message
            and not choice.get("error")
            and not body.get("error")
            and not server.own_ids
            and operation == "chat"
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return False


def _no_answer() -> UpstreamInvalidResponse:
    return UpstreamInvalidResponse("The provider's answer holds no completion.")


def _billed(error: LLMServiceError, outcome: Outcome) -> LLMServiceError:
    if isinstance(error, UpstreamError):
        error.usage = outcome.usage
        error.cost = outcome.cost
    return error


def _outcome(
    body: dict[str, Any], data: bytes, server: Server, told: tuple[Any, Any], finish_reason: str | None = None
) -> Outcome:
    """The outcome; ``told`` are the id and the model as the provider told them."""
    counts = body.get("usage")
    upstream_id, response_model = told
    return Outcome(
        "ok",
        usage_of(counts) if isinstance(counts, dict) else None,
        None if server.cost is None else cost_of(data, server.cost),
        None,
        finish_reason,
        str(upstream_id) if upstream_id else None,
        str(response_model) if response_model else None,
    )


def _fix_envelope(body: dict[str, Any], call: UpstreamCall, *, own_ids: bool) -> bool:
    chat = call.request.operation == "chat"
    before = (body.get("id"), body.get("object"), body.get("created"), body.get("model"))
    told_id, _, created, model = before
    after = (
        str(told_id) if told_id and not own_ids else own_id("chatcmpl-" if chat else "cmpl-", call.request_id),
        "chat.completion" if chat else "text_completion",
        int(created) if type(created) is int or type(created) is float else 0,
        str(model or call.candidate.upstream_model),
    )
    if before == after:
        return False
    body.update(zip(("id", "object", "created", "model"), after, strict=True))
    return True


def _fix_choice(choice: dict[str, Any], position: int, call: UpstreamCall) -> bool:
    changed = type(choice.get("index")) is not int
    if changed:
        choice["index"] = position
    if call.request.operation == "completion":
        if not isinstance(choice.get("text"), str):
            choice["text"] = ""
            changed = True
        return _fix_finish(choice, called=False) or changed
    message = choice.get("message")
    if not isinstance(message, dict):
        raise _no_answer()
    changed |= _fix_message(message, f"{call.request_id}/{choice['index']}")
    return _fix_finish(choice, called=bool(message.get("tool_calls"))) or changed


def _fix_message(message: dict[str, Any], seed: str) -> bool:
    changed = unblocked(message)
    if message.get("role") != "assistant" or "content" not in message:
        message.update(role="assistant", content=message.get("content"))
        changed = True
    if "tool_calls" in message:
        calls = whole_calls(message["tool_calls"], seed)
        if not calls:  # some clients test for presence
            del message["tool_calls"]
            changed = True
        elif calls != message["tool_calls"]:
            message["tool_calls"] = calls
            changed = True
    return changed


def _fix_finish(choice: dict[str, Any], *, called: bool) -> bool:
    told = choice.get("finish_reason")
    reason = finish_word(told) or "stop"
    if reason != told and told and choice.get("native_finish_reason") is None:
        choice["native_finish_reason"] = told
    if reason == "stop" and called:
        reason = "tool_calls"
    if reason == told:
        return False
    choice["finish_reason"] = reason
    return True
