"""Sandbox mode: when the service talks to simulated providers, and where it finds them."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from llm_service.config import Loaded
from llm_service.config import wants_sandbox as decided
from llm_service.domain import Secret
from llm_service.providers import ProviderOptions

PATHS: Final[Mapping[str, str]] = MappingProxyType(
    {"openrouter": "/openrouter/api/v1", "deepseek": "/deepseek", "openai_compatible": "/openai/v1"}
)
"""Where the sandbox has the provider of each kind."""

LOCAL_PATH: Final = "/local/v1"
"""Where it has the server that wants no key."""

ALWAYS_THERE: Final[Mapping[str, ProviderOptions]] = MappingProxyType(
    {
        "openrouter": ProviderOptions(kind="openrouter"),
        "deepseek": ProviderOptions(kind="deepseek"),
        "openai": ProviderOptions(kind="openai_compatible", server="openai"),
    }
)

NOTHING_TO_SERVE: Final = (
    "No provider is configured. Set OPENROUTER_API_KEY or DEEPSEEK_API_KEY, or name providers in a configuration file; "
    "or try the service with --sandbox on."
)


def wants_sandbox(loaded: Loaded) -> bool:
    """Whether these settings make the service a sandbox."""
    return decided(loaded.settings, from_file=loaded.source_path is not None)


async def simulate(*, held: AsyncExitStack) -> str:
    """Run the sandbox for as long as ``held`` lasts; its address."""
    from llm_service.sandbox import Sandbox  # which a service that has real providers need not load

    sandbox = await held.enter_async_context(Sandbox())
    return sandbox.address


def upstream_of(options: ProviderOptions, address: str) -> str:
    """The base URL of the simulated provider that stands in for this one."""
    return address + PATHS[options.kind or "openai_compatible"]


def simulated_providers(address: str, configured: Mapping[str, ProviderOptions]) -> Mapping[str, ProviderOptions]:
    """The known providers, and every configured one by a simulated one of its kind; none learns a credential."""
    nothing: Mapping[str, str] = MappingProxyType({})
    simulated = {
        name: replace(
            options,
            api_key=Secret("sk-sandbox"),
            api_keys=(),
            base_url=upstream_of(options, address),
            headers=nothing,
            query=nothing,
            ca_file=None,
        )
        for name, options in {**ALWAYS_THERE, **configured}.items()
    }
    return MappingProxyType(simulated)
