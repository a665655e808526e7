"""What would become of a request: the address, and what it answers."""

from typing import Any, Final, get_args

from llm_service.api.rest.openapi.examples import CHAT
from llm_service.api.rest.openapi.headers import REQUEST_HEADERS
from llm_service.api.rest.openapi.objects import closed_object, list_of, ref
from llm_service.api.rest.openapi.operations import failures, json_content, response
from llm_service.domain import CacheStatus, Direction, FilterAction, LimitKind, LimitScope, Operation
from llm_service.filters import FilterType
from llm_service.routing import BreakerState, Obstacle, Strategy, Trigger
from llm_service.storage import Reach

Json = dict[str, Any]

_COUNT: Final = {"type": "integer", "minimum": 0}
_MAYBE_COUNT: Final = {"type": ["integer", "null"]}
_TEXT: Final = {"type": "string"}
_MAYBE_TEXT: Final = {"type": ["string", "null"]}
_NUMBER: Final = {"type": "number"}
_MAYBE_NUMBER: Final = {"type": ["number", "null"]}
_FLAG: Final = {"type": "boolean"}
_AMOUNT: Final = {"type": ["integer", "string"], "description": "A count; US dollars of a budget, as text."}
_MAYBE_AMOUNT: Final = {"type": ["integer", "string", "null"]}
_SAID: Final = """\
The body and the headers of a request, and what would become of it now: which deployments could serve it and in which
order, which limits it meets, what the cache has, what it would cost, and what would happen. Nothing is called, taken or
kept. What is seen is a moment of one process. A body that is no request is refused as the request itself would be."""
_OPERATION: Final = {
    "properties": {
        "operation": {
            "enum": [*get_args(Operation), None],
            "description": "What the request is; by default told by `messages`, `prompt` or `input`.",
        }
    }
}


def explain_paths() -> Json:
    """The address, with and without ``/v1``."""
    return {
        "/v1/explain": {"post": _operation("explain", "")},
        "/explain": {"post": _operation("explainUnversioned", " (without /v1)")},
    }


def explain_schemas() -> Json:
    """The answer."""
    price = closed_object(
        {
            "origin": {"enum": ["operator", "provider", "table"]},
            "date": _MAYBE_TEXT,
            "worst_usd": _MAYBE_TEXT | {"description": "The most; null where nothing bounds the answer."},
            "typical_usd": _TEXT | {"description": "An estimate, for the tokens of `typical`."},
        }
    )
    deployment = closed_object(
        {
            "provider": _TEXT,
            "upstream_model": _TEXT,
            "rank": _MAYBE_COUNT | {"description": "When it would be tried, from 1; null: not, as things are."},
            "fits": _FLAG,
            "obstacle": {"enum": [*get_args(Obstacle), None]},
            "why": _MAYBE_TEXT | {"description": "What stands against it, in words that follow its name."},
            "breaker": closed_object({"state": {"enum": [*get_args(BreakerState)]}, "since": _TEXT}),
            "in_flight": _COUNT,
            "latency_ms": _MAYBE_NUMBER | {"description": "To the first content, lately, in this process."},
            "weight": _NUMBER,
            "priority": _COUNT,
            "tags": list_of(_TEXT),
            "score_ms": _MAYBE_NUMBER | {"description": "With `latency`: what a request may wait for there."},
            "compared_usd": _MAYBE_TEXT | {"description": "With `cost`: what deployments are compared by."},
            "price": {"anyOf": [ref("ExplainedPrice"), {"type": "null"}]},
        }
    )
    group = closed_object(
        {
            "model": _TEXT,
            "trigger": {"enum": [*get_args(Trigger)], "description": "Why it is asked."},
            "strategy": {"enum": [*get_args(Strategy)]},
            "sticky": _MAYBE_TEXT | {"description": "Where requests that begin alike go to."},
            "deployments": list_of(ref("ExplainedDeployment")),
        }
    )
    return {
        "ExplainedPrice": price,
        "ExplainedDeployment": deployment,
        "ExplainedGroup": group,
        "ExplainedLimit": _limit(),
        "ExplainedFilter": _filter(),
        "Explanation": _explanation(),
    }


