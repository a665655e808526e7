"""Builds the providers, and what the names of models mean with them."""

import ssl
from collections.abc import Mapping

from llm_service.config import Settings
from llm_service.domain import Candidate
from llm_service.pipeline import Resolver
from llm_service.providers import (
    HttpProvider,
    Provider,
    ProviderOptions,
    base_url_for,
    credentials_for,
    dialect_for,
    retired_names,
    server_for,
)
from llm_service.routing import Fleet
from llm_service.runtime import Clock, OnFailure
from llm_service.services import Site
from llm_service.transport import CLIENTS


def build_providers(settings: Settings, *, clock: Clock, on_failure: OnFailure) -> Mapping[str, Provider]:
    """All configured providers by their names; which of them get requests is decided from moment to moment."""
    return {
        name: build_provider(name, options, clock=clock, on_failure=on_failure)
        for name, options in settings.providers.items()
    }


def build_site(name: str, options: ProviderOptions) -> Site:
    """Where a provider is."""
    return Site(
        base_url=base_url_for(name, options),
        usual_url=server_for(name, options).base_url,
        has_key=options.api_key is not None or bool(options.api_keys),
    )


def build_provider(name: str, options: ProviderOptions, *, clock: Clock, on_failure: OnFailure) -> Provider:
    """One provider with a pool of connections of its own."""
    tls = None if options.ca_file is None else ssl.create_default_context(cafile=str(options.ca_file))
    return HttpProvider(
        name=name,
        dialect=dialect_for(name, options, clock),
        transport=CLIENTS[options.client](max_connections=options.max_connections, on_failure=on_failure, tls=tls),
        base_url=base_url_for(name, options),
        headers=options.headers,
        query=options.query,
        timeouts=options.timeouts,
        clock=clock,
        keys=credentials_for(name, options),
        propagate_trace=options.propagate_trace,
    )


def build_resolver(settings: Settings, fleet: Fleet) -> Resolver:
    """What the names of models mean under these settings."""
    kinds = {options.kind: name for name, options in reversed([*settings.providers.items()])}
    deepseek = kinds.get("deepseek")
    return Resolver(
        providers=frozenset(settings.providers),
        models=settings.models,
        aliases=dict.fromkeys(retired_names("deepseek"), deepseek) if deepseek is not None else {},
        catch_all=kinds.get("openrouter"),
        member=fleet.member,
        choosing=frozenset(name for name, options in settings.providers.items() if options.kind == "openrouter"),
    )


def build_aliases(providers: Mapping[str, ProviderOptions]) -> Mapping[str, Candidate]:
    """Every retired name that is served, with its provider before it and without, and the model in its place."""
    aliases: dict[str, Candidate] = {}
    for provider in (name for name, options in providers.items() if options.kind == "deepseek"):
        for retired, model in retired_names("deepseek").items():
            behind = aliases[f"{provider}/{retired}"] = Candidate(provider=provider, upstream_model=model)
            aliases.setdefault(retired, behind)
    return aliases
