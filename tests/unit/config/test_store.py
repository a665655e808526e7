"""Where the stores are: addresses of the known kinds, by their usual names too, and never shown."""

import pytest

from llm_service.config import rendered
from llm_service.domain import Secret
from tests.unit.config.conftest import Configured

POSTGRES = "postgresql://me:hunter2@db.example.com:5432/llm?sslmode=require"


@pytest.mark.parametrize(
    ("name", "setting", "url"),
    [
        ("DATABASE_URL", "database_url", POSTGRES),
        ("DATABASE_URL", "database_url", "postgres://db/llm"),
        ("LLM_SERVICE_STORE__DATABASE_URL", "database_url", "postgresql:///llm?host=/run/postgresql"),
        ("REDIS_URL", "redis_url", "redis://:hunter2@redis:6379/0"),
        ("REDIS_URL", "redis_url", "rediss://redis:6380"),
        ("REDIS_URL", "redis_url", "valkeys://redis:6380"),
        ("REDIS_URL", "redis_url", "rediss+cluster://redis:6380"),
        ("REDIS_URL", "redis_url", "unix:///run/valkey.sock?db=1"),
        ("LLM_SERVICE_STORE__REDIS_URL", "redis_url", "redis+sentinel://a:26379,b:26379/main/0"),
        ("LLM_SERVICE_STORE__REDIS_URL", "redis_url", "redis+cluster://a:6379,b:6379"),
    ],
)
def test_a_store_has_an_address(name: str, setting: str, url: str, configured: Configured) -> None:
    assert getattr(configured.settings(environ={name: url}).store, setting) == Secret(url)


@pytest.mark.parametrize(
    ("name", "url", "words"),
    [
        ("DATABASE_URL", "mysql://me:hunter2@db/llm", "must be an address such as postgresql://"),
        ("DATABASE_URL", "sqlite:////var/hunter2.db", "SQLite in the data directory needs none"),
        ("DATABASE_URL", "postgresql://me:hunter2 @db/llm", "must be an address such as"),
        ("REDIS_URL", "http://hunter2@redis", "must be redis://host:port"),
        ("REDIS_URL", "redis://:hunter2@redis/x/y", "nothing after the number of its database"),
        ("LLM_SERVICE_STORE__REDIS_PREFIX", "{hunter2}", "must be 1 to 64 letters, digits"),
    ],
)
def test_another_address_is_a_mistake_that_is_not_repeated(
    name: str, url: str, words: str, configured: Configured
) -> None:
    (mistake,) = configured.mistakes(environ={name: url})
    assert words in mistake
    assert "hunter2" not in mistake


def test_addresses_are_not_shown(configured: Configured) -> None:
    settings = configured.settings(environ={"DATABASE_URL": POSTGRES, "REDIS_URL": "redis://:hunter2@redis"})
    assert "hunter2" not in repr(rendered(settings)) + repr(settings)


def test_without_addresses_the_service_keeps_everything_itself(configured: Configured) -> None:
    store = configured.settings().store
    assert (store.redis_url, store.database_url, store.redis_prefix) == (None, None, "llm:")
