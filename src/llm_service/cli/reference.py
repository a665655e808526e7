"""Every command as the application has it: for ``--help``, the manual and the documentation."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, Final

import typer
from typer.core import TyperArgument, TyperGroup, TyperOption

from llm_service.cli.guides import GUIDES

PROGRAM: Final = "llm-service"
DONE: Final = "Done."
UNUSABLE: Final = (
    "The arguments or the settings cannot be used, or what they name is not to be had; the message says why."
)
SETTINGS: Final = {
    "LLM_SERVICE_CONFIG": "The configuration file, where --config names none.",
    "LLM_SERVICE_...": (
        "Each setting by its path, such as LLM_SERVICE_SERVER__PORT; OPENROUTER_API_KEY and others by usual names "
        "(docs/configuration.md)."
    ),
}
"""What the commands read that take ``--config``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """An argument or an option.

    ``names``: as they are typed, for an argument its place holder. ``value``: the place holder of what an option takes;
    None for a switch. ``default``: None where nothing is said. ``bounds``: ``1<=x<=1000``.
    """

    names: tuple[str, ...]
    help: str
    value: str | None = None
    default: str | None = None
    variable: str | None = None
    bounds: str | None = None
    required: bool = False
    repeated: bool = False

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be known beside its help."""
        facts = {"environment": self.variable, "default": self.default, "range": self.bounds}
        said = [f"{name}: {text}" for name, text in facts.items() if text is not None]
        return (*said, *(["required"] if self.required else []))


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command, or a group of them: then ``commands`` has the names of those under it. ``path`` of the program: ().

    ``text``: what it does; its first line alone is ``summary``. ``examples``: command lines with what they do.
    """

    path: tuple[str, ...]
    usage: str
    text: str
    arguments: tuple[Parameter, ...]
    options: tuple[Parameter, ...]
    commands: tuple[str, ...]
    variables: Mapping[str, str]
    exits: Mapping[int, str]
    examples: Mapping[str, str]

    @property
    def name(self) -> str:
        """As it is typed."""
        return " ".join((PROGRAM, *self.path))

    @property
    def summary(self) -> str:
        """In a line."""
        return self.text.partition("\n")[0]


def commands(app: typer.Typer) -> Iterator[Command]:
    """The program, its groups and all commands that are not hidden, each group before what is in it."""
    root = typer.main.get_command(app)
    yield from _walked(typer.Context(root, info_name=PROGRAM))


def context_of(root: Any, words: Sequence[str], *, program: str) -> Any:
    """Of the command that the words name, as far as they name one."""
    context: Any = typer.Context(root, info_name=program)
    for word in words:
        command = getattr(context.command, "commands", {}).get(word)
        if command is None:
            break
        context = typer.Context(command, info_name=word, parent=context)
    return context


def _walked(context: Any) -> Iterator[Command]:
    yield command_of(context)
    if isinstance(context.command, TyperGroup):
        for name, command in context.command.commands.items():
            if not command.hidden:
                yield from _walked(typer.Context(command, info_name=name, parent=context))


def command_of(context: Any) -> Command:
    """The command of a context of typer's."""
    command, path = context.command, _path(context)
    group = isinstance(command, TyperGroup)
    guide = GUIDES.get(path)
    shown = [one for one in command.get_params(context) if not getattr(one, "hidden", False)]
    options = [_option(one, context) for one in shown if isinstance(one, TyperOption)]
    asked = {one.variable: one.help for one in options if one.variable}
    settings = SETTINGS if any("--config" in one.names for one in options) else {}
    failed = {1: guide.failed} if guide and guide.failed else {}
    return Command(
        path=path,
        usage=" ".join((PROGRAM, *path, *command.collect_usage_pieces(context))),
        text=command.help or "",
        arguments=tuple(_argument(one, context) for one in shown if isinstance(one, TyperArgument)),
        options=tuple(options),
        commands=tuple(name for name, one in command.commands.items() if not one.hidden) if group else (),
        variables={**asked, **settings, **(guide.variables if guide else {})},
        exits={} if group else {0: DONE, **failed, 2: UNUSABLE, **(guide.exits if guide else {})},
        examples=guide.examples if guide else {},
    )


def ending(command: Command) -> str:
    """What ``--help`` says below the options: variables, exit codes, examples; a text of lines."""
    lines = [*_table("Environment", command.variables)]
    lines += _table("Exit codes", {str(code): text for code, text in command.exits.items()})
    if command.examples:
        lines += ["Examples:", *(f"  {line}\n      {text}" for line, text in command.examples.items())]
    return "\n".join(lines) + "\n"


def _table(title: str, rows: Mapping[str, str]) -> Iterator[str]:
    if not rows:
        return
    yield f"{title}:"
    width = min(max(map(len, rows)), 24)
    for name, text in rows.items():
        lines = wrap(text, 76 - width)
        if len(name) > width:
            yield f"  {name}"
        else:
            yield f"  {name:{width}}  {lines.pop(0)}"
        yield from (" " * (width + 4) + line for line in lines)
    yield ""


def _path(context: Any) -> tuple[str, ...]:
    return () if context.parent is None else (*_path(context.parent), context.info_name)


def _argument(one: TyperArgument, context: Any) -> Parameter:
    return Parameter(
        names=(one.human_readable_name.upper(),),
        help=one.help or "",
        default=_default(one.default),
        required=one.required,
        repeated=one.nargs == -1,
    )


def _option(one: TyperOption, context: Any) -> Parameter:
    return Parameter(
        names=(*one.opts, *one.secondary_opts),
        help=one.help or "",
        value=None if one.is_flag else one.make_metavar(context),
        default=None if one.is_flag else _default(one.default),
        variable=one.envvar if isinstance(one.envvar, str) else None,
        bounds=_bounds(one.type),
        required=one.required,
        repeated=one.multiple,
    )


def _default(value: object) -> str | None:
    return None if value in (None, (), []) or callable(value) else str(value)


def _bounds(kind: object) -> str | None:
    least, most = getattr(kind, "min", None), getattr(kind, "max", None)
    if least is None and most is None:
        return None
    return "".join((f"{least}<=" if least is not None else "", "x", f"<={most}" if most is not None else ""))
