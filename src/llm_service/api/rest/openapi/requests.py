"""What the hot routes take: the fields that the service looks at. Others pass to the provider untouched."""

from collections.abc import Mapping
from typing import Any, Final

Json = dict[str, Any]


def maybe(*types: str, said: str, **more: Any) -> Json:
    """A field that may be null, which counts as absent."""
    return {"type": [*types, "null"], "description": said, **more}


_NAME: Final = {"pattern": r"\S"}
_SHARED: Final[Mapping[str, Json]] = {
    "model": maybe(
        "string",
        said="`provider/model`, a name that the operator gave, or any name of OpenRouter's catalogue. Required, unless "
        "`models` is there.",
        **_NAME,
    ),
    "models": maybe("array", said="Further models that would do, in this order.", items={"type": "string", **_NAME}),
    "user": maybe("string", said="Your own name for the end user."),
}
_SAMPLING: Final[Mapping[str, Json]] = {
    "stream": maybe("boolean", said="`true`: the answer comes as server-sent events."),
    "stream_options": maybe(
        "object",
        said="For streams.",
        properties={"include_usage": maybe("boolean", said="`true`: a chunk with the usage comes before `[DONE]`.")},
    ),
    "temperature": maybe("number", said="0 is the most predictable."),
    "top_p": maybe("number", said="Share of probability that tokens are taken from."),
    "frequency_penalty": maybe("number", said="Above 0: less repetition of what is frequent."),
    "presence_penalty": maybe("number", said="Above 0: less repetition of what is there at all."),
    "n": maybe("integer", said="How many choices.", minimum=1),
    "max_tokens": maybe("integer", said="Output cap in tokens; the older name.", minimum=1),
    "max_completion_tokens": maybe("integer", said="Output cap in tokens, reasoning included.", minimum=1),
    "seed": maybe("integer", said="Asks for the same answer to the same request, as far as the provider can."),
    "stop": maybe("string", "array", said="A text, or several, at which the answer ends."),
    "logit_bias": maybe("object", said="Bias by token id."),
}
_CHAT: Final[Mapping[str, Json]] = {
    "messages": {
        "type": "array",
        "minItems": 1,
        "items": {"$ref": "#/components/schemas/Message"},
        "description": "The conversation so far.",
    },
    "tools": maybe("array", said="Functions that the model may call.", items={"type": "object"}),
    "tool_choice": maybe("string", "object", said="`none`, `auto`, `required`, or one function."),
    "parallel_tool_calls": maybe("boolean", said="Whether several calls may come in one answer."),
    "response_format": maybe("object", said='`{"type": "json_object"}`, or a JSON Schema for the answer.'),
    "logprobs": maybe("boolean", said="Whether to tell the tokens' probabilities."),
    "top_logprobs": maybe("integer", said="How many alternatives to tell for each token."),
    "reasoning_effort": maybe("string", said="How long to think, in the model's own words.", examples=["low", "high"]),
    "metadata": maybe("object", said="Notes of your own."),
}
_COMPLETION: Final[Mapping[str, Json]] = {
    "prompt": {"type": ["string", "array"], "description": "Text, several texts, or token ids."},
    "suffix": maybe("string", said="Text that comes after the completion (fill in the middle)."),
}
_EMBEDDING: Final[Mapping[str, Json]] = {
    "input": {"type": ["string", "array"], "description": "Text, several texts, or token ids."},
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


def request_schemas() -> Json:
    """The bodies of the hot routes."""
    return {
        "ChatRequest": _open_object({**_SHARED, **_CHAT, **_SAMPLING}, required="messages"),
        "CompletionRequest": _open_object({**_SHARED, **_COMPLETION, **_SAMPLING}, required="prompt"),
        "EmbeddingRequest": _open_object({**_SHARED, **_EMBEDDING}, required="input"),
        "Message": _open_object(_MESSAGE, required="role"),
    }


def _open_object(fields: Mapping[str, Json], *, required: str) -> Json:
    return {
        "type": "object",
        "required": [required],
        "properties": dict(fields),
        "additionalProperties": True,
        "description": "Fields that are not named here pass to the provider untouched; `null` counts as absent.",
    }
