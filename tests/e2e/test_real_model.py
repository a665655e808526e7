"""A real model behind the gateway: its words arrive as it says them."""

import fcntl
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.providers import ProviderOptions
from tests.support.real_model import API_KEY, CONTEXT_TOKENS, MODEL, PACKAGES, served
from tests.support.rest import ask, chat_body, connected
from tests.support.service import Running, running
from tests.support.waiting import until_answered

pytestmark = [
    pytest.mark.timeout(180),  # another process may have the model first
    *(
        pytest.mark.skipif(find_spec(module) is None, reason=f"{package} is not installed")
        for module, package in PACKAGES.items()
    ),
]

ASKED = [{"role": "user", "content": "Quel est le plus long fleuve de France ? Réponds en français."}]
# Each answer from nothing: the model's own cache would change the rounding, and so the text at temperature 0.
EXACT: dict[str, Any] = {"temperature": 0, "max_tokens": 16, "extra_body": {"cache_prompt": False}}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The model server, one on this machine at a time: the tests' processes share two processors."""
    with (tmp_path_factory.getbasetemp().parent / "real-model.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with served() as address:
            yield address


@pytest.fixture
async def gateway(real: str) -> AsyncIterator[Running]:
    def provider(api_key: str) -> ProviderOptions:
        return ProviderOptions(
            kind="openai_compatible", server="llamacpp", base_url=f"{real}/v1", api_key=Secret(api_key)
        )

    providers = {"real": provider(API_KEY), "locked": provider("sk-test-wrong-credential")}
    async with running(Settings(providers=providers)) as service:
        yield service


@pytest.fixture
async def through(gateway: Running) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{gateway.address}/v1", api_key="local", max_retries=0) as client:
        yield client


@pytest.fixture
async def direct(real: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{real}/v1", api_key=API_KEY, max_retries=0) as client:
        yield client


async def said(client: AsyncOpenAI, model: str) -> tuple[str, str | None, object, int]:
    """Text, finish reason and usage of a stream, and how many of its chunks had text."""
    stream = await client.chat.completions.create(
        model=model, messages=ASKED, stream=True, stream_options={"include_usage": True}, **EXACT
    )
    chunks = [chunk async for chunk in stream]
    texts = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    finish = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    return "".join(texts), finish[-1], chunks[-1].usage, len(texts)


async def is_generating(real: str) -> bool:
    slots = (await ask(real, "GET", "/slots", Authorization=f"Bearer {API_KEY}")).json()
    return any(slot["is_processing"] for slot in slots)


async def is_idle(real: str) -> bool:
    return not await is_generating(real)


async def test_a_whole_answer_is_what_the_model_says(direct: AsyncOpenAI, through: AsyncOpenAI) -> None:
    original = await direct.chat.completions.create(model=MODEL, messages=ASKED, **EXACT)
    answer = await through.chat.completions.create(model=f"real/{MODEL}", messages=ASKED, **EXACT)
    assert answer.choices[0].message.content == original.choices[0].message.content != ""
    assert answer.choices[0].finish_reason == original.choices[0].finish_reason
    assert answer.usage == original.usage


async def test_a_stream_is_what_the_model_says_chunk_by_chunk(direct: AsyncOpenAI, through: AsyncOpenAI) -> None:
    original = await said(direct, MODEL)
    text, _, _, chunks = streamed = await said(through, f"real/{MODEL}")
    assert streamed == original
    assert text != ""
    assert chunks > 1


async def test_text_completions_are_what_the_model_says(direct: AsyncOpenAI, through: AsyncOpenAI) -> None:
    prompt = "The three primary colours are"
    original = await direct.completions.create(model=MODEL, prompt=prompt, **EXACT)
    answer = await through.completions.create(model=f"real/{MODEL}", prompt=prompt, **EXACT)
    stream = await through.completions.create(model=f"real/{MODEL}", prompt=prompt, stream=True, **EXACT)
    texts = [chunk.choices[0].text async for chunk in stream if chunk.choices]
    assert "".join(texts) == answer.choices[0].text == original.choices[0].text != ""


@pytest.mark.parametrize("stream", [False, True])
async def test_a_wrong_credential_is_the_operators_matter(through: AsyncOpenAI, stream: bool) -> None:
    with pytest.raises(openai.InternalServerError) as failed:
        await through.chat.completions.create(model=f"locked/{MODEL}", messages=ASKED, stream=stream)
    assert (failed.value.status_code, failed.value.code) == (502, "upstream_auth_failed")
    assert "sk-test" not in failed.value.response.text


@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_beyond_the_context_window_is_the_callers_matter(through: AsyncOpenAI, stream: bool) -> None:
    too_long = [{"role": "user", "content": "word " * (CONTEXT_TOKENS + 100)}]
    with pytest.raises(openai.BadRequestError) as failed:
        await through.chat.completions.create(model=f"real/{MODEL}", messages=too_long, stream=stream)
    assert failed.value.code == "context_length_exceeded"


async def test_a_reader_that_leaves_stops_the_model(real: str, gateway: Running) -> None:
    """Of a stream: whole answers this server finishes, whoever has left (2026-11-23)."""
    async with connected(gateway.address) as connection:
        body = chat_body(f"real/{MODEL}", stream=True, max_tokens=1500, ignore_eos=True)
        connection.send("POST", "/v1/chat/completions", body)
        await connection.head()
        assert await is_generating(real)
    await until_answered(lambda: is_idle(real), within_s=2.0)


async def test_the_model_is_listed_under_the_providers_name(through: AsyncOpenAI) -> None:
    assert f"real/{MODEL}" in {model.id async for model in await through.models.list()}
