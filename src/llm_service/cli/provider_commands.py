"""The commands under ``providers`` with their options."""

from typing import Annotated

import typer

from llm_service.cli.arguments import AsJson, ConfigPath, DataDir, Sandbox
from llm_service.cli.commands import Commands
from llm_service.cli.completing import provider_names
from llm_service.cli.where import Where

providers_app = Commands(help="The configured providers.")

Name = Annotated[
    str, typer.Argument(help="Name of a configured provider.", metavar="NAME", autocompletion=provider_names)
]
NameOrAll = Annotated[
    str | None, typer.Argument(help="One provider; else all.", metavar="NAME", autocompletion=provider_names)
]


@providers_app.command("list")
def list_(
    config: ConfigPath = None, data_dir: DataDir = None, sandbox: Sandbox = None, as_json: AsJson = False
) -> None:
    """List the configured providers, and which of them get requests."""
    from llm_service.cli.providers import show_providers

    raise typer.Exit(show_providers(Where(config, data_dir, sandbox), as_json=as_json))


@providers_app.command("test")
def try_(name: NameOrAll = None, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Ask each provider for its catalogue and its account, which costs nothing; exit 1 when one fails."""
    from llm_service.cli.providers import test_providers

    raise typer.Exit(test_providers(config, name=name, as_json=as_json))


@providers_app.command("check")
def check(name: NameOrAll = None, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Compare what each provider tells today with what is expected of it; exit 1 when something is wrong."""
    from llm_service.cli.provider_check import check_providers

    raise typer.Exit(check_providers(config, name=name, as_json=as_json))


@providers_app.command("enable")
def enable(
    name: Name, config: ConfigPath = None, data_dir: DataDir = None, sandbox: Sandbox = None, as_json: AsJson = False
) -> None:
    """Send a provider requests again, also one that the configuration switches off; within a second."""
    from llm_service.cli.provider_states import put_state

    raise typer.Exit(put_state(Where(config, data_dir, sandbox), name, "enabled", as_json=as_json))


@providers_app.command("disable")
def disable(
    name: Name, config: ConfigPath = None, data_dir: DataDir = None, sandbox: Sandbox = None, as_json: AsJson = False
) -> None:
    """Send a provider no more requests; what has begun to answer finishes. Holds until `enable` or `reset`."""
    from llm_service.cli.provider_states import put_state

    raise typer.Exit(put_state(Where(config, data_dir, sandbox), name, "disabled", as_json=as_json))


@providers_app.command("drain")
def drain(
    name: Name, config: ConfigPath = None, data_dir: DataDir = None, sandbox: Sandbox = None, as_json: AsJson = False
) -> None:
    """Send a provider nothing new, and let all that runs finish. Holds until `enable` or `reset`."""
    from llm_service.cli.provider_states import put_state

    raise typer.Exit(put_state(Where(config, data_dir, sandbox), name, "draining", as_json=as_json))


@providers_app.command("reset")
def reset(
    name: Name, config: ConfigPath = None, data_dir: DataDir = None, sandbox: Sandbox = None, as_json: AsJson = False
) -> None:
    """Put a provider back to what the configuration says."""
    from llm_service.cli.provider_states import put_state

    raise typer.Exit(put_state(Where(config, data_dir, sandbox), name, None, as_json=as_json))
