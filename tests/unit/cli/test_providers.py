"""``providers list`` and ``providers test`` in front of simulated providers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from llm_service.cli.providers import provider_line, result_line, row_of
from llm_service.domain import Secret
from llm_service.providers import ProviderOptions
from llm_service.sandbox import Sandbox
from llm_service.services import Override
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
    for name in ("list", "test", "check"):
        assert command("providers", name).output == "No provider is configured.\n"
        assert orjson.loads(command("providers", name, "--json").stdout) == []


def test_a_mistake_in_the_configuration_is_told_by_both(command: Command) -> None:
    for name in ("list", "test", "check"):
        refused = command("providers", name, DEEPSEEK_API_KEY="")
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert "DEEPSEEK_API_KEY: is set but empty" in refused.stderr


def test_a_line_tells_a_provider_at_a_glance() -> None:
    bare = row_of("mine", ProviderOptions(base_url="http://127.0.0.1:1/v1", enabled=False))
    keyed = row_of("deepseek", ProviderOptions(kind="deepseek", api_key=Secret("sk-test")))
    assert provider_line(bare) == "mine: openai_compatible at http://127.0.0.1:1/v1, without a key, switched off"
    assert provider_line(keyed) == "deepseek: deepseek at https://api.deepseek.com, with a key"


def test_a_line_tells_what_was_decided_at_run_time() -> None:
    options = ProviderOptions(base_url="http://127.0.0.1:1/v1")
    shown = {
        state: provider_line(row_of("mine", options, Override(state, "2026-11-23T00:00:00Z")))
        for state in ("enabled", "draining", "disabled")
    }
    ends = {name: line.partition("without a key, ")[2] for name, line in shown.items()}
    assert ends == {
        "enabled": "switched on since 2026-11-23T00:00:00Z",
        "draining": "being drained since 2026-11-23T00:00:00Z",
        "disabled": "switched off since 2026-11-23T00:00:00Z",
    }


def in_database(command: Command) -> None:
    """Makes the database, as a first start does."""
    assert command("keys", "create", "n", DEEPSEEK_API_KEY="sk-test").exit_code == 0


def test_states_are_put_into_the_database_and_shown_by_the_list(command: Command) -> None:
    key = {"DEEPSEEK_API_KEY": "sk-test"}
    in_database(command)
    for word, state in (("disable", "disabled"), ("drain", "draining"), ("enable", "enabled"), ("reset", "enabled")):
        done = command("providers", word, "deepseek", "--json", **key)
        row = orjson.loads(done.stdout)
        assert (done.exit_code, row["state"], row["override"] is None) == (0, state, word == "reset")
        (listed,) = orjson.loads(command("providers", "list", "--json", **key).stdout)
        assert (listed["state"], listed["override"]) == (state, row["override"])
    said = command("providers", "disable", "deepseek", **key).stdout
    assert said.startswith("deepseek: disabled, since 20")
    assert said.endswith(", configured: enabled\n")
    assert command("providers", "reset", "deepseek", **key).stdout == "deepseek: enabled, as configured\n"


def test_a_name_that_is_not_configured_is_refused(command: Command) -> None:
    in_database(command)
    refused = command("providers", "disable", "deepsek", DEEPSEEK_API_KEY="sk-test")
    assert (refused.exit_code, refused.stderr) == (1, "No provider is named deepsek; configured are: deepseek.\n")
    for word in ("test", "check"):
        refused = command("providers", word, "deepsek", "--json", DEEPSEEK_API_KEY="sk-test")
        assert (refused.exit_code, orjson.loads(refused.stdout)["ok"]) == (2, False)


def test_without_a_database_nothing_is_decided(command: Command) -> None:
    refused = command("providers", "disable", "deepseek", DEEPSEEK_API_KEY="sk-test")
    assert refused.exit_code == 2
    assert "there is no database" in refused.stderr


async def test_a_check_prints_what_differs_and_fails_on_problems(
    command: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    written: dict[str, object] = {
        "providers": {"deepseek": {"base_url": f"{sandbox.address}/deepseek", "api_key": "sk-test-0123456789"}},
        "models": {"fast": {"deployments": [{"provider": "deepseek", "model": "deepseek-flash"}]}},
    }
    file = tmp_path / "checked.yaml"
    file.write_bytes(orjson.dumps(written))
    good = await asyncio.to_thread(command, "providers", "check", "--config", str(file))
    assert (good.exit_code, good.stdout.splitlines()[0]) == (0, "deepseek: ok, 2 models")
    written["models"] = {"fast": {"deployments": [{"provider": "deepseek", "model": "deepseek-v9"}]}}
    file.write_bytes(orjson.dumps(written))
    bad = await asyncio.to_thread(command, "providers", "check", "--config", str(file))
    assert bad.exit_code == 1
    assert "  problem: models.fast: the catalogue has no model `deepseek-v9`" in bad.stdout.splitlines()
    (told,) = orjson.loads(
        (await asyncio.to_thread(command, "providers", "check", "--json", "--config", str(file))).stdout
    )
    assert (told["ok"], len(told["problems"])) == (False, 1)


def test_a_line_tells_what_came_of_asking() -> None:
    row = {"name": "mine", "ok": True, "models": 2, "duration_ms": 7}
    said = {"ok": False, "problem": "What is wrong.", "remedy": "What to do."}
    rich = {**row, "balance": "1.50 USD", "limit_remaining_usd": "3"}
    poor = {**row, **said, "code": "upstream_no_balance", "error": "No balance."}
    failed = {"name": "mine", **said, "code": "upstream_error", "error": "It failed."}
    assert result_line(rich) == "mine: ok, 2 models, 7 ms, balance 1.50 USD, limit remaining usd 3"
    assert result_line(poor) == "mine: upstream_no_balance: No balance.\n  What is wrong.\n  What to do."
    assert result_line(failed) == "mine: upstream_error: It failed.\n  What is wrong.\n  What to do."
