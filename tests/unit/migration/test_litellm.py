"""What single settings of LiteLLM's become."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llm_service.config import Fields, Source, read_yaml
from llm_service.migration import Draft, Found, Outcome, from_litellm


def converted(text: str) -> Draft:
    node, mistakes = read_yaml(text, Source("config.yaml", Path()))
    assert isinstance(node, Fields)
    assert mistakes == []
    return from_litellm(Found("", node.place, node))


def entry(params: str, *, name: str = "chat", info: str = "{}", rest: str = "") -> Draft:
    listed = f"{{model_name: {name}, litellm_params: {{{params}}}, model_info: {info}}}"
    return converted(f"model_list: [{listed}]\n{rest}")


def provider(draft: Draft) -> tuple[str, dict[str, Any]]:
    ((name, options),) = draft.settings["providers"].items()
    return name, options


def outcome(draft: Draft, path: str) -> Outcome:
    (item,) = [item for item in draft.report.items if item.path == path]
    return item.outcome


@pytest.mark.parametrize(
    ("params", "name", "options", "model"),
    [
        ("model: openai/gpt-4o, api_key: os.environ/K", "openai", {"api_key": "${K}"}, "gpt-4o"),
        ("model: gpt-4o", "openai", {"api_key": "${OPENAI_API_KEY}"}, "gpt-4o"),
        (
            "model: gpt-4o, custom_llm_provider: azure, api_base: 'https://r.openai.azure.com'",
            "azure",
            {"base_url": "https://r.openai.azure.com/openai/v1", "api_key": "${AZURE_API_KEY}"},
            "gpt-4o",
        ),
        (
            "model: azure/d, api_version: '2024-10-21', api_base: 'https://r.openai.azure.com/'",
            "azure",
            {
                "base_url": "https://r.openai.azure.com/openai/deployments/d",
                "query": {"api-version": "2024-10-21"},
                "api_key": "${AZURE_API_KEY}",
            },
            "d",
        ),
        (
            "model: ollama_chat/llama3.2",
            "ollama",
            {"base_url": "${OLLAMA_API_BASE:-http://127.0.0.1:11434}/v1"},
            "llama3.2",
        ),
        (
            "model: openai/x, api_base: 'http://gpu.internal:8000/v1/chat/completions', api_key: none",
            "gpu",
            {"base_url": "http://gpu.internal:8000/v1"},
            "x",
        ),
        (
            "model: openai/m, api_base: 'https://api.groq.com/openai/v1', api_key: os.environ/K",
            "groq",
            {"api_key": "${K}"},
            "m",
        ),
        (
            "model: deepseek/deepseek-chat, api_base: 'https://api.deepseek.com/beta'",
            "deepseek",
            {"api_key": "${DEEPSEEK_API_KEY}"},
            "deepseek-chat",
        ),
        (
            "model: openrouter/a/b, api_key: os.environ/OTHER",
            "openrouter-b",
            {"kind": "openrouter", "api_key": "${OTHER}"},
            "a/b",
        ),
        (
            "model: fireworks_ai/llama",
            "fireworks",
            {"base_url": "https://api.fireworks.ai/inference/v1", "api_key": "${FIREWORKS_AI_API_KEY}"},
            "accounts/fireworks/models/llama",
        ),
    ],
)
def test_an_entry_asks_the_provider_that_litellm_asks(
    params: str, name: str, options: dict[str, Any], model: str
) -> None:
    draft = entry(params)
    assert provider(draft) == (name, options)
    assert draft.settings["models"]["chat"]["deployments"] == [{"provider": name, "model": model}]


@pytest.mark.parametrize("model", ["bedrock/x", "vertex_ai/x", "sagemaker/x", "gemini-2.5-pro", "newcomer/x", "x"])
def test_what_cannot_be_asked_from_here_is_left_out_and_said(model: str) -> None:
    draft = entry(f"model: {model}")
    assert "providers" not in draft.settings
    assert outcome(draft, "model_list[0]") is Outcome.LOST


def test_deployments_are_drawn_by_their_requests_a_minute_where_they_have_no_weight() -> None:
    draft = converted(
        "model_list:\n"
        "- {model_name: a, litellm_params: {model: openai/x, rpm: 60}}\n"
        "- {model_name: a, litellm_params: {model: openai/y, rpm: 60000}}\n"
    )
    model = draft.settings["models"]["a"]
    assert [one.get("weight", 1) for one in model["deployments"]] == [1, 1000]
    assert model["strategy"] == "weighted"
    limits = draft.settings["limits"]["per_provider"].values()
    assert [one["requests_per_minute"] for one in limits] == [60, 60000]


def test_a_price_by_the_token_is_one_by_the_million_to_the_last_digit() -> None:
    draft = entry("model: openai/x", info="{input_cost_per_token: 1.5e-07, output_cost_per_token: 0.0000006}")
    assert draft.settings["prices"] == {"openai/x": {"input_usd": Decimal("0.15"), "output_usd": Decimal("0.6")}}


def test_half_a_price_is_none() -> None:
    draft = entry("model: openai/x, input_cost_per_token: 0.000001")
    assert "prices" not in draft.settings
    assert outcome(draft, "model_list[0].litellm_params.input_cost_per_token") is Outcome.LOST


def test_the_cache_stays_off_unless_the_file_switches_it_on() -> None:
    assert entry("model: openai/x").settings["cache"] == {"enabled": False}
    on = entry("model: openai/x", rest="litellm_settings: {cache: true, cache_params: {type: local, ttl: 60}}")
    assert on.settings["cache"] == {"enabled": True, "ttl_s": 60}


def test_a_store_is_put_together_of_its_parts_without_its_password() -> None:
    rest = "router_settings: {redis_host: os.environ/H, redis_port: 6380, redis_password: canary-1, redis_db: 2}"
    draft = entry("model: openai/x", rest=rest)
    assert draft.settings["store"] == {"redis_url": "redis://:${REDIS_PASSWORD}@${H}:6380/2"}


def test_models_that_others_fall_back_to_have_a_provider_of_their_own() -> None:
    draft = converted(
        "model_list:\n"
        "- {model_name: large, litellm_params: {model: openai/large}}\n"
        "- {model_name: small, litellm_params: {model: openai/small}}\n"
        "router_settings: {fallbacks: [{large: [small]}]}\n"
    )
    models = draft.settings["models"]
    assert models["large"]["fallbacks"] == ["small"]
    assert models["large"]["deployments"][0]["provider"] != models["small"]["deployments"][0]["provider"]


def test_an_unknown_setting_is_told_with_its_line() -> None:
    draft = converted("model_list: []\ngeneral_settings:\n  from_the_future: {a: 1, b: 2}\n")
    (item,) = [item for item in draft.report.items if item.outcome is Outcome.LOST]
    assert (item.path, item.place.line) == ("general_settings.from_the_future", 3)


def test_with_a_master_key_everybody_needs_one() -> None:
    draft = entry("model: openai/x", rest="general_settings: {master_key: sk-test-canary}")
    assert draft.settings["auth"] == {"admin_key": "${LLM_ADMIN_KEY}", "required": "always"}


@pytest.mark.parametrize(
    ("duration", "period"), [("1h", "hour"), ("24h", "day"), ("7d", "week"), ("30d", "month"), ("1mo", "month")]
)
def test_a_budget_is_for_the_period_that_its_duration_comes_to(duration: str, period: str) -> None:
    draft = entry("model: openai/x", rest=f"litellm_settings: {{max_budget: 12.5, budget_duration: {duration}}}")
    assert draft.settings["limits"]["global"] == {"budget_usd": Decimal("12.5"), "budget_period": period}


def test_a_budget_of_another_duration_is_not_guessed() -> None:
    draft = entry("model: openai/x", rest="litellm_settings: {max_budget: 12.5, budget_duration: 10d}")
    assert "limits" not in draft.settings
    assert outcome(draft, "litellm_settings.max_budget") is Outcome.LOST


def test_every_model_may_be_asked_for_where_the_file_says_so() -> None:
    draft = converted('model_list: [{model_name: "*", litellm_params: {model: "openrouter/*"}}]\n')
    assert "filters" not in draft.settings
    assert provider(draft)[0] == "openrouter"


@pytest.mark.parametrize(
    ("ssl", "scheme"), [("true", "rediss"), ("false", "redis"), ("os.environ/REDIS_SSL", "rediss"), ("maybe", "rediss")]
)
def test_a_store_is_asked_over_tls_unless_the_file_says_that_it_is_not(ssl: str, scheme: str) -> None:
    rest = f"litellm_settings: {{cache: true, cache_params: {{type: redis, host: h, port: 6379, ssl: {ssl}}}}}"
    draft = entry("model: openai/x", rest=rest)
    assert draft.settings["store"] == {"redis_url": f"{scheme}://h:6379"}
    wanted = Outcome.CARRIED if ssl in ("true", "false") else Outcome.CHANGED
    assert outcome(draft, "litellm_settings.cache_params.ssl") is wanted


def guardrail(params: str) -> list[dict[str, Any]]:
    rest = f"guardrails: [{{guardrail_name: g, litellm_params: {{{params}, default_on: true}}}}]"
    draft = entry("model: openai/x", rest=rest)
    return [one for one in draft.settings["filters"] if one["name"] != "model-list"]


def test_words_and_patterns_find_no_less_than_they_did() -> None:
    word, pattern = guardrail(
        "guardrail: litellm_content_filter, mode: pre_call, blocked_words: [{keyword: nightfall, action: BLOCK}], "
        "patterns: [{pattern_type: regex, pattern: 'internal use', action: MASK}]"
    )
    assert (word["words"], word["whole_words"]) == (["nightfall"], False)
    assert pattern["patterns"] == ["(?i)internal use"]


def test_a_guardrail_that_is_chosen_by_tags_is_for_all_requests_on_all_its_sides() -> None:
    (one,) = guardrail("guardrail: hide-secrets, mode: {tags: {a: pre_call}, default: [post_call]}")
    assert one["on"] == ["input", "output"]


@pytest.mark.parametrize("amount", ["0", "0.0"])
def test_a_budget_of_nothing_is_no_bound_for_all_as_it_is_in_litellm(amount: str) -> None:
    draft = entry("model: openai/x", rest=f"litellm_settings: {{max_budget: {amount}, budget_duration: 30d}}")
    assert "limits" not in draft.settings
    assert outcome(draft, "litellm_settings.max_budget") is Outcome.CARRIED


@pytest.mark.parametrize("number", ["1e999999999", "1e-999999999", "1e-12", "-1", ".nan"])
def test_a_number_that_cannot_be_set_is_told_whatever_its_size(number: str) -> None:
    draft = entry(f"model: openai/x, max_budget: {number}, rpm: {number}, input_cost_per_token: {number}")
    assert not {"limits", "prices"} & draft.settings.keys()
    for name in ("max_budget", "rpm", "input_cost_per_token"):
        assert outcome(draft, f"model_list[0].litellm_params.{name}") is Outcome.LOST
