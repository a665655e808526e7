"""What comes back: answers and chunks in OpenAI's form, models, and health."""

from typing import Any, Final, get_args

from llm_service.api.rest.openapi.objects import closed_object, list_of, map_of, open_object, ref
from llm_service.domain import CacheStatus, CostSource
from llm_service.prices import Origin
from llm_service.routing import Why
from llm_service.storage import Reach

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
        "Service": closed_object(
            {"name": {"const": "llm-service"}, "version": _TEXT, "links": map_of(_TEXT)}, said="What answers here."
        ),
    }


def _chat() -> Json:
    call = open_object(
        {
            "id": _TEXT,
            "type": _TEXT,
            "function": open_object({"name": _TEXT, "arguments": _TEXT | {"description": "JSON."}}),
        },
        said="A call that the model asks for.",
    )
    message = open_object(
        {"role": {"const": "assistant"}, "content": _MAYBE_TEXT},
        {**_REASONING, "tool_calls": list_of(ref("ToolCall"))},
        said="The answer.",
    )
    choice = open_object({"index": _INDEX, "message": message, "finish_reason": _finish_reason()})
    usage = open_object(
        {"prompt_tokens": _TOKENS, "completion_tokens": _TOKENS, "total_tokens": _TOKENS},
        {
            "prompt_tokens_details": {"type": ["object", "null"]},
            "completion_tokens_details": {"type": ["object", "null"]},
        },
        said="Tokens as the provider counted them.",
    )
    return {
        "ChatCompletion": _answer("chat.completion", choice, {"usage": ref("Usage")}),
        "ToolCall": call,
        "Usage": usage,
    }


def _chunks() -> Json:
    delta = open_object(
        {},
        {
            "role": {"const": "assistant"},
            "content": _MAYBE_TEXT,
            **_REASONING,
            "tool_calls": list_of(open_object({"index": _INDEX}, said="A piece; the pieces of an index are one call.")),
        },
        said="What comes in addition.",
    )
    choice = open_object({"index": _INDEX, "delta": delta}, {"finish_reason": _finish_reason(or_null=True)})
    facts = open_object(
        {"request_id": _TEXT, "stream_id": _TEXT},
        {
            "provider": _TEXT,
            "model": _TEXT,
            "attempts": {"type": "integer", "minimum": 0, "description": "Calls to providers; 0: nobody was called."},
            "cache": {"enum": [*get_args(CacheStatus)], "description": "As in the header `x-llm-cache`."},
            "cost_usd": _USD,
            "cost_source": {"enum": [*get_args(CostSource)]},
        },
        said="What only the end of a stream tells; on its last chunk.",
    )
    last = {"usage": ref("Usage"), "llm": ref("StreamFacts")}
    return {
        "ChatCompletionChunk": _answer("chat.completion.chunk", choice, last),
        "StreamFacts": facts,
    }


def _completion() -> Json:
    choice = open_object({"index": _INDEX, "text": _TEXT}, {"finish_reason": _finish_reason(or_null=True)})
    last = {"usage": ref("Usage"), "llm": ref("StreamFacts")}
    return {"Completion": _answer("text_completion", choice, last)}


def _embeddings() -> Json:
    vector = {
        "oneOf": [
            list_of({"type": "number"}),
            {"type": "string", "contentEncoding": "base64", "description": "Little-endian float32."},
        ]
    }
    embedding = open_object({"embedding": vector}, {"object": {"const": "embedding"}, "index": _INDEX})
    body = {"object": {"const": "list"}, "model": _TEXT, "usage": {"type": "object"}}
    return {
        "Embeddings": open_object({"data": list_of(embedding)}, body, said=f"One vector for each input. {_PASSED_ON}")
    }


def _models() -> Json:
    price = closed_object(
        {},
        {"input": _USD, "output": _USD, "cached_input": _USD},
        said="US dollars for a million tokens, as decimal numbers: what a request is charged that begins now.",
    )
    source = closed_object(
        {"origin": {"enum": [*get_args(Origin)]}},
        {"date": {"type": "string", "format": "date", "description": "The day of the table's prices."}},
        said="Who says what is charged: the settings, the provider's catalogue, the table that comes with the service.",
    )
    model = closed_object(
        {"id": _TEXT, "object": {"const": "model"}, "created": _SECONDS, "owned_by": _TEXT},
        {
            "name": _TEXT,
            "provider": _TEXT | {"description": "Who serves it; absent for a name that the operator gave."},
            "context_length": _TOKENS,
            "max_output_tokens": _TOKENS,
            "pricing_usd_per_million": price,
            "pricing_source": source,
            "supported_parameters": list_of(_TEXT),
            "input_modalities": list_of(_TEXT),
            "output_modalities": list_of(_TEXT),
            "deprecated": {"const": True, "description": "Its provider is about to give it up."},
            "expires_on": {"type": "string", "format": "date", "description": "The day on which it will be gone."},
        },
        said="A model, with what its provider's catalogue tells of it, and what the table of prices does.",
    )
    return {
        "Model": model,
        "ModelList": closed_object({"object": {"const": "list"}, "data": list_of(ref("Model"))}),
    }


