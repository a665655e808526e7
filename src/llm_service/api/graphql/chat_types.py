"""What comes back from a model, as the schema has it."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import strawberry

from llm_service.api.graphql.enums import CacheWord, CostWord
from llm_service.api.graphql.scalars import Json, Usd
from llm_service.domain import Usage


@strawberry.type(
    description="A function that a model calls, with its arguments as JSON text; pieces of both in chunks."
)
class FunctionCall:
    name: str | None
    arguments: str


@strawberry.type(description="A call of a tool. In chunks `index` tells which call a piece belongs to.")
class ToolCall:
    index: int
    id: strawberry.ID | None
    type: str | None
    function: FunctionCall

    @classmethod
    def of(cls, told: Mapping[str, Any], at: int) -> Self:
        function = told.get("function") or {}
        named, call_id = function.get("name"), told.get("id")
        return cls(
            index=told.get("index") if isinstance(told.get("index"), int) else at,  # type: ignore[arg-type]
            id=None if call_id is None else strawberry.ID(str(call_id)),
            type=_text(told.get("type")),
            function=FunctionCall(name=_text(named), arguments=_text(function.get("arguments")) or ""),
        )


@strawberry.type(description="One of the answers that were asked for, or what a chunk adds to it.")
class ChatChoice:
    index: int
    content: str | None
    reasoning: str | None = strawberry.field(description="What the model thought, where it says so.")
    tool_calls: list[ToolCall]
    finish_reason: str | None = strawberry.field(
        description="Why it ended: `stop`, `length`, `tool_calls`, `content_filter`, or a word of the provider's."
    )

    @classmethod
    def of(cls, told: Mapping[str, Any], at: int, part: str) -> Self:
        """``part``: under which name the message is, ``message`` or ``delta``."""
        message = told.get(part) or {}
        thought = message.get("reasoning_content") or message.get("reasoning")
        index = told.get("index")
        return cls(
            index=index if isinstance(index, int) else at,
            content=_text(message.get("content")),
            reasoning=_text(thought),
            tool_calls=[ToolCall.of(call, at) for at, call in enumerate(message.get("tool_calls") or ())],
            finish_reason=_text(told.get("finish_reason")),
        )


@strawberry.type(description="Tokens of one request; the cached and the reasoning ones are parts of the first two.")
class TokenUsage:
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    reasoning_tokens: int

    @classmethod
    def of(cls, usage: Usage | None, told: object) -> Self | None:
        """From what we counted, else from what the answer says of itself."""
        if usage is not None:
            return cls(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cached_input_tokens=usage.cached_input_tokens,
                reasoning_tokens=usage.reasoning_tokens,
            )
        if not isinstance(told, dict):
            return None
        read, written = told.get("prompt_tokens_details"), told.get("completion_tokens_details")
        return cls(
            input_tokens=_tokens(told, "prompt_tokens"),
            output_tokens=_tokens(told, "completion_tokens"),
            cached_input_tokens=_tokens(read, "cached_tokens"),
            reasoning_tokens=_tokens(written, "reasoning_tokens"),
        )


@strawberry.interface(name="ChatAnswer", description="What an answer and each of its chunks tell.")
class Told:
    request_id: strawberry.ID
    stream_id: strawberry.ID | None = strawberry.field(
        description="What `cancel` and `chatStream(after:)` find the answer by; null where it is not streamed."
    )
    choices: list[ChatChoice]
    usage: TokenUsage | None = strawberry.field(description="Of a stream in its last chunk.")
    cost: Usd | None = strawberry.field(description="What the caller pays for it; of a stream in its last chunk.")
    cost_source: CostWord | None
    provider: str | None = strawberry.field(description="Who served it.")
    model: str | None = strawberry.field(description="The model's name there.")
    cache: CacheWord
    attempts: int = strawberry.field(description="Calls to providers that it took; 0 where none was called.")
    raw: Json = strawberry.field(description="The whole object, as REST would have given it.")

    @strawberry.field(description="That of choice 0.")
    def content(self) -> str | None:
        return self.choices[0].content if self.choices else None

    @strawberry.field(description="That of choice 0.")
    def reasoning(self) -> str | None:
        return self.choices[0].reasoning if self.choices else None

    @strawberry.field(description="Those of choice 0.")
    def tool_calls(self) -> list[ToolCall]:
        return self.choices[0].tool_calls if self.choices else []

    @strawberry.field(description="That of choice 0.")
    def finish_reason(self) -> str | None:
        return self.choices[0].finish_reason if self.choices else None


@strawberry.type(description="A whole answer.")
class ChatCompletion(Told):
    id: strawberry.ID = strawberry.field(description="The provider's own id of the answer.")


@strawberry.type(description="One event of a streamed answer.")
class ChatChunk(Told):
    seq: int = strawberry.field(description="Number of the event, from 1 on.")
    cursor: strawberry.ID = strawberry.field(description="What `chatStream(after:)` goes on behind.")


@strawberry.type(description="The vector of one text.")
class Embedding:
    index: int
    embedding: list[float]


@strawberry.type(description="Vectors of texts.")
class Embeddings:
    request_id: strawberry.ID
    data: list[Embedding]
    usage: TokenUsage | None
    cost: Usd | None
    cost_source: CostWord | None
    provider: str
    model: str
    cache: CacheWord
    attempts: int
    raw: Json


def choices_of(told: Mapping[str, Any], part: str) -> list[ChatChoice]:
    """The choices of an OpenAI object."""
    return [ChatChoice.of(choice, at, part) for at, choice in enumerate(told.get("choices") or ())]


def embeddings_of(told: Mapping[str, Any]) -> list[Embedding]:
    """The vectors of an OpenAI object."""
    rows: Sequence[Mapping[str, Any]] = told.get("data") or ()
    return [Embedding(index=row.get("index", at), embedding=row.get("embedding") or []) for at, row in enumerate(rows)]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _tokens(told: object, name: str) -> int:
    count = told.get(name) if isinstance(told, dict) else None
    return count if isinstance(count, int) else 0
