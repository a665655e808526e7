"""``help``: the same help, in three forms."""

import shutil
import subprocess

import orjson
import pytest

from llm_service import __version__
from llm_service.cli.app import app
from llm_service.cli.manual import page
from llm_service.cli.reference import commands
from tests.unit.cli.conftest import Command


def test_help_of_a_command_is_what_it_says_itself(command: Command) -> None:
    assert command("help", "keys", "create").stdout.rstrip() == command("keys", "create", "--help").stdout.rstrip()
    assert "Commands:" in command("help").stdout


def test_help_of_an_unknown_command_names_those_that_there_are(command: Command) -> None:
    refused = command("help", "keys", "crate")
    assert refused.exit_code == 2
    assert "There is no command llm-service keys crate; llm-service keys has create, list" in refused.stderr


def test_help_as_json_has_everything_below(command: Command) -> None:
    told = orjson.loads(command("help", "keys", "--json").stdout)
    assert [one["path"] for one in told[:3]] == [["keys"], ["keys", "create"], ["keys", "list"]]
    assert told[1]["exits"]["0"] == "Done."


def test_the_manual_has_every_command_and_option_and_is_the_same_each_time() -> None:
    every = [*commands(app)]
    manual = page(every, version=__version__)
    assert manual == page(every, version=__version__)
    for one in every[1:]:
        assert one.usage.replace("-", "\\-") in manual
        assert all(name.replace("-", "\\-") in manual for option in one.options for name in option.names)
        assert all(line.replace("\\", "\\e").replace("-", "\\-") in manual for line in one.examples)
        assert all(text.replace("-", "\\-") in manual for text in one.exits.values())


def test_the_manual_names_no_command_beside_it(command: Command) -> None:
    assert command("help", "--man", "keys").exit_code == 2


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_has_nothing_to_say_against_the_manual(command: Command) -> None:
    manual = command("help", "--man").stdout
    rendered = subprocess.run(
        ["groff", "-man", "-ww", "-Tascii", "-P-c"], input=manual, capture_output=True, text=True, check=True
    )
    assert rendered.stderr == ""
    assert "llm-service chat --model deepseek/deepseek-flash\n" in rendered.stdout
    assert f"llm-service {__version__}" in rendered.stdout
