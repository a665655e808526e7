"""Settings from variables: their names, their forms, and the names that are none of ours."""

from pathlib import Path

import pytest

from llm_service.domain import Secret
from llm_service.routing import DeploymentOptions
from tests.unit.config.conftest import Configured

OLLAMA = "providers: {ollama: {base_url: 'http://127.0.0.1:11434/v1'}}\n"


@pytest.mark.parametrize(
    ("name", "value", "path", "expected"),
    [
        ("LLM_SERVICE_SERVER__HOST", "::1", "server.host", "::1"),
        ("LLM_SERVICE_SERVER__PORT", "9000", "server.port", 9000),
        ("LLM_SERVICE_SERVER__KEEP_ALIVE_S", "2.5", "server.keep_alive_s", 2.5),
        ("LLM_SERVICE_SERVER__DATA_DIR", "/data", "server.data_dir", Path("/data")),
        ("LLM_SERVICE_SERVER__ALLOWED_ORIGINS", '["https://a.b"]', "server.allowed_origins", ("https://a.b",)),
        ("LLM_SERVICE_SERVER", '{"port": 9000}', "server.port", 9000),
        ("LLM_SERVICE_AUTH__ADMIN_KEY", "sk-test-admin", "auth.admin_key", Secret("sk-test-admin")),
        ("LLM_SERVICE_SANDBOX", "off", "sandbox", "off"),
    ],
)
def test_a_setting_is_a_variable(configured: Configured, name: str, value: str, path: str, expected: object) -> None:
    loaded = configured.load(environ={name: value})
    found: object = loaded.settings
    for part in path.split("."):
        found = getattr(found, part)
    assert found == expected
    assert set(loaded.provenance.values()) == {name}


def test_a_provider_can_stand_in_variables_alone(configured: Configured) -> None:
    environ = {
        "LLM_SERVICE_PROVIDERS__OLLAMA__BASE_URL": "http://127.0.0.1:11434/v1",
        "LLM_SERVICE_PROVIDERS__OLLAMA__TIMEOUTS__TOTAL_S": "60",
        "LLM_SERVICE_PROVIDERS__OLLAMA__HEADERS": '{"X-Team": "blue"}',
        "LLM_SERVICE_MODELS__FAST__DEPLOYMENTS": '[{"provider": "ollama", "model": "smollm2:135m"}]',
    }
    settings = configured.settings(environ=environ)
    ollama = settings.providers["ollama"]
    assert (ollama.kind, ollama.timeouts.total_s, ollama.headers) == ("openai_compatible", 60.0, {"X-Team": "blue"})
    assert settings.models["fast"].deployments == (DeploymentOptions(provider="ollama", model="smollm2:135m"),)


def test_a_switch_is_written_in_any_case(configured: Configured) -> None:
    environ = {"LLM_SERVICE_PROVIDERS__OLLAMA__ENABLED": "FALSE"}
    assert configured.settings(OLLAMA, environ).providers["ollama"].enabled is False


def test_maps_are_json_and_join_with_the_file(configured: Configured) -> None:
    environ = {"LLM_SERVICE_PROVIDERS": '{"vllm": {"base_url": "http://vllm:8000/v1", "enabled": false}}'}
    settings = configured.settings(OLLAMA, environ)
    assert set(settings.providers) == {"ollama", "vllm"}
    assert settings.providers["vllm"].enabled is False


def test_a_longer_name_wins_over_the_json_that_holds_it(configured: Configured) -> None:
    environ = {"LLM_SERVICE_SERVER__PORT": "2", "LLM_SERVICE_SERVER": '{"port": 1, "host": "::1"}'}
    server = configured.settings(environ=environ).server
    assert (server.port, server.host) == (2, "::1")


def test_a_list_replaces_the_list_of_the_file(configured: Configured) -> None:
    text = "server: {allowed_origins: [https://one.example, https://two.example]}"
    environ = {"LLM_SERVICE_SERVER__ALLOWED_ORIGINS": '["https://three.example"]'}
    assert configured.settings(text, environ).server.allowed_origins == ("https://three.example",)


