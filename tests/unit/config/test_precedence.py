"""Which source wins, and what is told about where a setting comes from."""

from pathlib import Path

import pytest

from llm_service.config import load_settings
from tests.unit.config.conftest import Configured

FILE = "server: {port: 1}"
VARIABLE = {"LLM_SERVICE_SERVER__PORT": "2"}


def test_defaults_file_environment_command_line_win_in_this_order(configured: Configured) -> None:
    assert configured.settings().server.port == 8080
    assert configured.settings(FILE).server.port == 1
    assert configured.settings(FILE, VARIABLE).server.port == 2
    assert configured.settings(FILE, VARIABLE, server__port="3").server.port == 3


def test_sources_join_setting_by_setting(configured: Configured) -> None:
    text = "server: {port: 1, keep_alive_s: 4}"
    server = configured.settings(text, {"LLM_SERVICE_SERVER__HOST": "::1"}, server__port="3").server
    assert (server.port, server.keep_alive_s, server.host) == (3, 4.0, "::1")


def test_the_environment_wins_over_the_key_in_the_file(configured: Configured) -> None:
    loaded = configured.load("providers: {deepseek: {api_key: sk-test-1}}", {"DEEPSEEK_API_KEY": "sk-test-2"})
    key = loaded.settings.providers["deepseek"].api_key
    assert key is not None
    assert key.reveal() == "sk-test-2"


def test_what_a_higher_source_replaces_is_not_read(configured: Configured) -> None:
    text = "providers: {deepseek: {api_key: '${MISSING}'}}"
    assert configured.settings(text, {"DEEPSEEK_API_KEY": "sk-test-2"}).providers["deepseek"].api_key is not None


def test_provenance_names_each_setting_that_is_given(configured: Configured) -> None:
    loaded = configured.load(
        "sandbox: off\nserver:\n  keep_alive_s: 3\n", {"DEEPSEEK_API_KEY": "sk-test-1"}, server__port="3"
    )
    assert loaded.provenance == {
        "sandbox": "llm-service.yaml:1:10",
        "server.keep_alive_s": "llm-service.yaml:3:17",
        "providers.deepseek.api_key": "DEEPSEEK_API_KEY",
        "server.port": "--port",
    }


def test_a_mistake_on_the_command_line_names_the_option(configured: Configured) -> None:
    assert configured.mistakes(server__port="x", server__hots="h") == [
        "--hots: server.hots is unknown; did you mean host?",
        "--port: server.port must be a whole number",
    ]


def test_the_command_line_expands_nothing(configured: Configured) -> None:
    loaded = configured.load(server__data_dir="${HOME}")
    assert loaded.settings.server.data_dir == configured.folder / "${HOME}"


def test_the_named_file_wins_over_the_variable_and_that_over_the_usual_one(tmp_path: Path) -> None:
    for name, port in (("llm-service.yaml", 1), ("variable.yaml", 2), ("named.yaml", 3)):
        (tmp_path / name).write_text(f"server: {{port: {port}}}")
    environ = {"LLM_SERVICE_CONFIG": "variable.yaml"}
    named = load_settings(path=Path("named.yaml"), environ=environ, cwd=tmp_path)
    by_variable = load_settings(path=None, environ=environ, cwd=tmp_path)
    usual = load_settings(path=None, environ={}, cwd=tmp_path)
    assert [loaded.settings.server.port for loaded in (named, by_variable, usual)] == [3, 2, 1]
    assert named.source_path == tmp_path / "named.yaml"


def test_relative_paths_start_where_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "llm.yaml").write_text("server: {data_dir: data}\nproviders: {x: {base_url: 'http://h'}}")
    environ = {"LLM_SERVICE_PROVIDERS__X__CA_FILE": "ca.pem"}
    settings = load_settings(path=Path("etc/llm.yaml"), environ=environ, cwd=tmp_path).settings
    assert settings.server.data_dir == tmp_path / "etc" / "data"
    assert settings.providers["x"].ca_file == tmp_path / "ca.pem"


@pytest.mark.parametrize(("text", "below"), [("~/data", "data"), ("~", ".")])
def test_a_tilde_is_the_home_directory(configured: Configured, text: str, below: str) -> None:
    settings = configured.settings(f"server: {{data_dir: '{text}'}}", {"HOME": "/home/ada"})
    assert settings.server.data_dir == Path("/home/ada", below)


def test_a_tilde_without_home_is_a_mistake(configured: Configured) -> None:
    (mistake,) = configured.mistakes("server: {data_dir: ~/data}")
    assert mistake.endswith("server.data_dir begins with ~, and HOME is not set")


def test_fingerprint_is_that_of_the_settings_and_not_of_their_form(configured: Configured) -> None:
    one = configured.load("server: {port: 1}\nsandbox: off").fingerprint
    same = configured.load("# a comment\nsandbox: 'off'\nserver:\n  port: '1'\n").fingerprint
    other = configured.load("server: {port: 2}\nsandbox: off").fingerprint
    assert one == same != other


def test_fingerprint_tells_nothing_about_secrets(configured: Configured) -> None:
    one = configured.load(environ={"DEEPSEEK_API_KEY": "sk-test-1"}).fingerprint
    assert one == configured.load(environ={"DEEPSEEK_API_KEY": "sk-test-2"}).fingerprint
