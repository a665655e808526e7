"""``models`` and ``chat``: a small client of a running service."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson

from llm_service.cli.configuration import print_json


def show_models(url: str, *, key: str | None, as_json: bool) -> int:
    """List the models."""
    return asyncio.run(_with_client(url, key, _Client.show_models, as_json))


def converse(url: str, *, key: str | None, model: str | None, system: str | None, prompt: str, as_json: bool) -> int:
    """One question, or a conversation until the input ends."""
    return asyncio.run(_with_client(url, key, _Client.converse, model, system, prompt, as_json))


async def _with_client(url: str, key: str | None, act: Any, *arguments: Any) -> int:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    async with aiohttp.ClientSession(url.rstrip("/"), headers=headers, timeout=timeout) as session:
        try:
            code: int = await act(_Client(session), *arguments)
        except aiohttp.ClientConnectorError:
            said = f"No service answers at {url}: start one with `llm-service serve`, or name it with --url."
            print(said, file=sys.stderr)
            return 1
        except _Refused as refused:
            print(refused, file=sys.stderr)
            return 1
        return code


class _Refused(Exception):
    """The service answered with an error."""

    def __init__(self, body: Any) -> None:
        error = body.get("error") if isinstance(body, dict) else None
        if isinstance(error, dict):
            super().__init__(f"{error.get('code')}: {error.get('message')} (request {body.get('request_id')})")
        else:
            super().__init__("The service's answer cannot be understood; is this an llm-service?")


class _Client:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def show_models(self, as_json: bool) -> int:
        models = await self._models()
        if as_json:
            print_json(models)
        else:
            for model in models:
                print(model["id"])
        return 0

    async def converse(self, model: str | None, system: str | None, prompt: str, as_json: bool) -> int:
        if model is None:
            models = await self._models()
            if not models:
                print("The service lists no model; name one with --model.", file=sys.stderr)
                return 1
            model = models[0]["id"]
        messages = [{"role": "system", "content": system}] if system else []
        while True:
            asked = prompt or await asyncio.to_thread(_ask)
            if not asked:
                return 0
            messages.append({"role": "user", "content": asked})
            answer = await self._answer({"model": model, "messages": messages}, as_json=as_json)
            if prompt:
                return 0
            messages.append({"role": "assistant", "content": answer})

    async def _models(self) -> list[dict[str, Any]]:
        async with self._session.get("/v1/models") as response:
            body = await _decoded(response)
        models: list[dict[str, Any]] = body["data"]
        return models

    async def _answer(self, request: dict[str, Any], *, as_json: bool) -> str:
        if as_json:
            async with self._session.post("/v1/chat/completions", json=request) as response:
                body = await _decoded(response)
            print_json(body)
            return str(body["choices"][0]["message"]["content"] or "")
        said = []
        async for text in self._stream({**request, "stream": True}):
            said.append(text)
            print(text, end="", flush=True)
        print()
        return "".join(said)

    async def _stream(self, request: dict[str, Any]) -> AsyncIterator[str]:
        async with self._session.post("/v1/chat/completions", json=request) as response:
            if response.status != 200:
                await _decoded(response)
            async for line in response.content:
                if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
                    continue
                chunk = orjson.loads(line[6:])
                if chunk.get("error"):
                    raise _Refused(chunk)
                for choice in chunk["choices"]:
                    yield choice["delta"].get("content") or ""


async def _decoded(response: aiohttp.ClientResponse) -> Any:
    try:
        body = orjson.loads(await response.read())
    except orjson.JSONDecodeError:
        raise _Refused(None) from None
    if response.status != 200:
        raise _Refused(body)
    return body


def _ask() -> str:
    try:
        return input("> ").strip() if sys.stdin.isatty() else sys.stdin.readline().strip()
    except (EOFError, KeyboardInterrupt):
        return ""
