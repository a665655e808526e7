"""``GET /v1/models`` and ``GET /v1/models/{id}``, in OpenAI's form with what the catalogues know beside it."""

from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from llm_service.api.rest.responses import json_response
from llm_service.api.rest.wire import caller_of
from llm_service.domain import ModelNotAllowed, Price, allows
from llm_service.services import ChargedPrice, ModelEntry, PricedModels


class ModelRoutes:
    """The list of models and single ones."""

    def __init__(self, models: PricedModels) -> None:
        self._models = models

    async def list(self, request: Request) -> Response:
        """All models that the caller's key allows."""
        key = caller_of(request).key
        entries = [entry for entry in await self._models.list() if allows(key, entry.info.id)]
        return json_response({"object": "list", "data": [model_object(entry) for entry in entries]})

    async def get(self, request: Request) -> Response:
        """One model; its id may hold slashes, percent-encoded or not, and one after it does not count."""
        name = unquote(request.path_params["id"]).removesuffix("/")
        if not allows(caller_of(request).key, name):
            raise ModelNotAllowed(f"The api key may not use the model `{name[:200]}`.", param="model")
        return json_response(model_object(await self._models.get(name)))


def model_object(entry: ModelEntry) -> dict[str, Any]:
    """A model as OpenAI's clients expect it; prices are decimal strings, USD per million tokens.

    What is charged, and who says so; without that, what the catalogue knows.
    """
    info, charge = entry.info, entry.charge
    known = {
        "name": info.name,
        "provider": entry.provider,
        "context_length": info.context_tokens,
        "max_output_tokens": info.max_output_tokens,
        "pricing_usd_per_million": price_object(info.price if charge is None else charge.price),
        "pricing_source": charge and source_object(charge),
        "supported_parameters": list(info.parameters) or None,
        "input_modalities": list(info.input_modalities) or None,
        "output_modalities": list(info.output_modalities) or None,
        "deprecated": info.deprecated or None,
        "expires_on": None if info.expires_on is None else info.expires_on.isoformat(),
    }
    required = {"id": info.id, "object": "model", "created": info.created or 0, "owned_by": info.owned_by}
    return required | {name: value for name, value in known.items() if value is not None}


def source_object(charge: ChargedPrice) -> dict[str, str]:
    """Who says what is charged, and as of which day where that is the table."""
    source = {"origin": str(charge.origin)}
    return source if charge.stated_on is None else source | {"date": charge.stated_on.isoformat()}


def price_object(price: Price | None) -> dict[str, str] | None:
    """A price's known parts."""
    if price is None:
        return None
    parts = {"input": price.input_usd, "output": price.output_usd, "cached_input": price.cached_input_usd}
    return {name: format(usd.normalize(), "f") for name, usd in parts.items() if usd is not None}
