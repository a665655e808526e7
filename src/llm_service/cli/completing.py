"""What the shell may offer as a value. Who pressed a key cannot be told of a mistake: then nothing is offered."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import typer

PLAIN: Final = re.compile(r"[\w./:@+-]+")
"""Names that every shell takes as they are. What zsh is offered goes through its ``eval``."""


def one_of(*words: str) -> Callable[[str], list[str]]:
    """One of these words."""

    def offered(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return offered


def several_of(*words: str) -> Callable[[str], list[str]]:
    """Some of these words, with commas."""

    def offered(incomplete: str) -> list[str]:
        given, comma, begun = incomplete.rpartition(",")
        return [f"{given}{comma}{word}" for word in words if word.startswith(begun) and word not in given.split(",")]

    return offered


def provider_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The configured providers."""
    settings = _settings(ctx)
    return [] if settings is None else _plain(settings.providers, incomplete)


def model_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The models that the configuration names, and those that serve them by ``provider/model``."""
    settings = _settings(ctx)
    if settings is None:
        return []
    deployments = (one for model in settings.models.values() for one in model.deployments)
    named = [*settings.models, *(f"{one.provider}/{one.model}" for one in deployments)]
    return _plain(dict.fromkeys(named), incomplete)


def command_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The commands below those that are named already."""
    from llm_service.cli.reference import PROGRAM, context_of

    above = ctx.params.get("words") or ()
    group = context_of(ctx.find_root().command, above, program=PROGRAM)
    return _plain(getattr(group.command, "commands", {}), incomplete)


def _plain(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete) and PLAIN.fullmatch(name)]


def _settings(ctx: typer.Context) -> Any:
    """Those that the command would go by; None where they cannot be used."""
    from llm_service.config import SettingsError
    from llm_service.environment import load

    config = ctx.params.get("config")
    try:
        return load(None if config is None else Path(config)).settings
    except SettingsError:
        return None
