"""The commands under ``usage`` with their options.

Typer reads the options off a command's signature: two commands that take the same ones both name them.
"""

from pathlib import Path
from typing import Annotated

import typer

from llm_service.cli.arguments import AsJson, ConfigPath, DataDir, Sandbox
from llm_service.cli.where import Where

usage_app = typer.Typer(help="What was recorded, with the service stopped or running.", no_args_is_help=True)

By = Annotated[
    str, typer.Option(help="key, user, model, provider, tag, hour, day, surface, status, cache; several with commas.")
]
Since = Annotated[str | None, typer.Option(help="From here on: 2026-11-01, or 2026-11-01T12:00:00Z.")]
Until = Annotated[str | None, typer.Option(help="Up to here, exclusive.")]
KeyId = Annotated[str | None, typer.Option(help="Of one key.")]
User = Annotated[str | None, typer.Option(help="Of one user.")]
Model = Annotated[str | None, typer.Option(help="Asked for by this name.")]
Provider = Annotated[str | None, typer.Option(help="Sent to this provider.")]
Tag = Annotated[str | None, typer.Option(help="With this tag.", metavar="NAME=VALUE")]
Status = Annotated[str | None, typer.Option(help="ok, error, aborted, refused or interrupted.")]
Cache = Annotated[str | None, typer.Option(help="hit, semantic, coalesced, replay, stale, miss or bypass.")]


@usage_app.command("report")
def report(
    by: By = "model",
    since: Since = None,
    until: Until = None,
    key_id: KeyId = None,
    user: User = None,
    model: Model = None,
    provider: Provider = None,
    tag: Tag = None,
    status: Status = None,
    cache: Cache = None,
    config: ConfigPath = None,
    data_dir: DataDir = None,
    sandbox: Sandbox = None,
    as_json: AsJson = False,
) -> None:
    """Sums of tokens and money by groups; corrections are included."""
    from llm_service.cli.usage import report

    given = given_of(
        since=since,
        until=until,
        key_id=key_id,
        user=user,
        model=model,
        provider=provider,
        tag=tag,
        status=status,
        cache=cache,
    )
    raise typer.Exit(report(Where(config, data_dir, sandbox), by=by, given=given, as_json=as_json))


@usage_app.command("export")
def export(
    out: Annotated[Path, typer.Option(help="The file; one that is there is replaced.", dir_okay=False)],
    form: Annotated[str, typer.Option("--format", help="csv, or parquet (wants the package duckdb).")] = "csv",
    since: Since = None,
    until: Until = None,
    key_id: KeyId = None,
    user: User = None,
    model: Model = None,
    provider: Provider = None,
    tag: Tag = None,
    status: Status = None,
    cache: Cache = None,
    config: ConfigPath = None,
    data_dir: DataDir = None,
    sandbox: Sandbox = None,
    as_json: AsJson = False,
) -> None:
    """Write the records into a file, newest first."""
    from llm_service.cli.usage import export

    given = given_of(
        since=since,
        until=until,
        key_id=key_id,
        user=user,
        model=model,
        provider=provider,
        tag=tag,
        status=status,
        cache=cache,
    )
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


def given_of(**options: str | None) -> dict[str, str]:
    """The options that were given."""
    return {name: text for name, text in options.items() if text is not None}
