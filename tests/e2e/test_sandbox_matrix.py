"""Every behaviour of the simulated providers, through the gateway: one of two endings, in time, without a secret."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import orjson
import pytest

from llm_service.api import ServerOptions
from llm_service.config import Settings
from llm_service.sandbox import Sandbox
from llm_service.sandbox.forms import FRAMINGS, GROUPS
from tests.support.behaviours import MODELS, Case, cases
from tests.support.contract import loaded, mistakes_of_stream, mistakes_of_whole
from tests.support.raw_server import serving
from tests.support.rest import ASKED, Answer, ask, chat_body, events_of
from tests.support.service import CREDENTIAL, Running, running, simulated

PATH = "/v1/chat/completions"
TOTAL_S = 3
GRACE_S = 1.5
KEEP_ALIVE_S = 0.2
CALLERS_FAULT = "invalid_request_error"
UNSPEAKABLE = ("<", "****", "127.0.0.1", "redirected.invalid", "user_SANDBOX", "Traceback", "{")
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
EXTRAS: dict[str, dict[str, Any]] = {
    "Tool calls": {"tools": [TOOL], "tool_choice": "required"},
    "Framing of streams": {"max_tokens": 24},  # byte by byte takes its time
}


@pytest.fixture
async def gateway(sandbox: Sandbox) -> AsyncIterator[Running]:
    providers = simulated(sandbox.address, connect_s=1, first_chunk_s=1, idle_s=0.8, total_s=TOTAL_S)
    async with running(Settings(server=ServerOptions(keep_alive_s=KEEP_ALIVE_S), providers=providers)) as service:
        yield service


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("provider", MODELS)
async def test_every_behaviour_ends_in_one_of_two_ways(
    gateway: Running, provider: str, group: str, stream: bool
) -> None:
    asked = {"model": MODELS[provider], "messages": ASKED, "stream": stream, **EXTRAS.get(group, {})}
    assert [problem async for problem in walked(gateway, PATH, asked, cases(provider, group))] == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("group", ["Broken connections", "Malformed bodies", "Errors", "Usage", "HTTP"])
async def test_text_completions_end_so_too(gateway: Running, group: str, stream: bool) -> None:
    asked = {"model": MODELS["plain"], "prompt": "Once upon a time", "stream": stream}
    assert [problem async for problem in walked(gateway, "/v1/completions", asked, cases("plain", group))] == []


@pytest.mark.parametrize("group", ["Broken connections", "Malformed bodies", "Errors", "HTTP"])
async def test_embeddings_end_so_too(gateway: Running, group: str) -> None:
    asked = {"model": "plain/text-embedding-3-small", "input": ["a", "b"]}
    streams_only = ("error-first", "error-mid")
    fitting = [case for case in cases("plain", group) if not case.behaviour.startswith(streams_only)]
    assert [problem async for problem in walked(gateway, "/v1/embeddings", asked, fitting)] == []


async def walked(gateway: Running, path: str, asked: dict[str, Any], cases: Iterable[Case]) -> AsyncIterator[str]:
    """What was wrong with the answers to this request under these behaviours, and with the log of them."""
    for case in cases:
        begun_at = time.monotonic()
        async with asyncio.timeout(20):
            answer = await ask(gateway.address, "POST", path, orjson.dumps({**asked, "sandbox": case.behaviour}))
        took_s = time.monotonic() - begun_at
        for problem in problems_of(answer, case, stream=asked.get("stream", False), took_s=took_s):
            yield f"{case.behaviour}: {problem}"
    told = gateway.log.lines
    if {line["event"] for line in told} != {"request"}:
        yield f"logged {[line for line in told if line['event'] != 'request']}"
    if any(end in repr(told) for end in ends_of(CREDENTIAL)):
        yield "logged the credential"


def problems_of(answer: Answer, case: Case, *, stream: bool, took_s: float) -> Iterator[str]:
    yield from (mistakes_of_stream if stream else mistakes_of_whole)(answer)
    error = error_in(answer, stream)
    if case.ends != "either" and (error is None) != (case.ends == "answer"):
        yield f"ended with {'an answer' if error is None else error['error']}"
    if answer.status in (401, 403):
        yield f"a status {answer.status}, which is the caller's own key's"
    head_was_due = stream and answer.status == 200 and took_s >= KEEP_ALIVE_S  # on a machine that is that busy
    if case.statuses is not None and answer.status not in case.statuses and not head_was_due:
        yield f"status {answer.status}, not one of {sorted(case.statuses)}"
    if took_s > TOTAL_S + GRACE_S:
        yield f"took {took_s:.1f} s"
    if any(end in repr(answer) for end in ends_of(CREDENTIAL)):
        yield "shows the credential"
    if error is not None:
        yield from problems_of_message(error["error"]["message"], case, error["error"]["type"])


def problems_of_message(message: str, case: Case, kind: str) -> Iterator[str]:
    if any(word in message for word in UNSPEAKABLE):
        yield f"says {message!r}"
    if case.said and kind != CALLERS_FAULT and case.said in message:
        yield f"repeats the upstream: {message!r}"


def error_in(answer: Answer, stream: bool) -> Any:
    """The error that the answer ends with, if it does."""
    last = events_of(answer.body)[-1] if stream and answer.status == 200 else loaded(answer.body)
    return last if isinstance(last, dict) and "error" in last else None


def ends_of(secret: str) -> tuple[str, ...]:
    return secret, secret[-12:], secret[-8:]


@pytest.mark.parametrize("provider", MODELS)
@pytest.mark.parametrize("text", ["unicode", "separators", "thinking"])
async def test_every_framing_gives_the_text_of_the_plain_one(gateway: Running, provider: str, text: str) -> None:
    async def said(behaviour: str) -> tuple[str, ...]:
        body = chat_body(MODELS[provider], stream=True, sandbox=behaviour, max_tokens=24)
        return text_of((await ask(gateway.address, "POST", PATH, body)).body)

    plain = await said(text)
    assert len(plain[0] + plain[1]) > 20
    assert {form.name: await said(f"{text}+{form.name}") for form in FRAMINGS} == {
        form.name: plain for form in FRAMINGS
    }


def text_of(stream: bytes) -> tuple[str, str, str]:
    """Content, reasoning and finish reason of a stream."""
    choices = [choice for event in events_of(stream) if event != "[DONE]" for choice in event.get("choices", ())]
    deltas = [choice["delta"] for choice in choices]
    reasoning = "".join(delta.get("reasoning_content") or delta.get("reasoning") or "" for delta in deltas)
    finish = "".join(choice.get("finish_reason") or "" for choice in choices)
    return "".join(delta.get("content") or "" for delta in deltas), reasoning, finish


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", MODELS)
async def test_nobody_is_called_whom_a_redirect_names(gateway: Running, provider: str, stream: bool) -> None:
    called: list[bytes] = []

    async def trap(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        called.append(await reader.read(65536))

    async with serving(trap) as address:
        for status in (301, 302, 303, 307, 308):
            behaviour = f"redirect-{status}+redirect-to-{address}/v1/chat/completions"
            body = chat_body(MODELS[provider], stream=stream, sandbox=behaviour)
            answer = await ask(gateway.address, "POST", PATH, body)
            assert (answer.status, answer.json()["error"]["code"]) == (502, "upstream_invalid_response")
    assert called == []
