"""The commands under ``usage`` with their options."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from llm_service.cli.arguments import AsJson, ConfigPath, DataDir, Sandbox
from llm_service.cli.commands import Commands
from llm_service.cli.completing import model_names, one_of, provider_names, several_of
from llm_service.cli.where import Where

usage_app = Commands(help="What was recorded, with the service stopped or running.")

By = Annotated[
    str,
    typer.Option(
        help="key, user, model, provider, tag, hour, day, surface, status, cache; several with commas.",
        autocompletion=several_of(*"key user model provider tag hour day surface status cache".split()),
    ),
]
FILTER: Final = {
    "since": typer.Option(help="From here on: 2026-11-01, or 2026-11-01T12:00:00Z."),
    "until": typer.Option(help="Up to here, exclusive."),
    "key_id": typer.Option(help="Of one key."),
    "user": typer.Option(help="Of one user."),
    "model": typer.Option(help="Asked for by this name.", autocompletion=model_names),
    "provider": typer.Option(help="Sent to this provider.", autocompletion=provider_names),
    "tag": typer.Option(help="With this tag.", metavar="NAME=VALUE"),
    "status": typer.Option(
        help="ok, error, aborted, refused or interrupted.",
        autocompletion=one_of(*"ok error aborted refused interrupted".split()),
    ),
    "cache": typer.Option(help="hit, semantic, coalesced, replay, stale, miss or bypass."),
}
"""Which records: the options of every command that is about some of them."""


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Put the options of ``FILTER`` in place of a command's parameter ``given``, which gets those that were given.

    Typer reads the options off a command's signature.
    """
    signature = inspect.signature(command)
    parameters: list[inspect.Parameter] = []
    for one in signature.parameters.values():
        parameters += map(_option, FILTER) if one.name == "given" else [one]

    @wraps(command)
    def run(**options: Any) -> None:
        asked = {name: options.pop(name) for name in FILTER}
        command(given={name: text for name, text in asked.items() if text is not None}, **options)

    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


def _option(name: str) -> inspect.Parameter:
    kind, annotation = inspect.Parameter.KEYWORD_ONLY, Annotated[str | None, FILTER[name]]
    return inspect.Parameter(name, kind, default=None, annotation=annotation)


@usage_app.command("report")
@filtered
def report(
    *,
    by: By = "model",
    given: Mapping[str, str],
    config: ConfigPath = None,
    data_dir: DataDir = None,
    sandbox: Sandbox = None,
    as_json: AsJson = False,
) -> None:
    """Sums of tokens and money by groups; corrections are included."""
    from llm_service.cli.usage import report

    raise typer.Exit(report(Where(config, data_dir, sandbox), by=by, given=given, as_json=as_json))


@usage_app.command("export")
@filtered
def export(
    *,
    out: Annotated[Path, typer.Option(help="The file; one that is there is replaced.", dir_okay=False)],
    form: Annotated[
        str,
        typer.Option(
            "--format", help="csv, or parquet (wants the package duckdb).", autocompletion=one_of("csv", "parquet")
        ),
    ] = "csv",
    given: Mapping[str, str],
    config: ConfigPath = None,
    data_dir: DataDir = None,
    sandbox: Sandbox = None,
    as_json: AsJson = False,
) -> None:
    """Write the records into a file, newest first."""
    from llm_service.cli.usage import export

    raise typer.Exit(export(Where(config, data_dir, sandbox), form=form, out=out, given=given, as_json=as_json))


@usage_app.command("verify")
def verify(
    config: ConfigPath = None, data_dir: DataDir = None, sandbox: Sandbox = None, as_json: AsJson = False
) -> None:
    """Check that no record was changed, removed or added; exit 1 when one was."""
    from llm_service.cli.usage import verify_chains

    raise typer.Exit(verify_chains(Where(config, data_dir, sandbox), as_json=as_json))


@usage_app.command("reconcile")
def reconcile(
    config: ConfigPath = None, data_dir: DataDir = None, sandbox: Sandbox = None, as_json: AsJson = False
) -> None:
    """Correct estimates of the last two days by what providers say they billed (OpenRouter does)."""
    from llm_service.cli.usage import reconcile

    raise typer.Exit(reconcile(Where(config, data_dir, sandbox), as_json=as_json))


@usage_app.command("ship")
def ship(
    within: Annotated[
        float, typer.Option(help="Seconds to wait for the database, and for a service that ends.", min=0, max=86400)
    ] = 60,
    config: ConfigPath = None,
    data_dir: DataDir = None,
    sandbox: Sandbox = None,
    as_json: AsJson = False,
) -> None:
    """Bring what ended processes left in the data directory to the database; exit 0 when it may go."""
    from llm_service.cli.leftovers import ship_leftovers

    raise typer.Exit(ship_leftovers(Where(config, data_dir, sandbox), within_s=within, as_json=as_json))
