"""langchain-openai, unmodified."""

from collections.abc import AsyncIterator

import openai
import pytest
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from tests.support.service import Running


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@pytest.fixture
async def http() -> AsyncIterator[openai.DefaultAsyncHttpxClient]:
    """The client that langchain would otherwise share between tests, and with their event loops."""
    async with openai.DefaultAsyncHttpxClient() as client:
        yield client


@pytest.fixture
def chat(gateway: Running, http: openai.DefaultAsyncHttpxClient) -> ChatOpenAI:
    return ChatOpenAI(
        http_async_client=http,
        model="deepseek/deepseek-flash",
        base_url=f"{gateway.address}/v1",
        api_key="local",
        max_retries=0,
        stream_usage=True,
    )


async def test_an_answer_and_its_stream_agree(chat: ChatOpenAI) -> None:
    whole = await chat.ainvoke("What is the capital of France?")
    pieces = [piece async for piece in chat.astream("What is the capital of France?")]
    joined = pieces[0]
    for piece in pieces[1:]:
        joined += piece
    assert joined.content == whole.content != ""
    assert joined.usage_metadata is not None
    assert joined.usage_metadata["output_tokens"] > 0


async def test_tools_are_called(chat: ChatOpenAI) -> None:
    answer = await chat.bind_tools([get_weather], tool_choice="required").ainvoke("Weather in Paris?")
    assert [call["name"] for call in answer.tool_calls] == ["get_weather"] * len(answer.tool_calls)
    assert answer.tool_calls


async def test_embeddings_work(gateway: Running, http: openai.DefaultAsyncHttpxClient) -> None:
    embeddings = OpenAIEmbeddings(
        http_async_client=http,
        model="plain/text-embedding-3-small",
        base_url=f"{gateway.address}/v1",
        api_key="local",
        check_embedding_ctx_length=False,
    )
    vectors = await embeddings.aembed_documents(["a", "b"])
    assert len(vectors) == 2
    assert vectors[0] != vectors[1]
