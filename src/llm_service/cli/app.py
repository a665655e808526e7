"""The commands by name; each has a module of its own, imported when it is asked for."""

from pathlib import Path
from typing import Annotated

import typer

from llm_service import __version__
from llm_service.cli import completion
from llm_service.cli.arguments import DEFAULT_ADDRESS, Address, AsJson, ConfigPath, DataDir, Key, Sandbox
from llm_service.cli.cache_commands import cache_app
from llm_service.cli.commands import Commands
from llm_service.cli.completing import command_names, model_names, one_of
from llm_service.cli.import_commands import import_app
from llm_service.cli.key_commands import keys_app
from llm_service.cli.provider_commands import providers_app
from llm_service.cli.usage_commands import usage_app

app = Commands("llm-service", help="A self-hosted gateway for large language models.")
app.add_typer(providers_app, name="providers")
app.add_typer(keys_app, name="keys")
app.add_typer(usage_app, name="usage")
app.add_typer(cache_app, name="cache")
app.add_typer(import_app, name="import")


def main() -> None:
    """Run the command that the arguments name, or say to a shell what could come next."""
    if completion.is_asked():
        completion.prepare()
    app(prog_name="llm-service")


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"llm-service {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say it.")] = False,
) -> None:
    """A self-hosted gateway for large language models."""


