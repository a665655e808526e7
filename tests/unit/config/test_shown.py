"""Settings as they are shown: check-config and the JSON Schema."""

import json
from dataclasses import fields

import pytest
from jsonschema import Draft202012Validator

from llm_service.api import AuthOptions, ServerOptions
from llm_service.config import Settings, json_schema, rendered
from llm_service.config.later import LATER
from llm_service.config.shape import Leaf, Setting, describe, walk
from llm_service.ledger import LedgerOptions
from llm_service.observability import ObservabilityOptions
from llm_service.providers import ProviderOptions, TimeoutOptions
from llm_service.routing import DeploymentOptions, ModelOptions
from tests.unit.config.conftest import Configured
from tests.unit.config.test_file import WHOLE

CANARY = "sk-canary-0123456789"
SETTINGS = list(walk(describe(Settings)))
PATHS = [path for path, _ in SETTINGS]


def test_rendered_settings_are_plain_data_in_the_form_of_the_file(configured: Configured) -> None:
    plain = rendered(configured.settings(WHOLE))
    assert json.loads(json.dumps(plain)) == plain
    assert plain["server"]["data_dir"] == "/var/lib/x"
    assert plain["models"]["fast"]["deployments"][1].items() >= {"provider": "azure", "model": "gpt-4.1"}.items()
    assert plain["providers"]["azure"]["timeouts"]["total_s"] == 40.5


def test_rendered_settings_can_be_loaded_again(configured: Configured) -> None:
    settings = configured.settings(WHOLE)
    again = configured.settings(json.dumps(rendered(settings)))
    assert rendered(again) == rendered(settings)
    assert (again.server, again.models, again.observability) == (
        settings.server,
        settings.models,
        settings.observability,
    )


def test_no_secret_is_shown_in_any_way(configured: Configured) -> None:
    text = WHOLE.replace("sk-test-admin", CANARY).replace("sk-test-or", CANARY).replace("sk-test-azure", CANARY)
    loaded = configured.load(text.replace("api-version: preview", f"key: {CANARY}"))
    shown = [json.dumps(rendered(loaded.settings)), repr(loaded), str(loaded.settings), str(loaded.provenance)]
    assert "canary" not in "".join(shown)
    assert json.dumps(rendered(loaded.settings)).count('"***"') == 4


def test_the_schema_is_a_schema_and_fits_a_file_with_everything() -> None:
    from ruamel.yaml import YAML

    Draft202012Validator.check_schema(json_schema())
    validator = Draft202012Validator(json_schema())
    assert list(validator.iter_errors(YAML(typ="safe", pure=True).load(WHOLE))) == []
    assert list(validator.iter_errors(rendered(Settings()))) == []
    assert list(validator.iter_errors({"server": {"port": "${PORT}"}, "models": None})) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"cache": {"semantic": {"mode": "guess"}}},
        {"server": {"port": 65536}},
        {"server": {"port": "many"}},
        {"server": {"keep_alive_s": 0}},
        {"sandbox": "maybe"},
        {"providers": {"a/b": {}}},
        {"providers": {"x": {"kind": "anthropic"}}},
        {"providers": {"x": {"base_url": "http://h?a=b"}}},
        {"models": {"x": {}}},
        {"models": {"x": {"deployments": []}}},
        {"models": {"x": {"deployments": [{"provider": "x"}]}}},
        [],
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(configured: Configured, wrong: object) -> None:
    assert not Draft202012Validator(json_schema()).is_valid(wrong)
    assert configured.mistakes(json.dumps(wrong)) != []


def test_the_schema_tells_meaning_default_and_secrecy() -> None:
    properties = json_schema()["properties"]
    port = properties["server"]["properties"]["port"]
    assert port["default"] == 8080
    assert port["anyOf"][0] == {"type": "integer", "minimum": 0, "maximum": 65535}
    assert port["description"] == "Port to listen on; 0 takes a free one."
    assert properties["auth"]["properties"]["admin_key"]["writeOnly"] is True


@pytest.mark.parametrize(("path", "setting"), SETTINGS, ids=PATHS)
def test_every_setting_has_a_meaning(path: str, setting: Setting) -> None:
    assert setting.doc.endswith("."), path


@pytest.mark.parametrize(("path", "setting"), SETTINGS, ids=PATHS)
def test_every_default_keeps_its_own_rules(path: str, setting: Setting) -> None:
    rules = setting.shape.rules if isinstance(setting.shape, Leaf) and setting.default is not None else ()
    assert [rule.problem(setting.default) for rule in rules] == [None] * len(rules), path


def test_what_is_announced_for_later_is_not_there_yet() -> None:
    assert LATER.isdisjoint(path for path, _ in walk(describe(Settings)))


def test_every_options_class_is_frozen_and_named_by_keyword() -> None:
    classes = (Settings, ServerOptions, AuthOptions, ProviderOptions, TimeoutOptions, ModelOptions, DeploymentOptions)
    for options in (*classes, LedgerOptions, ObservabilityOptions):
        assert options.__dataclass_params__.frozen  # type: ignore[attr-defined]
        assert hasattr(options, "__slots__")
        assert all(item.kw_only for item in fields(options))


def test_a_field_of_a_type_that_no_setting_can_have_is_found_when_it_is_described() -> None:
    class Odd(AuthOptions):
        """No setting can be a set."""

    Odd.__annotations__ = {"admin_key": set[str]}
    with pytest.raises(TypeError, match="cannot be the type of a setting"):
        describe(Odd)
