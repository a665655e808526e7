"""Servers that speak OpenAI's dialect, one row each: where they are and what they do differently.

Facts with sources and dates: docs/providers.md. A plain server needs a row here and nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any, Final, Literal

from llm_service.domain import fact
from llm_service.providers.edits import (
    any_tool_for_required,
    names_on_tool_results_only,
    no_empty_assistants,
    no_names,
    plain_schemas,
    short_tool_ids,
)
from llm_service.providers.metering import CostForm

Edit = Callable[[dict[str, Any]], None]
"""A change of a request body that is ours to change; what is below the top level is replaced, never changed."""


@fact
class Server:
    """The habits of one server. The defaults are those of a server that does everything as OpenAI does.

    ``asks_usage``: a stream tells usage only when asked by ``stream_options``. ``dropped``: hints that it refuses, so
    that they are left out. ``renamed``: fields by our name. ``own_ids``: its answers' ids repeat, so ours are used.
    ``usage_beside``: an object of a chunk that may hold the usage instead. ``cost``: how it tells a price.
    ``verified``: how we know.
    """

    name: str
    base_url: str | None = None
    key_header: Literal["authorization", "api-key"] = "authorization"
    needs_key: bool = True
    asks_usage: bool = True
    dropped: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    edits: tuple[Edit, ...] = ()
    own_ids: bool = False
    usage_beside: str | None = None
    cost: CostForm | None = None
    model_prefix: str = ""
    verified: str = "by transcript (2026-11-23)"


_OLD_OUTPUT_CAP: Final = MappingProxyType({"max_completion_tokens": "max_tokens"})

ROWS: Final = (
    Server(name="generic", needs_key=False, verified="by transcript, as the others (2026-11-23)"),
    Server(name="openai", base_url="https://api.openai.com/v1"),
    Server(name="azure", key_header="api-key"),
    Server(name="ollama", base_url="http://127.0.0.1:11434/v1", needs_key=False, renamed=_OLD_OUTPUT_CAP, own_ids=True),
    Server(name="vllm", base_url="http://127.0.0.1:8000/v1", needs_key=False),
    Server(name="llamacpp", base_url="http://127.0.0.1:8080/v1", needs_key=False),
    Server(name="lmstudio", base_url="http://127.0.0.1:1234/v1", needs_key=False, renamed=_OLD_OUTPUT_CAP),
    Server(name="groq", base_url="https://api.groq.com/openai/v1", edits=(no_names,), usage_beside="x_groq"),
    Server(name="together", base_url="https://api.together.xyz/v1", renamed=_OLD_OUTPUT_CAP),
    Server(
        name="mistral",
        base_url="https://api.mistral.ai/v1",
        asks_usage=False,
        dropped=frozenset(
            {"user", "stream_options", "logprobs", "top_logprobs", "store", "logit_bias", "service_tier"}
        ),
        renamed=MappingProxyType({"seed": "random_seed", **_OLD_OUTPUT_CAP}),
        edits=(
            short_tool_ids,
            names_on_tool_results_only,
            no_empty_assistants,
            any_tool_for_required,
            plain_schemas,
        ),
    ),
    Server(
        name="gemini",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        model_prefix="models/",
    ),
    Server(name="xai", base_url="https://api.x.ai/v1", cost="usd_ticks"),
)

SERVERS: Final[Mapping[str, Server]] = MappingProxyType({row.name: row for row in ROWS})
