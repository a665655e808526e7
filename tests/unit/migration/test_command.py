"""``import litellm``: what it writes, where, and what it says to people and programs."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Command, command

__all__ = ["command"]

SECRET = "sk-test-canary-31d5"
CONFIG = f"""\
model_list:
  - model_name: chat
    litellm_params: {{model: openai/gpt-4o, api_key: {SECRET}, temperature: 0.2}}
  - model_name: second
    litellm_params: {{model: openai/gpt-4o-mini, api_key: {SECRET}}}
  - model_name: other
    litellm_params: {{model: openai/gpt-4o, api_key: sk-test-canary-other}}
"""


@pytest.fixture(autouse=True)
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def test_the_configuration_goes_to_standard_output_and_the_report_beside_it(command: Command) -> None:
    done = command("import", "litellm", "config.yaml")
    assert done.exit_code == 3
    assert done.stdout.startswith("# Made of config.yaml by `llm-service import litellm`")
    assert "config.yaml:3  model_list[0].litellm_params.temperature" in done.stderr
    assert "Let clients send it." in done.stderr


def test_a_file_that_is_there_is_not_replaced_unless_that_is_wished(command: Command, tmp_path: Path) -> None:
    (tmp_path / "llm-service.yaml").write_text("mine", encoding="utf-8")
    refused = command("import", "litellm", "config.yaml", "--output", "llm-service.yaml")
    assert refused.exit_code == 2
    assert refused.stderr == "llm-service.yaml is there already: give another name, or --force to replace it.\n"
    assert (tmp_path / "llm-service.yaml").read_text(encoding="utf-8") == "mine"
    assert command("import", "litellm", "config.yaml", "--output", "llm-service.yaml", "--force").exit_code == 3
    assert (tmp_path / "llm-service.yaml").read_text(encoding="utf-8").startswith("# Made of")


def test_the_file_that_is_read_is_never_replaced(command: Command, config: Path) -> None:
    refused = command("import", "litellm", "config.yaml", "--output", "config.yaml", "--force")
    assert (refused.exit_code, refused.stderr) == (2, "config.yaml is the file that is read: give another name.\n")
    assert config.read_text(encoding="utf-8") == CONFIG


def test_a_folder_that_is_not_there_is_said(command: Command) -> None:
    refused = command("import", "litellm", "config.yaml", "--output", "nowhere/llm-service.yaml")
    assert (refused.exit_code, refused.stderr) == (
        2,
        "nowhere/llm-service.yaml cannot be written: No such file or directory.\n",
    )


def test_programs_get_configuration_and_report_as_one_object(command: Command) -> None:
    done = command("import", "litellm", "config.yaml", "--json")
    report = json.loads(done.stdout)
    assert (done.exit_code, done.stderr, report["ok"]) == (3, "", True)
    assert report["configuration"].startswith("# Made of")
    assert report["counts"]["lost"] == 1
    (lost,) = [item for item in report["items"] if item["outcome"] == "lost"]
    assert lost["path"] == "model_list[0].litellm_params.temperature"
    assert (lost["file"], lost["line"]) == ("config.yaml", 3)


def test_one_secret_has_one_variable_and_another_has_its_own(command: Command) -> None:
    report = json.loads(command("import", "litellm", "config.yaml", "--json").stdout)
    assert report["variables"] == [
        {
            "name": "OPENAI_API_KEY",
            "stood_in": ["model_list[0].litellm_params.api_key", "model_list[1].litellm_params.api_key"],
        },
        {"name": "OPENAI_API_KEY_2", "stood_in": ["model_list[2].litellm_params.api_key"]},
    ]
    assert SECRET not in json.dumps(report)


def test_a_secret_never_takes_the_variable_of_another_key(command: Command, config: Path) -> None:
    config.write_text(CONFIG.replace("sk-test-canary-other", "os.environ/OPENAI_API_KEY"), encoding="utf-8")
    report = json.loads(command("import", "litellm", "config.yaml", "--json").stdout)
    assert [one["name"] for one in report["variables"]] == ["OPENAI_API_KEY_2", "OPENAI_API_KEY"]


def test_mistakes_are_said_to_programs_as_well(command: Command, config: Path) -> None:
    config.write_text("model_list: [", encoding="utf-8")
    done = command("import", "litellm", "config.yaml", "--json")
    refused = json.loads(done.stdout)
    assert (done.exit_code, refused["ok"]) == (2, False)
    assert refused["mistakes"][0]["place"].startswith("config.yaml:1:")