def test_null_in_json_leaves_what_the_file_says(configured: Configured) -> None:
    assert configured.settings("server: {port: 1}", {"LLM_SERVICE_SERVER": '{"port": null}'}).server.port == 1


def test_names_of_the_file_are_found_in_the_spelling_of_variables(configured: Configured) -> None:
    text = "providers: {my-vLLM.1: {base_url: 'http://h'}}\n"
    settings = configured.settings(text, {"LLM_SERVICE_PROVIDERS__MY_VLLM_1__MAX_CONNECTIONS": "3"})
    assert {name: options.max_connections for name, options in settings.providers.items()} == {"my-vLLM.1": 3}


def test_usual_names_configure_the_two_providers(configured: Configured) -> None:
    environ = {
        "OPENROUTER_API_KEY": "sk-test-or",
        "OPENROUTER_BASE_URL": "http://127.0.0.1:9/openrouter/api/v1/",
        "DEEPSEEK_API_KEY": "sk-test-ds",
    }
    providers = configured.settings(environ=environ).providers
    assert {name: (options.kind, options.base_url) for name, options in providers.items()} == {
        "openrouter": ("openrouter", "http://127.0.0.1:9/openrouter/api/v1"),
        "deepseek": ("deepseek", "https://api.deepseek.com"),
    }
    assert providers["deepseek"].api_key == Secret("sk-test-ds")


def test_our_own_names_win_over_the_usual_ones(configured: Configured) -> None:
    environ = {"DEEPSEEK_API_KEY": "sk-test-1", "LLM_SERVICE_PROVIDERS__DEEPSEEK__API_KEY": "sk-test-2"}
    assert configured.settings(environ=environ).providers["deepseek"].api_key == Secret("sk-test-2")


@pytest.mark.parametrize(
    "name", ["OPENROUTER_API_KEY", "DEEPSEEK_API_KEY", "LLM_SERVICE_SERVER__PORT", "LLM_SERVICE_CONFIG"]
)
def test_a_variable_that_is_set_but_empty_is_a_mistake(configured: Configured, name: str) -> None:
    (mistake,) = configured.mistakes(environ={name: ""})
    assert mistake.startswith(f"{name}: is set but empty: give it ")


def test_variables_of_kubernetes_are_not_ours(configured: Configured) -> None:
    environ = {
        "LLM_SERVICE_SERVICE_HOST": "10.0.0.1",
        "LLM_SERVICE_SERVICE_PORT": "8080",
        "LLM_SERVICE_SERVICE_PORT_HTTP": "8080",
        "LLM_SERVICE_PORT": "tcp://10.0.0.1:8080",
        "LLM_SERVICE_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "LLM_SERVICE_PORT_8080_TCP_ADDR": "10.0.0.1",
        # and of a Service beside it, here llm-service-valkey
        "LLM_SERVICE_VALKEY_SERVICE_HOST": "10.0.0.2",
        "LLM_SERVICE_VALKEY_SERVICE_PORT": "6379",
        "LLM_SERVICE_VALKEY_PORT": "tcp://10.0.0.2:6379",
        "LLM_SERVICE_VALKEY_PORT_6379_TCP_PROTO": "tcp",
    }
    loaded = configured.load(environ=environ)
    assert (dict(loaded.provenance), loaded.notes) == ({}, ())


def test_a_port_in_kubernetes_variable_is_ignored_with_a_note(configured: Configured) -> None:
    loaded = configured.load(environ={"LLM_SERVICE_PORT": "9000"})
    assert loaded.settings.server.port == 8080
    assert loaded.notes == ("LLM_SERVICE_PORT is Kubernetes' and ignored: the port is LLM_SERVICE_SERVER__PORT",)


