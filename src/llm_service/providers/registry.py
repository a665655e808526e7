"""Which dialect a provider speaks, where it is, and how its credential is shown to it: one table of kinds."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final, NamedTuple

from llm_service.domain import Secret
from llm_service.prices import PriceList
from llm_service.providers import deepseek, openrouter
from llm_service.providers.base import Dialect
from llm_service.providers.catalog import SERVERS, Server
from llm_service.providers.deepseek import DeepSeek
from llm_service.providers.expected import EXPECTED, Expected
from llm_service.providers.openai_compatible import Now, OpenAICompatible
from llm_service.providers.openrouter import OpenRouter
from llm_service.providers.options import ProviderKind, ProviderOptions
from llm_service.runtime import Clock


class Kind(NamedTuple):
    """A kind of provider: its dialect, its server where there is but one, and today's names of its retired models."""

    dialect: Callable[[str, ProviderOptions, Now], Dialect]
    server: Server | None = None
    retired: Mapping[str, str] = MappingProxyType({})


def _plain(name: str, options: ProviderOptions, now: Now) -> Dialect:
    return OpenAICompatible(server_for(name, options), now=now)


def _openrouter(name: str, options: ProviderOptions, now: Now) -> Dialect:
    return OpenRouter(app_title=options.app_title, app_url=options.app_url, now=now)


def _deepseek(name: str, options: ProviderOptions, now: Now) -> Dialect:
    return DeepSeek(base_url=base_url_for(name, options), now=now)


KINDS: Final[Mapping[ProviderKind, Kind]] = MappingProxyType(
    {
        "openai_compatible": Kind(_plain),
        "openrouter": Kind(_openrouter, openrouter.SERVER),
        "deepseek": Kind(_deepseek, deepseek.SERVER, deepseek.TODAYS),
    }
)


def dialect_for(name: str, options: ProviderOptions, clock: Clock) -> Dialect:
    """The dialect of a configured provider. Raises ValueError for a ``server`` that has no row."""
    return KINDS[_kind_of(name, options)].dialect(name, options, clock.now)


def base_url_for(name: str, options: ProviderOptions) -> str:
    """Where a configured provider is. Raises ValueError when neither its options nor its row say so."""
    base_url = options.base_url or server_for(name, options).base_url
    if base_url is None:
        raise ValueError(f"providers.{name} needs a base_url")
    return base_url.rstrip("/")


def credentials_for(name: str, options: ProviderOptions) -> Sequence[tuple[Secret | None, Mapping[str, str]]]:
    """The operator's credentials, each with the header that shows it; one that shows nothing where there is none."""
    keys = [*([] if options.api_key is None else [options.api_key]), *options.api_keys]
    if not keys:
        return [(None, {})]
    if server_for(name, options).key_header == "api-key":
        return [(key, {"api-key": key.reveal()}) for key in keys]
    return [(key, {"authorization": f"Bearer {key.reveal()}"}) for key in keys]


def retired_names(kind: ProviderKind) -> Mapping[str, str]:
    """Names of models that the provider has given up and clients still send, with what its dialect sends instead."""
    return KINDS[kind].retired


def expected_of(name: str, options: ProviderOptions) -> Expected:
    """The fields that a configured provider's free endpoints are expected to have."""
    return EXPECTED[_kind_of(name, options)]


def price_list_for(name: str, options: ProviderOptions) -> PriceList:
    """Where the price table has a configured provider's models. Raises ValueError for a ``server`` that has no row."""
    aliases = KINDS[_kind_of(name, options)].retired
    return PriceList(name=server_for(name, options).name, aliases=aliases)


def server_for(name: str, options: ProviderOptions) -> Server:
    """The row of a configured provider: that of its kind, the one it names, the one of its own name, or the generic."""
    server = KINDS[_kind_of(name, options)].server
    if server is not None:
        return server
    if options.server is None:
        return SERVERS.get(name, SERVERS["generic"])
    if options.server not in SERVERS:
        near = get_close_matches(options.server, SERVERS, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(SERVERS)}"
        raise ValueError(f"providers.{name}.server: there is no row {options.server}{hint}")
    return SERVERS[options.server]


def _kind_of(name: str, options: ProviderOptions) -> ProviderKind:
    return options.completed(name).kind or "openai_compatible"
