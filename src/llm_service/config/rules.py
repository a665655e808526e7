"""What must hold between settings of several rooms, and what follows from them."""

from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from llm_service.alerts import problems
from llm_service.api import tls_problems
from llm_service.cache import missing_packages
from llm_service.config.alert_rules import alert_mistakes
from llm_service.config.build import Builder
from llm_service.config.environment import USUAL_NAMES, variable
from llm_service.config.filter_rules import filter_mistakes
from llm_service.config.issuer_rules import issuer_mistakes
from llm_service.config.later import suggestion
from llm_service.config.mistake import Mistake, shown
from llm_service.config.settings import Settings
from llm_service.domain import fact_in_order
from llm_service.providers import SERVERS, ProviderOptions, base_url_for, retired_names, server_for

FALLBACKS: Final = ("fallbacks", "context_fallbacks", "content_fallbacks")
KEY_VARIABLES: Final = MappingProxyType({keys[1]: name for name, keys in USUAL_NAMES.items() if keys[-1] == "api_key"})
"""The usual variable of a provider's key."""
SIMULATED: Final = frozenset(("openrouter", "deepseek", "openai"))
"""The providers that sandbox mode always has."""


@fact_in_order
class Ruled:
    """The settings with everything that follows from them, what is wrong between them, and what to tell."""

    settings: Settings
    mistakes: tuple[Mistake, ...]
    notes: tuple[str, ...]


def wants_sandbox(settings: Settings, *, from_file: bool) -> bool:
    """Never by itself beside a configured provider, a configuration file or another address."""
    if settings.sandbox != "auto":
        return settings.sandbox == "on"
    return not from_file and not settings.providers and settings.server.on_loopback


def apply_rules(settings: Settings, given: Builder, *, from_file: bool) -> Ruled:
    """Completes the providers and checks across rooms. What follows from a reported mistake is not reported."""
    completed = {name: options.completed(name) for name, options in settings.providers.items()}
    lost = dict(_without_server(completed, given))
    known = {
        name: options if name in lost else replace(options, base_url=base_url_for(name, options))
        for name, options in completed.items()
    }
    keyless = [name for name, options in known.items() if name not in lost and _lacks_key(name, options, settings)]
    left_out = [name for name in keyless if f"{_at(name)}.api_key" in given.emptied]
    kept = {name: options for name, options in known.items() if name not in left_out}
    ruled = replace(settings, providers=MappingProxyType(kept))
    simulated = SIMULATED if wants_sandbox(ruled, from_file=from_file) else frozenset()
    named = {*settings.providers, *simulated}  # what is left out may keep its prices and limits
    mistakes = (
        *lost.values(),
        *_missing_keys([name for name in keyless if name in kept], given),
        *_unknown_providers(ruled, given, {*kept, *simulated}),
        *_fallbacks_to_nobody(ruled, given, {*kept, *simulated}),
        *_prices_of_nobody(settings, given, named),
        *_limits_of_nobody(settings, given, named),
        *_open_doors(ruled, given),
        *issuer_mistakes(ruled, given),
        *_wrong_ports(ruled, given),
        *_wrong_tls(ruled, given),
        *_without_packages(ruled, given),
        *_wrong_notifiers(ruled, given),
        *alert_mistakes(ruled, given, providers=named),
        *filter_mistakes(ruled, given, leads=lambda name: _can_be_asked(name, ruled, named)),
    )
    notes = (*(f"{_at(name)} is left out: its api_key is empty" for name in left_out), *_told_contents(ruled))
    return Ruled(ruled, tuple(mistake for mistake in mistakes if mistake is not None), notes)


def _told_contents(settings: Settings) -> Iterator[str]:
    if settings.observability.log_content:
        yield "observability.log_content is on: prompts and answers are written into the log"


def _without_server(providers: dict[str, ProviderOptions], given: Builder) -> Iterator[tuple[str, Mistake | None]]:
    """Providers of which nobody knows where they are; None where that was reported already."""
    for name, options in providers.items():
        at = _at(name)
        if not given.faulty.isdisjoint((f"{at}.kind", f"{at}.server", f"{at}.base_url")):
            yield name, None
        elif options.server is not None and options.server not in SERVERS:
            hint = suggestion(options.server, SERVERS) or f"; there are {', '.join(SERVERS)}"
            message = f"{at}.server is no row of the provider catalogue{hint}"
            yield name, Mistake.at(given.places[f"{at}.server"], message)
        elif options.base_url is None and server_for(name, options).base_url is None:
            yield name, Mistake.at(given.places[at], f"{at} needs a base_url, or a server that has one")


def _lacks_key(name: str, options: ProviderOptions, settings: Settings) -> bool:
    """Public upstreams want a key; one at an address of the operator's own may do without, a simulated one does."""
    server = server_for(name, options)
    public = server.needs_key and options.base_url == server.base_url
    simulated = settings.sandbox == "on" and name in KEY_VARIABLES
    return public and options.api_key is None and not options.api_keys and options.enabled and not simulated


def _missing_keys(names: list[str], given: Builder) -> Iterator[Mistake]:
    for name in names:
        if f"{_at(name)}.api_key" not in given.faulty:
            message = f"{_at(name)} has no api_key: {_how_to_set(name)}, or set enabled to false"
            yield Mistake.at(given.places[_at(name)], message)


