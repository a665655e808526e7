from datetime import UTC, datetime
from typing import Any, cast

import pytest

from llm_service.domain import (
    ApiKey,
    Caller,
    Candidate,
    ModelNotAllowed,
    ModelNotFound,
    ModelRequest,
    Reply,
    allows,
    chat_request,
)
from llm_service.pipeline import Exchange, Resolve, Resolver, check_allowed
from llm_service.routing import DeploymentOptions, ModelOptions
from llm_service.runtime import Tasks
from tests.support.routes import a_fleet

FAST = ModelOptions(
    deployments=(
        DeploymentOptions(provider="deepseek", model="deepseek-flash"),
        DeploymentOptions(provider="openrouter", model="deepseek/deepseek-v4-flash"),
    )
)


def resolver(*, catch_all: str | None = "openrouter") -> Resolver:
    providers = frozenset({"deepseek", "openrouter"} if catch_all else {"deepseek"})
    return Resolver(
        providers=providers,
        models={"fast": FAST},
        aliases={"deepseek-chat": "deepseek"},
        catch_all=catch_all,
        member=a_fleet().member,
        choosing=frozenset({"openrouter"}),
    )


def only(provider: str, upstream_model: str) -> tuple[Candidate, ...]:
    return (Candidate(provider=provider, upstream_model=upstream_model),)


@pytest.mark.parametrize(
    ("model", "provider", "upstream_model"),
    [
        ("deepseek/deepseek-flash", "deepseek", "deepseek-flash"),
        ("openrouter/anthropic/claude-sonnet-4.5", "openrouter", "anthropic/claude-sonnet-4.5"),
        ("anthropic/claude-sonnet-4.5", "openrouter", "anthropic/claude-sonnet-4.5"),
        ("gpt-4o", "openrouter", "gpt-4o"),
        ("deepseek-chat", "deepseek", "deepseek-chat"),
    ],
)
def test_a_name_finds_its_provider(model: str, provider: str, upstream_model: str) -> None:
    assert resolver().candidates(model) == only(provider, upstream_model)


def test_a_name_of_the_operators_stands_for_its_deployments_in_order() -> None:
    assert resolver().candidates("fast") == only("deepseek", "deepseek-flash") + only(
        "openrouter", "deepseek/deepseek-v4-flash"
    )


@pytest.mark.parametrize("model", ["deepseek/", "deepseek/ ", "openrouter/"])
def test_a_provider_without_a_model_is_refused_here_and_goes_nowhere(model: str) -> None:
    with pytest.raises(ModelNotFound, match="names a provider and no model") as refused:
        resolver().candidates(model)
    assert refused.value.param == "model"


def test_without_openrouter_an_unknown_name_is_refused_and_the_providers_are_named() -> None:
    with pytest.raises(ModelNotFound, match=r"`gpt-4o` does not exist.*\(deepseek\)") as refused:
        resolver(catch_all=None).candidates("gpt-4o")
    assert refused.value.param == "model"


# -- what a key allows


def key(*models: str) -> ApiKey:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    return ApiKey(id="key_1", name="n", scopes=frozenset({"inference"}), created_at=now, models=models or None)


def asked(model: str = "fast", **fields: Any) -> ModelRequest:
    return chat_request({"model": model, "messages": [{"role": "user", "content": "hello"}], **fields})


@pytest.mark.parametrize(
    ("models", "model", "allowed"),
    [
        ((), "anything", True),
        (("fast",), "fast", True),
        (("fast",), "faster", False),
        (("fast",), "Fast", False),
        (("fast*",), "fast", True),
        (("deepseek/*",), "deepseek/deepseek-flash", True),
        (("deepseek/*",), "deepseek", False),
        (("deepseek/*",), "openrouter/deepseek/deepseek-flash", False),
        (("deepseek/?",), "deepseek/a", False),
        (("de.pseek/a",), "deepseek/a", False),
        (("*",), "anything", True),
        (("a", "b*"), "bc", True),
        (("author/*",), "author/model@preset/mine", False),
        (("author/model@preset/mine",), "author/model@preset/mine", True),
    ],
)
def test_a_key_allows_the_names_of_its_list(models: tuple[str, ...], model: str, allowed: bool) -> None:
    assert allows(key(*models), model) is allowed


