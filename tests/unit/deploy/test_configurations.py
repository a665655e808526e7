"""The configurations for development, staging and production: right as they stand, and what they promise."""

import re
from pathlib import Path

import pytest

from llm_service.config import Loaded, SettingsError, load_settings
from tests.support.deploy import DEPLOY

FILES = sorted((DEPLOY / "configurations").glob("*.yaml"))
VARIABLES = {
    "LLM_ADMIN_KEY": "sk-test-admin-key-of-a-configuration",
    "LLM_HASH_KEY": "sk-test-hash-key-of-a-configuration-0123456789",
    "REDIS_URL": "redis://:test@127.0.0.1:6379/0",
    "DATABASE_URL": "postgresql://test:test@127.0.0.1:5432/test",
    "DEEPSEEK_API_KEY": "sk-test-deepseek",
    "OPENROUTER_API_KEY": "sk-test-openrouter",
}
files = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
strict = pytest.mark.parametrize("name", ["staging", "production"])


def loaded(path: Path, **variables: str) -> Loaded:
    return load_settings(path=path, environ=variables, cwd=path.parent, overrides={})


def named(name: str) -> Path:
    return DEPLOY / "configurations" / f"{name}.yaml"


def test_there_is_one_for_each_environment() -> None:
    assert [path.stem for path in FILES] == ["development", "production", "staging"]


@files
def test_it_is_right_as_it_stands(path: Path) -> None:
    found = loaded(path, **VARIABLES)
    assert found.notes == ()
    assert [*found.settings.providers] == ["openrouter", "deepseek"]


@files
def test_it_says_why(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# For ") or lines[0].startswith("# As ")
    assert sum("#" in line for line in lines) >= 10


@files
def test_it_holds_no_secret(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for value in re.findall(
        r"^(?:.*\b)(?:admin_key|hash_key|api_key|redis_url|database_url): *(\S+)", text, re.MULTILINE
    ):
        assert value.strip('"').startswith("${"), value


@strict
def test_callers_and_money_are_never_left_to_chance(name: str) -> None:
    settings = loaded(named(name), **VARIABLES).settings
    assert settings.auth.required == "always"
    assert settings.limits.everybody.budget_usd is not None
    assert settings.limits.unknown_price == "refuse"
    assert settings.cache.scope == "key"
    assert settings.observability.log_content is False
    assert settings.server.admin_port is not None
    assert settings.server.admin_address == "127.0.0.1"


@strict
def test_what_it_needs_and_does_not_get_is_said_at_once(name: str) -> None:
    with pytest.raises(SettingsError) as refused:
        loaded(named(name))
    said = " ".join(str(mistake) for mistake in refused.value.mistakes)
    assert all(variable in said for variable in ("LLM_ADMIN_KEY", "LLM_HASH_KEY", "REDIS_URL", "DATABASE_URL"))


def test_development_needs_nothing_and_stays_on_this_machine() -> None:
    settings = loaded(named("development")).settings
    assert (settings.server.host, settings.server.admin_address) == ("127.0.0.1", "127.0.0.1")
    assert (settings.auth.admin_key, settings.store.redis_url, settings.store.database_url) == (None, None, None)


def test_staging_and_production_share_no_names_in_a_store() -> None:
    prefixes = {loaded(path, **VARIABLES).settings.store.redis_prefix for path in map(named, ("staging", "production"))}
    assert len(prefixes) == 2
