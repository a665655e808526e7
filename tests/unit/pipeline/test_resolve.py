import pytest

from llm_service.domain import Candidate, ModelNotFound
from llm_service.pipeline import DeploymentOptions, ModelOptions, Resolver

FAST = ModelOptions(
    deployments=(
        DeploymentOptions(provider="deepseek", model="deepseek-flash"),
        DeploymentOptions(provider="openrouter", model="deepseek/deepseek-v4-flash"),
    )
)


def resolver(*, catch_all: str | None = "openrouter") -> Resolver:
    providers = frozenset({"deepseek", "openrouter"} if catch_all else {"deepseek"})
    return Resolver(
        providers=providers, models={"fast": FAST}, aliases={"deepseek-chat": "deepseek"}, catch_all=catch_all
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
        ("deepseek/", "openrouter", "deepseek/"),
    ],
)
def test_a_name_finds_its_provider(model: str, provider: str, upstream_model: str) -> None:
    assert resolver().candidates(model) == only(provider, upstream_model)


def test_a_name_of_the_operators_stands_for_its_deployments_in_order() -> None:
    assert resolver().candidates("fast") == only("deepseek", "deepseek-flash") + only(
        "openrouter", "deepseek/deepseek-v4-flash"
    )


def test_without_openrouter_an_unknown_name_is_refused_and_the_providers_are_named() -> None:
    with pytest.raises(ModelNotFound, match=r"`gpt-4o` does not exist.*\(deepseek\)") as refused:
        resolver(catch_all=None).candidates("gpt-4o")
    assert refused.value.param == "model"
