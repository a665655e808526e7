"""The real providers, for a fraction of a cent: only where their keys are in the environment."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from openai import AsyncOpenAI
from openai.types import CompletionUsage

from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.providers import ProviderOptions
from tests.support.service import Running, running

ASKED = [{"role": "user", "content": "Answer with the one word Paris."}]


@dataclass(frozen=True)
class Live:
    """A provider, a cheap model of it, and what keeps that model's answer short."""

    provider: str
    model: str
    cheaply: dict[str, Any]

    @property
    def key_name(self) -> str:
        return f"{self.provider.upper()}_API_KEY"


LIVE = (
    Live("openrouter", "openrouter/openai/gpt-4o-mini", {}),
    Live("deepseek", "deepseek/deepseek-flash", {"thinking": {"type": "disabled"}}),
)

pytestmark = pytest.mark.live


@pytest.fixture(params=LIVE, ids=lambda live: live.provider)
def live(request: pytest.FixtureRequest) -> Live:
    chosen: Live = request.param
    if not os.environ.get(chosen.key_name):
        pytest.skip(f"{chosen.key_name} is not set")
    return chosen


@pytest.fixture
async def gateway(live: Live) -> AsyncIterator[Running]:
    api_key = Secret(os.environ[live.key_name])
    async with running(Settings(providers={live.provider: ProviderOptions(api_key=api_key)})) as service:
        yield service


@pytest.fixture
async def client(gateway: Running) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{gateway.address}/v1", api_key="local", max_retries=0) as client:
        yield client


def request_of(live: Live) -> dict[str, Any]:
    return {
        "model": live.model,
        "messages": ASKED,
        "max_tokens": 16,
        "temperature": 0,
        "extra_body": live.cheaply,
    }


def is_counted(usage: CompletionUsage | None) -> bool:
    return usage is not None and usage.prompt_tokens > 0 and 0 < usage.completion_tokens <= 16


async def test_a_whole_answer_comes(live: Live, client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(**request_of(live))
    answer = raw.parse()
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert is_counted(answer.usage)
    if live.provider == "openrouter":
        assert Decimal(raw.headers["x-llm-cost-usd"]) > 0


async def test_a_stream_comes(live: Live, client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        **request_of(live), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert "Paris" in text
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]
    assert is_counted(chunks[-1].usage)


async def test_catalogue_and_account_can_be_read(live: Live, gateway: Running) -> None:
    provider = gateway.service.providers[live.provider]
    assert live.model.partition("/")[2] in {model.id for model in provider.models(await provider.catalogue())}
    assert (await provider.account()).usable
