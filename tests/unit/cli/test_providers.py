"""``providers list`` and ``providers test`` in front of simulated providers."""

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest

from llm_service.cli.providers import provider_line, result_line, row_of
from llm_service.domain import Secret
from llm_service.providers import ProviderOptions
from llm_service.sandbox import Sandbox
from tests.unit.cli.conftest import Command


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(pace_s=0.0) as sandbox:
        yield sandbox


async def ask(command: Command, sandbox: Sandbox, *, key: str) -> list[dict[str, object]]:
    known = (("OPENROUTER", "/openrouter/api/v1"), ("DEEPSEEK", "/deepseek"))
    variables = {f"{name}_BASE_URL": sandbox.address + path for name, path in known}
    variables |= {f"{name}_API_KEY": key for name, _ in known}
    done = await asyncio.to_thread(command, "providers", "test", "--json", **variables)
    rows: list[dict[str, object]] = orjson.loads(done.stdout)
    assert done.exit_code == (0 if all(row["ok"] for row in rows) else 1)
    return rows


async def test_a_good_provider_tells_its_models_and_its_balance(command: Command, sandbox: Sandbox) -> None:
    openrouter, deepseek = await ask(command, sandbox, key="sk-test-0123456789")
    assert (openrouter["name"], openrouter["ok"], deepseek["name"], deepseek["ok"]) == (
        "openrouter",
        True,
        "deepseek",
        True,
    )
    assert "balance" in deepseek


async def test_all_that_fail_are_told_each_with_its_own_reason(command: Command, sandbox: Sandbox) -> None:
    openrouter, deepseek = await ask(command, sandbox, key="sk-bad-0123456789")
    assert (deepseek["ok"], deepseek["code"]) == (False, "upstream_auth_failed")
    assert (openrouter["ok"], openrouter["code"]) == (False, "upstream_auth_failed")


def test_without_providers_both_say_so(command: Command) -> None:
    for name in ("list", "test"):
        assert command("providers", name).output == "No provider is configured.\n"
        assert orjson.loads(command("providers", name, "--json").stdout) == []


def test_a_mistake_in_the_configuration_is_told_by_both(command: Command) -> None:
    for name in ("list", "test"):
        refused = command("providers", name, DEEPSEEK_API_KEY="")
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert "DEEPSEEK_API_KEY: is set but empty" in refused.stderr


def test_a_line_tells_a_provider_at_a_glance() -> None:
    bare = row_of("mine", ProviderOptions(base_url="http://127.0.0.1:1/v1", enabled=False))
    keyed = row_of("deepseek", ProviderOptions(kind="deepseek", api_key=Secret("sk-test")))
    assert provider_line(bare) == "mine: openai_compatible at http://127.0.0.1:1/v1, without a key, switched off"
    assert provider_line(keyed) == "deepseek: deepseek at https://api.deepseek.com, with a key"


def test_a_line_tells_what_came_of_asking() -> None:
    row = {"name": "mine", "ok": True, "models": 2, "duration_ms": 7}
    said = {"ok": False, "problem": "What is wrong.", "remedy": "What to do."}
    rich = {**row, "balance": "1.50 USD", "limit_remaining_usd": "3"}
    poor = {**row, **said, "code": "upstream_no_balance", "error": "No balance."}
    failed = {"name": "mine", **said, "code": "upstream_error", "error": "It failed."}
    assert result_line(rich) == "mine: ok, 2 models, 7 ms, balance 1.50 USD, limit remaining usd 3"
    assert result_line(poor) == "mine: upstream_no_balance: No balance.\n  What is wrong.\n  What to do."
    assert result_line(failed) == "mine: upstream_error: It failed.\n  What is wrong.\n  What to do."