def _how_to_set(name: str) -> str:
    return f"set {KEY_VARIABLES.get(name) or _at(name) + '.api_key'}"


def _prices_of_nobody(settings: Settings, given: Builder, known: set[str]) -> Iterator[Mistake]:
    for name in settings.prices:
        provider = name.partition("/")[0]
        if provider not in known:
            at = f"prices.{shown(name)}"
            yield Mistake.at(given.places[at], f"{at}: {provider} {_not_configured(provider, known)}")


def _limits_of_nobody(settings: Settings, given: Builder, known: set[str]) -> Iterator[Mistake]:
    for provider in settings.limits.per_provider:
        if provider not in known:
            at = f"limits.per_provider.{shown(provider)}"
            yield Mistake.at(given.places[at], f"{at} {_not_configured(provider, known)}")


def _unknown_providers(settings: Settings, given: Builder, known: set[str]) -> Iterator[Mistake]:
    for name, model in settings.models.items():
        at = f"models.{shown(name)}.deployments"
        if any(path.startswith(at) for path in given.faulty):
            continue  # what is left of the list is not numbered as it was given
        for number, deployment in enumerate(model.deployments):
            path = f"{at}[{number}].provider"
            if deployment.provider not in known:
                yield Mistake.at(given.places[path], f"{path} {_not_configured(deployment.provider, known)}")


def _fallbacks_to_nobody(settings: Settings, given: Builder, known: set[str]) -> Iterator[Mistake]:
    """Names of fallbacks that mean no model, or the very model that falls back."""
    for name, model in settings.models.items():
        for field in FALLBACKS:
            at = f"models.{shown(name)}.{field}"
            if any(path.startswith(at) for path in given.faulty):
                continue  # what is left of the list is not numbered as it was given
            for number, other in enumerate(getattr(model, field)):
                path = f"{at}[{number}]"
                if other == name:
                    yield Mistake.at(given.places[path], f"{path} is the model itself")
                elif not _can_be_asked(other, settings, known):
                    hint = suggestion(other, settings.models)
                    message = f"{path} is neither a name of models nor provider/model of a configured provider{hint}"
                    yield Mistake.at(given.places[path], message)


def _can_be_asked(name: str, settings: Settings, known: set[str]) -> bool:
    takes_any = "openrouter" in known or any(one.kind == "openrouter" for one in settings.providers.values())
    return takes_any or _leads_somewhere(name, settings, known)


def _leads_somewhere(name: str, settings: Settings, known: set[str]) -> bool:
    provider, slash, _ = name.partition("/")
    retired = any(one.kind == "deepseek" for one in settings.providers.values()) and name in retired_names("deepseek")
    return name in settings.models or retired or (bool(slash) and provider in known)


def _not_configured(provider: str, known: set[str]) -> str:
    if provider in KEY_VARIABLES:
        return f"is {provider}, which is not configured: {_how_to_set(provider)}"
    return f"is not the name of a configured provider{suggestion(provider, known)}"


def _open_doors(settings: Settings, given: Builder) -> Iterator[Mistake]:
    if settings.auth.admin_key is not None or "auth.admin_key" in given.faulty:
        return
    remedy = f"needs auth.admin_key: set {variable('auth.admin_key')}"
    if not settings.server.on_loopback:
        alone = replace(settings.server, admin_port=None)
        at = "server.admin_host" if alone.on_loopback else "server.host"
        message = f"{at} is not a loopback address, and listening for other machines {remedy}"
        yield Mistake.at(given.places[at], message)
    if settings.auth.required == "always":
        yield Mistake.at(given.places["auth.required"], f"auth.required is always, and that {remedy}")


def _wrong_ports(settings: Settings, given: Builder) -> Iterator[Mistake]:
    server = settings.server
    if server.admin_port is None:
        if server.admin_host is not None:
            message = "server.admin_host is the address of server.admin_port, which is not set"
            yield Mistake.at(given.places["server.admin_host"], message)
    elif server.admin_port == server.port != 0 and server.admin_address == server.host:
        message = "server.admin_port is server.port: the port of operators is one of its own"
        yield Mistake.at(given.places["server.admin_port"], message)


def _wrong_tls(settings: Settings, given: Builder) -> Iterator[Mistake]:
    tls = settings.server.tls
    if tls is None or any(path.startswith("server.tls") for path in given.faulty):
        return
    for problem in tls_problems(tls):
        at = f"server.tls.{problem.setting}"
        yield Mistake.at(given.places[at], f"{at} {problem.message}")


def _without_packages(settings: Settings, given: Builder) -> Iterator[Mistake]:
    if settings.cache.semantic.enabled and (missing := missing_packages()):
        said = f"wants packages that are not installed ({', '.join(missing)}): pip install 'llm-service[semantic]'"
        yield Mistake.at(given.places["cache.semantic.enabled"], f"cache.semantic.enabled {said}")


def _wrong_notifiers(settings: Settings, given: Builder) -> Iterator[Mistake]:
    for name, options in settings.notifiers.items():
        at = f"notifiers.{shown(name)}"
        paths = given.places.keys() - given.emptied
        below = {path.removeprefix(f"{at}.").partition(".")[0] for path in paths if path.startswith(f"{at}.")}
        for setting, message in problems(options, below):
            path = at if setting is None else f"{at}.{setting}"
            yield Mistake.at(given.places[path], f"{path} {message}")


def _at(provider: str) -> str:
    return f"providers.{shown(provider)}"
