"""What is asked of a model, as the schema has it. Each name is OpenAI's, in GraphQL's spelling."""

from typing import Any

import strawberry

from llm_service.api.graphql.enums import (
    MessageRole,
    OnDisconnectWord,
    ReasoningEffort,
    ResponseFormatType,
    ToolChoiceMode,
)
from llm_service.api.graphql.scalars import Json


def said(description: str) -> Any:
    """A field that may be left out; null is the same."""
    return strawberry.field(default=None, description=description)


@strawberry.input(description="A function with the arguments that a model gave, as JSON text.")
class FunctionCallInput:
    name: str
    arguments: str


@strawberry.input(description="A call of a tool that a model made in an earlier message.")
class ToolCallInput:
    id: strawberry.ID
    function: FunctionCallInput
    type: str = strawberry.field(default="function", description="Always `function` so far.")


@strawberry.input(description="One message of a conversation. Its content is either `content` or `parts`.")
class MessageInput:
    role: MessageRole
    content: str | None = said("What is said, as text.")
    parts: list[Json] | None = said("What is said, in OpenAI's parts: text, images, audio, files.")
    name: str | None = said("Name of who speaks.")
    tool_calls: list[ToolCallInput] | None = said("Tools that the model called; of an assistant's message.")
    tool_call_id: strawberry.ID | None = said("Which call this is the result of; of a tool's message.")
    reasoning: str | None = said("What the model thought, where it is to be handed back.")
    extra: Json | None = said("Further fields of the message, for providers that know them: an object.")


@strawberry.input(description="A function that a model may call.")
class FunctionInput:
    name: str
    description: str | None = said("What it does, for the model to read.")
    parameters: Json | None = said("JSON Schema of its arguments.")
    strict: bool | None = said("Whether arguments must follow the schema exactly.")


@strawberry.input(description="A tool that a model may use.")
class ToolInput:
    function: FunctionInput
    type: str = strawberry.field(default="function", description="Always `function` so far.")


@strawberry.input(one_of=True, description="Whether tools are called, or which one must be: exactly one of the two.")
class ToolChoiceInput:
    mode: ToolChoiceMode | None = strawberry.UNSET
    function: str | None = strawberry.UNSET


@strawberry.input(description="The form of an answer.")
class ResponseFormatInput:
    type: ResponseFormatType
    json_schema: Json | None = said("With JSON_SCHEMA: an object with `name`, `schema` and `strict`.")


@strawberry.input(description="How a model is to think.")
class ReasoningInput:
    effort: ReasoningEffort | None = said("How much.")
    max_tokens: int | None = said("Most tokens for thinking, where the provider can be told.")
    enabled: bool | None = said("Whether at all.")
    exclude: bool | None = said("Whether it is left out of the answer.")


@strawberry.input(description="A name and a value that a request is recorded under.")
class TagInput:
    name: str
    value: str


@strawberry.input(name="CallOptions", description="What is said of a request beside the request itself.")
class CallOptionsInput:
    idempotency_key: str | None = said("Whoever comes again under it gets the first answer; 1 to 255 characters.")
    cache_control: str | None = said("What the response cache may do, in the words of RFC 9111, such as `no-cache`.")
    user: str | None = said("The end user that the request is counted for.")
    tags: list[TagInput] | None = said("Names and values to be recorded with it, at most 16.")
    timeout_s: float | None = said("Seconds after which the caller no longer wants the answer.")
    on_disconnect: OnDisconnectWord | None = said("What becomes of the generation when its last reader leaves.")
    traceparent: str | None = said("The trace that it belongs to (W3C Trace Context); else the header of the request.")
    tracestate: str | None = said("What tracing systems say beside it, as in the header of that name.")


@strawberry.input(description="A request to a chat model.")
class ChatInput:
    model: str = strawberry.field(description="A model as `models` names it.")
    messages: list[MessageInput]
    models: list[str] | None = said("Further models that would do, in this order.")
    temperature: float | None = said("From 0 to 2: how much chance there is in the answer.")
    top_p: float | None = said("From 0 to 1: the share of likely tokens that are chosen from.")
    max_completion_tokens: int | None = said("Most tokens of the answer, thinking included.")
    max_tokens: int | None = said("The same under its older name; providers that know one of the two get that one.")
    n: int | None = said("How many answers to give.")
    stop: list[str] | None = said("Texts at which the answer ends.")
    seed: int | None = said("The same seed gives similar answers.")
    frequency_penalty: float | None = said("From -2 to 2: against words that have come often.")
    presence_penalty: float | None = said("From -2 to 2: against words that have come.")
    logit_bias: Json | None = said("From -100 to 100 by token id: an object.")
    logprobs: bool | None = said("Whether the probabilities of tokens are told; they are in `raw`.")
    top_logprobs: int | None = said("Of how many other tokens besides.")
    tools: list[ToolInput] | None = said("What the model may call.")
    tool_choice: ToolChoiceInput | None = said("Whether it does.")
    parallel_tool_calls: bool | None = said("Whether it may call several at once.")
    response_format: ResponseFormatInput | None = said("The form of the answer.")
    reasoning: ReasoningInput | None = said("How the model is to think.")
    user: str | None = strawberry.field(
        default=None,
        description="The end user, as the provider is told.",
        deprecation_reason="Use `options.user`, which limits and records go by as well.",
    )
    extra: Json | None = said("Further fields of the body, as REST has them: an object.")
    options: CallOptionsInput | None = said("What is said beside the request.")


@strawberry.input(description="A request for embeddings.")
class EmbedInput:
    model: str
    input: list[str] = strawberry.field(description="The texts.")
    dimensions: int | None = said("How long the vectors are to be, where the model can do that.")
    extra: Json | None = said("Further fields of the body, as REST has them: an object.")
    options: CallOptionsInput | None = said("What is said beside the request.")
