"""The command line in the test's own process: nothing is configured but what the test says."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from llm_service.cli.app import app
from llm_service.config.environment import USUAL_NAMES

Command = Callable[..., Result]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Runs a command line in an empty folder, which is the home as well."""
    minded = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for name in (*USUAL_NAMES, "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()

    def run(*arguments: str, stdin: str = "", **variables: str) -> Result:
        return runner.invoke(app, arguments, input=stdin, env=variables, catch_exceptions=False)

    yield run
    for number, handler in minded.items():  # uvloop leaves its own behind, and whoever comes next would be deaf
        signal.signal(number, handler)
