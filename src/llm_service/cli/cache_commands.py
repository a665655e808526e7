"""The commands under ``cache`` with their options."""

from pathlib import Path
from typing import Annotated

import typer

from llm_service.cli.arguments import DEFAULT_ADDRESS, Address, AsJson, Key
from llm_service.cli.commands import Commands
from llm_service.cli.completing import model_names, several_of

cache_app = Commands(help="The response cache of a running service, and of others that might be.")


@cache_app.command("stats")
def stats(
    since: Annotated[str | None, typer.Option(help="From here on: 2026-11-01, or a moment; else 24 hours.")] = None,
    until: Annotated[str | None, typer.Option(help="Up to here, exclusive.")] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="model, key, hour, day; several with commas.", autocompletion=several_of("model", "key", "hour", "day")
        ),
    ] = None,
    url: Address = DEFAULT_ADDRESS,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show how full the cache is and what it saved; `--key` needs the scope `read` or `admin`."""
    from llm_service.cli.cache import show_stats

    wanted = given_of(since=since, until=until, by=by)
    raise typer.Exit(show_stats(url, key=key, wanted=wanted, as_json=as_json))


@cache_app.command("purge")
def purge(
    model: Annotated[
        str | None, typer.Option(help="Answers to requests for this model.", autocompletion=model_names)
    ] = None,
    key_id: Annotated[str | None, typer.Option(help="Answers of this api key.")] = None,
    user: Annotated[str | None, typer.Option(help="Answers of this user.")] = None,
    tag: Annotated[str | None, typer.Option(help="Answers to requests with this tag.", metavar="NAME=VALUE")] = None,
    digest: Annotated[str | None, typer.Option(help="One answer, by the 64 digits of its digest.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every answer.")] = False,
    older_than_s: Annotated[
        str | None, typer.Option("--older-than", help="Only those made so many seconds ago, or earlier.")
    ] = None,
    certain: Annotated[bool, typer.Option("--yes", help="Do not ask before all are purged.")] = False,
    url: Address = DEFAULT_ADDRESS,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Have a running service forget answers, in all its processes; `--key` needs the scope `admin`."""
    from llm_service.cli.cache import purge

    wanted = given_of(
        model=model,
        key_id=key_id,
        user=user,
        tag=tag,
        digest=digest,
        all="true" if everything else None,
        older_than_s=older_than_s,
    )
    raise typer.Exit(purge(url, key=key, wanted=wanted, certain=certain, as_json=as_json))


@cache_app.command("simulate")
def simulate(
    log: Annotated[
        Path, typer.Option(help="Records, as `usage export` writes them: .csv, or .parquet.", dir_okay=False)
    ],
    ttl_s: Annotated[list[float] | None, typer.Option("--ttl", help="Seconds of freshness; may come again.")] = None,
    max_bytes: Annotated[list[int] | None, typer.Option(help="Memory for answers; may come again.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="key, user or global; may come again.")] = None,
    recorded_scope: Annotated[str, typer.Option(help="`cache.scope` when the log was recorded.")] = "key",
    no_coalescing: Annotated[bool, typer.Option("--no-coalescing", help="Each request makes its own call.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the hit ratios into this file (SVG).", dir_okay=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Play recorded requests through caches of other settings; no service is needed, and no content."""
    from llm_service.cli.simulate import run_trials
    from llm_service.cli.trials import Grid

    grid = Grid(
        ttls_s=ttl_s or (), sizes=max_bytes or (), scopes=scope or (), recorded=recorded_scope, alone=no_coalescing
    )
    raise typer.Exit(run_trials(log, grid, plot=plot, as_json=as_json))


def given_of(**options: str | None) -> dict[str, str]:
    """The options that were given."""
    return {name: text for name, text in options.items() if text is not None}
