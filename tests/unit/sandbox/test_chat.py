"""What every mount does with an ordinary chat."""

import pytest

from llm_service.sandbox import Sandbox
from tests.unit.sandbox.conftest import Ask
from tests.unit.sandbox.raw import CHATS, DEEPSEEK, OPENROUTER, PLAIN, chat, exchange, post

MODELS = {OPENROUTER: "openai/gpt-4o-mini", DEEPSEEK: "deepseek-flash", PLAIN: "gpt-4o-mini"}


@pytest.fixture(params=CHATS)
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_answer_refers_to_the_question(ask: Ask, path: str) -> None:
    answer = (await ask(post(path, chat(MODELS[path], "Why do volcanoes erupt?")))).json()
    assert "volcanoes" in answer["choices"][0]["message"]["content"]


async def test_stream_says_what_the_whole_answer_says(ask: Ask, path: str) -> None:
    body = chat(MODELS[path], "Why do volcanoes erupt?")
    whole = (await ask(post(path, body))).json()
    streamed = await ask(post(path, {**body, "stream": True}))
    assert streamed.text == whole["choices"][0]["message"]["content"]
    assert streamed.events[-1] == b"[DONE]"


async def test_echo_gives_the_text_back(ask: Ask, path: str) -> None:
    answer = (await ask(post(path, chat(MODELS[path], "echo: Grüße, 世界 👩‍👩‍👧!")))).json()
    assert answer["choices"][0]["message"]["content"] == "Grüße, 世界 👩‍👩‍👧!"


async def test_same_seed_and_request_give_the_same_text(path: str) -> None:
    texts = set()
    for _ in range(2):
        async with Sandbox(seed=3, pace_s=0) as sandbox:
            answer = (await exchange(sandbox.address, post(path, chat(MODELS[path])))).json()
            texts.add(answer["choices"][0]["message"]["content"])
    assert len(texts) == 1


async def test_another_seed_or_another_question_gives_another_text(path: str) -> None:
    texts = set()
    for seed in range(4):
        async with Sandbox(seed=seed, pace_s=0) as sandbox:
            for prompt in ("Tell me about rivers.", "Tell me about mountains."):
                answer = (await exchange(sandbox.address, post(path, chat(MODELS[path], prompt)))).json()
                texts.add(answer["choices"][0]["message"]["content"])
    assert len(texts) == 8


async def test_ids_differ_from_answer_to_answer(ask: Ask, path: str) -> None:
    body = post(path, chat(MODELS[path]))
    ids = {(await ask(body)).json()["id"] for _ in range(3)}
    assert len(ids) == 3


async def test_output_cap_ends_the_answer_with_length(ask: Ask, path: str) -> None:
    answer = (await ask(post(path, chat(MODELS[path], "count to 100", max_tokens=12)))).json()
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 12


async def test_stop_sequence_ends_the_text_before_it(ask: Ask, path: str) -> None:
    answer = (await ask(post(path, chat(MODELS[path], "count to 9", stop=[", 5"])))).json()
    assert answer["choices"][0]["message"]["content"] == "1, 2, 3, 4"
    assert answer["choices"][0]["finish_reason"] == "stop"


async def test_usage_adds_up_and_equals_the_streamed_one(ask: Ask, path: str) -> None:
    body = chat(MODELS[path], stream_options={"include_usage": True})
    whole = (await ask(post(path, body))).json()["usage"]
    streamed = (await ask(post(path, {**body, "stream": True}))).objects[-1]["usage"]
    assert whole["total_tokens"] == whole["prompt_tokens"] + whole["completion_tokens"]
    assert streamed == whole


async def test_later_turns_hit_the_prompt_cache(ask: Ask, path: str) -> None:
    history = [
        {"role": "user", "content": "word " * 300},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "And now?"},
    ]
    usage = (await ask(post(path, {"model": MODELS[path], "messages": history}))).json()["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == 256


async def test_json_object_is_json(ask: Ask, path: str) -> None:
    body = chat(MODELS[path], "Answer in json.", response_format={"type": "json_object"})
    content = (await ask(post(path, body))).json()["choices"][0]["message"]["content"]
    assert content.startswith('{"answer":')


@pytest.mark.parametrize("path", [OPENROUTER, PLAIN])
async def test_several_choices_are_indexed_densely(ask: Ask, path: str) -> None:
    body = chat(MODELS[path], n=3, stream=True)
    chunks = (await ask(post(path, body))).objects
    assert {choice["index"] for chunk in chunks for choice in chunk["choices"]} == {0, 1, 2}


@pytest.mark.parametrize("path", [OPENROUTER, PLAIN])
async def test_logprobs_cover_the_text(ask: Ask, path: str) -> None:
    body = chat(MODELS[path], "count to 3", logprobs=True, top_logprobs=2)
    choice = (await ask(post(path, body))).json()["choices"][0]
    tokens = [entry["token"] for entry in choice["logprobs"]["content"]]
    assert "".join(tokens) == choice["message"]["content"]
    assert all(len(entry["top_logprobs"]) == 2 for entry in choice["logprobs"]["content"])


async def test_one_write_carries_one_event(ask: Ask, path: str) -> None:
    chunks = (await ask(post(path, chat(MODELS[path], "count to 5", stream=True)))).chunks
    assert all(chunk.count(b"\n\n") == 1 for chunk in chunks[:-1])


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"model": 7}', b'{"model":"sandbox/chat","messages":[]}'])
async def test_bad_bodies_are_the_providers_400(ask: Ask, path: str, body: bytes) -> None:
    received = await ask(post(path, body))
    assert received.status == 400
    assert received.json()["error"]["message"]
