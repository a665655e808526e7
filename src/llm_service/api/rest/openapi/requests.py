"""What the hot routes take: the fields that the service looks at. Others pass to the provider untouched."""

from collections.abc import Mapping
from typing import Any, Final

Json = dict[str, Any]


def maybe(*types: str, said: str, **more: Any) -> Json:
    """A field that may be null, which counts as absent."""
    return {"type": [*types, "null"], "description": said, **more}


def _texts_or_ids(*others: Json) -> Json:
    """Text, or a list of what is all of one kind; ``others``: further kinds."""
    ids = {"type": "array", "items": {"type": "integer"}, "minItems": 1}
    kinds = ({"type": "string"}, {"type": "integer"}, ids, *others)
    return {
        "anyOf": [{"type": "string"}, *({"type": "array", "items": kind, "minItems": 1} for kind in kinds)],
        "description": "Text, several texts, or token ids.",
    }


_NAME: Final = {"pattern": r"\S"}
_INT64: Final = {"minimum": -(2**63), "maximum": 2**63 - 1}
_PENALTY: Final = {"minimum": -2, "maximum": 2}
_FUNCTION: Final = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", **_NAME},
        "description": maybe("string", said="What it does, for the model to read."),
        "parameters": maybe("object", said="JSON Schema of its arguments."),
    },
}
_TOOL: Final = {
    "type": "object",
    "properties": {"type": {"type": ["string", "null"]}},
    "if": {"properties": {"type": {"enum": ["function", None]}}},
    "then": {"required": ["function"], "properties": {"function": _FUNCTION}},
    "else": {"properties": {"type": {"type": "string", **_NAME}}},
}
_SHARED: Final[Mapping[str, Json]] = {
    "model": maybe(
        "string",
        said="`provider/model`, a name that the operator gave, or any name of OpenRouter's catalogue. Required, unless "
        "`models` is there.",
        **_NAME,
    ),
    "models": maybe("array", said="Further models that would do, in this order.", items={"type": "string", **_NAME}),
    "user": maybe("string", said="Your own name for the end user."),
    "metadata": maybe("object", said="Notes of your own."),
}
_SAMPLING: Final[Mapping[str, Json]] = {
    "stream": maybe("boolean", said="`true`: the answer comes as server-sent events."),
    "stream_options": maybe(
        "object",
        said="For streams.",
        properties={"include_usage": maybe("boolean", said="`true`: a chunk with the usage comes before `[DONE]`.")},
    ),
    "temperature": maybe("number", said="0 is the most predictable; most providers end at 2.", minimum=0),
    "top_p": maybe("number", said="Share of probability that tokens are taken from.", minimum=0, maximum=1),
    "top_k": maybe("number", said="How many tokens are chosen from, where the provider knows it."),
    "min_p": maybe("number", said="Least probability beside the likeliest token, where the provider knows it."),
    "top_a": maybe("number", said="The same, by the square of it, where the provider knows it."),
    "frequency_penalty": maybe("number", said="Above 0: less repetition of what is frequent.", **_PENALTY),
    "presence_penalty": maybe("number", said="Above 0: less repetition of what is there at all.", **_PENALTY),
    "repetition_penalty": maybe("number", said="Above 1: less repetition, where the provider knows it."),
    "n": maybe("integer", said="How many choices.", minimum=1),
    "max_tokens": maybe("integer", said="Output cap in tokens; the older name.", minimum=1),
    "max_completion_tokens": maybe("integer", said="Output cap in tokens, reasoning included.", minimum=1),
    "seed": maybe(
        "integer", said="Asks for the same answer to the same request, as far as the provider can.", **_INT64
    ),
    "stop": maybe("string", "array", said="A text, or several, at which the answer ends.", items={"type": "string"}),
    "logit_bias": maybe("object", said="Bias by token id.", additionalProperties={"type": "number"}),
}
_CHAT: Final[Mapping[str, Json]] = {
    "messages": {
        "type": "array",
        "minItems": 1,
        "items": {"$ref": "#/components/schemas/Message"},
        "description": "The conversation so far.",
    },
    "tools": maybe("array", said="Functions that the model may call, or tools of the provider's own.", items=_TOOL),
    "tool_choice": maybe("string", "object", said="`none`, `auto`, `required`, or one function."),
    "parallel_tool_calls": maybe("boolean", said="Whether several calls may come in one answer."),
    "response_format": maybe("object", said='`{"type": "json_object"}`, or a JSON Schema for the answer.'),
    "logprobs": maybe("boolean", said="Whether to tell the tokens' probabilities."),
    "top_logprobs": maybe("integer", said="How many alternatives to tell for each token.", **_INT64),
    "reasoning_effort": maybe("string", said="How long to think, in the model's own words.", examples=["low", "high"]),
    "functions": maybe("array", said="The older form of `tools`.", items=_FUNCTION),
    "function_call": maybe("string", "object", said="The older form of `tool_choice`."),
    "modalities": maybe("array", said="What the answer may be made of.", items={"type": "string"}),
    "audio": maybe("object", said="Voice and format of a spoken answer."),
    "prediction": maybe("object", said="What much of the answer is known to be."),
    "web_search_options": maybe("object", said="For models that search the web."),
}
_COMPLETION: Final[Mapping[str, Json]] = {
    "prompt": _texts_or_ids(),
    "best_of": maybe("integer", said="How many are made, of which the best are answered.", minimum=1),
    "echo": maybe("boolean", said="Whether the prompt is repeated before the answer."),
    "suffix": maybe("string", said="Text that comes after the completion (fill in the middle)."),
}
_EMBEDDING: Final[Mapping[str, Json]] = {
    "input": _texts_or_ids({"type": "object"}),
    "dimensions": maybe("integer", said="Length of the vectors, where the model can choose.", minimum=1),
    "encoding_format": maybe("string", said="`float` or `base64` (little-endian float32).", examples=["float"]),
}
_MESSAGE: Final[Mapping[str, Json]] = {
    "role": {"type": "string", "enum": ["system", "developer", "user", "assistant", "tool", "function"]},
    "content": maybe(
        "string",
        "array",
        said="Text, or parts such as `text` and `image_url`. An assistant's message with `tool_calls` may have none.",
        items={"type": "object"},
    ),
    "tool_calls": maybe("array", said="What the assistant called.", items={"type": "object"}),
}
_RESULT: Final = {
    "if": {"properties": {"role": {"const": "tool"}}},
    "then": {
        "anyOf": [
            {"required": [name], "properties": {name: {"type": "string", "minLength": 1}}}
            for name in ("tool_call_id", "name", "tool_name")
        ]
    },
}
"""A message with a tool's result says of which call it is."""


def request_schemas() -> Json:
    """The bodies of the hot routes."""
    return {
        "ChatRequest": _open_object({**_SHARED, **_CHAT, **_SAMPLING}, required="messages"),
        "CompletionRequest": _open_object({**_SHARED, **_COMPLETION, **_SAMPLING}, required="prompt"),
        "EmbeddingRequest": _open_object({**_SHARED, **_EMBEDDING}, required="input"),
        "Message": {**_open_object(_MESSAGE, required="role"), **_RESULT},
    }


def _open_object(fields: Mapping[str, Json], *, required: str) -> Json:
    return {
        "type": "object",
        "required": [required],
        "properties": dict(fields),
        "additionalProperties": True,
        "description": "Fields that are not named here pass to the provider untouched; `null` counts as absent.",
    }
