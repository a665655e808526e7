"""What a request body asks for, in terms that all dialects share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson

from llm_service.domain import fact_in_order
from llm_service.sandbox.content.pieces import INPUT_TOKENS_PER_MESSAGE, INPUT_TOKENS_PER_REQUEST, input_tokens
from llm_service.sandbox.messages import Json

MAX_CHOICES: Final = 128

_NOT_IN_DIGEST: Final = (
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "user",
    "usage",
    "sandbox",
)
"""Fields that change how an answer is cut or sent, not what it says."""

_MISSING: Final = object()


class BadField(Exception):
    """A field of the body is missing or of the wrong type."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: {expected}")
        self.field = field
        self.expected = expected


@fact_in_order
class Tool:
    """A function that the model may call."""

    name: str
    schema: Json


@fact_in_order
class Ask:
    """One generation as it was asked for."""

    body: Json
    model: str
    messages: tuple[Json, ...]
    prompts: tuple[str, ...]  # text of the last user message; several for legacy completions
    stream: bool
    include_usage: bool
    output_cap: int | None
    stop: tuple[str, ...]
    n: int
    tools: tuple[Tool, ...]
    tool_choice: str  # auto, none, required, or the name of a tool
    logprobs: int | None  # how many alternatives beside each token; None: not asked for
    response_format: str  # text, json_object, json_schema
    schema: Json | None
    digest: bytes

    @property
    def prompt(self) -> str:
        """Text of the last user message."""
        return self.prompts[-1]

    @property
    def input_tokens(self) -> int:
        """By the stated rule: bytes / 4 of each text, 4 per message, 3 per request, tools by their JSON."""
        count = INPUT_TOKENS_PER_REQUEST + sum(message_tokens(message) for message in self.messages)
        tools = self.body.get("tools")
        return count + (len(orjson.dumps(tools)) + 3) // 4 if tools else count

    @property
    def says_json(self) -> bool:
        """Whether the word json stands anywhere in the messages."""
        return any("json" in message_text(message).lower() for message in self.messages)


def read_chat(body: Json, *, caps: Sequence[str] = ("max_completion_tokens", "max_tokens")) -> Ask:
    """Read a chat body; raises BadField for what no provider would take. The first of the `caps` that is set holds."""
    messages = _field(body, "messages", list, required=True)
    if not messages:
        raise BadField("messages", "a list with at least one message")
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise BadField(f"messages[{index}].role", "a string")
    return _ask(body, tuple(messages), prompts=(_last_user_text(messages),), caps=caps)


def read_completion(body: Json) -> Ask:
    """Read a legacy completion body as if each prompt were a user message."""
    prompt = body.get("prompt")
    texts = [prompt] if isinstance(prompt, str) or _is_token_list(prompt) else prompt
    if not isinstance(texts, list) or not texts:
        raise BadField("prompt", "a string or a list")
    prompts = tuple(_prompt_text(text) for text in texts)
    return _ask(
        body, tuple({"role": "user", "content": text} for text in prompts), prompts=prompts, caps=("max_tokens",)
    )


def message_text(message: Json) -> str:
    """The text of a message, whichever form its content has."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    return ""


def message_tokens(message: Json) -> int:
    """Input tokens of one message: its text, its reasoning and its tool calls."""
    count = INPUT_TOKENS_PER_MESSAGE + input_tokens(message_text(message))
    if calls := message.get("tool_calls"):
        count += (len(orjson.dumps(calls)) + 3) // 4
    if isinstance(reasoning := message.get("reasoning_content"), str):
        count += input_tokens(reasoning)
    return count


def _ask(body: Json, messages: tuple[Json, ...], *, prompts: tuple[str, ...], caps: Sequence[str]) -> Ask:
    model = _field(body, "model", str, required=True)
    options = _field(body, "stream_options", dict) or {}
    kind, schema = _response_format(body)
    return Ask(
        body=body,
        model=model,
        messages=messages,
        prompts=prompts,
        stream=bool(_field(body, "stream", bool)),
        include_usage=bool(options.get("include_usage")),
        output_cap=next((cap for name in caps if (cap := _count(body, name)) is not None), None),
        stop=_stop(body),
        n=_choices(body),
        tools=tuple(_tools(_field(body, "tools", list) or [])),
        tool_choice=_tool_choice(body),
        logprobs=_logprobs(body),
        response_format=kind,
        schema=schema,
        digest=digest(body),
    )


def digest(body: Json) -> bytes:
    """Stable digest of what decides the content of an answer."""
    kept = {name: value for name, value in body.items() if name not in _NOT_IN_DIGEST}
    return hashlib.blake2b(orjson.dumps(kept, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def _field(body: Json, name: str, kind: type, *, required: bool = False) -> Any:
    value = body.get(name, _MISSING)
    if value is _MISSING or value is None:
        if required:
            raise BadField(name, "required")
        return None
    if not isinstance(value, kind):
        raise BadField(name, f"must be of type {kind.__name__}")
    return value


def _count(body: Json, name: str) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadField(name, "must be an integer of at least 1")
    return value


def _choices(body: Json) -> int:
    n = _count(body, "n") or 1
    if n > MAX_CHOICES:
        raise BadField("n", f"must be at most {MAX_CHOICES}")
    return n


def _logprobs(body: Json) -> int | None:
    wanted = body.get("logprobs")
    if wanted is None or wanted is False:
        return None
    name = "top_logprobs" if wanted is True else "logprobs"
    count = (body.get(name) or 0) if wanted is True else wanted
    if not isinstance(count, int):
        raise BadField(name, "must be an integer")
    return min(20, count)


def _stop(body: Json) -> tuple[str, ...]:
    stop = body.get("stop")
    if stop is None:
        return ()
    words = [stop] if isinstance(stop, str) else stop
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise BadField("stop", "must be a string or a list of strings")
    return tuple(word for word in words if word)


def _tools(tools: list[Any]) -> Iterable[Tool]:
    for index, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            continue  # server tools and custom tools are taken, and never called
        schema = function.get("parameters")
        if schema is not None and not isinstance(schema, dict):
            raise BadField(f"tools[{index}].function.parameters", "must be a JSON schema")
        yield Tool(function["name"], schema or {})


def _tool_choice(body: Json) -> str:
    choice = body.get("tool_choice")
    if choice is None:
        return "auto"
    if isinstance(choice, str):
        return "required" if choice == "any" else choice
    function = choice.get("function") if isinstance(choice, dict) else None
    if isinstance(function, dict) and isinstance(function.get("name"), str):
        return str(function["name"])
    raise BadField("tool_choice", "must be none, auto, required or a named function")


def _response_format(body: Json) -> tuple[str, Json | None]:
    wanted = _field(body, "response_format", dict) or {}
    kind = wanted.get("type", "text")
    if kind == "json_schema":
        inner = wanted.get("json_schema")
        schema = inner.get("schema") if isinstance(inner, dict) else None
        if not isinstance(schema, dict):
            raise BadField("response_format.json_schema.schema", "required")
        return kind, schema
    if not isinstance(kind, str):
        raise BadField("response_format.type", "must be a string")
    return kind, None


def _last_user_text(messages: list[Json]) -> str:
    return next((message_text(message) for message in reversed(messages) if message["role"] == "user"), "")


def _is_token_list(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, int) for item in value)


def _prompt_text(prompt: object) -> str:
    if isinstance(prompt, str):
        return prompt
    if _is_token_list(prompt):
        return " ".join(str(token) for token in prompt)  # type: ignore[attr-defined]
    raise BadField("prompt", "must hold strings or lists of token ids")