def test_variables_of_the_launchers_are_not_settings(configured: Configured) -> None:
    environ = {"LLM_SERVICE_VENV_DIR": "/venv", "LLM_SERVICE_TEST_FIXTURES": "/f", "SERVER__PORT": "x", "PATH": "/bin"}
    assert dict(configured.load(environ=environ).provenance) == {}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("LLM_SERVICE_SERVER_PORT", "is unknown; did you mean LLM_SERVICE_SERVER__PORT?"),
        ("LLM_SERVICE_SERVER__PROT", "is unknown; did you mean LLM_SERVICE_SERVER__PORT?"),
        ("LLM_SERVICE_SANDBOXES", "is unknown; did you mean LLM_SERVICE_SANDBOX?"),
        ("LLM_SERVICE_PROVIDERS__X__API_KEYZ", "is unknown; did you mean LLM_SERVICE_PROVIDERS__X__API_KEY?"),
        ("LLM_SERVICE_SERVER__PORT__X", "is unknown; did you mean LLM_SERVICE_SERVER__PORT?"),
        ("LLM_SERVICE_QQQQQQ", "is unknown"),
        ("LLM_SERVICE_", "is unknown"),
        ("LLM_SERVICE_SERVER__", "is unknown; did you mean LLM_SERVICE_SERVER?"),
        ("LLM_SERVICE_SERVER__ADMIN_PORT", "server.admin_port must be a whole number"),
        ("LLM_SERVICE_SERVER__TLS", "must be a JSON map, but it is no JSON at character 1"),
        ("LLM_SERVICE_SERVER__ALLOWED_ORIGINS", "must be a JSON list, but it is no JSON at character 1"),
        ("LLM_SERVICE_PROVIDERS", "must be a JSON map, but it is no JSON at character 1"),
        ("LLM_SERVICE_SERVER__PORT", "server.port must be a whole number"),
    ],
)
def test_a_wrong_variable_is_named(configured: Configured, name: str, message: str) -> None:
    assert configured.mistakes(environ={name: "https://x"}) == [f"{name}: {message}"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('{"port": 1, "port": 2}', "must be a JSON map, but port is given twice"),
        ('{"a":' * 3_000, "must be a JSON map, but it is n"),
        ('{"host": ' + "[" * 60 + "]" * 60 + "}", "must be a JSON map, but it is nested too deeply"),
        ("[1]", "server must be a map"),
        ('{"keep_alive_s": NaN}', "server.keep_alive_s must be a number"),
        ('{"port": true}', "server.port must be a whole number"),
        ('{"port": 1e3}', "server.port must be a whole number"),
        ('{"prot": 1}', "server.prot is unknown; did you mean port?"),
    ],
)
def test_wrong_json_is_named(configured: Configured, value: str, message: str) -> None:
    (mistake,) = configured.mistakes(environ={"LLM_SERVICE_SERVER": value})
    assert mistake.startswith(f"LLM_SERVICE_SERVER: {message}")


def test_strange_names_cannot_forge_a_line(configured: Configured) -> None:
    (mistake,) = configured.mistakes(environ={"LLM_SERVICE_X\nINFO all is well": "1"})
    assert "\n" not in mistake


def test_bytes_that_are_no_text_are_refused_and_not_shown(configured: Configured) -> None:
    environ = {
        "LLM_SERVICE_AUTH__ADMIN_KEY": "sk-canary-\udcff",
        "LLM_SERVICE_SERVER__HOST": "\udcff",
        "LLM_SERVICE_SERVER__DATA_DIR": "\ud800",
    }
    assert configured.mistakes(environ=environ) == [
        "LLM_SERVICE_AUTH__ADMIN_KEY: auth.admin_key must be visible ASCII characters without blanks or line ends "
        "(was it copied with some?)",
        "LLM_SERVICE_SERVER__DATA_DIR: server.data_dir must be a path",
        "LLM_SERVICE_SERVER__HOST: server.host must be a host name or an IP address",
    ]
