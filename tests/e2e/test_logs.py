"""What a running service says about itself: JSON for machines, lines for people, secrets in neither."""

import asyncio
from pathlib import Path
from typing import Final

import orjson
import pytest

from llm_service.sandbox import Sandbox
from tests.support.process import on_terminal, place, serving
from tests.support.raw_server import read_request
from tests.support.raw_server import serving as serving_raw
from tests.support.rest import ask, connected

CHAT = "/v1/chat/completions"
PROVIDER_KEY: Final = "canary2provider4credential6qk81vb"  # without the usual beginning, by which anybody could tell it
ADMIN_KEY: Final = "canary3admin5credential7zw42mt"
WRONG_KEY: Final = "canary5wrong7credential9hx63pf"
PROMPT: Final = "the canary prompt of which no log may speak"
SECRETS: Final = (*(part for key in (PROVIDER_KEY, ADMIN_KEY, WRONG_KEY) for part in (key, key[-12:])), PROMPT)


async def test_on_a_pipe_every_line_is_json_and_tells_its_request(tmp_path: Path) -> None:
    with serving(place(tmp_path)) as service:
        ok = await ask(service.address, "POST", CHAT, body_of("openai/sandbox/chat"))
        failed = await ask(service.address, "POST", CHAT, body_of("openai/sandbox/error-500"))
        refused = await ask(service.address, "POST", CHAT, b"{")
        service.child.stop()
        service.child.err.all()
    lines = service.log()
    requests = {line["request_id"]: line for line in lines if line["event"] == "request"}
    assert all({"at", "level", "event"} <= line.keys() for line in lines)
    assert (lines[0]["event"], lines[0]["address"], lines[0]["sandbox"]) == ("serving", service.address, True)
    assert [requests[answer.headers["x-request-id"]]["level"] for answer in (ok, failed, refused)] == [
        "info",
        "warning",
        "info",
    ]
    assert requests[failed.headers["x-request-id"]]["error_code"] == "upstream_error"


async def test_on_a_terminal_lines_are_for_people(tmp_path: Path) -> None:
    with on_terminal(place(tmp_path), "serve", "--port", "0") as (service, _):
        said = await asyncio.to_thread(service.out.until_said, "serving")
        address = said.partition("llm-service on ")[2].split()[0]
        answer = await ask(address, "POST", CHAT, body_of("openai/sandbox/chat"))
        said = await asyncio.to_thread(service.out.until_said, answer.headers["x-request-id"])
    assert not any(line.startswith("{") for line in said.splitlines())
    assert "SANDBOX" in said


@pytest.mark.parametrize("level", ["info", "debug"])
async def test_neither_keys_nor_prompts_are_logged_whatever_upstreams_echo(
    tmp_path: Path, sandbox: Sandbox, level: str
) -> None:
    async with serving_raw(echo) as upstream:
        providers = {
            "echo": {"base_url": f"{upstream}/v1", "api_key": PROVIDER_KEY},
            "deepseek": {"base_url": f"{sandbox.address}/deepseek", "api_key": PROVIDER_KEY},
        }
        where = place(
            tmp_path,
            LLM_SERVICE_PROVIDERS=orjson.dumps(providers).decode(),
            LLM_SERVICE_AUTH__ADMIN_KEY=ADMIN_KEY,
            LLM_SERVICE_OBSERVABILITY__LOG_LEVEL=level,
        )
        with serving(where) as service:
            told = await ask_everything(service.address)
            service.child.stop()
            said = service.child.out.all() + service.child.err.all()
    assert len([line for line in service.log() if line["event"] == "request"]) >= len(ECHOES) * 2
    assert [secret for secret in SECRETS if secret in said] == []
    assert [secret for secret in SECRETS[:-1] if secret.encode() in told] == []


# -- an upstream that gives everything away

ECHOES = {
    **{f"status-{status}": status for status in (400, 401, 403, 404, 413, 422, 429, 500, 502, 503)},
    "error-in-200": 200,
    "not-json": 200,
    "error-in-stream": 200,
    "cut": 200,
}


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Fails in the way that the model's name asks for, and repeats the whole request."""
    request = (await read_request(reader)).decode()
    way = next((name for name in ECHOES if f'"{name}"' in request), "status-404")
    said = orjson.dumps({"error": {"message": f"{PROVIDER_KEY}: {request}", "code": "failed", "param": request}})
    if way == "not-json":
        said = request.encode()
    kind = b"application/json"
    if way == "error-in-stream":
        kind, said = b"text/event-stream", b"data: " + said + b"\n\n"
    length = len(said) + (100 if way == "cut" else 0)
    head = b"HTTP/1.1 %d Told\r\ncontent-type: %b\r\ncontent-length: %d\r\nx-echo: %b\r\n\r\n"
    writer.write(head % (ECHOES[way], kind, length, PROVIDER_KEY.encode()) + said)
    await writer.drain()


async def ask_everything(address: str) -> bytes:
    """Good and bad requests of every kind; what came back."""
    flash = body_of("deepseek/deepseek-flash")
    requests: list[tuple[bytes, dict[str, str]]] = [
        *((body_of(f"echo/{way}", stream=stream), {}) for way in ECHOES for stream in (False, True)),
        *((body_of("deepseek/deepseek-flash", stream=stream), {}) for stream in (False, True)),
        (flash, {"Authorization": f"Bearer {WRONG_KEY}"}),
        (flash, {"x_api_key": ADMIN_KEY}),
        (flash, {"Host": PROMPT}),
        (f'{{"messages": "{PROMPT}'.encode(), {}),
        (orjson.dumps({"model": "echo/x", "messages": PROMPT}), {}),
    ]
    answers = [await ask(address, "POST", CHAT, body, **headers) for body, headers in requests]
    answers.append(await ask(address, "GET", f"/v1/models?key={ADMIN_KEY}"))
    async with connected(address) as connection:
        connection.writer.write(f"GET /{PROMPT}/{WRONG_KEY} HTTP/1.1\r\nAuthorization {ADMIN_KEY}\r\n\r\n".encode())
        answers.append(await connection.answer())
    return b"".join(answer.body + repr(answer.headers).encode() for answer in answers)


def body_of(model: str, **other: object) -> bytes:
    return orjson.dumps({"model": model, "messages": [{"role": "user", "content": PROMPT}], **other})
