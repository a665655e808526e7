"""Stage: from the model's name in the request to the deployments that can serve it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from llm_service.domain import ApiKey, Candidate, ModelNotAllowed, ModelNotFound, ModelRequest, allows
from llm_service.pipeline.base import Exchange, Passing, Proceed
from llm_service.routing import Group, Member, ModelOptions, Route, Trigger, Way, way_of

CHOOSING_PLUGINS: Final = ("auto-router", "fusion", "pareto-router")
"""Plugins of OpenRouter that call models of their own choice, whatever the request names (seen 2026-11)."""
MOST_ROUTES: Final = 1024
"""Names are the callers' to invent."""


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
        member: Callable[[Candidate], Member],
        choosing: frozenset[str] = frozenset(),
    ) -> None:
        """``member``: of the fleet. ``choosing``: providers that follow a request's list of models themselves."""
        self._providers = providers
        self._models = models
        self._aliases = aliases
        self._catch_all = catch_all
        self._member = member
        self._choosing = choosing
        self._routes: dict[tuple[str, ...], Route] = {}

    def route(self, request: ModelRequest) -> Route:
        """Everything that may serve a request. Raises ModelNotFound."""
        asked = (request.model, *request.models) if request.models else (request.model,)
        route = self._routes.get(asked)
        if route is None:
            route = self._made(asked)
            if route.is_ours:  # lists of models are too many to be kept
                return route
            if len(self._routes) >= MOST_ROUTES:
                self._routes.clear()
            self._routes[asked] = route
        return route

    def candidates(self, model: str) -> tuple[Candidate, ...]:
        """The deployments that serve a model of this name themselves, in their order. Raises ModelNotFound."""
        return tuple(way.candidate for way in self._ways(model))

    def _made(self, asked: tuple[str, ...]) -> Route:
        first, *others = dict.fromkeys(asked)
        if others and self._follows(asked):
            others = []
        options = self._models.get(first)
        groups = [self._group(first)]
        groups += [self._group(name) for name in others]
        if options is not None:
            groups += [self._group(name) for name in options.fallbacks if name not in others]
            groups += [self._group(name, "context") for name in options.context_fallbacks]
            groups += [self._group(name, "content") for name in options.content_fallbacks]
        return Route(groups, self._member, is_ours=bool(others))

    def _follows(self, asked: tuple[str, ...]) -> bool:
        """Whether one provider has all these models, and tries them in their order by itself."""
        candidates = [self.candidates(name) for name in asked]
        homes = {one.provider for some in candidates for one in some}
        return all(len(some) == 1 for some in candidates) and len(homes) == 1 and homes <= self._choosing

    def _group(self, name: str, trigger: Trigger = "failure") -> Group:
        options = self._models.get(name)
        if options is None:
            return Group(name, self._ways(name), trigger=trigger)
        return Group(name, self._ways(name), strategy=options.strategy, sticky=options.sticky, trigger=trigger)

    def _ways(self, model: str) -> Sequence[Way]:
        named = self._models.get(model)
        if named is not None:
            return [way_of(options) for options in named.deployments]
        provider, slash, upstream_model = model.partition("/")
        if slash and provider in self._providers:
            if not upstream_model.strip():
                raise ModelNotFound(_unnamed(provider), param="model")
            return [Way(candidate=Candidate(provider=provider, upstream_model=upstream_model))]
        owner = self._aliases.get(model, self._catch_all)
        if owner is None:
            raise ModelNotFound(self._unknown(model), param="model")
        return [Way(candidate=Candidate(provider=owner, upstream_model=model))]

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


def beyond(request: ModelRequest, may: Callable[[str], bool]) -> tuple[str, str] | None:
    """How a request could be answered by a model that it ``may`` not ask for: in words, and by which field.

    It asks for one, or lets the upstream choose. ``None``: in no way.
    """
    for name, param in ((request.model, "model"), *((name, "models") for name in request.models)):
        if not may(name):
            return f"may not use the model `{name[:200]}`", param
    if request.body.get("preset") is not None:
        return "is limited to some models, and a preset may name others", "preset"
    plugins = request.body.get("plugins")
    for plugin in plugins if isinstance(plugins, list) else ():
        if isinstance(plugin, dict) and plugin.get("id") in CHOOSING_PLUGINS:
            return f"is limited to some models, and the plugin `{plugin['id']}` chooses by itself", "plugins"
    return None


def check_allowed(key: ApiKey | None, request: ModelRequest) -> None:
    """Raises ModelNotAllowed where the request asks for a model, or lets the upstream take one, that the key lacks."""
    if key is None or key.models is None:
        return
    if (found := beyond(request, lambda name: allows(key, name))) is not None:
        said, param = found
        raise ModelNotAllowed(f"The api key {said}.", param=param)


class Resolve(Passing):
    """Fills ``exchange.route``."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    def passes(self, exchange: Exchange, proceed: Proceed) -> None:
        """Refuse a model that is unknown or not the caller's, or go on with its candidates."""
        key = exchange.caller.key
        if key is not None and key.models is not None:
            check_allowed(key, exchange.request)
        route = exchange.route = self._resolver.route(exchange.request)
        exchange.order = route.plain