def _health() -> Json:
    status = {"enum": ["ok", "draining"]}
    whole = {
        "enum": ["ok", "degraded", "draining"],
        "description": "Degraded: a provider that is in use, or a store, is not as it should be.",
    }
    report = closed_object(
        {
            "status": whole,
            "version": _TEXT,
            "uptime_s": {"type": "number", "minimum": 0},
            "config": closed_object(
                {
                    "generation": {"type": "integer", "minimum": 1},
                    "loaded_at": {"type": "string", "format": "date-time"},
                },
                said="Which settings the process goes by: 1 from its start, one more with each reload.",
            ),
            "providers": map_of(ref("ProviderHealth")),
            "sandbox": {"type": "boolean", "description": "Whether the providers are simulated."},
        },
        {
            "stores": _stores(),
            "system": _system(),
            "worker": {"type": "integer", "minimum": 1, "description": "Which of several workers has answered."},
            "admin_port": {"type": "integer", "description": "Where operators are answered, if that is elsewhere."},
            "sandbox_note": _TEXT,
        },
    )
    return {"Status": closed_object({"status": status}), "HealthReport": report}


def _stores() -> Json:
    up = {
        "reach": {"enum": [*get_args(Reach)], "description": "For whom the store holds."},
        "up": {"type": "boolean"},
        "cause": _MAYBE_TEXT | {"description": "Why it is not up."},
        "since": _MAYBE_TEXT | {"format": "date-time", "description": "When it became as it is."},
    }
    alone = {"type": "boolean", "description": "The shared store is away, and this process counts alone."}
    count = {"type": "integer", "minimum": 0}
    ledger = {
        "unshipped_records": count | {"description": "Written down, and not in the database yet."},
        "oldest_unshipped_s": {"type": ["number", "null"]},
        "unsynced_bytes": count | {"description": "What a loss of power would take."},
        "unwritten_records": count | {"description": "In memory, because the disk does not take them."},
        "open_requests": count,
        "dead_journals": count | {"description": "Of processes that died, not taken over yet."},
        "error": _MAYBE_TEXT,
        "failing_since": _MAYBE_TEXT | {"format": "date-time"},
    }
    return closed_object(
        {
            "limits": closed_object({**up, "stands_in": alone}),
            "cache": closed_object(up, said="While the shared store is away each process keeps answers for itself."),
            "database": closed_object(up),
            "ledger": closed_object(ledger, said="What this process still has to ship."),
        },
        said="Where limits, answers, keys and records are kept.",
    )


def _system() -> Json:
    milliseconds = {"type": "number", "minimum": 0}
    maybe_count = {"type": ["integer", "null"], "minimum": 0}
    return closed_object(
        {
            "event_loop_lag_ms": closed_object(
                {
                    "mean": milliseconds | {"description": "Of the last second."},
                    "worst": milliseconds | {"description": "Of the last minute."},
                },
                said="By how much the process is late with what it is to do.",
            ),
            "memory_bytes": maybe_count | {"description": "Resident."},
            "memory_limit_bytes": maybe_count | {"description": "Of the control group, if it has one."},
            "descriptors": maybe_count | {"description": "Files and sockets that are open."},
            "descriptors_limit": maybe_count,
            "disk_free_bytes": maybe_count | {"description": "Where the data directory is."},
            "requests_in_flight": {"type": "integer", "minimum": 0, "description": "To models, in this process."},
            "shedding": {
                "enum": [*get_args(Why), None],
                "description": "Why the next request would be refused with `overloaded`; null: it would not be.",
            },
        },
        said="The process that has answered. Null: it is not known, or there is no limit.",
    )


# -- the forms that repeat


def _answer(name: str, choice: Json, more: Json) -> Json:
    shared = {"id": _TEXT, "object": {"const": name}, "created": _SECONDS, "model": _TEXT, "choices": list_of(choice)}
    return open_object(shared, more, said=_PASSED_ON)


def _finish_reason(*, or_null: bool = False) -> Json:
    """The reasons that strict clients know; the provider's own word is in ``native_finish_reason``."""
    return {"enum": [*_FINISH_REASONS, *([None] if or_null else [])]}