def _operation(name: str, note: str) -> Json:
    bodies = [{"allOf": [ref(kind), _OPERATION]} for kind in ("ChatRequest", "CompletionRequest", "EmbeddingRequest")]
    return {
        "operationId": name,
        "summary": f"What would become of a request{note}",
        "description": _SAID,
        "tags": ["Generate"],
        "parameters": [{"$ref": f"#/components/parameters/{header}"} for header in REQUEST_HEADERS],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"anyOf": bodies}, "examples": dict(CHAT)}},
        },
        "responses": {
            "200": response("The explanation.", json_content("Explanation")),
            **failures((400, 401, 403, 413, 500, 503)),
        },
    }


def _limit() -> Json:
    return closed_object(
        {
            "scope": {"enum": [*get_args(LimitScope)]},
            "subject": _MAYBE_TEXT,
            "kind": {"enum": [*get_args(LimitKind)]},
            "window_s": _MAYBE_COUNT,
            "period": _MAYBE_TEXT,
            "limit": _AMOUNT,
            "used": _MAYBE_AMOUNT,
            "reserved": _MAYBE_AMOUNT,
            "remaining": _MAYBE_AMOUNT,
            "takes": _AMOUNT,
            "has_room": {"type": ["boolean", "null"]},
        },
        {"resets_at": _TEXT},
    )


def _filter() -> Json:
    return closed_object(
        {
            "name": _TEXT,
            "type": {"enum": [*get_args(FilterType)]},
            "on": list_of({"enum": [*get_args(Direction)]}),
            "action": {"enum": [*get_args(FilterAction)]},
            "on_failure": {"enum": ["open", "closed"]},
            "asked": _FLAG | {"description": "It judges by asking somebody, which an explanation does not."},
            "verdicts": list_of(ref("FilterVerdict")) | {"description": "What it says of the prompt."},
            "score": _MAYBE_NUMBER | {"description": "From 0 to 1, of filters that weigh signals."},
        }
    )


def _explanation() -> Json:
    retries = closed_object({"provider": _TEXT, "max_retries": _COUNT, "budget_left": _COUNT})
    result = closed_object(
        {
            "would": _TEXT | {"examples": ["call deepseek/deepseek-flash", "answer from the cache", "join", "refuse"]},
            "action": {"enum": ["answer from the cache", "join", "call", "refuse"]},
            "cache": {"enum": [*get_args(CacheStatus), None], "description": "What `x-llm-cache` would say."},
            "provider": _MAYBE_TEXT,
            "upstream_model": _MAYBE_TEXT,
            "retries": list_of(retries),
            "deadline_s": _MAYBE_NUMBER,
            "status": _MAYBE_COUNT | {"description": "Of the refusal."},
            "error": {"anyOf": [ref("Error"), {"type": "null"}], "description": "What the request would be told."},
        }
    )
    limits = closed_object(
        {
            "limits": list_of(ref("ExplainedLimit")),
            "input_tokens": _COUNT | {"description": "The most that the prompt has."},
            "output_tokens": _MAYBE_COUNT | {"description": "The most of the answer; null where nothing bounds it."},
            "output_cap": _MAYBE_COUNT | {"description": "What the provider would be sent; null: as it was asked."},
            "unpriced": list_of(_TEXT),
            "reach": {"enum": [*get_args(Reach)]},
        }
    )
    cache = closed_object(
        {
            "status": {"enum": ["hit", "stale", "miss", "bypass"]},
            "reason": _MAYBE_TEXT,
            "cache_key": _MAYBE_TEXT,
            "age_s": _MAYBE_COUNT,
            "ttl_s": _MAYBE_COUNT,
            "in_flight": _FLAG,
            "by_likeness": _FLAG,
        }
    )
    typical = closed_object({"input_tokens": _COUNT, "output_tokens": _COUNT})
    null = {"type": "null"}
    return closed_object(
        {
            "operation": {"enum": [*get_args(Operation)]},
            "model": _TEXT,
            "result": result,
            "route": list_of(ref("ExplainedGroup")),
            "limits": {"anyOf": [limits, null]},
            "cache": {"anyOf": [cache, null]},
            "idempotency": {"enum": ["new", "running", "kept", "refused", None]},
            "typical": {"anyOf": [typical, null]},
            "filters": list_of(ref("ExplainedFilter")),
        },
        said="What would become of a request, and why.",
    )
