"""How OpenRouter gets from the names in a request to the model and the provider that serve it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from llm_service.sandbox.ask import Ask, BadField
from llm_service.sandbox.dialects.base import is_ours
from llm_service.sandbox.dialects.errors import Refusal
from llm_service.sandbox.dialects.openrouter_models import AUTO, EMBEDDING_MODELS, MODELS, OURS, PROVIDERS, Model
from llm_service.sandbox.messages import Json

DEFAULT_MODEL: Final = "openai/gpt-4o-mini"
AUTO_PICKS: Final = "deepseek/deepseek-v4-flash"

_BY_ID: Final = {model.id: model for model in (*MODELS, *EMBEDDING_MODELS)}
_LATEST: Final = {
    "~anthropic/claude-haiku-latest": "anthropic/claude-haiku-4.5",
    "~anthropic/claude-sonnet-latest": "anthropic/claude-sonnet-4.5",
    "~openai/gpt-mini-latest": "openai/gpt-5-mini",
    AUTO.id: AUTO_PICKS,
}
_VARIANTS: Final = ("nitro", "floor", "exacto", "online", "thinking", "extended")
_TRAINS: Final = ":free"


def model_named(name: str) -> Model | None:
    """The model behind a name: variants, aliases, routers, and the names of the sandbox itself."""
    if is_ours(name):
        return replace(OURS, id=name, name=f"Sandbox: {name}")
    name = name.partition("@preset/")[0]
    base, _, variant = _LATEST.get(name, name).partition(":")
    model = _BY_ID.get(base)
    if name == "openrouter/free":
        return _BY_ID["minimax/minimax-m2"].variant_free()
    if model is None or not variant:
        return model
    if variant == "free":
        return model.variant_free() if model.free else None
    if variant == "thinking":
        return replace(model, reasons=True)
    return model if variant in _VARIANTS else None


def candidates(body: Json) -> list[str]:
    """The models to try, in order."""
    model, models = body.get("model"), body.get("models")
    if models is not None and not (isinstance(models, list) and all(isinstance(name, str) for name in models)):
        raise BadField("models", "must be a list of strings")
    if model is not None and not isinstance(model, str):
        raise BadField("model", "must be a string")
    names = ([model] if model else []) + (models or [])
    return list(dict.fromkeys(names)) or [DEFAULT_MODEL]


def serving_provider(model: Model, body: Json) -> str:
    """The slug of the provider that serves a model under the request's routing object; raises Refusal."""
    wanted = body.get("provider")
    wanted = wanted if isinstance(wanted, dict) else {}
    left = [slug for slug in model.providers if _is_allowed(slug, wanted)]
    if not left:
        raise Refusal("404-filtered")
    if model.id.endswith(_TRAINS) and (wanted.get("data_collection") == "deny" or wanted.get("zdr")):
        raise Refusal("404-privacy")
    if wanted.get("require_parameters") and not _supports(model, body):
        raise Refusal("404-filtered")
    ordered = [slug for slug in _slugs(wanted.get("order")) if slug in left]
    if wanted.get("order") and not ordered and wanted.get("allow_fallbacks") is False:
        raise Refusal("404-filtered")
    return (ordered or left)[0]


def check_context(ask: Ask, model: Model) -> None:
    """Refuse what does not fit into the context window."""
    input_tokens, output = ask.input_tokens, ask.output_cap or 0
    if input_tokens + output > model.context_length:
        asked = {"asked": input_tokens + output, "input": input_tokens, "output": output}
        raise Refusal("400-context", context=model.context_length, **asked)


def provider_name(slug: str) -> str:
    """How a provider is shown."""
    return PROVIDERS[slug]


def _is_allowed(slug: str, wanted: Json) -> bool:
    only = _slugs(wanted.get("only"))
    return (not only or slug in only) and slug not in _slugs(wanted.get("ignore"))


def _slugs(value: Any) -> list[str]:
    """Slugs without their region or variant, also when display names were given."""
    return [str(name).partition("/")[0].lower().replace(" ", "-") for name in value] if isinstance(value, list) else []


def _supports(model: Model, body: Json) -> bool:
    known = set(model.parameters.split())
    asked = {"tools", "tool_choice", "response_format", "logprobs", "seed", "reasoning", "top_p"} & set(body)
    return asked <= known
