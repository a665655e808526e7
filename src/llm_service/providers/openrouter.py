"""OpenRouter's dialect: routing fields, attribution, costs, prices. Facts and sources: docs/providers.md."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

from llm_service.domain import LLMServiceError, ModelInfo, UpstreamInvalidResponse
from llm_service.providers.base import Account, GenerationRecord, UpstreamCall, UpstreamRequest
from llm_service.providers.catalog import Server
from llm_service.providers.complaints import Complaint
from llm_service.providers.failures import Verdict
from llm_service.providers.listing import count, entries_of, model_info
from llm_service.providers.openai_compatible import Now, OpenAICompatible
from llm_service.providers.openrouter_errors import RULES, openrouter_verdict, with_inner_message
from llm_service.providers.openrouter_money import generation_of, prices_of

SERVER: Final = Server(name="openrouter", base_url="https://openrouter.ai/api/v1", cost="usd")
OWN_MODELS: Final = frozenset({"auto", "free"})
"""Models of OpenRouter itself, whose ids begin as our names of its models do: ``openrouter/auto``."""


class OpenRouter(OpenAICompatible):
    """OpenRouter takes everything that OpenAI takes and more; all of it passes, its own fallback list included.

    ``app_title``, ``app_url``: the operator's application in OpenRouter's rankings.
    """

    rules = RULES
    account_paths = ("/key", "/credits")

    def __init__(self, *, app_title: str | None, app_url: str | None, now: Now) -> None:
        super().__init__(SERVER, now=now)
        told = {"http-referer": app_url, "x-openrouter-title": app_title}
        self._headers: Mapping[str, str] = MappingProxyType({name: text for name, text in told.items() if text})

    def request(self, call: UpstreamCall) -> UpstreamRequest:
        """The body as it came, with the names of models as OpenRouter knows them."""
        plain = super().request(call)
        return UpstreamRequest(plain.path, plain.body, self._headers)

    def models(self, raw: bytes) -> Sequence[ModelInfo]:
        """The catalogue with its prices. Raises UpstreamInvalidResponse."""
        return tuple(_model(entry) for entry in entries_of(raw))

    def account(self, bodies: Sequence[bytes]) -> Account:
        """What the key may still spend, and the account's balance where the key may see it (only management keys may).

        Raises UpstreamInvalidResponse.
        """
        try:
            key = json.loads(bodies[0], parse_float=Decimal)["data"]
            credit = json.loads(bodies[1], parse_float=Decimal)["data"] if len(bodies) > 1 and bodies[1] else None
            balance = None if credit is None else Decimal(credit["total_credits"]) - Decimal(credit["total_usage"])
            remaining = None if key.get("limit_remaining") is None else Decimal(key["limit_remaining"])
        except (ValueError, ArithmeticError, KeyError, TypeError, AttributeError):
            raise UpstreamInvalidResponse("The provider's answer tells of no key.") from None
        return Account(
            usable=(remaining is None or remaining > 0) and (balance is None or balance > 0),
            balance=balance,
            currency=None if balance is None else "USD",
            limit_remaining_usd=remaining,
            detail={name: key[name] for name in _DETAILS if name in key},
        )

    def generation_path(self, upstream_id: str) -> str | None:
        """OpenRouter keeps a record of every generation; it can be read a second or more after the end."""
        return f"/generation?{urlencode({'id': upstream_id})}"

    def generation(self, raw: bytes) -> GenerationRecord:
        """What the account was charged, and the native tokens. Raises UpstreamInvalidResponse."""
        return generation_of(raw)

    def _body(self, call: UpstreamCall) -> dict[str, Any]:
        body = super()._body(call)
        body["model"] = openrouter_name(call.candidate.upstream_model)
        if call.request.models:
            body["models"] = [openrouter_name(name) for name in call.request.models]
        return body

    def _error(self, told: Complaint, headers: Mapping[str, str]) -> LLMServiceError:
        return super()._error(with_inner_message(told), headers)

    def _verdict(self, told: Complaint) -> Verdict:
        return openrouter_verdict(told) or super()._verdict(told)


_DETAILS: Final = (
    *("limit", "limit_remaining", "limit_reset", "usage", "usage_daily", "usage_weekly", "usage_monthly"),
    *("byok_usage", "is_free_tier", "is_management_key", "expires_at"),
)


def openrouter_name(model: str) -> str:
    """A model's id there: without our name for the provider, except where that is the author's name."""
    bare = model.removeprefix("openrouter/")
    return f"openrouter/{bare}" if bare.partition(":")[0] in OWN_MODELS else bare


def _model(entry: Mapping[str, Any]) -> ModelInfo:
    top = entry.get("top_provider")
    architecture = entry.get("architecture")
    price, terms = prices_of(entry.get("pricing"))
    info = model_info(entry, owner=entry["id"].partition("/")[0])
    return replace(
        info,
        max_output_tokens=count(top.get("max_completion_tokens")) if isinstance(top, Mapping) else None,
        price=price,
        price_terms=terms,
        parameters=_names(entry.get("supported_parameters")),
        input_modalities=_names(architecture.get("input_modalities")) if isinstance(architecture, Mapping) else (),
        output_modalities=_names(architecture.get("output_modalities")) if isinstance(architecture, Mapping) else (),
    )


def _names(told: object) -> tuple[str, ...]:
    return tuple(name for name in told if isinstance(name, str)) if isinstance(told, list) else ()
