"""Filters that ask elsewhere, in a whole service: a model behind a provider of its own, and a webhook."""

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import orjson
import pytest
import pytest_asyncio
from scripts.doc_blocks import all_blocks

from llm_service.admission import AllowanceOptions, LimitsOptions
from llm_service.domain import Secret
from llm_service.filters import FilterOptions
from llm_service.prices import PriceOptions
from llm_service.providers import ProviderOptions
from llm_service.sandbox import Sandbox
from tests.support.documented.answers import parsed
from tests.support.raw_server import read_request, serving
from tests.support.rest import Answer, ask
from tests.support.service import Running, running, simulated
from tests.support.shared_answers import ADMIN, a_key, all_records, ask_chat, calls, said, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")
MODEL = "plain/sandbox/chat"


class Judges:
    """A provider with one model and a webhook in one server. Bad is what says so; ``heard``: what they were asked."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []
        self.bad = {"input": "scarlet", "output": "crimson"}

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, _, body = (await read_request(reader)).partition(b"\r\n\r\n")
            self.heard.append((head.decode(), asked := json.loads(body)))
            says = self._webhook(asked) if b" /hook " in head else self._model(asked)
            writer.write(says)

    def of(self, path: str) -> list[tuple[str, Any]]:
        return [one for one in self.heard if f" {path} " in one[0]]

    @staticmethod
    def _model(asked: Any) -> bytes:
        text = asked["messages"][-1]["content"]
        if "topics" in asked["messages"][0]["content"]:
            verdict = '{"topics": []}' if "weather" in text else '{"topics": [1]}'
        else:
            verdict = json.dumps({"flagged": "vermilion" in text, "categories": {"violence": 0.9}})
        message = {"role": "assistant", "content": f"```json\n{verdict}\n```"}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        return answered({"id": "j", "object": "chat.completion", "model": "j", "created": 1, "usage": usage,
                         "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})  # fmt: skip

    def _webhook(self, asked: Any) -> bytes:
        if "elsewhere" in asked["texts"][0]:
            return b"HTTP/1.1 302 Found\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n"
        return answered(
            {"flagged": self.bad[asked["direction"]] in " ".join(asked["texts"]), "categories": {"hate": True}}
        )


def answered(value: Any) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


@pytest.fixture(scope="module")
def judges() -> Judges:
    return Judges()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(seed=0, pace_s=0.0)
    await sandbox.start()
    yield sandbox
    await sandbox.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(sandbox: Sandbox, judges: Judges) -> AsyncIterator[Running]:
    async with serving(judges.handle) as address:
        filters = (
            FilterOptions(type="regex", name="own", patterns=("hidden",), action="mask", on=("input",)),
            FilterOptions(type="moderation", name="judge", model="judge/j", on=("input",)),
            FilterOptions(type="moderation", name="hook", url=f"{address}/hook", headers={"X-Token": "t0ken"}),
            FilterOptions(type="allowed_topics", name="ours", model="judge/j", topics=("shoes",), keys=("trainee",)),
        )
        judge = ProviderOptions(kind="openai_compatible", base_url=address, api_key=Secret("k"))
        settings = settings_for(
            sandbox,
            guarded=True,
            filters=filters,
            limits=LimitsOptions(per_provider={"judge": AllowanceOptions(concurrent_requests=1)}),
            prices={
                MODEL: PriceOptions(input_usd=Decimal(0), output_usd=Decimal(0)),
                "judge/j": PriceOptions(input_usd=Decimal(1), output_usd=Decimal(2)),
            },
            providers={**simulated(sandbox.address), "judge": judge},
        )
        async with running(settings, cached=True) as service:
            yield service


async def asked(service: Running, text: str, by: dict[str, str] = ADMIN, **more: Any) -> Answer:
    return await ask_chat(service, MODEL, by=by, messages=[{"role": "user", "content": text}], **more)


async def records(service: Running, by_tag: str | None = None) -> list[dict[str, Any]]:
    found = await all_records(service, ADMIN)
    return [one for one in found if by_tag is None or one["tags"].get("filter") == by_tag]


async def test_a_model_judges_a_prompt_once_on_the_account_of_its_key(
    service: Running, sandbox: Sandbox, judges: Judges
) -> None:
    # a key that may ask for one model, one request at a time: what the judge takes is none of that
    key = await a_key(
        service, name="narrow", models=[MODEL], concurrent_requests=1, requests_per_minute=3, tags={"narrow": "1"}
    )
    before = len(calls(sandbox))
    for _ in range(2):
        refused = await asked(service, "my vermilion and hidden car", key)
        assert (refused.status, refused.json()["error"]["code"]) == (400, "content_filtered")
        assert "`judge` (moderation)" in refused.json()["error"]["message"]
    assert len(calls(sandbox)) == before
    ((_, body),) = [one for one in judges.of("/chat/completions") if "vermilion" in str(one[1])]
    assert "[PATTERN]" in str(body)
    assert "hidden" not in str(body)
    assert (await asked(service, "a green car", key)).status == 200
    (key_id,) = {one["key_id"] for one in await records(service) if one["model"] == MODEL and "narrow" in one["tags"]}
    inner = [one for one in await records(service, "judge") if one["key_id"] == key_id]
    assert sorted((one["cache"], one["cost_usd"], one["input_tokens"]) for one in inner) == [
        ("hit", "0", 100), ("miss", "0.00012", 100), ("miss", "0.00012", 100),
    ]  # fmt: skip
    outer = [one for one in await records(service) if one["key_id"] == key_id and one["status"] == "refused"]
    assert [(one["surface"], one["cost_usd"], one["attempts"]) for one in outer] == [("rest", "0", 0)] * 2
    assert {one["surface"] for one in inner} == {"filter"}
    assert (outer[0]["verdicts"][-1]["filter"], outer[0]["verdicts"][-1]["labels"]) == ("judge", ["violence"])


async def test_a_webhook_is_told_what_it_judges_and_not_more(service: Running, judges: Judges) -> None:
    refused = await asked(service, "it is scarlet")
    assert (refused.status, refused.json()["error"]["code"]) == (400, "content_filtered")
    head, told = judges.of("/hook")[-1]
    assert "x-token: t0ken" in head.lower()
    assert "sk-" not in head
    assert told.pop("request_id") == refused.headers["x-request-id"]
    assert told == {
        "filter": "hook", "direction": "input", "model": MODEL, "key_id": "admin", "texts": ["it is scarlet"],
    }  # fmt: skip
    blocks = [block for block in all_blocks() if (block.page, block.language) == ("docs/filters.md", "json")]
    (documented,) = map(parsed, blocks)
    assert documented.keys() == {*told, "request_id"}


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_is_flagged_says_nothing_to_anybody(service: Running, stream: bool) -> None:
    told = await asyncio.gather(*(asked(service, f"echo: it is crimson {stream}", stream=stream) for _ in range(2)))
    for answer in told:
        assert answer.status == 200
        assert "crimson" not in answer.body.decode()
        assert said(answer)[0].finish_reason == "content_filter"
    fine = await asked(service, f"echo: it is green {stream}", stream=stream)
    assert said(fine)[0].content == f"it is green {stream}"
    paid = [one for one in await records(service) if one["surface"] == "rest" and one["attempts"]][0:3]
    blocked = [one for one in paid if any(verdict["on"] == "output" for verdict in one["verdicts"])]
    assert blocked
    assert all(one["status"] == "ok" and one["output_tokens"] > 0 for one in blocked)


async def test_a_kept_answer_is_not_given_before_the_verdict(
    service: Running, judges: Judges, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await asked(service, "a magenta car")).status == 200
    assert (await asked(service, "a magenta car")).headers["x-llm-cache"] == "hit"
    monkeypatch.setitem(judges.bad, "input", "magenta")
    assert (await asked(service, "a magenta car")).json()["error"]["code"] == "content_filtered"


async def test_a_webhook_that_redirects_has_failed_and_is_not_followed(service: Running, judges: Judges) -> None:
    refused = await asked(service, "elsewhere")
    assert "cannot judge" in refused.json()["error"]["message"]
    assert judges.of("/other") == []


async def test_a_prompt_about_none_of_the_topics_is_refused(service: Running) -> None:
    trainee = await a_key(service, name="trainee")
    refused = await asked(service, "how is the weather", trainee)
    assert "`ours` (allowed_topics)" in refused.json()["error"]["message"]
    assert (await asked(service, "how are the shoes", trainee)).status == 200


async def test_a_budget_without_room_for_the_judge_refuses_as_it_does_elsewhere(service: Running) -> None:
    poor = await a_key(service, name="poor", budget_usd="0.000001")
    refused = await asked(service, "an expensive question", poor)
    assert refused.json()["error"]["code"] == "budget_exceeded"


async def test_an_explanation_asks_nobody_and_the_time_of_those_asked_is_told(service: Running, judges: Judges) -> None:
    assert (await asked(service, "a blue car")).status == 200
    before = len(judges.heard)
    body = {"model": MODEL, "messages": [{"role": "user", "content": "crimson vermilion"}]}
    told = (await ask(service.address, "POST", "/v1/explain", orjson.dumps(body), **ADMIN)).json()
    assert [(one["name"], one["asked"]) for one in told["filters"]] == [("own", False), ("judge", True), ("hook", True)]
    assert len(judges.heard) == before
    figures = (await ask(service.address, "GET", "/metrics", **ADMIN)).body.decode()
    assert 'llm_filter_seconds_count{filter="hook"}' in figures
