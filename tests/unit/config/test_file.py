"""The configuration file: what YAML may say, what it means, and where a mistake is said to be."""

from pathlib import Path
from textwrap import dedent

import pytest

from llm_service.api import ServerOptions
from llm_service.config import Settings, SettingsError, later, load_settings
from llm_service.domain import Secret
from llm_service.providers import ProviderOptions, TimeoutOptions
from llm_service.routing import DeploymentOptions, ModelOptions
from tests.unit.config.conftest import Configured

WHOLE = """
server: {host: 127.0.0.2, port: 9000, data_dir: /var/lib/x, max_body_bytes: 2048, keep_alive_s: 1.5,
         shutdown_grace_s: 3, allowed_origins: ["https://chat.example.com", "http://localhost:3000"]}
auth: {admin_key: sk-test-admin, required: always}
sandbox: off
providers:
  openrouter: {api_key: sk-test-or, app_title: My App, app_url: "https://app.example.com"}
  azure:
    server: azure
    base_url: https://res.openai.azure.com/openai/v1/
    headers: {api-key: sk-test-azure}
    query: {api-version: preview}
    timeouts: {connect_s: 1, first_chunk_s: 2e1, idle_s: 30, total_s: 40.5}
    max_connections: 7
    ca_file: ca.pem
    enabled: false
models:
  fast:
    deployments:
      - {provider: openrouter, model: deepseek/deepseek-v4-flash}
      - {provider: azure, model: gpt-4.1}
observability: {log_format: json, log_level: debug}
"""


def test_no_file_and_no_variable_give_the_defaults(configured: Configured) -> None:
    loaded = configured.load()
    assert loaded.settings == Settings()
    assert (loaded.source_path, dict(loaded.provenance), loaded.notes) == (None, {}, ())


@pytest.mark.parametrize(
    "text", ["", "\n", "# only a comment\n", "---\n", "null\n", "{}", "\ufeff", "server:\nmodels: ~\n"]
)
def test_a_file_that_says_nothing_gives_the_defaults(configured: Configured, text: str) -> None:
    assert configured.settings(text) == Settings()


def test_every_setting_can_stand_in_the_file(configured: Configured) -> None:
    settings = configured.settings(WHOLE)
    assert settings.server == ServerOptions(
        host="127.0.0.2",
        port=9000,
        data_dir=Path("/var/lib/x"),
        max_body_bytes=2048,
        keep_alive_s=1.5,
        shutdown_grace_s=3.0,
        allowed_origins=("https://chat.example.com", "http://localhost:3000"),
    )
    assert (settings.auth.admin_key, settings.auth.required) == (Secret("sk-test-admin"), "always")
    assert settings.sandbox == "off"
    assert settings.providers["openrouter"] == ProviderOptions(
        kind="openrouter",
        base_url="https://openrouter.ai/api/v1",
        api_key=Secret("sk-test-or"),
        app_title="My App",
        app_url="https://app.example.com",
    )
    assert settings.providers["azure"] == ProviderOptions(
        kind="openai_compatible",
        server="azure",
        base_url="https://res.openai.azure.com/openai/v1",
        headers={"api-key": "sk-test-azure"},
        query={"api-version": "preview"},
        timeouts=TimeoutOptions(connect_s=1.0, first_chunk_s=20.0, idle_s=30.0, total_s=40.5),
        max_connections=7,
        ca_file=configured.folder / "ca.pem",
        enabled=False,
    )
    deployments = (
        DeploymentOptions(provider="openrouter", model="deepseek/deepseek-v4-flash"),
        DeploymentOptions(provider="azure", model="gpt-4.1"),
    )
    assert settings.models == {"fast": ModelOptions(deployments=deployments)}


def test_yaml_is_read_as_version_1_2(configured: Configured) -> None:
    text = "sandbox: off\nproviders: {on: {base_url: 'http://h', app_title: NO, headers: {a: 010, b: 12:30:45}}}"
    settings = configured.settings(text)
    assert settings.sandbox == "off"
    assert settings.providers["on"].app_title == "NO"
    assert settings.providers["on"].headers == {"a": "010", "b": "12:30:45"}


