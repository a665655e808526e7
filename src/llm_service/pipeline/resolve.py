"""Stage: from the model's name in the request to the deployments that can serve it."""

from collections.abc import Mapping

from llm_service.domain import Candidate, ModelNotFound, Reply
from llm_service.pipeline.base import Exchange, Proceed
from llm_service.pipeline.options import ModelOptions


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
        if slash and upstream_model and provider in self._providers:
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


class Resolve:
    """Fills ``exchange.candidates``."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def __call__(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Refuse an unknown model, or go on with its candidates."""
        exchange.candidates = self._resolver.candidates(exchange.request.model)
        return await proceed(exchange)
