"""Where usage stands, and what it says when it is not as it should be."""

from typing import Any

import pytest

from llm_service.sandbox import Sandbox
from tests.unit.sandbox.conftest import Ask
from tests.unit.sandbox.raw import CHATS, DEEPSEEK, OPENROUTER, PLAIN, chat, post

Chunks = list[dict[str, Any]]


async def chunks_of(ask: Ask, form: str, *, path: str = OPENROUTER, **fields: Any) -> Chunks:
    return (await ask(post(path, chat(f"sandbox/{form}", "count to 4", stream=True, **fields)))).objects


def finishes(chunks: Chunks) -> list[tuple[str | None, bool]]:
    """Of the last chunks: the finish reason (or -, without choices), and whether usage is there."""
    return [
        (chunk["choices"][0]["finish_reason"] if chunk["choices"] else "-", bool(chunk.get("usage")))
        for chunk in chunks[-2:]
    ]


async def test_openrouter_repeats_the_finish_with_usage(ask: Ask) -> None:
    assert finishes(await chunks_of(ask, "chat")) == [("stop", False), ("stop", True)]


async def test_openrouter_after_the_finish(ask: Ask) -> None:
    assert finishes(await chunks_of(ask, "usage-after-finish")) == [("stop", False), (None, True)]


async def test_openrouter_as_documented(ask: Ask) -> None:
    assert finishes(await chunks_of(ask, "usage-empty-choices")) == [("stop", False), ("-", True)]


@pytest.mark.parametrize("options", [None, {"include_usage": True}])
async def test_deepseek_puts_usage_on_the_finish(ask: Ask, options: Any) -> None:
    chunks = await chunks_of(ask, "chat", path=DEEPSEEK, stream_options=options)
    assert finishes(chunks) == [(None, False), ("stop", True)]
    assert all(("usage" in chunk) == bool(options) for chunk in chunks[:-1])


async def test_plain_sends_usage_only_when_asked(ask: Ask) -> None:
    assert all("usage" not in chunk for chunk in await chunks_of(ask, "chat", path=PLAIN))
    chunks = await chunks_of(ask, "chat", path=PLAIN, stream_options={"include_usage": True})
    assert finishes(chunks) == [("stop", False), ("-", True)]
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


@pytest.mark.parametrize("path", CHATS)
async def test_missing_and_null(ask: Ask, path: str) -> None:
    assert all(not chunk.get("usage") for chunk in await chunks_of(ask, "usage-none", path=path))
    assert "usage" not in (await ask(post(path, chat("sandbox/usage-none")))).json()
    assert (await ask(post(path, chat("sandbox/usage-null")))).json()["usage"] is None


async def test_running_totals_on_every_chunk(ask: Ask) -> None:
    counts = [
        chunk["usage"]["completion_tokens"] for chunk in await chunks_of(ask, "usage-every") if chunk.get("usage")
    ]
    assert counts == [1, 2, 3, 4, 5, 6, 7, 8, 8]


async def test_zero_is_zero_everywhere(ask: Ask) -> None:
    usage = (await chunks_of(ask, "usage-zero"))[-1]["usage"]
    assert (usage["prompt_tokens"], usage["total_tokens"], usage["cost"]) == (0, 0, 0)
    assert usage["cost_details"]["upstream_inference_cost"] == 0


async def test_huge_and_odd_figures(ask: Ask) -> None:
    huge = (await chunks_of(ask, "usage-huge"))[-1]["usage"]
    odd = (await chunks_of(ask, "usage-odd"))[-1]["usage"]
    assert huge["completion_tokens"] == 10**9
    assert odd["completion_tokens_details"]["reasoning_tokens"] > odd["completion_tokens"]
    assert odd["total_tokens"] > odd["prompt_tokens"] + odd["completion_tokens"]


@pytest.mark.parametrize("path", CHATS)
async def test_cached_tokens_as_told(ask: Ask, path: str) -> None:
    usage = (await ask(post(path, chat("sandbox/cached-5")))).json()["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == 5


async def test_deepseek_hits_and_misses_add_up(ask: Ask) -> None:
    usage = (await ask(post(DEEPSEEK, chat("sandbox/cached-5")))).json()["usage"]
    assert usage["prompt_cache_hit_tokens"] == 5
    assert usage["prompt_cache_hit_tokens"] + usage["prompt_cache_miss_tokens"] == usage["prompt_tokens"]


@pytest.mark.parametrize("path", CHATS)
async def test_tokens_as_told_whatever_the_cap(sandbox: Sandbox, ask: Ask, path: str) -> None:
    usage = (await ask(post(path, chat("sandbox/tokens-200+no-thinking", max_tokens=10)))).json()["usage"]
    assert usage["completion_tokens"] == 200
    assert sandbox.stats()["tokens"]["output"] == 200


async def test_input_tokens_follow_the_stated_rule(ask: Ask) -> None:
    body = {
        "model": "sandbox/chat",
        "messages": [{"role": "system", "content": "x" * 9}, {"role": "user", "content": "é" * 4}],
    }
    usage = (await ask(post(PLAIN, body))).json()["usage"]
    assert usage["prompt_tokens"] == 3 + (4 + 3) + (4 + 2)


async def test_openrouter_cost_is_exact(ask: Ask) -> None:
    received = await ask(post(OPENROUTER, chat("openai/gpt-4o-mini", "x" * 4000, max_tokens=7)))
    usage = received.json()["usage"]
    assert usage["prompt_tokens"] == 1007
    assert b'"cost":0.00015525,' in received.body  # 1007 x 0.15 + 7 x 0.6 USD per million
    assert b'"upstream_inference_completions_cost":0.0000042}' in received.body


async def test_cached_tokens_have_their_own_price(ask: Ask) -> None:
    usage = (await ask(post(OPENROUTER, chat("sandbox/cached-1000", "x" * 8000, max_tokens=10)))).json()["usage"]
    assert usage["prompt_tokens"] == 2007
    assert usage["cost"] == 0.001127  # 1007 x 1 + 1000 x 0.1 + 10 x 2 USD per million


async def test_tiny_costs_have_an_exponent(ask: Ask) -> None:
    received = await ask(post(OPENROUTER, chat("meta-llama/llama-3.3-70b-instruct", "x", max_tokens=1)))
    assert b'"upstream_inference_completions_cost":3.2e-7}' in received.body


async def test_free_variants_cost_nothing(ask: Ask) -> None:
    body = (await ask(post(OPENROUTER, chat("minimax/minimax-m2:free")))).json()
    assert (body["model"], body["usage"]["cost"]) == ("minimax/minimax-m2:free", 0)
