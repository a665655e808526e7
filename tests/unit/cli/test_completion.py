"""A real shell completes commands, options and values."""

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llm_service.cli import completion
from llm_service.cli.app import app
from tests.support.process import SOURCE, Output
from tests.support.waiting import wait_until
from tests.unit.cli.conftest import Command

SETTINGS = """
providers: {deepseek: {api_key: sk-test-0123456789}}
models: {fast: {deployments: [{provider: deepseek, model: deepseek-flash}, {provider: deepseek, model: $(odd)}]}}
"""
WITH_A_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
)
PROGRAM = f"""#!/bin/sh
if [ -n "$_LLM_SERVICE_COMPLETE" ]; then
  exec env PYTHONPATH={SOURCE} {sys.executable} -P -m llm_service "$@"
fi
printf '%s\\n' "$@" >"$HOME/called.new" && mv "$HOME/called.new" "$HOME/called"
"""
READY = "ready-to-type"
SHELLS = {  # the files of a home, and how the shell is started there
    "bash": ({".bashrc": "PS1='{ready} '\n{script}\n"}, ["bash", "-i"]),
    "zsh": ({".zshrc": "autoload -Uz compinit; compinit -u -D\nPS1='{ready} '\n{script}\n"}, ["zsh", "-i"]),
}


def furnished(home: Path) -> dict[str, str]:
    """A home with the program and its settings; the environment of whoever lives there."""
    (home / "llm-service.yaml").write_text(SETTINGS)
    (home / "bin").mkdir()
    (home / "bin" / "llm-service").write_text(PROGRAM)
    (home / "bin" / "llm-service").chmod(0o755)
    return {"HOME": str(home), "PATH": f"{home}/bin:{os.environ['PATH']}", "TERM": "dumb", "LANG": "C.UTF-8"}


@contextmanager
def shell(name: str, home: Path, script: str) -> Iterator[int]:
    """An interactive shell at its prompt; where its keys go."""
    files, command = SHELLS[name]
    for path, text in files.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text.replace("{ready}", READY).replace("{script}", script))
    keys, inside = pty.openpty()
    environ = furnished(home)
    running = subprocess.Popen(
        [sys.executable, "-c", WITH_A_TERMINAL, *command],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        cwd=home,
        env=environ,
        start_new_session=True,
    )
    os.close(inside)
    output = Output(os.fdopen(os.dup(keys), "rb"))
    try:
        output.until(lambda text: READY in text)
        yield keys
    finally:
        running.kill()
        running.wait()
        os.close(keys)


@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_completes_what_is_typed(name: str, command: Command, tmp_path: Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    with shell(name, tmp_path, command("completion", name).stdout) as keys:
        os.write(keys, b"llm-service prov\tdis\tdee\t--js\t\r")
        wait_until((tmp_path / "called").exists, within_s=45)
    assert (tmp_path / "called").read_text().split() == ["providers", "disable", "deepseek", "--json"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_what_is_typed(command: Command, tmp_path: Path) -> None:
    environ, script = furnished(tmp_path), tmp_path / ".config/fish/completions/llm-service.fish"
    script.parent.mkdir(parents=True)
    script.write_text(command("completion", "fish").stdout)
    lines = ["llm-service prov", "llm-service providers disable dee", "llm-service providers disable deepseek --js"]
    asked = "; ".join(f"complete -C '{line}'" for line in lines)
    told = subprocess.run(["fish", "-c", asked], env=environ, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert [line.split("\t")[0] for line in told.stdout.splitlines()] == ["providers", "deepseek", "--json"]


def offered(line: str) -> list[str]:
    """What bash is offered behind a line."""
    completion.prepare()
    words = line.split(" ")
    asked = {completion.VARIABLE: "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    told = CliRunner().invoke(app, [], prog_name="llm-service", env=asked, catch_exceptions=False)
    return told.stdout.split()


CASES = {
    "llm-service pro": ["providers"],
    "llm-service chat --sys": ["--system"],
    "llm-service chat --model ": ["fast", "deepseek/deepseek-flash"],
    "llm-service chat --model deep": ["deepseek/deepseek-flash"],
    "llm-service providers test ": ["deepseek"],
    "llm-service keys create n --budget-period w": ["week"],
    "llm-service usage report --by key,mod": ["key,model"],
    "llm-service help keys ro": ["rotate"],
    "llm-service keys list --config broken.yaml --li": ["--limit"],
    "llm-service chat --model --config broken.yaml": [],
}


@pytest.mark.parametrize("line", CASES)
def test_values_come_from_the_settings_and_nothing_odd_is_offered(line: str, command: Command, tmp_path: Path) -> None:
    (tmp_path / "llm-service.yaml").write_text(SETTINGS)
    (tmp_path / "broken.yaml").write_text("server: {prot: 1}")
    assert offered(line) == CASES[line]


def test_settings_that_cannot_be_used_offer_nothing(command: Command, tmp_path: Path) -> None:
    (tmp_path / "llm-service.yaml").write_text("server: {prot: 1}")
    assert offered("llm-service providers test ") == []


def test_there_is_no_script_for_an_unknown_shell(command: Command) -> None:
    refused = command("completion", "tcsh")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "bash, zsh, fish" in refused.stderr
