"""The tables of docs/websocket.md name what there is."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from llm_service.api.websocket import close_codes
from llm_service.api.websocket.asked import OPTIONS
from llm_service.sandbox import Sandbox
from tests.support.service import Running, running
from tests.support.shared_answers import settings_for

PAGE = (Path(__file__).parents[2] / "docs" / "websocket.md").read_text()
DEADLINE_S = 30


@pytest.fixture
async def service(sandbox: Sandbox) -> AsyncIterator[Running]:
    async with running(settings_for(sandbox)) as service:
        yield service


def told_fields(kind: str) -> tuple[set[str], bool]:
    """The fields of a frame of the service, as the page names them, and whether it has more (``...``)."""
    (form,) = re.findall(rf'^\| `\{{"type": "{re.escape(kind)}"(.*?)\}}` \|', PAGE, re.MULTILINE)
    return {"type", *re.findall(r'"(\w+)"', form)}, form.endswith("...")


async def test_each_frame_of_the_service_has_the_fields_that_are_told(service: Running) -> None:
    url = f"{service.address.replace('http', 'ws', 1)}/v1/ws"
    request = {"model": "deepseek/deepseek-flash", "messages": [{"role": "user", "content": "What is 12 * 12?"}]}
    frames = dict[str, dict[str, Any]]()
    async with connect(url) as socket, asyncio.timeout(DEADLINE_S):
        await socket.send(json.dumps({"type": "ping"}))
        await socket.send(json.dumps({"type": "chat.create", "id": "a", "request": {}}))
        await socket.send(json.dumps({"type": "chat.create", "id": "b", "request": request}))
        while "chat.done" not in frames:
            frame = json.loads(await socket.recv())
            frames[frame["type"]] = frame
    assert set(frames) == {"pong", "error", "chat.started", "chat.chunk", "chat.done"}
    for kind, frame in frames.items():
        told, has_more = told_fields(kind)
        assert told <= set(frame) if has_more else told == set(frame), kind


async def test_the_frames_of_clients_are_those_that_are_told(service: Running) -> None:
    sent = {kind for kind, _ in re.findall(r'^\| `\{"type": "([\w.]+)"(.*?)\}` \| (?=[A-Z])', PAGE, re.MULTILINE)}
    url = f"{service.address.replace('http', 'ws', 1)}/v1/ws"
    async with connect(url) as socket, asyncio.timeout(DEADLINE_S):
        await socket.send(json.dumps({"type": "none"}))
        refused = json.loads(await socket.recv())["error"]["message"]
    assert sent == {*refused.partition("there are ")[2].rstrip(".").split(", "), "auth"}


def test_every_close_code_is_told() -> None:
    section = PAGE.partition("## Close codes")[2].partition("\n## ")[0]
    told = {int(code) for row in re.findall(r"^\| (\d[\d, ]*) \|", section, re.MULTILINE) for code in row.split(", ")}
    ours = {code for name, code in vars(close_codes).items() if name.isupper()}
    of_the_protocol = 1002  # by the library that reads frames
    assert told == ours - {close_codes.ABNORMAL} | {of_the_protocol}


def test_every_option_is_told() -> None:
    (paragraph,) = re.findall(r"`options`, all of them optional: (.*?)\. They mean", PAGE, re.DOTALL)
    named = {name for name in re.findall(r"`([a-z_]+)`", paragraph) if name not in ("cancel", "finish")}
    assert named == OPTIONS
