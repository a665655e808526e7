"""Every row of the catalogue: a request that its server takes, an answer in OpenAI's form, an address and a header."""

import json
from pathlib import Path
from typing import Any

import pytest

from llm_service.domain import Secret
from llm_service.providers import (
    ProviderOptions,
    base_url_for,
    credentials_for,
    deepseek,
    dialect_for,
    openrouter,
    retired_names,
)
from llm_service.providers.catalog import SERVERS, Server
from tests.support.clock import ManualClock
from tests.support.transcripts import a_call

OPTIONS = ProviderOptions(api_key=Secret("sk-test-1234567890"), base_url="https://upstream.test/v1/")
EVERY = pytest.mark.parametrize("name", SERVERS)
DOCUMENT = (Path(__file__).parents[3] / "docs" / "providers.md").read_text(encoding="utf-8")
CHUNK = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def sent(name: str, operation: str = "chat", **fields: Any) -> dict[str, Any]:
    """The body that goes to the server."""
    dialect = dialect_for(name, OPTIONS, ManualClock())
    return dict(dialect.request(a_call(operation, model="theirs", **fields)).body)


@EVERY
def test_request_goes_to_the_operations_path_with_the_upstream_model(name: str) -> None:
    dialect = dialect_for(name, OPTIONS, ManualClock())
    paths = {operation: dialect.request(a_call(operation)).path for operation in ("chat", "completion", "embedding")}
    assert paths == {"chat": "/chat/completions", "completion": "/completions", "embedding": "/embeddings"}
    assert sent(name)["model"] == "theirs"


@EVERY
def test_fields_that_nobody_knows_pass_untouched(name: str) -> None:
    extras = {"top_k": 5, "chat_template_kwargs": {"thinking": False}, "temperature": 0.5, "stop": ["a"], "tools": []}
    body = sent(name, **extras)
    assert {key: body[key] for key in extras} == extras


@EVERY
def test_client_body_is_never_changed(name: str) -> None:
    call = a_call(stream=True, user="u", seed=1, max_completion_tokens=5, models=["x"], stream_options={"a": 1})
    before = json.dumps(call.request.body)
    dialect_for(name, OPTIONS, ManualClock()).request(call)
    assert json.dumps(call.request.body) == before


@EVERY
def test_own_fallback_chain_stays_at_home(name: str) -> None:
    assert "models" not in sent(name, models=["a", "b"])


@EVERY
def test_usage_of_a_stream_is_asked_for_where_it_must_be(name: str) -> None:
    asked = {"include_usage": True, "other": 1} if SERVERS[name].asks_usage else None
    assert sent(name, stream=True, stream_options={"other": 1}).get("stream_options") == asked
    assert "stream_options" not in sent(name)


@EVERY
def test_newer_output_cap_wins_under_the_name_that_the_server_knows(name: str) -> None:
    body = sent(name, max_tokens=7, max_completion_tokens=5)
    theirs = SERVERS[name].renamed.get("max_completion_tokens", "max_completion_tokens")
    assert {key: body[key] for key in ("max_tokens", "max_completion_tokens") if key in body} == {theirs: 5}
    assert sent(name, max_tokens=7, max_completion_tokens=None)["max_tokens"] == 7


@EVERY
def test_plain_stream_and_answer_are_read(name: str) -> None:
    dialect = dialect_for(name, OPTIONS, ManualClock())
    reader = dialect.reader(a_call(stream=True))
    chunks = [{**CHUNK, "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}]
    (event,) = [event for chunk in chunks for event in reader.read(json.dumps(chunk).encode())]
    assert event.chunk["choices"][0]["delta"]["content"] == "a"
    choice = {"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}
    answer = dialect.answer(json.dumps({**CHUNK, "object": "chat.completion", "choices": [choice]}).encode(), a_call())
    assert json.loads(answer.raw)["choices"] == [choice]
    assert answer.outcome.upstream_id == "c1"


@EVERY
def test_address_of_the_operator_wins_over_the_rows(name: str) -> None:
    assert base_url_for(name, OPTIONS) == "https://upstream.test/v1"
    if SERVERS[name].base_url is not None:
        assert base_url_for(name, ProviderOptions()) == SERVERS[name].base_url


@EVERY
def test_credential_goes_into_the_header_that_the_server_reads(name: str) -> None:
    header = {"api-key": "sk-test-1234567890"} if name == "azure" else {"authorization": "Bearer sk-test-1234567890"}
    assert [shown for _, shown in credentials_for(name, OPTIONS)] == [header]
    assert credentials_for(name, ProviderOptions()) == [(None, {})]


@pytest.mark.parametrize("row", [*SERVERS.values(), openrouter.SERVER, deepseek.SERVER], ids=lambda row: row.name)
def test_every_row_is_documented_with_how_it_was_verified(row: Server) -> None:
    (line,) = (line for line in DOCUMENT.splitlines() if line.startswith(f"| `{row.name}` |"))
    assert row.verified in line
    assert f"`{row.base_url}`" in line or row.base_url is None


@pytest.mark.parametrize("row", [SERVERS["mistral"], deepseek.SERVER], ids=lambda row: row.name)
def test_dropped_fields_are_documented(row: Server) -> None:
    assert [name for name in row.dropped if f"`{name}`" not in DOCUMENT] == []


def test_server_without_an_address_asks_for_one() -> None:
    with pytest.raises(ValueError, match=r"providers\.mine needs a base_url"):
        base_url_for("mine", ProviderOptions())


def test_provider_of_any_name_takes_the_row_that_it_names() -> None:
    options = ProviderOptions(server="mistral")
    assert base_url_for("paris", options) == "https://api.mistral.ai/v1"
    body = dialect_for("paris", options, ManualClock()).request(a_call(seed=3)).body
    assert body["random_seed"] == 3


def test_row_that_does_not_exist_is_an_error_with_a_hint() -> None:
    with pytest.raises(ValueError, match="did you mean mistral"):
        dialect_for("paris", ProviderOptions(server="mistrall"), ManualClock())


def test_retired_names_are_those_of_the_kind() -> None:
    assert retired_names("deepseek") == dict.fromkeys(("deepseek-chat", "deepseek-reasoner"), "deepseek-flash")
    assert retired_names("openai_compatible") == {}


@pytest.mark.parametrize("below", ["", "/v1", "/beta", "/v1/"])
def test_deepseeks_balance_is_asked_for_at_its_root(below: str) -> None:
    options = ProviderOptions(base_url=f"https://api.deepseek.com{below}")
    dialect = dialect_for("deepseek", options, ManualClock())
    assert dialect.account_paths == ("https://api.deepseek.com/user/balance",)
