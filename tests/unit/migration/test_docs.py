"""The examples of the pages on migration are what they say."""

import json
import re
import shlex
from pathlib import Path

from llm_service.config import load_settings
from tests.unit.cli.conftest import Command, command

__all__ = ["command"]

PAGES = Path(__file__).parents[3] / "docs" / "migrate"
VARIABLES = dict.fromkeys(("AZURE_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY", "LITELLM_MASTER_KEY"), "test-value")


def blocks(page: str, language: str) -> list[str]:
    text = (PAGES / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_example_of_litellm_becomes_what_the_page_says(command: Command, tmp_path: Path) -> None:
    theirs, ours = blocks("litellm.md", "yaml")
    (tmp_path / "config.yaml").write_text(theirs, encoding="utf-8")
    done = command("import", "litellm", "config.yaml")
    assert done.exit_code == 0
    assert done.stdout.partition("\n\n")[2] == ours


def test_the_commands_of_the_page_on_litellm_do_their_work_one_after_the_other(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(blocks("litellm.md", "yaml")[0], encoding="utf-8")
    (commands,) = blocks("litellm.md", "sh")
    for line in commands.splitlines():
        done = command(*shlex.split(line, comments=True)[1:], **VARIABLES)
        assert done.exit_code == 0, done.output


def test_the_example_of_portkey_has_the_same_shares_and_bounds(tmp_path: Path) -> None:
    (theirs,), (ours,) = blocks("portkey.md", "json"), blocks("portkey.md", "yaml")
    (tmp_path / "llm-service.yaml").write_text(ours, encoding="utf-8")
    settings = load_settings(path=tmp_path / "llm-service.yaml", environ=VARIABLES, cwd=tmp_path).settings
    config, model = json.loads(theirs), settings.models["pc-chat"]
    balanced, fallback = config["targets"]
    assert [one.weight for one in model.deployments] == [target["weight"] for target in balanced["targets"]]
    assert model.fallbacks == (f"openrouter/{fallback['override_params']['model']}",)
    assert model.cache_ttl_s == config["cache"]["max_age"]
    for provider in settings.providers.values():
        assert provider.max_retries == config["retry"]["attempts"]
        assert provider.timeouts.total_s * 1000 == config["request_timeout"]
