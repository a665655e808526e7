"""The official client, unmodified: sync, async, streams, tools, errors."""

import asyncio
import json
from collections.abc import AsyncIterator

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.support.service import Running

ASKED = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
MODELS = ["openrouter/openai/gpt-4o-mini", "deepseek/deepseek-flash", "plain/sandbox/chat"]


@pytest.fixture
async def client(gateway: Running) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{gateway.address}/v1", api_key="local", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("model", MODELS)
async def test_whole_and_streamed_answers_agree(client: AsyncOpenAI, model: str) -> None:
    whole = await client.chat.completions.create(model=model, messages=ASKED)
    stream = await client.chat.completions.create(
        model=model, messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert text == whole.choices[0].message.content != ""
    assert reasons == [whole.choices[0].finish_reason] == ["stop"]
    assert chunks[-1].usage is not None
    assert whole.usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


@pytest.mark.parametrize("model", MODELS)
async def test_usage_comes_on_the_last_chunk_and_only_when_asked_for(client: AsyncOpenAI, model: str) -> None:
    stream = await client.chat.completions.create(model=model, messages=ASKED, stream=True)
    assert not ["usage" async for chunk in stream if "usage" in chunk.model_dump(exclude_unset=True)]
    stream = await client.chat.completions.create(
        model=model, messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    usages = [chunk.usage async for chunk in stream]
    assert usages[-1] is not None
    assert not any(usages[:-1])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("streamed", [False, True])
async def test_tool_calls_arrive_whole_and_once(client: AsyncOpenAI, model: str, streamed: bool) -> None:
    request = {"model": model, "messages": ASKED, "tools": [WEATHER], "tool_choice": "required"}
    if streamed:
        async with client.chat.completions.stream(**request) as stream:
            answer = await stream.get_final_completion()
    else:
        answer = await client.chat.completions.create(**request)
    calls = answer.choices[0].message.tool_calls
    assert calls
    assert answer.choices[0].finish_reason == "tool_calls"
    assert {call.function.name for call in calls} == {"get_weather"}
    assert all(isinstance(json.loads(call.function.arguments)["city"], str) for call in calls)
    assert len({call.id for call in calls}) == len(calls)


async def test_the_synchronous_client_works(gateway: Running) -> None:
    def ask() -> tuple[str | None, str]:
        with OpenAI(base_url=f"{gateway.address}/v1", api_key="local", max_retries=0) as client:
            whole = client.chat.completions.create(model=MODELS[0], messages=ASKED)
            stream = client.chat.completions.create(model=MODELS[0], messages=ASKED, stream=True)
            return whole.choices[0].message.content, "".join(c.choices[0].delta.content or "" for c in stream)

    whole, streamed = await asyncio.to_thread(ask)
    assert whole == streamed


async def test_embeddings_are_decoded_from_base64_and_from_lists(client: AsyncOpenAI) -> None:
    model = "openrouter/openai/text-embedding-3-small"
    packed = await client.embeddings.create(model=model, input=["a", "b"])
    plain = await client.embeddings.create(model=model, input=["a", "b"], encoding_format="float")
    assert [row.index for row in packed.data] == [0, 1]
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)


async def test_text_completions_whole_and_streamed_agree(client: AsyncOpenAI) -> None:
    whole = await client.completions.create(model=MODELS[2], prompt="Once upon a time", max_tokens=20)
    stream = await client.completions.create(model=MODELS[2], prompt="Once upon a time", max_tokens=20, stream=True)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == whole.choices[0].text != ""


async def test_models_are_listed_and_found(client: AsyncOpenAI) -> None:
    listed = {model.id async for model in await client.models.list()}
    assert {"deepseek/deepseek-flash", "openrouter/openai/gpt-4o-mini"} <= listed
    assert (await client.models.retrieve("openrouter/openai/gpt-4o-mini")).id == "openrouter/openai/gpt-4o-mini"


@pytest.mark.parametrize(
    ("model", "raised", "code"),
    [
        ("nobody/sandbox/chat", openai.NotFoundError, None),
        ("plain/sandbox/error-429", openai.RateLimitError, "upstream_rate_limited"),
        ("openrouter/sandbox/error-402-credits", openai.InternalServerError, "upstream_no_balance"),
        ("deepseek/sandbox-error-401", openai.InternalServerError, "upstream_auth_failed"),
        ("deepseek/sandbox-error-503", openai.InternalServerError, "upstream_error"),
    ],
)
async def test_errors_are_the_clients_own_classes(
    client: AsyncOpenAI, model: str, raised: type[openai.APIStatusError], code: str | None
) -> None:
    with pytest.raises(openai.APIStatusError) as failed:
        await client.chat.completions.create(model=model, messages=ASKED)
    if code is not None:
        assert isinstance(failed.value, raised)
        assert failed.value.code == code
    assert failed.value.request_id


async def test_an_error_in_mid_stream_is_raised_by_the_client(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="plain/sandbox/cut-after-3", messages=ASKED, stream=True)
    said: list[str] = []

    async def read() -> None:
        async for chunk in stream:
            said.append(chunk.choices[0].delta.content or "")  # noqa: PERF401 - what came before the error counts

    with pytest.raises(openai.APIError):
        await read()
    assert "".join(said)


async def test_a_wrong_key_is_the_clients_authentication_error(gateway: Running) -> None:
    async with AsyncOpenAI(base_url=f"{gateway.address}/v1", api_key="sk-test-wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError, match="needs no key"):
            await client.chat.completions.create(model=MODELS[0], messages=ASKED)
