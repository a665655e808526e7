"""The commands under ``import`` with their options."""

from pathlib import Path
from typing import Annotated

import typer

from llm_service.cli.arguments import AsJson
from llm_service.cli.commands import Commands

import_app = Commands(help="Make a configuration of one that another gateway has.")


@import_app.callback()
def sources() -> None:
    """Make a configuration of one that another gateway has."""


@import_app.command("litellm")
def litellm(
    file: Annotated[Path, typer.Argument(help="The config.yaml of LiteLLM's proxy.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write, such as llm-service.yaml; else standard output."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Turn LiteLLM's configuration into this service's, and report what did not come over, and what to do instead."""
    from llm_service.cli.importing import import_litellm

    raise typer.Exit(import_litellm(file, output=output, force=force, as_json=as_json))
