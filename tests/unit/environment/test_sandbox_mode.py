"""When the service is a sandbox, and what stands in for what there."""

from pathlib import Path

import pytest

from llm_service.config import SIMULATED, Loaded, load_settings
from llm_service.domain import Secret
from llm_service.environment import ALWAYS_THERE, simulated_providers, wants_sandbox
from llm_service.providers import ProviderOptions

PROVIDER = {"DEEPSEEK_API_KEY": "sk-test-0123456789"}
ELSEWHERE = {"LLM_SERVICE_SERVER__HOST": "0.0.0.0", "LLM_SERVICE_AUTH__ADMIN_KEY": "sk-test-admin"}
CASES = {
    "nothing is configured": ({}, "", True),
    "a provider is configured": (PROVIDER, "", False),
    "another address is configured": (ELSEWHERE, "", False),
    "a file is there that configures nothing": ({}, "{}", False),
    "it is asked for beside a provider": (PROVIDER | {"LLM_SERVICE_SANDBOX": "on"}, "", True),
    "it is asked for at another address": (ELSEWHERE | {"LLM_SERVICE_SANDBOX": "on"}, "", True),
    "it is asked for in a file": ({}, "sandbox: on", True),
    "it is unwanted": ({"LLM_SERVICE_SANDBOX": "off"}, "", False),
    **{
        f"the host is {host}": ({"LLM_SERVICE_SERVER__HOST": host}, "", True)
        for host in ("localhost", "127.0.0.2", "::1")
    },
}


def loaded(folder: Path, environ: dict[str, str], text: str) -> Loaded:
    if text:
        (folder / "llm-service.yaml").write_text(text)
    return load_settings(path=None, environ=environ, cwd=folder)


@pytest.mark.parametrize(("environ", "text", "sandboxed"), CASES.values(), ids=list(CASES))
def test_it_is_a_sandbox_by_itself_only_where_nothing_is_configured(
    tmp_path: Path, environ: dict[str, str], text: str, sandboxed: bool
) -> None:
    assert wants_sandbox(loaded(tmp_path, environ, text)) is sandboxed


def test_the_configuration_knows_which_providers_are_always_there() -> None:
    assert set(ALWAYS_THERE) == SIMULATED


def test_each_configured_provider_is_simulated_by_one_of_its_kind() -> None:
    configured = {
        "mine": ProviderOptions(kind="openai_compatible", base_url="https://example.com/v1"),
        "second": ProviderOptions(kind="deepseek"),
    }
    simulated = simulated_providers("http://127.0.0.1:1", configured)
    assert {name: options.base_url for name, options in simulated.items()} == {
        "openrouter": "http://127.0.0.1:1/openrouter/api/v1",
        "deepseek": "http://127.0.0.1:1/deepseek",
        "openai": "http://127.0.0.1:1/openai/v1",
        "mine": "http://127.0.0.1:1/openai/v1",
        "second": "http://127.0.0.1:1/deepseek",
    }


def test_no_credential_of_a_real_provider_reaches_a_simulated_one(tmp_path: Path) -> None:
    real = ProviderOptions(
        kind="openai_compatible",
        api_key=Secret("sk-test-real"),
        headers={"x-key": "sk-test-real"},
        query={"key": "sk-test-real"},
        ca_file=tmp_path / "ca.pem",
    )
    mine = simulated_providers("http://127.0.0.1:1", {"mine": real})["mine"]
    assert mine.api_key is not None
    assert mine.api_key.reveal() != "sk-test-real"
    assert (dict(mine.headers), dict(mine.query), mine.ca_file) == ({}, {}, None)
