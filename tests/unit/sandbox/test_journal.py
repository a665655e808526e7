"""What reached the upstream and how it ended can be looked up."""

from llm_service.sandbox import Sandbox
from tests.support.clock import ManualClock
from tests.unit.sandbox.conftest import Ask
from tests.unit.sandbox.raw import (
    DEEPSEEK,
    OPENROUTER,
    PLAIN,
    chat,
    connected,
    eventually,
    exchange,
    get,
    post,
    request,
)


async def test_request_is_kept_as_received(ask: Ask) -> None:
    body = chat("gpt-4o", "echo: hi", temperature=0.5)
    await ask(post(PLAIN + "?trace=1", body, headers={"X-Custom": "yes"}))
    (entry,) = (await ask(get("/_requests"))).json()["data"]
    assert (entry["method"], entry["path"], entry["query"]) == ("POST", PLAIN, {"trace": "1"})
    assert entry["body"] == body
    assert entry["headers"]["x-custom"] == "yes"
    assert (entry["state"], entry["status"], entry["model"]) == ("completed", 200, "gpt-4o")


async def test_credential_shows_its_last_four_characters_only(ask: Ask) -> None:
    await ask(post(PLAIN, chat("gpt-4o"), key="sk-test-very-secret-9876"))
    received = await ask(get("/_requests"))
    assert received.json()["data"][0]["headers"]["authorization"] == "Bearer ****9876"
    assert b"secret" not in received.body


async def test_entries_can_be_filtered(ask: Ask) -> None:
    await ask(post(PLAIN, chat("gpt-4o")))
    await ask(post(DEEPSEEK, chat("deepseek-flash")))
    await ask(post(DEEPSEEK, chat("deepseek-v4-pro")))
    assert len((await ask(get("/_requests?provider=deepseek"))).json()["data"]) == 2
    assert len((await ask(get("/_requests?model=deepseek-v4-pro&state=completed"))).json()["data"]) == 1
    assert [entry["model"] for entry in (await ask(get("/_requests?last=1"))).json()["data"]] == ["deepseek-v4-pro"]


async def test_usage_and_cost_stand_beside_the_request(sandbox: Sandbox, ask: Ask) -> None:
    answer = (await ask(post(OPENROUTER, chat("openai/gpt-4o-mini")))).json()
    (entry,) = sandbox.requests()
    assert entry["upstream_id"] == answer["id"]
    assert entry["usage"]["output_tokens"] == answer["usage"]["completion_tokens"]
    assert float(entry["cost_usd"]) == answer["usage"]["cost"]


async def test_deepseek_peak_prices_follow_the_clock(ask: Ask, slow_sandbox: Sandbox, clock: ManualClock) -> None:
    body = post(DEEPSEEK, chat("deepseek-flash", "count to 3", thinking={"type": "disabled"}))
    await exchange(slow_sandbox.address, body)  # Monday, 00:16 UTC
    clock.advance(3600)
    await exchange(slow_sandbox.address, body)
    costs = [float(entry["cost_usd"]) for entry in slow_sandbox.requests()]
    assert costs[1] == 2 * costs[0] > 0


async def test_departure_cancels_the_generation(slow_sandbox: Sandbox) -> None:
    body = chat("sandbox/pace-1s+tokens-100", stream=True)
    async with connected(slow_sandbox.address) as client:
        received = await client.exchange(post(PLAIN, body), at_most=200)
        assert received.ending == "enough"
        assert slow_sandbox.stats()["open"] == 1
    await eventually(lambda: slow_sandbox.stats()["open"] == 0)
    (entry,) = slow_sandbox.requests()
    assert (entry["state"], entry["chunks"], entry["usage"]["output_tokens"]) == ("cancelled", 1, 1)


async def test_departure_from_a_whole_answer_cancels_it(slow_sandbox: Sandbox) -> None:
    async with connected(slow_sandbox.address) as client:
        client.writer.write(post(PLAIN, chat("sandbox/slow-head-60s")))
        await eventually(lambda: slow_sandbox.stats()["open"] == 1)
    await eventually(lambda: slow_sandbox.stats()["open"] == 0)
    assert slow_sandbox.stats()["states"] == {"cancelled": 1}


async def test_broken_answers_are_told_from_cancelled_ones(sandbox: Sandbox, ask: Ask) -> None:
    await ask(post(PLAIN, chat("sandbox/cut-after-2", stream=True)))
    assert sandbox.stats()["states"] == {"broken": 1}


async def test_stats_count_everything(sandbox: Sandbox, ask: Ask) -> None:
    await ask(post(PLAIN, chat("gpt-4o", "count to 3")))
    await ask(post(PLAIN, chat("sandbox/error-429")))
    await ask(post(DEEPSEEK, chat("deepseek-flash"), key="sk-bad"))
    stats = (await ask(get("/_stats"))).json()
    assert (stats["requests"], stats["open"]) == (3, 0)
    assert stats["statuses"] == {"200": 1, "429": 1, "401": 1}
    assert stats["tokens"]["output"] == 6
    assert stats["providers"]["openai"] == {"completed": 2}


async def test_reset_forgets_requests_and_rules(sandbox: Sandbox, ask: Ask) -> None:
    sandbox.script("error-429")
    await ask(post(PLAIN, chat("gpt-4o")))
    sandbox.reset()
    assert sandbox.requests() == []
    assert (await ask(post(PLAIN, chat("gpt-4o")))).status == 200
    await ask(request("DELETE", "/_requests"))
    assert sandbox.stats()["requests"] == 0


async def test_large_and_odd_bodies_are_described(sandbox: Sandbox, ask: Ask) -> None:
    await ask(post(PLAIN, b"x" * 300_000))
    await ask(post(PLAIN, b"not json"))
    assert [entry["body"] for entry in sandbox.requests()] == ["(300000 bytes)", "not json"]
