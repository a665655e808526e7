"""Every secret of the settings is found, wherever it stands."""

from llm_service.config import Settings, secrets_of
from llm_service.domain import Secret
from llm_service.providers import ProviderOptions


def test_secrets_are_found_in_groups_lists_and_maps_and_nothing_else_is() -> None:
    provider = ProviderOptions(
        base_url="https://example.org/v1",
        api_keys=(Secret("one-key"), Secret("two-key")),
        headers={"x-tenant": "three-key"},
    )
    settings = Settings(providers={"plain": provider})
    assert {secret.reveal() for secret in secrets_of(settings)} == {"one-key", "two-key", "three-key"}
    assert secrets_of(Settings()) == ()