def test_a_yaml_1_1_directive_changes_nothing(configured: Configured) -> None:
    assert configured.settings("%YAML 1.1\n---\nsandbox: off\n").sandbox == "off"


def test_null_means_not_given(configured: Configured) -> None:
    assert configured.settings("server: {port: null, data_dir: ~, host: }").server == ServerOptions()


def test_a_provider_without_further_lines_is_there(configured: Configured) -> None:
    settings = configured.settings("providers:\n  deepseek:\n", {"DEEPSEEK_API_KEY": "sk-test-1"})
    assert settings.providers["deepseek"].kind == "deepseek"


def test_loaded_maps_do_not_change(configured: Configured) -> None:
    settings = configured.settings(WHOLE)
    for mapping in (settings.providers, settings.models, settings.providers["azure"].headers):
        with pytest.raises(TypeError):
            mapping["x"] = "y"  # type: ignore[index]


def test_anchors_and_merge_keys_join_maps(configured: Configured) -> None:
    text = """
    providers:
      one: &one {base_url: "http://one", max_connections: 5}
      two: {<<: *one, base_url: "http://two"}
      three: {<<: [{max_connections: 9}, *one]}
      four: *one
    """
    providers = configured.settings(dedent(text)).providers
    assert [providers[name].max_connections for name in ("one", "two", "three", "four")] == [5, 5, 9, 5]
    assert [providers[name].base_url for name in ("two", "three")] == ["http://two", "http://one"]


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_lines(configured: Configured) -> None:
    text = """\
    server:
      prot: 80
      port: many
    sandbox: maybe
    providers:
      x: {base_url: ftp://h, kind: anthropic}
    """
    assert configured.mistakes(dedent(text), {"LLM_SERVICE_SERVER__HOTS": "h"}) == [
        "LLM_SERVICE_SERVER__HOTS: is unknown; did you mean LLM_SERVICE_SERVER__HOST?",
        "llm-service.yaml:2:3: server.prot is unknown; did you mean port?",
        "llm-service.yaml:3:9: server.port must be a whole number",
        "llm-service.yaml:4:10: sandbox must be auto, on or off",
        "llm-service.yaml:6:17: providers.x.base_url must be an http:// or https:// address",
        "llm-service.yaml:6:32: providers.x.kind cannot be anthropic yet: the word is reserved for a later version",
    ]


