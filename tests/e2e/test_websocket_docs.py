"""The examples of docs/websocket.md run as they stand, and its tables name what there is."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from llm_service.api.websocket.asked import OPTIONS
from llm_service.sandbox import Sandbox
from tests.support.service import Running, running
from tests.support.shared_answers import settings_for

PAGE = (Path(__file__).parents[2] / "docs" / "websocket.md").read_text()
DEADLINE_S = 30


def example(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


@pytest.fixture
async def service(sandbox: Sandbox) -> AsyncIterator[Running]:
    async with running(settings_for(sandbox)) as service:
        yield service


async def told_by(service: Running, *command: str) -> list[str]:
    """What the program says, line by line."""
    address = f"{service.address.replace('http', 'ws', 1)}/v1/ws"
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "LLM_SERVICE_WS": address},
    )
    async with asyncio.timeout(DEADLINE_S):
        out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode().splitlines()


async def test_the_example_in_python_asks_two_questions_at_once(service: Running, tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(example("python"))
    lines = sorted(await told_by(service, sys.executable, str(tmp_path / "example.py")))
    assert [line[0] for line in lines] == ["a", "b"]
    assert lines[1].startswith("b 12 * 12 = 144 0.0")
    assert len(lines[0]) > 20


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
async def test_the_example_in_javascript_reads_at_its_own_pace(service: Running, tmp_path: Path) -> None:
    (tmp_path / "example.mjs").write_text(example("javascript"))
    said, closed = await told_by(service, "node", "--experimental-websocket", str(tmp_path / "example.mjs"))
    assert len(said) > 20
    assert int(said.split()[-1]) > 20  # more tokens than its first credit
    assert closed == "closed 1000"


def test_every_option_is_told() -> None:
    (paragraph,) = re.findall(r"`options`, all of them optional: (.*?)\. They mean", PAGE, re.DOTALL)
    named = {name for name in re.findall(r"`([a-z_]+)`", paragraph) if name not in ("cancel", "finish")}
    assert named == OPTIONS
