"""The commands under ``keys`` with their options.

Typer reads the options off a command's signature: two commands that take the same ones both name them.
"""

from collections.abc import Collection
from types import MappingProxyType
from typing import Annotated, Any, Final

import typer

from llm_service.cli.arguments import AsJson, ConfigPath, DataDir, Sandbox
from llm_service.cli.commands import Commands
from llm_service.cli.completing import model_names, one_of
from llm_service.cli.where import Where

keys_app = Commands(help="Api keys, with the service stopped or running.")

KeyId = Annotated[str, typer.Argument(help="Id of the key.", metavar="ID")]
User = Annotated[str | None, typer.Option(help="Whose requests these are.")]
Rpm = Annotated[int | None, typer.Option("--requests-per-minute", help="Requests in any 60 seconds.")]
Tpm = Annotated[int | None, typer.Option("--tokens-per-minute", help="Tokens in any 60 seconds.")]
AtOnce = Annotated[int | None, typer.Option("--concurrent-requests", help="Requests at the same time.")]
Budget = Annotated[str | None, typer.Option("--budget-usd", help="US dollars in a period, such as 12.50.")]
Period = Annotated[
    str | None,
    typer.Option(
        "--budget-period",
        help="hour, day, week, month or total.",
        autocompletion=one_of("hour", "day", "week", "month", "total"),
    ),
]
ModelNames = Annotated[
    list[str] | None,
    typer.Option("--model", help="A model or pattern ('deepseek/*'); repeat it.", autocompletion=model_names),
]
Scopes = Annotated[
    list[str] | None,
    typer.Option(
        "--scope", help="inference, read or admin; repeat it.", autocompletion=one_of("inference", "read", "admin")
    ),
]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="name=text; repeat it.", metavar="NAME=TEXT")]
ExpiresAt = Annotated[str | None, typer.Option(help="RFC 3339, such as 2030-01-31T12:00:00Z.")]
OnDisconnect = Annotated[str | None, typer.Option(help="cancel or finish.", autocompletion=one_of("cancel", "finish"))]
SemanticCache = Annotated[
    bool | None, typer.Option("--semantic-cache/--no-semantic-cache", help="Answers to questions in other words.")
]

OPTIONS: Final = MappingProxyType({"models": "--model", "scopes": "--scope", "tags": "--tag"})
"""The options that are not called as the field is: they are repeated."""


@keys_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    user: User = None,
    requests_per_minute: Rpm = None,
    tokens_per_minute: Tpm = None,
    concurrent_requests: AtOnce = None,
    budget_usd: Budget = None,
    budget_period: Period = None,
    models: ModelNames = None,
    scopes: Scopes = None,
    tags: Tags = None,
    expires_at: ExpiresAt = None,
    on_disconnect: OnDisconnect = None,
    semantic_cache: SemanticCache = None,
    config: ConfigPath = None,
    data_dir: DataDir = None,
    sandbox: Sandbox = None,
    as_json: AsJson = False,
) -> None:
    """Make a key; its secret is shown this once."""
    from llm_service.cli.keys import create_key

    fields = fields_of(
        name=name,
        user=user,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        concurrent_requests=concurrent_requests,
        budget_usd=budget_usd,
        budget_period=budget_period,
        models=models,
        scopes=scopes,
        tags=tags_of(tags),
        expires_at=expires_at,
        on_disconnect=on_disconnect,
        semantic_cache=semantic_cache,
    )
    raise typer.Exit(create_key(Where(config, data_dir, sandbox), fields, as_json=as_json))


@keys_app.command("list")
def list_(
    after: Annotated[str | None, typer.Option(help="Id of the last key of the page before.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many keys at most.")] = 100,
    config: ConfigPath = None,
    data_dir: DataDir = None,
    sandbox: Sandbox = None,
    as_json: AsJson = False,
) -> None:
    """List keys, oldest first."""
    from llm_service.cli.keys import list_keys

    raise typer.Exit(list_keys(Where(config, data_dir, sandbox), after=after, limit=limit, as_json=as_json))


