"""OpenRouter: names of models, routing fields, attribution, prices, account."""

import json
from decimal import Decimal
from typing import Any

import pytest

from llm_service.domain import UpstreamInvalidResponse
from llm_service.providers import Dialect, ProviderOptions, dialect_for
from llm_service.providers.openrouter import openrouter_name
from tests.support.clock import ManualClock
from tests.support.transcripts import a_call


@pytest.fixture
def openrouter() -> Dialect:
    return dialect_for("openrouter", ProviderOptions(), ManualClock())


@pytest.mark.parametrize(
    ("model", "theirs"),
    [
        ("anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4.5"),
        ("openrouter/anthropic/claude-sonnet-4.5:nitro", "anthropic/claude-sonnet-4.5:nitro"),
        ("openrouter/auto", "openrouter/auto"),
        ("auto", "openrouter/auto"),
        ("free:online", "openrouter/free:online"),
        ("@preset/mine", "@preset/mine"),
        ("~openai/gpt-latest", "~openai/gpt-latest"),
    ],
)
def test_models_go_by_openrouters_names(model: str, theirs: str) -> None:
    assert openrouter_name(model) == theirs


def test_routing_fields_pass_and_the_fallback_list_goes_by_openrouters_names(openrouter: Dialect) -> None:
    fields: dict[str, Any] = {
        "provider": {"order": ["deepinfra/turbo"], "max_price": {"prompt": 1}},
        "plugins": [{"id": "web"}],
        "transforms": [],
        "reasoning": {"effort": "low", "exclude": True},
        "usage": {"include": True},
        "session_id": "s",
        "user": "u",
    }
    models = ["openrouter/acme/one", "acme/two"]
    body = openrouter.request(a_call(model="acme/one", models=models, **fields)).body
    assert {key: body[key] for key in fields} == fields
    assert (body["model"], body["models"]) == ("acme/one", ["acme/one", "acme/two"])


def test_attribution_headers_name_the_operators_application() -> None:
    options = ProviderOptions(app_title="Tides", app_url="https://tides.example")
    dialect = dialect_for("openrouter", options, ManualClock())
    headers = {"http-referer": "https://tides.example", "x-openrouter-title": "Tides"}
    assert dict(dialect.request(a_call()).headers) == headers


def test_no_attribution_is_made_up(openrouter: Dialect) -> None:
    assert dict(openrouter.request(a_call()).headers) == {}


def test_model_tells_what_it_takes(openrouter: Dialect) -> None:
    entry = {
        "id": "acme/one",
        "supported_parameters": ["tools", "seed"],
        "architecture": {"input_modalities": ["text", "image"]},
        "pricing": {"prompt": "0.0000025", "completion": "-1"},
    }
    (model,) = openrouter.models(json.dumps({"data": [entry]}).encode())
    assert (model.parameters, model.input_modalities) == (("tools", "seed"), ("text", "image"))
    assert model.price is not None
    assert (model.price.input_usd, model.price.output_usd) == (Decimal("2.5"), None)


@pytest.mark.parametrize(
    ("remaining", "credit", "usable"),
    [(None, None, True), (0.5, None, True), (0, None, False), (None, (10, 10), False), (None, (10, 9.5), True)],
)
def test_account_is_usable_while_money_is_left(openrouter: Dialect, remaining: Any, credit: Any, usable: bool) -> None:
    key = json.dumps({"data": {"limit_remaining": remaining, "label": "sk-or-v1-tes...test"}}).encode()
    told = credit and json.dumps({"data": {"total_credits": credit[0], "total_usage": credit[1]}}).encode()
    account = openrouter.account([key, told or b""])
    assert account.usable is usable
    assert "label" not in account.detail


def test_account_that_is_none_is_an_invalid_response(openrouter: Dialect) -> None:
    with pytest.raises(UpstreamInvalidResponse):
        openrouter.account([b'{"data": []}', b""])


def test_credits_are_asked_for_after_the_key(openrouter: Dialect) -> None:
    assert list(openrouter.account_paths) == ["/key", "/credits"]
