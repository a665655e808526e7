"""What must hold between settings of several rooms, and what follows from them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType

from llm_service.config.build import Builder
from llm_service.config.environment import USUAL_NAMES, variable
from llm_service.config.later import suggestion
from llm_service.config.mistake import Mistake, shown
from llm_service.config.settings import Settings
from llm_service.providers import DEFAULT_BASE_URLS, ProviderOptions


@dataclass(frozen=True, slots=True)
class Ruled:
    """The settings with everything that follows from them, what is wrong between them, and what to tell."""

    settings: Settings
    mistakes: tuple[Mistake, ...]
    notes: tuple[str, ...]


def apply_rules(settings: Settings, given: Builder) -> Ruled:
    """Completes the providers and checks across rooms. What follows from a reported mistake is not reported."""
    named = {name: options.completed(name) for name, options in settings.providers.items()}
    keyless = [name for name, options in named.items() if settings.sandbox != "on" and _lacks_key(options)]
    left_out = [name for name in keyless if f"{_at(name)}.api_key" in given.emptied]
    kept = {name: options for name, options in named.items() if name not in left_out}
    completed = replace(settings, providers=MappingProxyType(kept))
    mistakes = (
        *_missing_keys([name for name in keyless if name in kept], given),
        *_unknown_providers(completed, given),
        *_open_doors(completed, given),
    )
    notes = tuple(f"{_at(name)} is left out: its api_key is empty" for name in left_out)
    return Ruled(completed, mistakes, notes)


def _lacks_key(options: ProviderOptions) -> bool:
    """The public upstreams want a key; one at an address of the operator's own may do without."""
    if options.api_key is not None or options.kind is None or not options.enabled:
        return False
    return options.kind in DEFAULT_BASE_URLS and options.base_url == DEFAULT_BASE_URLS[options.kind]


def _missing_keys(names: list[str], given: Builder) -> Iterator[Mistake]:
    for name in names:
        path = f"{_at(name)}.api_key"
        if path not in given.faulty and f"{_at(name)}.base_url" not in given.faulty:
            message = f"{_at(name)} has no api_key: {_how_to_set(name)}, or set enabled to false"
            yield Mistake.at(given.places[_at(name)], message)


def _how_to_set(name: str) -> str:
    usual = {keys[1]: variable for variable, keys in USUAL_NAMES.items() if keys[2] == "api_key"}
    return f"set {usual.get(name) or _at(name) + '.api_key'}"


def _unknown_providers(settings: Settings, given: Builder) -> Iterator[Mistake]:
    known = set(settings.providers) | (set(DEFAULT_BASE_URLS) if settings.sandbox == "on" else set())
    for name, model in settings.models.items():
        at = f"models.{shown(name)}.deployments"
        if any(path.startswith(at) for path in given.faulty):
            continue  # what is left of the list is not numbered as it was given
        for number, deployment in enumerate(model.deployments):
            path = f"{at}[{number}].provider"
            if deployment.provider not in known:
                yield Mistake.at(given.places[path], f"{path} {_not_configured(deployment.provider, known)}")


def _not_configured(provider: str, known: set[str]) -> str:
    if provider in DEFAULT_BASE_URLS:
        return f"is {provider}, which is not configured: {_how_to_set(provider)}"
    return f"is not the name of a configured provider{suggestion(provider, known)}"


def _open_doors(settings: Settings, given: Builder) -> Iterator[Mistake]:
    if settings.auth.admin_key is not None or "auth.admin_key" in given.faulty:
        return
    remedy = f"needs auth.admin_key: set {variable('auth.admin_key')}"
    if not settings.server.on_loopback:
        message = f"server.host is not a loopback address, and listening for other machines {remedy}"
        yield Mistake.at(given.places["server.host"], message)
    if settings.auth.required == "always":
        yield Mistake.at(given.places["auth.required"], f"auth.required is always, and that {remedy}")


def _at(provider: str) -> str:
    return f"providers.{shown(provider)}"
