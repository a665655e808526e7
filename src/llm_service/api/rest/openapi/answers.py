"""What comes back: answers and chunks in OpenAI's form, models, and health."""

from typing import Any, Final, get_args

from llm_service.domain import CostSource

Json = dict[str, Any]

_FINISH_REASONS: Final = ("stop", "length", "tool_calls", "content_filter", "function_call")
_PASSED_ON: Final = "Fields of the provider that are not named here pass on untouched."
_INDEX: Final = {"type": "integer", "minimum": 0}
_TOKENS: Final = {"type": "integer", "minimum": 0}
_TEXT: Final = {"type": "string"}
_MAYBE_TEXT: Final = {"type": ["string", "null"]}
_SECONDS: Final = {"type": "integer", "description": "Seconds since 1970."}
_USD: Final = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}
_REASONING: Final = {
    "reasoning_content": _MAYBE_TEXT | {"description": "What the model thought, as DeepSeek and vLLM spell it."},
    "reasoning": _MAYBE_TEXT | {"description": "What the model thought, as OpenRouter and Ollama spell it."},
}


def answer_schemas() -> Json:
    """Everything that a status of 200 brings."""
    return {
        **_chat(),
        **_chunks(),
        **_completion(),
        **_embeddings(),
        **_models(),
        **_health(),
        "Service": _closed(
            {"name": {"const": "llm-service"}, "version": _TEXT, "links": _map_of(_TEXT)}, said="What answers here."
        ),
    }


def _chat() -> Json:
    call = _open(
        {
            "id": _TEXT,
            "type": _TEXT,
            "function": _open({"name": _TEXT, "arguments": _TEXT | {"description": "JSON."}}),
        },
        said="A call that the model asks for.",
    )
    message = _open(
        {"role": {"const": "assistant"}, "content": _MAYBE_TEXT},
        {**_REASONING, "tool_calls": _list_of(_ref("ToolCall"))},
        said="The answer.",
    )
    choice = _open({"index": _INDEX, "message": message, "finish_reason": _finish_reason()})
    usage = _open(
        {"prompt_tokens": _TOKENS, "completion_tokens": _TOKENS, "total_tokens": _TOKENS},
        {
            "prompt_tokens_details": {"type": ["object", "null"]},
            "completion_tokens_details": {"type": ["object", "null"]},
        },
        said="Tokens as the provider counted them.",
    )
    return {
        "ChatCompletion": _answer("chat.completion", choice, {"usage": _ref("Usage")}),
        "ToolCall": call,
        "Usage": usage,
    }


def _chunks() -> Json:
    delta = _open(
        {},
        {
            "role": {"const": "assistant"},
            "content": _MAYBE_TEXT,
            **_REASONING,
            "tool_calls": _list_of(_open({"index": _INDEX}, said="A piece; the pieces of an index are one call.")),
        },
        said="What comes in addition.",
    )
    choice = _open({"index": _INDEX, "delta": delta}, {"finish_reason": _finish_reason(or_null=True)})
    facts = _open(
        {"request_id": _TEXT, "stream_id": _TEXT},
        {
            "provider": _TEXT,
            "model": _TEXT,
            "attempts": {"type": "integer", "minimum": 1},
            "cost_usd": _USD,
            "cost_source": {"enum": [*get_args(CostSource)]},
        },
        said="What only the end of a stream tells; on its last chunk.",
    )
    last = {"usage": _ref("Usage"), "llm": _ref("StreamFacts")}
    return {
        "ChatCompletionChunk": _answer("chat.completion.chunk", choice, last),
        "StreamFacts": facts,
    }


def _completion() -> Json:
    choice = _open({"index": _INDEX, "text": _TEXT}, {"finish_reason": _finish_reason(or_null=True)})
    last = {"usage": _ref("Usage"), "llm": _ref("StreamFacts")}
    return {"Completion": _answer("text_completion", choice, last)}


def _embeddings() -> Json:
    vector = {
        "oneOf": [
            _list_of({"type": "number"}),
            {"type": "string", "contentEncoding": "base64", "description": "Little-endian float32."},
        ]
    }
    embedding = _open({"embedding": vector}, {"object": {"const": "embedding"}, "index": _INDEX})
    body = {"object": {"const": "list"}, "model": _TEXT, "usage": {"type": "object"}}
    return {"Embeddings": _open({"data": _list_of(embedding)}, body, said=f"One vector for each input. {_PASSED_ON}")}


def _models() -> Json:
    price = _closed(
        {},
        {"input": _USD, "output": _USD, "cached_input": _USD},
        said="US dollars for a million tokens, as decimal numbers.",
    )
    model = _closed(
        {"id": _TEXT, "object": {"const": "model"}, "created": _SECONDS, "owned_by": _TEXT},
        {
            "name": _TEXT,
            "provider": _TEXT | {"description": "Who serves it; absent for a name that the operator gave."},
            "context_length": _TOKENS,
            "max_output_tokens": _TOKENS,
            "pricing_usd_per_million": price,
            "supported_parameters": _list_of(_TEXT),
            "input_modalities": _list_of(_TEXT),
        },
        said="A model, with what its provider's catalogue tells of it.",
    )
    return {
        "Model": model,
        "ModelList": _closed({"object": {"const": "list"}, "data": _list_of(_ref("Model"))}),
    }


def _health() -> Json:
    status = {"enum": ["ok", "draining"]}
    report = _closed(
        {
            "status": status,
            "version": _TEXT,
            "uptime_s": {"type": "number", "minimum": 0},
            "config": _closed(
                {
                    "generation": {"type": "integer", "minimum": 1},
                    "loaded_at": {"type": "string", "format": "date-time"},
                },
                said="Which settings the process goes by: 1 from its start, one more with each reload.",
            ),
            "providers": _map_of(_open({"kind": _TEXT})),
            "sandbox": {"type": "boolean", "description": "Whether the providers are simulated."},
        },
        {
            "worker": {"type": "integer", "minimum": 1, "description": "Which of several workers has answered."},
            "sandbox_note": _TEXT,
        },
    )
    return {"Status": _closed({"status": status}), "HealthReport": report}


# -- the forms that repeat


def _answer(name: str, choice: Json, more: Json) -> Json:
    shared = {"id": _TEXT, "object": {"const": name}, "created": _SECONDS, "model": _TEXT, "choices": _list_of(choice)}
    return _open(shared, more, said=_PASSED_ON)


def _finish_reason(*, or_null: bool = False) -> Json:
    """The reasons that strict clients know; the provider's own word is in ``native_finish_reason``."""
    return {"enum": [*_FINISH_REASONS, *([None] if or_null else [])]}


def _open(required: Json, optional: Json | None = None, *, said: str | None = None) -> Json:
    """An object that may hold further fields."""
    schema = {"type": "object", "required": [*required], "properties": {**required, **(optional or {})}}
    return schema if said is None else {**schema, "description": said}


def _closed(required: Json, optional: Json | None = None, *, said: str | None = None) -> Json:
    """An object of ours: these fields and no others."""
    return {**_open(required, optional, said=said), "additionalProperties": False}


def _list_of(schema: Json) -> Json:
    return {"type": "array", "items": schema}


def _map_of(schema: Json) -> Json:
    return {"type": "object", "additionalProperties": schema}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