def test_the_error_prints_as_a_list(configured: Configured) -> None:
    with pytest.raises(SettingsError) as caught:
        configured.load("sandbox: maybe\nnonsense: 1\n")
    assert str(caught.value).splitlines() == [
        "2 mistakes in the settings:",
        "  llm-service.yaml:1:10: sandbox must be auto, on or off",
        "  llm-service.yaml:2:1: nonsense is unknown",
    ]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("server: {port: 65536}", "1:16: server.port must be at most 65535"),
        ("server: {port: -1}", "1:16: server.port must be at least 0"),
        ("server: {port: 80.5}", "1:16: server.port must be a whole number"),
        ("server: {port: 0x50}", "1:16: server.port must be a whole number"),
        ("server: {port: 99999999999999999999999}", "1:16: server.port must be a whole number"),
        ("server: {port: [1]}", "1:16: server.port must be a single value"),
        ("server: {port: ''}", "1:16: server.port must be a whole number"),
        ("server: {keep_alive_s: .nan}", "1:24: server.keep_alive_s must be a number"),
        ("server: {keep_alive_s: .inf}", "1:24: server.keep_alive_s must be a number"),
        ("server: {keep_alive_s: 1e999}", "1:24: server.keep_alive_s must be a number"),
        ("server: {keep_alive_s: 10s}", "1:24: server.keep_alive_s must be a number"),
        ("server: {host: 'a b'}", "1:16: server.host must be a host name or an IP address"),
        ("server: {allowed_origins: https://a.b}", "1:27: server.allowed_origins must be a list"),
        (
            "server: {allowed_origins: ['https://a.b/']}",
            "1:28: server.allowed_origins[0] must be an origin such as https://chat.example.com",
        ),
        ("server: {allowed_origins: [null]}", "1:28: server.allowed_origins[0] must not be null"),
        ("server: {data_dir: ''}", "1:20: server.data_dir must be a path"),
        ("server: {data_dir: \"a\\0b\"}", "1:20: server.data_dir must be a path"),
        ("server: []", "1:9: server must be a map"),
        ("auth: {admin_key: ''}", "1:19: auth.admin_key must not be empty"),
        ("auth: {required: false}", "1:18: auth.required must be auto or always"),
        ("providers: {o: {base_url: http://h, enabled: yes}}", "1:46: providers.o.enabled must be true or false"),
        ("auth: {required: alway}", "1:18: auth.required must be auto or always; did you mean always?"),
        ("providers: [x]", "1:12: providers must be a map"),
        ("providers: {x: y}", "1:16: providers.x must be a map"),
        ("providers: {ollama: {timeouts: {idle_s: 0}}}", "1:41: providers.ollama.timeouts.idle_s must be above 0"),
        ("models: {x: {}}", "1:13: models.x needs deployments"),
        ("models: {x: {deployments: []}}", "1:27: models.x.deployments must have at least one item"),
        ("models: {x: {deployments: [{provider: p}]}}", "1:28: models.x.deployments[0] needs model"),
        ("- a", "1:1: the file must be a map of settings"),
        ("text", "1:1: the file must be a map of settings"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_place(configured: Configured, text: str, mistake: str) -> None:
    assert configured.mistakes(text) == [f"llm-service.yaml:{mistake}"]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("server: {port: 1}\nserver: {host: h}", "2:1: server is given twice, first at llm-service.yaml:1:1"),
        ("server: {port: 1, port: 1}", "1:19: port is given twice, first at llm-service.yaml:1:10"),
        ("server: !env {port: 1}", "1:9: the tag !env means nothing here"),
        ("server: {port: !!python/name:os 1}", "1:16: the tag tag:yaml.org,2002:python/name:os means nothing here"),
        ("? [a]\n: 1", "1:3: a name must be a text"),
        ("~: 1", "1:1: a name must be a text"),
        ("<<: 1", "1:5: << takes a map or a list of maps"),
        ("server: {port: *nowhere}", "1:16: the alias *nowhere names nothing that is complete above it"),
        ("server: &a {x: *a}", "1:16: the alias *a names nothing that is complete above it"),
        ("sandbox: off\n---\nsandbox: on\n", "2:1: must be a single document, here is another one"),
        ("server: {port: 1", "1:17: is not valid YAML: "),
        ("server:\n\tport: 1", "2:1: is not valid YAML: "),
        ("a: b: c", "1:5: is not valid YAML: mapping values are not allowed here"),
    ],
)  # fmt: skip
def test_yaml_that_has_no_place_in_a_configuration_is_refused(configured: Configured, text: str, mistake: str) -> None:
    found = configured.mistakes(text)
    assert len(found) == 1
    assert found[0].startswith(f"llm-service.yaml:{mistake}")


def test_a_syntax_error_does_not_quote_the_line(configured: Configured) -> None:
    assert "canary" not in str(configured.mistakes("auth: {admin_key: sk-test-canary: x}"))
    assert "canary" not in str(configured.mistakes("auth:\n  admin_key: 'sk-test-canary\n"))


