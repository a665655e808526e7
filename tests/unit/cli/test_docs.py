"""The commands of the user guides run as they are written."""

import re
import shlex
from pathlib import Path

import pytest

from llm_service.config import load_settings
from tests.unit.cli.conftest import Command

DOCS = Path(__file__).parents[3] / "docs"


def blocks(name: str, language: str) -> list[str]:
    text = (DOCS / name).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(name: str) -> list[list[str]]:
    lines = [line for block in blocks(name, "sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("llm-service ")]


@pytest.mark.parametrize("arguments", commands("usage.md"), ids=" ".join)
def test_a_command_of_the_guide_to_usage_does_its_work(arguments: list[str], command: Command) -> None:
    assert command("keys", "create", "n").exit_code == 0  # which makes the database
    done = command(*arguments)
    assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", commands("security.md"), ids=" ".join)
def test_a_command_of_the_guide_to_security_is_understood(arguments: list[str], command: Command) -> None:
    assert command("keys", "create", "n").exit_code == 0  # which makes the database
    done = command(*arguments)
    assert (done.exit_code, done.stderr) == (0, "")


def of_a_service(arguments: list[str]) -> bool:
    """Whether a command of the guide to the cache asks a running service."""
    return arguments[:2] in (["cache", "stats"], ["cache", "purge"])


@pytest.mark.parametrize("arguments", [*filter(of_a_service, commands("cache.md"))], ids=" ".join)
def test_a_command_of_the_guide_to_the_cache_is_understood(arguments: list[str], command: Command) -> None:
    asked = command(*arguments, "--url", "http://127.0.0.1:1")
    assert asked.exit_code == 1
    assert "No service answers at http://127.0.0.1:1" in asked.stderr + asked.stdout


def test_the_commands_of_the_guide_to_the_cache_try_other_settings(command: Command) -> None:
    assert command("keys", "create", "n").exit_code == 0  # which makes the database
    for arguments in commands("cache.md"):
        if not of_a_service(arguments):
            done = command(*arguments)
            assert (done.exit_code, done.stderr) == (0, ""), arguments
    assert Path("ratios.svg").exists()


@pytest.mark.parametrize("arguments", [*commands("limits.md"), *commands("events.md")], ids=" ".join)
def test_a_command_of_the_guides_to_limits_and_events_is_understood(arguments: list[str], command: Command) -> None:
    asked = command(*arguments, "--url", "http://127.0.0.1:1")
    assert asked.exit_code == 1
    assert "No service answers at http://127.0.0.1:1" in asked.stderr + asked.stdout


def test_the_settings_of_the_guide_to_limits_can_be_loaded(tmp_path: Path) -> None:
    (example,) = blocks("limits.md", "yaml")
    (tmp_path / "limits.yaml").write_text(f"{example}\nproviders: {{openrouter: {{api_key: x}}}}\n")
    limits = load_settings(path=tmp_path / "limits.yaml", environ={}, cwd=tmp_path).settings.limits
    assert limits.everybody.budget_period == "day"
    assert limits.per_provider["openrouter"].concurrent_requests == 200


def test_the_commands_of_the_guide_to_providers_are_understood(command: Command) -> None:
    key = {"DEEPSEEK_API_KEY": "sk-test"}
    assert command("keys", "create", "n", **key).exit_code == 0  # which makes the database
    asked = commands("providers.md")
    assert len(asked) == 5
    for arguments in asked:
        done = command(*arguments, **key)
        assert (done.exit_code, done.stderr) == (0, ""), arguments