def test_callers_without_an_issued_key_may_ask_for_everything() -> None:
    assert allows(None, "anything")
    check_allowed(None, asked("anything", models=["other"], preset="mine"))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": "slow"}, "model"),
        ({"models": ["fast", "slow"]}, "models"),
        ({"preset": "mine"}, "preset"),
        ({"plugins": [{"id": "web"}, {"id": "auto-router"}]}, "plugins"),
        ({"plugins": [{"id": "fusion"}]}, "plugins"),
    ],
)
def test_no_field_leads_past_the_list(fields: dict[str, Any], param: str) -> None:
    check_allowed(key(), asked(**fields))
    with pytest.raises(ModelNotAllowed) as refused:
        check_allowed(key("fast"), asked(**fields))
    assert refused.value.param == param


@pytest.mark.parametrize("plugins", [None, "web", [], [5], [{"id": "web"}], [{"id": []}], {"id": "fusion"}])
def test_other_plugins_are_left_alone(plugins: object) -> None:
    check_allowed(key("fast"), asked(plugins=plugins, models=["fast"]))


def test_a_model_that_is_not_allowed_is_refused_whether_or_not_it_exists() -> None:
    with pytest.raises(ModelNotAllowed, match="may not use the model `nobody/knows`"):
        check_allowed(key("fast"), asked("nobody/knows"))


NOTHING = cast("Reply", object())


async def test_the_stage_lets_nothing_pass_that_the_key_does_not_allow() -> None:
    passed: list[Exchange] = []

    async def proceed(exchange: Exchange) -> Reply:
        passed.append(exchange)
        return NOTHING

    stage = Resolve(resolver())
    caller = Caller(key_id="key_1", scopes=frozenset({"inference"}), key=key("fast"))
    await stage(exchange_of(asked("fast"), caller), proceed)
    with pytest.raises(ModelNotAllowed):
        await stage(exchange_of(asked("gpt-4o"), caller), proceed)
    assert [exchange.request.model for exchange in passed] == ["fast"]


def exchange_of(request: ModelRequest, caller: Caller) -> Exchange:
    return Exchange(
        id="req_1",
        stream_id="str_1",
        surface="rest",
        request=request,
        caller=caller,
        tasks=Tasks(lambda work, failure: None),
        received_at=0.0,
    )


def routed(model: str, *models: str, more: dict[str, ModelOptions] | None = None) -> Any:
    known = {"fast": FAST, **(more or {})}
    knows = Resolver(
        providers=frozenset({"deepseek", "openrouter"}),
        models=known,
        aliases={},
        catch_all="openrouter",
        member=a_fleet().member,
        choosing=frozenset({"openrouter"}),
    )
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "models": list(models)}
    return knows.route(chat_request(body))


def groups_in(route: Any) -> list[tuple[str, str]]:
    return [(group.name, group.trigger) for group in route.groups]


def test_a_list_of_models_that_one_provider_follows_itself_is_left_to_it() -> None:
    route = routed("openrouter/a/b", "a/b", "c/d")
    assert (groups_in(route), route.is_ours) == ([("openrouter/a/b", "failure")], False)


def test_any_other_list_of_models_is_followed_here_each_once() -> None:
    route = routed("deepseek/deepseek-flash", "c/d", "fast", "deepseek/deepseek-flash")
    assert groups_in(route) == [("deepseek/deepseek-flash", "failure"), ("c/d", "failure"), ("fast", "failure")]
    assert (route.is_ours, len(route.ways)) == (True, 4)


def test_fallbacks_of_the_operator_s_follow_those_of_the_request() -> None:
    careful = ModelOptions(
        deployments=FAST.deployments, fallbacks=("fast", "x/y"), context_fallbacks=("l/m",), content_fallbacks=("n/o",)
    )
    route = routed("careful", "deepseek/z", more={"careful": careful})
    assert groups_in(route) == [
        ("careful", "failure"),
        ("deepseek/z", "failure"),
        ("fast", "failure"),
        ("x/y", "failure"),
        ("l/m", "context"),
        ("n/o", "content"),
    ]
    assert [candidate.upstream_model for candidate in route.later] == ["l/m", "n/o"]


def test_a_model_of_the_list_that_nobody_serves_is_named() -> None:
    with pytest.raises(ModelNotFound, match="deepseek/"):
        routed("fast", "deepseek/ ")
