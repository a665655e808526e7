"""``check-config`` and ``config-schema``: what a configuration comes to, before anything starts."""

from pathlib import Path

import orjson
import pytest

from tests.unit.cli.conftest import Command

PROVIDER = "providers:\n  mine: {base_url: 'https://example.com/v1', ca_file: ca.pem}\n"


def test_without_a_file_it_says_that_the_service_would_be_a_sandbox(command: Command) -> None:
    checked = orjson.loads(command("check-config", "--json").stdout)
    assert (checked["ok"], checked["source"], checked["sandbox"], checked["notes"]) == (True, None, True, [])
    assert checked["settings"]["server"]["port"] == 8080


def test_a_configuration_that_would_not_start_is_noted(command: Command) -> None:
    for_people = command("check-config", LLM_SERVICE_SANDBOX="off")
    as_json = orjson.loads(command("check-config", "--json", LLM_SERVICE_SANDBOX="off").stdout)
    assert for_people.exit_code == 0
    assert "note: No provider is configured." in for_people.stdout
    assert as_json["notes"][0].startswith("No provider is configured.")


def test_notes_of_the_settings_are_shown(command: Command) -> None:
    checked = command("check-config", LLM_SERVICE_PORT="9000")
    assert "note: LLM_SERVICE_PORT is Kubernetes' and ignored" in checked.stdout


def test_the_variable_of_the_client_commands_is_no_mistake(command: Command) -> None:
    assert command("check-config", LLM_SERVICE_KEY="sk-test-0123456789").exit_code == 0


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), ("junk", "holds no certificate in PEM form")])
@pytest.mark.parametrize("arguments", [("check-config",), ("serve",), ("providers", "test")])
def test_authorities_that_cannot_be_used_are_a_mistake(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], content: str | None, reason: str
) -> None:
    (tmp_path / "llm-service.yaml").write_text(PROVIDER)
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    refused = command(*arguments)
    assert refused.exit_code == 2
    assert f"llm-service.yaml:2:55: providers.mine.ca_file cannot be used: {reason}" in refused.stderr


def test_a_notifiers_authorities_are_looked_at_as_well(command: Command, tmp_path: Path) -> None:
    notifier = "notifiers:\n  ops: {kind: slack, webhook_url: 'https://h/x', ca_file: ca.pem}\n"
    (tmp_path / "llm-service.yaml").write_text(notifier)
    assert "notifiers.ops.ca_file cannot be used: No such file" in command("check-config").stderr


def test_the_schema_is_json_with_and_without_being_asked_for(command: Command) -> None:
    plain, asked = command("config-schema"), command("config-schema", "--json")
    assert plain.stdout == asked.stdout
    assert orjson.loads(plain.stdout)["properties"].keys() >= {"server", "providers", "models"}
