"""Each command says what it is for, what it takes and how it ends, and its examples are command lines that it takes."""

import shlex

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from llm_service.cli.app import app
from llm_service.cli.guides import GUIDES
from llm_service.cli.reference import Command, commands

COMMANDS = {one.path: one for one in commands(app)}
EXAMPLES = [(one.path, line) for one in COMMANDS.values() for line in one.examples]


def understood(words: list[str]) -> tuple[str, ...]:
    """The path of the command that takes these words; nothing runs. Raises what typer makes of wrong ones."""
    command, path = typer.main.get_command(app), ()
    context = command.make_context("llm-service", words)
    while isinstance(command, TyperGroup):
        name, command, words = command.resolve_command(context, words)
        path += (name,)
        context = command.make_context(name, [*words], parent=context)
    return path


def test_every_command_has_a_guide_and_every_guide_its_command() -> None:
    without = {path for path, one in COMMANDS.items() if not one.commands} - GUIDES.keys()
    assert without == set(), "give each an example, and say when it exits with 1: a row in cli/guides.py"
    assert GUIDES.keys() - COMMANDS.keys() == set()
    assert [path for path, guide in GUIDES.items() if not guide.examples] == []


@pytest.mark.parametrize("one", COMMANDS.values(), ids=lambda one: one.name)
def test_it_says_what_it_does_and_what_each_parameter_is_for(one: Command) -> None:
    assert one.summary.endswith("."), "its docstring is its help, and begins with a sentence"
    assert [each.names for each in (*one.arguments, *one.options) if not each.help.endswith(".")] == []
    assert one.commands or any("--json" in option.names for option in one.options)


@pytest.mark.parametrize(("path", "line"), EXAMPLES, ids=[line for _, line in EXAMPLES])
def test_an_example_is_a_command_line_that_its_command_takes(path: tuple[str, ...], line: str) -> None:
    program, *words = shlex.split(line.partition(" > ")[0])
    assert (program, understood(words)) == ("llm-service", path)


def test_an_option_that_does_not_exist_is_not_taken() -> None:
    with pytest.raises(Exception, match="No such option: --limits"):
        understood(["keys", "list", "--limits", "3"])


def test_help_ends_with_variables_exit_codes_and_examples() -> None:
    told = CliRunner().invoke(app, ["keys", "create", "--help"], catch_exceptions=False).stdout
    ending = told.partition("\nEnvironment:\n")[2]
    assert "LLM_SERVICE_CONFIG" in ending
    assert "\nExit codes:\n  0  Done.\n  1  Nothing was done" in ending
    assert "\nExamples:\n  llm-service keys create app\n" in ending


def test_parameters_are_told_with_default_range_and_variable() -> None:
    health = {option.names[0]: option for option in COMMANDS["health",].options}
    assert health["--port"].remarks == (
        "environment: LLM_SERVICE_SERVER__PORT",
        "default: 8080",
        "range: 1<=x<=65535",
    )
    assert health["--live"].value is None
    (name,) = COMMANDS["keys", "create"].arguments
    assert (name.names, name.remarks) == (("NAME",), ("required",))
