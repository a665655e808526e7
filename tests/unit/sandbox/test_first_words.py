"""The three mounts answer a chat, whole and streamed."""

from __future__ import annotations

import aiohttp
import pytest

from llm_service.sandbox import Sandbox

MOUNTS = [("/openrouter/api/v1", "openai/gpt-4o-mini"), ("/deepseek", "deepseek-flash"), ("/openai/v1", "gpt-4o-mini")]


@pytest.mark.parametrize(("mount", "model"), MOUNTS)
async def test_chat_refers_to_the_question(mount: str, model: str) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": "echo: good morning"}]}
    async with (
        Sandbox(pace_s=0) as sandbox,
        aiohttp.ClientSession(headers={"authorization": "Bearer sk-test-1"}) as http,
    ):
        answer = await (await http.post(f"{sandbox.address}{mount}/chat/completions", json=body)).json()
    assert answer["choices"][0]["message"]["content"] == "good morning"
