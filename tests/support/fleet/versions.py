"""The program as it was at a former revision: its sources, taken out of git into a folder."""

import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Final

from tests.support.evidence import CHECKOUT

ASKED_FOR: Final = "LLM_SERVICE_TEST_FORMER"
"""Names the revision from which fleets are upgraded; without it the last tag, else that before the newest schema."""
MIGRATIONS: Final = "src/llm_service/storage/sql/migrations/postgres"


class NoFormer(Exception):
    """There is no former revision here; the message says why."""


def former() -> str:
    """The revision, as git names it. Raises NoFormer."""
    if asked := os.environ.get(ASKED_FOR):
        return _git("rev-parse", "--short=12", f"{asked}^{{commit}}")
    if tag := _said("describe", "--tags", "--abbrev=0", "HEAD^"):
        return tag
    newest = max((CHECKOUT / MIGRATIONS).glob("*.sql")).name
    added = _git("log", "--diff-filter=A", "--format=%H", "-1", "--", f"{MIGRATIONS}/{newest}")
    return _git("rev-parse", "--short=12", f"{added}^")


def sources_of(revision: str, folder: Path) -> Path:
    """The folder with the package of that revision."""
    archive = _run("archive", "--format=tar", revision, "src")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder / "src"


def _git(*arguments: str) -> str:
    if said := _said(*arguments):
        return said
    raise NoFormer(f"git knows no former revision here (git {' '.join(arguments)})")


def _said(*arguments: str) -> str:
    done = _run(*arguments)
    return done.stdout.decode().strip() if done.returncode == 0 else ""


def _run(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(("git", *arguments), cwd=CHECKOUT, capture_output=True, check=False)
    except FileNotFoundError:
        raise NoFormer("git is not installed") from None