@keys_app.command("show")
def show(
    key_id: KeyId, config: ConfigPath = None, data_dir: DataDir = None, sandbox: Sandbox = None, as_json: AsJson = False
) -> None:
    """Show one key."""
    from llm_service.cli.keys import get_key

    raise typer.Exit(get_key(Where(config, data_dir, sandbox), key_id, as_json=as_json))


@keys_app.command("update")
def update(
    key_id: KeyId,
    name: Annotated[str | None, typer.Option(help="What the key is for.")] = None,
    user: User = None,
    requests_per_minute: Rpm = None,
    tokens_per_minute: Tpm = None,
    concurrent_requests: AtOnce = None,
    budget_usd: Budget = None,
    budget_period: Period = None,
    models: ModelNames = None,
    scopes: Scopes = None,
    tags: Tags = None,
    expires_at: Annotated[str | None, typer.Option(help="RFC 3339, or now.")] = None,
    on_disconnect: OnDisconnect = None,
    semantic_cache: SemanticCache = None,
    clear: Annotated[
        list[str] | None, typer.Option(help="A field that gets its default, such as user; repeat it.", metavar="FIELD")
    ] = None,
    config: ConfigPath = None,
    data_dir: DataDir = None,
    sandbox: Sandbox = None,
    as_json: AsJson = False,
) -> None:
    """Change a key: what is not given stays."""
    from llm_service.cli.keys import update_key

    fields = fields_of(
        name=name,
        user=user,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        concurrent_requests=concurrent_requests,
        budget_usd=budget_usd,
        budget_period=budget_period,
        models=models,
        scopes=scopes,
        tags=tags_of(tags),
        expires_at=expires_at,
        on_disconnect=on_disconnect,
        semantic_cache=semantic_cache,
    )
    refuse_both(fields, clear or ())
    raise typer.Exit(update_key(Where(config, data_dir, sandbox), key_id, fields, clear=clear or (), as_json=as_json))


@keys_app.command("rotate")
def rotate(
    key_id: KeyId,
    overlap_s: Annotated[
        int | None,
        typer.Option("--overlap-s", help="Seconds for which the former secrets work on; 24 hours unless given."),
    ] = None,
    config: ConfigPath = None,
    data_dir: DataDir = None,
    sandbox: Sandbox = None,
    as_json: AsJson = False,
) -> None:
    """Give a key a new secret; it is shown this once."""
    from llm_service.cli.keys import rotate_key

    raise typer.Exit(rotate_key(Where(config, data_dir, sandbox), key_id, overlap_s=overlap_s, as_json=as_json))


@keys_app.command("revoke")
def revoke(
    key_id: KeyId, config: ConfigPath = None, data_dir: DataDir = None, sandbox: Sandbox = None, as_json: AsJson = False
) -> None:
    """End a key for good; a running service refuses it within a second."""
    from llm_service.cli.keys import revoke_key

    raise typer.Exit(revoke_key(Where(config, data_dir, sandbox), key_id, as_json=as_json))


def fields_of(**options: Any) -> dict[str, Any]:
    """The fields that were given, as the interface takes them."""
    return {name: value for name, value in options.items() if value not in (None, [], {})}


def refuse_both(fields: Collection[str], clear: Collection[str]) -> None:
    """A field cannot get a value and its default at once."""
    for name in clear:
        if name in fields:
            option = OPTIONS.get(name) or "--" + name.replace("_", "-")
            raise typer.BadParameter(f"{option} and --clear {name} say two things: give one of them")


def tags_of(texts: list[str] | None) -> dict[str, str]:
    """Tags from ``name=text``."""
    tags = {}
    for text in texts or ():
        name, equals, tag = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"{text} is not of the form name=text", param_hint="--tag")
        tags[name] = tag
    return tags
