"""What is asked for: the body of a chat completion and what goes beside it, in the words of each door."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

Body = Mapping[str, Any]
QUESTION = "What is the capital of France?"


def chat(model: str, **fields: Any) -> dict[str, Any]:
    """The body of a chat completion."""
    return {"model": model, "messages": [{"role": "user", "content": QUESTION}], **fields}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is said beside a request."""

    idempotency_key: str | None = None
    cache_control: str | None = None
    user: str | None = None
    tags: Mapping[str, str] | None = None
    timeout_s: float | None = None
    on_disconnect: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """As REST has it."""
        tags = None if self.tags is None else ",".join(f"{name}={value}" for name, value in self.tags.items())
        named = {
            "Idempotency-Key": self.idempotency_key,
            "Cache-Control": self.cache_control,
            "X-LLM-User": self.user,
            "X-LLM-Tags": tags,
            "X-LLM-Timeout-S": None if self.timeout_s is None else str(self.timeout_s),
            "X-LLM-On-Disconnect": self.on_disconnect,
        }
        return {name: value for name, value in named.items() if value is not None}

    @property
    def frame(self) -> dict[str, Any]:
        """As ``chat.create`` has it."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def graphql(self) -> dict[str, Any]:
        """As ``CallOptions`` has it."""
        given = {camel(name): value for name, value in self.frame.items()}
        if self.tags is not None:
            given["tags"] = [{"name": name, "value": value} for name, value in self.tags.items()]
        if self.on_disconnect is not None:
            given["onDisconnect"] = self.on_disconnect.upper()
        return given


NOTHING = Options()
TYPED = frozenset(
    "model messages models temperature top_p max_completion_tokens max_tokens n stop seed frequency_penalty "
    "presence_penalty logit_bias logprobs top_logprobs tools tool_choice parallel_tool_calls response_format "
    "reasoning user".split()
)
"""Fields of the body that ``ChatInput`` has a name for; the others are ``extra``."""


def chat_input(body: Body, options: Options) -> dict[str, Any]:
    """The body as ``ChatInput``."""
    given = {camel(name): WORDS.get(name, same)(value) for name, value in body.items() if name in TYPED}
    extra = {name: value for name, value in body.items() if name not in TYPED}
    if (effort := extra.pop("reasoning_effort", None)) is not None:
        given["reasoning"] = {"effort": effort.upper()}
    if extra:
        given["extra"] = extra
    return {**given, "options": options.graphql} if options.graphql else given


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def same(value: Any) -> Any:
    return value


def _messages(messages: Any) -> Any:
    return [_message(message) for message in messages]


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    content = "content" if isinstance(message.get("content"), str | None) else "parts"
    named = {"role": message["role"].upper(), content: message.get("content")}
    return named | {camel(name): value for name, value in message.items() if name not in ("role", "content")}


def _tool_choice(choice: Any) -> Any:
    return {"mode": choice.upper()} if isinstance(choice, str) else {"function": choice["function"]["name"]}


def _response_format(form: Any) -> Any:
    return {"type": form["type"].upper(), **({"jsonSchema": form["json_schema"]} if "json_schema" in form else {})}


WORDS: Mapping[str, Any] = {
    "messages": _messages,
    "tool_choice": _tool_choice,
    "response_format": _response_format,
}
"""Values that GraphQL has other words for."""
