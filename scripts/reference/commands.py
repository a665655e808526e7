"""docs/reference/commands.md: every command with its parameters, exit codes and examples, as ``--help`` has them."""

from collections.abc import Iterator, Sequence
from typing import Final

from scripts.reference.tables import one_of, page, table, without_empty_columns

from llm_service.cli.app import app
from llm_service.cli.reference import Command, Parameter, commands

ABOUT: Final = """\
Every command, as `--help` tells it. `--json` prints JSON where people would get a text; `--config` names the
configuration file, else the variable `LLM_SERVICE_CONFIG` does, else it is `llm-service.yaml` where the command is
called, and the variables of [configuration.md](../configuration.md#variables) are read as well. Secrets are better
given by variables than by options, which other users of the machine can read. Each command exits with 0 where it did
its work, and with 2 where its arguments or the settings cannot be used."""
SAID_ABOVE: Final = {0, 2}


def text() -> str:
    return page("Commands", ABOUT, (part for one in commands(app) for part in _parts(one)))


def _parts(command: Command) -> Iterator[str]:
    yield f"## {command.name}"
    yield f"`{command.usage}`"
    yield command.text
    yield f"Its commands: {', '.join(f'`{name}`' for name in command.commands)}." if command.commands else ""
    parameters = [_row(one) for one in (*command.arguments, *command.options) if one.names != ("--help",)]
    head, *rows = without_empty_columns(["parameter", "value", "unless given", "meaning"], parameters)
    yield table(head, rows)
    yield _variables(command)
    yield " ".join(f"Exits with {code}: {said}" for code, said in command.exits.items() if code not in SAID_ABOVE)
    yield "\n".join(f"- `{line}`: {said}" for line, said in command.examples.items())


def _row(parameter: Parameter) -> Sequence[str]:
    names = one_of(parameter.names)
    value = f"`{parameter.value}`" if parameter.value else ""
    default = "required" if parameter.required else f"`{parameter.default}`" if parameter.default else ""
    facts = [parameter.help]
    facts += [f"Range: `{parameter.bounds}`."] if parameter.bounds else []
    facts += [f"Variable: `{parameter.variable}`."] if parameter.variable else []
    repeated = parameter.repeated and "repeat it" not in parameter.help and "may come again" not in parameter.help
    facts += ["May come again."] if repeated else []
    return names, value, default, " ".join(facts)


def _variables(command: Command) -> str:
    own = {name: said for name, said in command.variables.items() if not name.startswith("LLM_SERVICE_")}
    return table(["variable", "meaning"], [(f"`{name}`", said) for name, said in own.items()])
