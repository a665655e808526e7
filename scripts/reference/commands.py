"""docs/reference/commands.md: every command with its arguments and options, read from the command line's own tree."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer
from scripts.reference.tables import one_of, page, table

from llm_service.cli.app import app

NAME: Final = "llm-service"
WORDS: Final = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "path": "path",
    "file": "path",
    "directory": "path",
}
ABOUT: Final = """\
Every command, as `--help` tells it. `--json` prints JSON where people would get a text; `--config` names the
configuration file, else the variable `LLM_SERVICE_CONFIG` does, else it is `llm-service.yaml` where the command is
called. Secrets are better given by variables than by options, which other users of the machine can read. A command that
did not do its work exits with another code than 0, and says why. The settings are in
[configuration.md](../configuration.md)."""


def text() -> str:
    return page("Commands", ABOUT, sections(typer.main.get_command(app), NAME))


def sections(command: Any, path: str) -> Iterator[str]:
    """A command and those below it. Groups without options of their own are only ways to others."""
    inner = getattr(command, "commands", {})
    parameters = [one for one in command.params if not getattr(one, "hidden", False)]
    if not inner or parameters:
        arguments = [one for one in parameters if one.param_type_name == "argument"]
        yield f"## {path}"
        yield command.help or ""
        yield f"`{' '.join([path, *map(placeholder, arguments)])}`" if arguments else ""
        yield table(["option", "value", "unless given", "meaning"], [row(one) for one in parameters])
    for name, one in inner.items():
        yield from sections(one, f"{path} {name}")


def placeholder(argument: Any) -> str:
    name = (argument.metavar or argument.name.upper()) + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def row(parameter: Any) -> tuple[str, str, str, str]:
    names = [*parameter.opts, *parameter.secondary_opts]
    shown = placeholder(parameter) if parameter.param_type_name == "argument" else ", ".join(names)
    meaning = parameter.help or ""
    if parameter.envvar:
        meaning += f" Else the variable `{parameter.envvar}`."
    return f"`{shown}`", value(parameter), default(parameter), meaning


def value(parameter: Any) -> str:
    kind = parameter.type
    if getattr(parameter, "is_flag", False):
        return ""
    if choices := getattr(kind, "choices", None):
        return one_of(choices)
    word = (
        parameter.metavar
        if parameter.param_type_name == "option" and parameter.metavar
        else WORDS[kind.name.removesuffix(" range")]
    )
    lowest, highest = getattr(kind, "min", None), getattr(kind, "max", None)
    bounds = f", {lowest} to {highest}" if None not in {lowest, highest} else ""
    return word + bounds + ("; repeatable" if getattr(parameter, "multiple", False) else "")


def default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if parameter.default in {None, False} or getattr(parameter, "is_flag", False):
        return ""
    shown = parameter.default
    return f"`{shown}`" if isinstance(shown, str | int | float | Path) else ""
