"""What OpenAI refuses although it looks like a chat request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from llm_service.sandbox.ask import Ask
from llm_service.sandbox.behaviour import Behaviour
from llm_service.sandbox.dialects.errors import Refusal

FIELDS: Final = frozenset(
    """audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens messages
    metadata modalities model moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key
    prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier sandbox seed
    service_tier stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity
    web_search_options""".split()
)

_MAX_STOPS: Final = 4


def check(ask: Ask, *, behaviour: Behaviour) -> None:
    """Raise the first refusal that applies."""
    for refusal in _refusals(ask, behaviour):
        raise refusal


def _refusals(ask: Ask, behaviour: Behaviour) -> Iterator[Refusal]:
    body = ask.body
    if behaviour.on("strict"):
        for name in sorted(set(body) - FIELDS):
            yield Refusal("400-unknown-parameter", field=name)
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        text = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        yield Refusal("400", message=text, param="max_tokens")
    if ask.response_format == "json_object" and not ask.says_json:
        text = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        yield Refusal("400", message=text, param="messages")
    if len(ask.stop) > _MAX_STOPS:
        yield Refusal("400", message=f"Invalid 'stop': at most {_MAX_STOPS} sequences.", param="stop")
    temperature = body.get("temperature")
    if temperature is not None and not (isinstance(temperature, int | float) and 0 <= temperature <= 2):
        yield Refusal("400", message="Invalid 'temperature': expected a number from 0 to 2.", param="temperature")
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        text = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."
        yield Refusal("400", message=text, param="top_logprobs")
