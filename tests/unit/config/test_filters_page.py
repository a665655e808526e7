"""The examples of docs/filters.md are settings that can be used."""

import re
from pathlib import Path

import pytest

from llm_service.filters import build
from tests.unit.config.conftest import Configured

DOCUMENT = Path(__file__).parents[3] / "docs" / "filters.md"
HEAD = (
    "providers: {openai: {kind: openai_compatible, base_url: 'http://127.0.0.1:9/v1'}}\n"
    "models: {fast: {deployments: [{provider: openai, model: m}]}}\n"
)
EXAMPLES = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_can_be_copied(configured: Configured, example: str) -> None:
    for name in re.findall(r"words_file: (\S+?\.txt)", example):
        (configured.folder / name).write_text("one\ntwo\n", encoding="utf-8")
    text = example if example.startswith("filters:") else "filters:\n" + re.sub("(?m)^", "  ", example)
    settings = configured.settings(HEAD + text, {"JUDGE_KEY": "secret"})
    assert len(settings.filters) == len(re.findall(r"(?m)^ *- ", example))


def test_every_type_has_its_section() -> None:
    told = re.findall(r"(?m)^### `(\w+)`$", DOCUMENT.read_text(encoding="utf-8"))
    assert told == list(build.TAKES)