def test_a_few_aliases_cannot_make_an_endless_tree(configured: Configured) -> None:
    lines = ["x0: &x0 [a, a, a, a, a, a, a, a, a, a]"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "has more than 100000 values" in configured.mistakes("\n".join(lines))[0]


@pytest.mark.parametrize(
    "text", ["[" * 5_000, "{a: " * 5_000, "- " * 5_000, "\n".join(" " * n + "a:" for n in range(200))]
)
def test_deep_nesting_is_refused(configured: Configured, text: str) -> None:
    assert "is nested more than 50 levels deep" in configured.mistakes(text)[0]


def test_settings_of_later_versions_are_named_as_such(configured: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(later, "LATER", frozenset({"server.tomorrow"}))
    assert configured.mistakes("server: {tomorrow: {}}\n") == [
        "llm-service.yaml:1:10: server.tomorrow is not available in this version",
    ]


def test_a_strange_name_cannot_forge_a_line(configured: Configured) -> None:
    (mistake,) = configured.mistakes('"a\\nsecond line": 1')
    assert mistake == r"llm-service.yaml:1:1: 'a\nsecond line' is unknown"


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("auth: {sk-canary-0123: x}", "1:8: auth.a name that is not shown is unknown"),
        ("sk-canary-0123: 1", "1:1: a name that is not shown is unknown"),
        ("{sk-canary-0123: 1, sk-canary-0123: 1}", "1:21: a name that is not shown is given twice, first at "),
        (
            "providers: {x: {base_url: 'http://h', headers: {a: b, 'sk canary-0123': x}}}",
            "1:55: providers.x.headers.a name that is not shown: the name must be a header name",
        ),
    ],
)
def test_a_secret_in_the_place_of_a_name_is_not_shown(configured: Configured, text: str, mistake: str) -> None:
    found = configured.mistakes(text)
    assert any(line.startswith(f"llm-service.yaml:{mistake}") for line in found)
    assert "canary" not in str(found)


def test_a_very_long_name_is_cut(configured: Configured) -> None:
    (mistake,) = configured.mistakes(f"{'x' * 500}: 1")
    assert len(mistake) < 250


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"server: {host: \xff}\n", "is not UTF-8 (line 1)"),
        (b"\n" * (1024 * 1024 + 1), "is larger than 1048576 bytes"),
        (b"a: \x07", "is not valid YAML"),
        (b'a: "\\UFFFFFFFF"', "is not valid YAML"),
    ],
)
def test_a_file_that_is_no_text_is_refused(configured: Configured, content: bytes, words: str) -> None:
    (configured.folder / "llm-service.yaml").write_bytes(content)
    (mistake,) = configured.mistakes()
    assert mistake.startswith("llm-service.yaml")
    assert words in mistake


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"  other\.yaml: cannot be read: No such file or directory"):
        load_settings(path=Path("other.yaml"), environ={}, cwd=tmp_path)


def test_a_folder_in_place_of_the_file_is_refused(configured: Configured) -> None:
    (configured.folder / "llm-service.yaml").mkdir()
    assert configured.mistakes() == ["llm-service.yaml: cannot be read: Is a directory"]


def test_a_dangling_link_in_place_of_the_file_is_refused(configured: Configured) -> None:
    (configured.folder / "llm-service.yaml").symlink_to("gone")
    assert configured.mistakes() == ["llm-service.yaml: cannot be read: No such file or directory"]


def test_a_file_name_that_is_none_is_refused(configured: Configured) -> None:
    (mistake,) = configured.mistakes(environ={"LLM_SERVICE_CONFIG": "a\udc00\0"})
    assert "cannot be read: it is no file name" in mistake


def test_mistakes_of_the_environment_are_told_beside_a_broken_file(configured: Configured) -> None:
    found = configured.mistakes(
        "a: b: c", {"LLM_SERVICE_SERVER__PORT": "x", "LLM_SERVICE_MODELS__M__DEPLOYMENTS": "[{}]"}
    )
    assert [line.partition(":")[0] for line in found] == [
        "LLM_SERVICE_MODELS__M__DEPLOYMENTS",
        "LLM_SERVICE_MODELS__M__DEPLOYMENTS",
        "LLM_SERVICE_SERVER__PORT",
        "llm-service.yaml",
    ]


def test_a_provider_may_have_several_keys_and_none_is_shown(configured: Configured) -> None:
    settings = configured.settings("providers: {openrouter: {api_keys: [sk-test-one, sk-test-two]}}")
    assert [key.reveal() for key in settings.providers["openrouter"].api_keys] == ["sk-test-one", "sk-test-two"]
    assert "sk-test" not in repr(settings)
