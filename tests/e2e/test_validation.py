"""What may not be sent is refused, is told to whoever asks what would be, and reaches no provider."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from llm_service.admission import LimitsOptions
from llm_service.api import AuthOptions
from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.pipeline import ValidationOptions
from llm_service.routing import DeploymentOptions, ModelOptions
from llm_service.sandbox import Sandbox
from tests.support.rest import ask
from tests.support.service import Running, running, simulated
from tests.support.shared_answers import calls

PATH = "/v1/chat/completions"
METADATA = [{"type": "image_url", "image_url": {"url": "http://[::ffff:a9fe:a9fe]/latest/meta-data"}}]
WORDS = "word " * 20_000


@pytest.fixture
async def gateway(sandbox: Sandbox) -> AsyncIterator[Running]:
    short = DeploymentOptions(provider="plain", model="gpt-4o", context_tokens=10_000, lacks=("audio",))
    settings = Settings(
        auth=AuthOptions(admin_key=Secret("sk-test-admin-c83a51f60e2d")),
        providers=simulated(sandbox.address),
        models={"short": ModelOptions(deployments=(short,))},
        limits=LimitsOptions(max_input_tokens=15_000),
        validation=ValidationOptions(context_overflow="clamp"),
    )
    async with running(settings) as service:
        yield service


def body(content: Any, model: str = "short", **more: Any) -> bytes:
    return orjson.dumps({"model": model, "messages": [{"role": "user", "content": content}], **more})


async def test_what_may_not_be_sent_reaches_no_provider(gateway: Running, sandbox: Sandbox) -> None:
    sound = [{"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}]
    refusals = [
        (body(METADATA), "invalid_value", "must not name a host of a private network"),
        (body(sound), "invalid_value", "takes no sound, by its settings"),
        (body("word " * 12_000), "context_length_exceeded", "about 12,0"),
        (body(WORDS, "plain/gpt-4o"), "context_length_exceeded", "at most 15,000 (limits.max_input_tokens)"),
        (body("x", Messages=[]), "invalid_value", "must be spelled 'messages'"),
        (body("x", stream=True, n=500), "invalid_value", "validation.max_choices"),
    ]
    for asked, code, said in refusals:
        answer = await ask(gateway.address, "POST", PATH, asked)
        assert (answer.status, answer.json()["error"]["code"]) == (400, code)
        assert said in answer.json()["error"]["message"]
    told = await ask(gateway.address, "POST", "/v1/explain", body("word " * 12_000))
    assert told.json()["result"]["error"]["error"]["code"] == "context_length_exceeded"
    assert calls(sandbox) == []
    assert gateway.log.of("defect") == []


async def test_an_answer_that_does_not_fit_is_asked_for_shorter(gateway: Running, sandbox: Sandbox) -> None:
    asked = body("word " * 9_000, max_tokens=2_000)
    assert (await ask(gateway.address, "POST", PATH, asked)).status == 200
    (call,) = calls(sandbox)
    cap = call["body"]["max_completion_tokens"]
    assert 256 <= cap <= 1_000
    assert "max_tokens" not in call["body"]
    explained = await ask(gateway.address, "POST", "/v1/explain", asked)
    assert explained.json()["limits"]["output_cap"] == cap
