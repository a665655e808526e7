"""Configurations as people have them: what each becomes, what is said of it, and that ``check-config`` takes it.

We wrote all of ``tests/corpora/litellm`` for this. After a change that is meant, in each of its folders:
``llm-service import litellm config.yaml --output expected.yaml --force --json > report.json``, and read the difference.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_service.migration import Found, from_litellm, read_litellm, stand_ins
from tests.unit.cli.conftest import Command, command

__all__ = ["command"]

CORPUS = Path(__file__).parents[2] / "corpora" / "litellm"
CASES = sorted(folder.name for folder in CORPUS.iterdir() if (folder / "config.yaml").exists())
MALFORMED = sorted((CORPUS / "malformed").glob("*.yaml"))
WITHOUT_LOSS = ("minimal",)


@pytest.mark.parametrize("case", CASES)
def test_a_configuration_becomes_what_is_expected(
    case: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CORPUS / case)
    written = tmp_path / "expected.yaml"
    done = command("import", "litellm", "config.yaml", "--json", "--output", str(written))
    expected = json.loads(Path("report.json").read_text(encoding="utf-8"))
    assert json.loads(done.stdout) == {**expected, "output": str(written)}
    assert written.read_text(encoding="utf-8") == Path("expected.yaml").read_text(encoding="utf-8")
    assert done.exit_code == (0 if case in WITHOUT_LOSS else 3)


@pytest.mark.parametrize("case", CASES)
def test_the_result_passes_the_check_of_the_service(case: str, command: Command) -> None:
    variables = stand_ins(from_litellm(read_litellm(CORPUS / case / "config.yaml")).settings)
    checked = command("check-config", "--config", str(CORPUS / case / "expected.yaml"), **variables)
    assert (checked.exit_code, checked.stderr) == (0, "")


@pytest.mark.parametrize("case", CASES)
def test_everything_in_a_configuration_is_spoken_of(case: str) -> None:
    source = read_litellm(CORPUS / case / "config.yaml")
    said = {item.path for item in from_litellm(source).report.items}
    assert [path for path in leaves(source) if not spoken_of(path, said)] == []


@pytest.mark.parametrize("case", CASES)
def test_no_secret_of_a_configuration_is_shown(case: str, command: Command) -> None:
    for arguments in ((), ("--json",)):
        done = command("import", "litellm", str(CORPUS / case / "config.yaml"), *arguments)
        assert "canary" not in done.stdout + done.stderr


@pytest.mark.parametrize("file", MALFORMED, ids=lambda file: file.stem)
def test_a_file_that_is_none_is_refused_with_its_line(
    file: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    expected: dict[str, list[str]] = json.loads(Path("expected.json").read_text(encoding="utf-8"))
    done = command("import", "litellm", file.name)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines() == expected[file.stem]
    assert "canary" not in done.stderr


def leaves(found: Found) -> Iterator[str]:
    """The paths of all single values, and of what is empty."""
    below = found.below()
    if not below and found.path:
        yield found.path
    for one in below:
        yield from leaves(one)


def spoken_of(path: str, said: set[Any]) -> bool:
    return any(path == one or path.startswith((f"{one}.", f"{one}[")) for one in said)
