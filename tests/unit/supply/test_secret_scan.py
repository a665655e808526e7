"""No file that is tracked holds a secret, and a real one would be seen."""

from random import Random

import pytest
from scripts.supply import secrets
from scripts.supply.secrets import found_in

from tests.support.secret_forms import secret

REAL = secret("openrouter", Random(1))


def found(name: str, text: str) -> list[tuple[int, str]]:
    return [(line, label) for line, label, _ in found_in(name, text)]


def test_no_tracked_file_holds_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    assert secrets.main() == 0, capsys.readouterr().err


@pytest.mark.parametrize("name", ["src/llm_service/a.py", "docs/keys.md", "tests/unit/test_a.py", "fuzz/corpus/sse/a"])
def test_a_key_is_found_wherever_it_stands(name: str) -> None:
    assert found(name, f"first\nkey = '{REAL}'\n") == [(2, "provider_key")]


def test_keys_of_tests_have_to_look_like_tests_and_stand_among_tests() -> None:
    invented = "sk-test-4b7e20d9f1c86a35"
    assert found("tests/support/a.py", f"KEY = '{invented}'") == []
    assert found("src/llm_service/a.py", f"KEY = '{invented}'") == [(1, "provider_key")]


def test_what_is_found_is_not_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(secrets, "tracked", lambda: ["pyproject.toml"])
    monkeypatch.setattr(secrets, "found_in", lambda name, text: found_in(name, REAL))
    assert secrets.main() == 1
    told = capsys.readouterr()
    assert "pyproject.toml:1: provider_key" in told.err
    assert REAL[10:20] not in told.err + told.out
