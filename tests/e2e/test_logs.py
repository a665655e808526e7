"""What a running service says about itself: JSON for machines, lines for people, secrets in neither."""

import asyncio
import gzip
from pathlib import Path
from typing import Final

import orjson
import pytest

from llm_service.sandbox import Sandbox
from tests.support.process import on_terminal, place, run, serving
from tests.support.raw_server import read_request
from tests.support.raw_server import serving as serving_raw
from tests.support.rest import ask, connected, events_of
from tests.support.waiting import until_answered
from tests.support.workers import log_of, workers_of

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


# -- at run time


async def test_the_level_changes_in_every_worker_for_a_while_and_is_shown(tmp_path: Path) -> None:
    with serving(place(tmp_path), "--workers", "2") as service:
        workers = set(workers_of(service))

        def who_tells_details() -> set[object]:
            return {line["worker"] for line in log_of(service) if line["event"] == "http"}

        async def all_tell() -> bool:
            await ask(service.address, "GET", "/health/live")
            return who_tells_details() == workers

        for _ in range(8):
            await ask(service.address, "GET", "/health/live")
        before = who_tells_details()
        body = {"log_level": "debug", "log_level_for_s": 600}
        changed = await ask(service.address, "PATCH", "/admin/config", orjson.dumps(body))
        await until_answered(all_tell, within_s=20)
        put_back = await ask(service.address, "PATCH", "/admin/config", b'{"log_level": null}')
        told = [line for line in log_of(service) if line["event"] == "http"]
    assert (before, changed.status, put_back.json()["overrides"]["log_level"]) == (set(), 200, None)
    assert changed.json()["overrides"]["log_level"]["level"] == "debug"
    assert {(line["level"], line["method"], line["route"], line["status"]) for line in told} >= {
        ("debug", "GET", "/health/live", 200)
    }


async def test_prompts_and_answers_are_logged_where_that_is_wanted(tmp_path: Path) -> None:
    on = {
        "LLM_SERVICE_OBSERVABILITY__LOG_CONTENT": "true",
        "LLM_SERVICE_OBSERVABILITY__LOG_CONTENT_MAX_BYTES": "40",
    }
    with serving(place(tmp_path, cached=True, **on)) as service:
        body = body_of("openai/sandbox/chat")
        answers = [await ask(service.address, "POST", CHAT, body) for _ in range(2)]
        streamed = await ask(service.address, "POST", CHAT, body_of("openai/sandbox/chat", stream=True, seed=7))
        service.child.stop()
        service.child.err.all()
    told = {line["request_id"]: line for line in service.log() if line["event"] == "request"}
    said = answers[0].json()["choices"][0]["message"]["content"]
    deltas = [event["choices"][0]["delta"] for event in events_of(streamed.body)[:-1] if event["choices"]]
    streams = "".join(delta.get("content") or "" for delta in deltas)
    assert [told[answer.headers["x-request-id"]]["cache"] for answer in answers] == ["miss", "hit"]
    for answer, text in ((answers[0], said), (answers[1], said), (streamed, streams)):
        line = told[answer.headers["x-request-id"]]
        ((question,), (spoken,)) = orjson.loads(line["prompt"]), orjson.loads(line["answer"])
        assert question["role"] == "user"
        assert question["parts"][0]["content"].startswith("the canary prompt")
        assert " [cut: 40 of " in question["parts"][0]["content"]
        assert text
        assert spoken["parts"][-1]["content"].startswith(text[:20])
        assert spoken["finish_reason"] == "stop"
    assert any("log_content" in line.get("note", "") for line in service.log())


# -- into a file


async def test_the_lines_of_several_workers_come_whole_into_files_of_a_bounded_size(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    options = {
        "LLM_SERVICE_OBSERVABILITY__LOG_FILE": str(folder / "service.log"),
        "LLM_SERVICE_OBSERVABILITY__LOG_MAX_BYTES": "8192",
        "LLM_SERVICE_OBSERVABILITY__LOG_KEEP": "1000",
    }
    with serving(place(tmp_path, **options), "--workers", "2") as service:
        answers = await asyncio.gather(
            *(ask(service.address, "POST", CHAT, body_of("openai/sandbox/chat")) for _ in range(150))
        )
        service.child.stop()
        on_stderr = service.child.err.all()
    files = [one for one in folder.iterdir() if not one.with_name(f"{one.name}.gz").exists()]  # else that one is whole
    raw = [gzip.decompress(one.read_bytes()) if one.suffix == ".gz" else one.read_bytes() for one in files]
    lines = [orjson.loads(line) for part in raw for line in part.splitlines()]
    told = [line["request_id"] for line in lines if line["event"] == "request"]
    assert sorted(told) == sorted(answer.headers["x-request-id"] for answer in answers)
    assert {line["worker"] for line in lines if line["event"] == "request"} == {1, 2}
    assert len(files) > 3
    assert max(map(len, raw)) <= 8192
    assert {"serving", "worker ready", "stopped"} <= {line["event"] for line in lines}
    assert on_stderr == ""


def test_a_log_file_that_cannot_be_written_is_said_before_anything_begins(tmp_path: Path) -> None:
    done = run(place(tmp_path, LLM_SERVICE_OBSERVABILITY__LOG_FILE=str(tmp_path / "none" / "x.log")), "serve")
    assert (done.code, "observability.log_file cannot be written" in done.err) == (2, True)


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
    answers += [await ask(address, "GET", path) for path in (f"/{WRONG_KEY}", "/graphql")]
    await ask(address, "GET", f"/admin/keys/{WRONG_KEY}")  # which tells its client what it asked for
    async with connected(address) as connection:
        connection.writer.write(f"GET /{PROMPT}/{WRONG_KEY} HTTP/1.1\r\nAuthorization {ADMIN_KEY}\r\n\r\n".encode())
        answers.append(await connection.answer())
    return b"".join(answer.body + repr(answer.headers).encode() for answer in answers)


def body_of(model: str, **other: object) -> bytes:
    return orjson.dumps({"model": model, "messages": [{"role": "user", "content": PROMPT}], **other})
