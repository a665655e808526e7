"""What was said in a request, in the form that the conventions give it. Only for operators who ask for it.

The form: gen-ai-input-messages.json and gen-ai-output-messages.json of the conventions, as JSON texts.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from llm_service.domain import Event, ModelRequest
from llm_service.observability.facts import RequestFinished

MAX_CONTENT_CHARS: Final = 131_072
"""Of each attribute. What is longer is left out: half of a JSON text is of no use."""
Collect = Callable[[Sequence[Event]], bytes]
"""Makes one whole answer of the events of a stream."""
Part = dict[str, Any]


class Content:
    """Turns requests and answers into attributes. ``collect``: see :data:`Collect`."""

    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    def asked(self, request: ModelRequest) -> dict[str, str]:
        """The messages of a chat or the prompt of a completion, and the tools; by our words for the attributes."""
        if request.operation == "embedding":
            return {}
        said: dict[str, Any] = {"input_messages": _messages_of(request.body)}
        if request.body.get("tools"):
            said["tools"] = request.body["tools"]
        return _as_texts(said)

    def answered(self, fact: RequestFinished) -> dict[str, str]:
        """The messages of an answer, as far as it is kept."""
        whole = fact.whole
        if whole is None and fact.streamed is not None and fact.streamed.events:
            whole = self._collect(fact.streamed.events)
        choices = orjson.loads(whole).get("choices") or () if whole is not None else ()
        said = [_choice(choice) for choice in choices if isinstance(choice, dict)]
        return _as_texts({"output_messages": said}) if said else {}


def _as_texts(said: Mapping[str, Any]) -> dict[str, str]:
    texts = {word: orjson.dumps(value).decode() for word, value in said.items()}
    return {word: text for word, text in texts.items() if len(text) <= MAX_CONTENT_CHARS}


def _messages_of(body: Mapping[str, Any]) -> list[Part]:
    messages = body.get("messages")
    if messages is not None:
        return [{"role": message.get("role"), "parts": _parts(message)} for message in messages]
    prompt = body.get("prompt")
    texts = prompt if isinstance(prompt, list) else [prompt]
    return [{"role": "user", "parts": [_text(text)]} for text in texts if isinstance(text, str)]


def _choice(choice: Mapping[str, Any]) -> Part:
    message = choice.get("message")
    parts = _parts(message) if isinstance(message, dict) else [_text(choice.get("text") or "")]
    return {"role": "assistant", "parts": parts, "finish_reason": choice.get("finish_reason") or "error"}


def _parts(message: Mapping[str, Any]) -> list[Part]:
    content = message.get("content")
    if message.get("role") == "tool":
        return [{"type": "tool_call_response", "id": message.get("tool_call_id"), "response": content}]
    thought = message.get("reasoning_content") or message.get("reasoning")
    parts: list[Part] = [{"type": "reasoning", "content": thought}] if isinstance(thought, str) else []
    if isinstance(content, str):
        parts.append(_text(content))
    elif isinstance(content, list):
        parts += [_part(part) for part in content if isinstance(part, dict)]
    return parts + [_tool_call(call) for call in message.get("tool_calls") or () if isinstance(call, dict)]


def _text(text: str) -> Part:
    return {"type": "text", "content": text}


def _part(part: Mapping[str, Any]) -> Part:
    """Images by their address; what is sent as data is named alone."""
    image = part.get("image_url")
    address = image.get("url") if isinstance(image, dict) else None
    if isinstance(address, str) and not address.startswith("data:"):
        return {"type": "uri", "modality": "image", "uri": address}
    return _text(part["text"]) if isinstance(part.get("text"), str) else {"type": str(part.get("type"))}


def _tool_call(call: Mapping[str, Any]) -> Part:
    function = call.get("function")
    named = function if isinstance(function, dict) else {}
    return {
        "type": "tool_call", "id": call.get("id"), "name": named.get("name"), "arguments": named.get("arguments"),
    }  # fmt: skip
