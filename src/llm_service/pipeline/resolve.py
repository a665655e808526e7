"""Stage: from the model's name in the request to the deployments that can serve it."""

from collections.abc import Mapping
from typing import Final

from llm_service.domain import ApiKey, Candidate, ModelNotAllowed, ModelNotFound, ModelRequest, Reply, allows
from llm_service.pipeline.base import Exchange, Proceed
from llm_service.routing import ModelOptions

CHOOSING_PLUGINS: Final = ("auto-router", "fusion", "pareto-router")
"""Plugins of OpenRouter that call models of their own choice, whatever the request names (seen 2026-11)."""


class Resolver:
    """Knows what the names of models mean.

    ``provider/model`` where the first segment is a configured provider; a name from ``models:``; a name that a
    provider claims as its own (``aliases``: retired names that clients still send); any other name goes whole to
    OpenRouter when that is configured.
    """

    def __init__(
        self,
        *,
        providers: frozenset[str],
        models: Mapping[str, ModelOptions],
        aliases: Mapping[str, str],
        catch_all: str | None,
    ) -> None:
        self._providers = providers
        self._models = {
            name: tuple(Candidate(provider=d.provider, upstream_model=d.model) for d in model.deployments)
            for name, model in models.items()
        }
        self._aliases = aliases
        self._catch_all = catch_all

    def candidates(self, model: str) -> tuple[Candidate, ...]:
        """The deployments that serve a model, the first first. Raises ModelNotFound."""
        named = self._models.get(model)
        if named is not None:
            return named
        provider, slash, upstream_model = model.partition("/")
        if slash and provider in self._providers:
            if not upstream_model.strip():
                raise ModelNotFound(_unnamed(provider), param="model")
            return (Candidate(provider=provider, upstream_model=upstream_model),)
        owner = self._aliases.get(model, self._catch_all)
        if owner is None:
            raise ModelNotFound(self._unknown(model), param="model")
        return (Candidate(provider=owner, upstream_model=model),)

    def _unknown(self, model: str) -> str:
        shown = model[:200]
        known = ", ".join(sorted(self._providers)) or "none"
        return (
            f"The model `{shown}` does not exist. Ask for `provider/model` with one of the configured providers "
            f"({known}), or for a name of GET /v1/models."
        )


def _unnamed(provider: str) -> str:
    return (
        f"The model `{provider}/` names a provider and no model of it: ask for `{provider}/model`; GET /v1/models "
        "lists the names."
    )


def check_allowed(key: ApiKey | None, request: ModelRequest) -> None:
    """Raises ModelNotAllowed where the request asks for a model, or lets the upstream take one, that the key lacks."""
    if key is None or key.models is None:
        return
    for name, param in ((request.model, "model"), *((name, "models") for name in request.models)):
        if not allows(key, name):
            raise ModelNotAllowed(f"The api key may not use the model `{name[:200]}`.", param=param)
    if request.body.get("preset") is not None:
        raise ModelNotAllowed("The api key is limited to some models, and a preset may name others.", param="preset")
    plugins = request.body.get("plugins")
    for plugin in plugins if isinstance(plugins, list) else ():
        if isinstance(plugin, dict) and plugin.get("id") in CHOOSING_PLUGINS:
            said = f"The api key is limited to some models, and the plugin `{plugin['id']}` chooses by itself."
            raise ModelNotAllowed(said, param="plugins")


class Resolve:
    """Fills ``exchange.candidates``."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Refuse a model that is unknown or not the caller's, or go on with its candidates."""
        check_allowed(exchange.caller.key, exchange.request)
        exchange.candidates = self._resolver.candidates(exchange.request.model)
        return await proceed(exchange)