@app.command()
def serve(
    config: ConfigPath = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[str | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    workers: Annotated[str | None, typer.Option(help="Processes that serve.")] = None,
    sandbox: Annotated[
        str | None,
        typer.Option(help="auto, on or off: simulated providers.", autocompletion=one_of("auto", "on", "off")),
    ] = None,
    data_dir: Annotated[str | None, typer.Option(help="Folder for what the service keeps.")] = None,
    as_json: AsJson = False,
) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    from llm_service.runtime import lasting

    with lasting():
        from llm_service.cli.serve import run_service

    overrides = {
        "server.host": host,
        "server.port": port,
        "server.workers": workers,
        "sandbox": sandbox,
        "server.data_dir": data_dir,
    }
    given = {path: value for path, value in overrides.items() if value is not None}
    raise typer.Exit(run_service(config, given, as_json=as_json))


@app.command("check-config")
def check_config(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Check the configuration and show what it comes to; secrets are masked."""
    from llm_service.cli.configuration import check

    raise typer.Exit(check(config, as_json=as_json))


@app.command("config-schema")
def config_schema(as_json: AsJson = True) -> None:
    """Print the JSON Schema of the configuration file."""
    from llm_service.cli.configuration import print_schema

    print_schema()


@app.command()
def health(
    url: Annotated[str | None, typer.Option("--url", help="Address of a running service; else this machine's.")] = None,
    port: Annotated[
        int, typer.Option(help="Its port on this machine.", envvar="LLM_SERVICE_SERVER__PORT", min=1, max=65535)
    ] = 8080,
    live: Annotated[bool, typer.Option("--live", help="Whether it is up, rather than ready.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.", min=0.1, max=60)] = 3,
    as_json: AsJson = False,
) -> None:
    """Say whether a running service is ready; exits with 1 where it is not. For probes: quick, and without a key."""
    from llm_service.cli.health import show_health

    raise typer.Exit(show_health(url, port=port, live=live, timeout_s=timeout, as_json=as_json))


@app.command()
def models(
    details: Annotated[
        bool, typer.Option("--details", help="Context, prices for a million tokens, modalities, an announced end.")
    ] = False,
    url: Address = DEFAULT_ADDRESS,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List the models of a running service."""
    from llm_service.cli.client import show_models

    raise typer.Exit(show_models(url, key=key, details=details, as_json=as_json))


@app.command()
def limits(
    key_id: Annotated[str | None, typer.Option(help="The limits of this key instead.")] = None,
    user: Annotated[str | None, typer.Option(help="The limits of this user instead.")] = None,
    url: Address = DEFAULT_ADDRESS,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show where the limits of a running service stand; `--key` needs the scope `admin`."""
    from llm_service.cli.limits import show_limits

    raise typer.Exit(show_limits(url, key=key, key_id=key_id, user=user, as_json=as_json))


@app.command()
def audit(
    since: Annotated[str | None, typer.Option(help="From here on: 2026-11-01, or 2026-11-01T12:00:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Up to here, exclusive.")] = None,
    act: Annotated[str | None, typer.Option(help="Such an act: key.revoke.")] = None,
    key_id: Annotated[str | None, typer.Option(help="By this key, admin, local or shell.")] = None,
    subject: Annotated[str | None, typer.Option(help="Done to this: the id of a key, the name of a provider.")] = None,
    outcome: Annotated[
        str | None,
        typer.Option(help="done, refused or failed.", autocompletion=one_of("done", "refused", "failed")),
    ] = None,
    door: Annotated[str | None, typer.Option(help="rest, graphql, dashboard, command or service.")] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=1000)] = 100,
    cursor: Annotated[str | None, typer.Option(help="Where the page before ended.")] = None,
    config: ConfigPath = None,
    data_dir: DataDir = None,
    sandbox: Sandbox = None,
    as_json: AsJson = False,
) -> None:
    """Show what operators did, newest first, with the service stopped or running."""
    from llm_service.cli.audit import show_audit
    from llm_service.cli.where import Where

    asked = {
        "since": since,
        "until": until,
        "act": act,
        "key_id": key_id,
        "subject": subject,
        "outcome": outcome,
        "door": door,
    }
    given = {name: text for name, text in asked.items() if text is not None}
    where = Where(config, data_dir, sandbox)
    raise typer.Exit(show_audit(where, given=given, cursor=cursor, limit=limit, as_json=as_json))


@app.command()
def backup(
    target: Annotated[
        Path | None, typer.Argument(help="A new file, or a folder in which it gets a name of its own.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option(help="Remove all but so many of the backups in the folder.", min=1, max=100_000)
    ] = None,
    hash_key: Annotated[
        bool, typer.Option("--hash-key/--no-hash-key", help="Whether the data directory's hash key is in it.")
    ] = True,
    verify: Annotated[
        Path | None, typer.Option("--verify", help="Look through this backup instead of making one.", metavar="FILE")
    ] = None,
    for_schema: Annotated[
        int | None, typer.Option(help="For an older program that knows no newer schema.", min=1, metavar="NUMBER")
    ] = None,
    config: ConfigPath = None,
    data_dir: DataDir = None,
    sandbox: Sandbox = None,
    as_json: AsJson = False,
) -> None:
    """Keep all that must not be lost in one file, with the service stopped or running: docs/operations/backup.md."""
    from llm_service.cli.backup import Asked, back_up, look_through
    from llm_service.cli.where import Where

    if (target is None) == (verify is None):
        raise typer.BadParameter("name where the backup is to be, or one to look through with --verify")
    if verify is not None:
        raise typer.Exit(look_through(verify, as_json=as_json))
    where = Where(config, data_dir, sandbox)
    asked = Asked(keep=keep, with_hash_key=hash_key, for_schema=for_schema)
    raise typer.Exit(back_up(where, target or Path(), asked, as_json=as_json))


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    replace: Annotated[bool, typer.Option("--replace", help="Put aside what is there.")] = False,
    configuration_to: Annotated[
        Path | None, typer.Option(help="Write its configuration file there.", metavar="FILE")
    ] = None,
    config: ConfigPath = None,
    data_dir: DataDir = None,
    sandbox: Sandbox = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup in place, with every service on that data stopped."""
    from llm_service.cli.restore import restore as put_in_place
    from llm_service.cli.where import Where

    where = Where(config, data_dir, sandbox)
    raise typer.Exit(put_in_place(where, file, replace=replace, configuration_to=configuration_to, as_json=as_json))


@app.command()
def top(
    interval: Annotated[float, typer.Option(help="Seconds between two looks.", min=1, max=60)] = 1,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    url: Address = DEFAULT_ADDRESS,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Watch a running service live until Ctrl-C; `--key` needs the scope `read`."""
    from llm_service.cli.top import run_top

    raise typer.Exit(run_top(url, key=key, interval_s=interval, once=once, as_json=as_json))


@app.command()
def chat(
    prompt: Annotated[list[str] | None, typer.Argument(help="What to ask; else a conversation begins.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Model; else the first of the list.", autocompletion=model_names)
    ] = None,
    system: Annotated[str | None, typer.Option(help="System message.")] = None,
    url: Address = DEFAULT_ADDRESS,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Ask a running service from the terminal; the answer is streamed."""
    from llm_service.cli.client import converse

    raise typer.Exit(converse(url, key=key, model=model, system=system, prompt=" ".join(prompt or ()), as_json=as_json))


@app.command()
def sandbox(
    host: Annotated[str, typer.Option(help="Loopback address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8090,
    seed: Annotated[int, typer.Option(help="Same seed, same answers.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Serve simulated providers, for applications to test themselves against."""
    from llm_service.cli.sandbox import run_sandbox

    raise typer.Exit(run_sandbox(host, port, seed=seed, as_json=as_json))


@app.command("help")
def help_(
    words: Annotated[
        list[str] | None,
        typer.Argument(help="The command; else the program.", metavar="COMMAND", autocompletion=command_names),
    ] = None,
    man: Annotated[bool, typer.Option("--man", help="Print the manual of all commands as a page for man(1).")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the help of a command, of everything below it as JSON, or the whole manual."""
    from llm_service.cli.manual import show_help

    raise typer.Exit(show_help(app, words or (), man=man, as_json=as_json))


@app.command("completion")
def complete(
    shell: Annotated[
        str, typer.Argument(help="bash, zsh or fish.", metavar="SHELL", autocompletion=one_of("bash", "zsh", "fish"))
    ],
    as_json: AsJson = False,
) -> None:
    """Print what makes a shell complete commands, options and values."""
    raise typer.Exit(completion.show_completion(shell, as_json=as_json))
