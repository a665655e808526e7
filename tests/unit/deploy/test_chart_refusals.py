"""What the chart refuses: names that it does not know, what cannot work, and secrets in clear."""

from typing import Any

import pytest

from llm_service.config import Settings
from llm_service.config.shape import Leaf, ListOf, MapOf, Shape, describe, walk
from llm_service.domain import Secret
from tests.support.chart import MINIMAL, SHARED, Values, has_helm, rendered

pytestmark = has_helm
KEYS = MINIMAL["secrets"]["values"]


def with_existing(*names: str) -> Values:
    return {"secrets": {"values": KEYS, "existing": {name: SHARED[name] for name in names}}}


def configured(path: str, value: Any) -> Values:
    """The minimal values, and a setting at a path of the configuration."""
    for step in reversed(path.split(".")):
        value = [value] if step == "[]" else {step: value}
    return MINIMAL | {"config": value}


REFUSED: dict[str, tuple[Values, str]] = {
    "nothing": ({}, "there is no secret admin-key"),
    "no admin key": ({"secrets": {"values": {"provider-openrouter": "sk-test"}}}, "there is no secret admin-key"),
    "no provider": ({"secrets": {"values": {"admin-key": "sk-test"}}}, "there is no provider"),
    "two replicas without stores": (
        MINIMAL | {"replicas": 2},
        "2 replicas share limits, keys and records by Valkey and PostgreSQL, "
        "and there is no secret redis-url, database-url, hash-key",
    ),
    "two replicas without a database": (
        with_existing("redis-url", "hash-key") | {"replicas": 2},
        "there is no secret database-url:",
    ),
    "an autoscaler without stores": (MINIMAL | {"autoscaling": {"enabled": True}}, "8 replicas share"),
    "a database without a hash key": (with_existing("database-url"), "database-url takes a hash-key"),
    "a claim that is the database": (MINIMAL | {"ship": {"ordinals": [0]}}, "nowhere to ship to"),
    "a secret named twice": (
        {"secrets": {"values": KEYS, "existing": {"admin-key": SHARED["admin-key"]}}},
        "both have admin-key",
    ),
    "an autoscaler that shrinks": (
        with_existing("redis-url", "database-url", "hash-key") | {"autoscaling": {"enabled": True, "minReplicas": 9}},
        "minReplicas is more than",
    ),
    "an autoscaler without a figure": (
        with_existing("redis-url", "database-url", "hash-key")
        | {"autoscaling": {"enabled": True, "inFlightPerPod": 0, "cpuPercent": 0}},
        "nothing to go by",
    ),
    "a provider's key twice": (
        configured("providers.openrouter.api_key", "file:/run/secrets/llm-service/provider-openrouter"),
        "are the same setting",
    ),
    "an unknown value": (MINIMAL | {"replica": 2}, "additional properties 'replica' not allowed"),
    "an unknown value below": (MINIMAL | {"shutdown": {"grace": 2}}, "additional properties 'grace' not allowed"),
    "a shared volume": (MINIMAL | {"volume": {"accessModes": ["ReadWriteMany"]}}, "accessModes"),
    "an ingress without a host": (MINIMAL | {"ingress": {"enabled": True}}, "hosts"),
}
OWN = {
    **{f"server.{name}": 1 for name in ("host", "port", "admin_host", "admin_port", "workers", "data_dir")},
    "server.shutdown_grace_s": 1,
    "server.tls": {},
    "ledger.shipping_grace_s": 1,
    "sandbox": "auto",
    "auth.admin_key": "${A}",
    "auth.hash_key": "${A}",
    "store.redis_url": "${A}",
    "store.database_url": "${A}",
}


def holds_secrets(shape: Shape) -> bool:
    match shape:
        case Leaf():
            return shape.type is Secret
        case ListOf():
            return holds_secrets(shape.item)
        case MapOf():
            return shape.confidential or holds_secrets(shape.value)
        case _:
            return False


def secret_settings() -> list[str]:
    """The path of each setting that holds a secret, with names of ours in it."""
    found = []
    for path, setting in walk(describe(Settings)):
        if holds_secrets(setting.shape):
            below = (
                ".[]" if isinstance(setting.shape, ListOf) else ".x-canary" if isinstance(setting.shape, MapOf) else ""
            )
            found.append(path.replace("[]", ".[]").replace("*", "some") + below)
    return found


@pytest.fixture(scope="module")
def refused() -> dict[str, str]:
    asked = {name: values for name, (values, _) in REFUSED.items()}
    asked |= {f"own {path}": configured(path, value) for path, value in OWN.items()}
    asked |= {f"clear {path}": configured(path, "sk-canary-in-clear") for path in secret_settings()}
    return dict(zip(asked, (one.refused for one in rendered([*asked.values()])), strict=True))


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_refused_with_the_reason(refused: dict[str, str], name: str) -> None:
    assert REFUSED[name][1] in refused[name]


@pytest.mark.parametrize("path", OWN)
def test_what_the_chart_sets_is_refused_in_the_configuration(refused: dict[str, str], path: str) -> None:
    assert f"config.{path} is the chart's to set: " in refused[f"own {path}"]


@pytest.mark.parametrize("path", secret_settings())
def test_a_secret_in_clear_is_refused_and_not_repeated(refused: dict[str, str], path: str) -> None:
    said = refused[f"clear {path}"]
    assert f"config.{path.replace('.[]', '[0]')} would be in clear in a ConfigMap" in said
    assert "sk-canary" not in said


def test_all_reasons_are_given_at_once() -> None:
    values = {"replicas": 3, "config": {"sandbox": "on", "providers": {"a": {"api_key": "sk-canary"}}}}
    (said,) = rendered([values])
    assert said.refused.count("\n- ") == 4, said.refused


def test_what_refers_to_a_secret_is_none() -> None:
    def all_of(text: str) -> Values:
        config: dict[str, Any] = {}
        for path in secret_settings():
            if path.removesuffix(".[]") not in OWN:
                join(config, configured(path, text)["config"])
        return MINIMAL | {"config": config}

    texts = ("file:/run/secrets/llm-service/some", "${SOME_VARIABLE}", "${SOME_VARIABLE:-2024-10-21}")
    assert [one.refused for one in rendered([all_of(text) for text in texts])] == [""] * 3


def join(into: dict[str, Any], other: dict[str, Any]) -> None:
    for name, value in other.items():
        if isinstance(value, dict) and name in into:
            join(into[name], value)
        else:
            into[name] = value
