"""`${VAR}`, `${VAR:-default}` and `file:` in values."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.config.conftest import Configured

Write = Callable[[str, str], Path]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("${A}", "alpha"),
        ("x-${A}-${B}-y", "x-alpha-beta-y"),
        ("${MISSING:-fallback}", "fallback"),
        ("${EMPTY:-fallback}", "fallback"),
        ("${A:-fallback}", "alpha"),
        ("$A", "$A"),
        ("$${A}", "${A}"),
        ("$$A", "$$A"),
        ("${NESTED}", "${A}"),
        ("${MISSING:-a:-b$}", "a:-b$"),
    ],
)
def test_references_are_replaced(configured: Configured, written: str, expected: str) -> None:
    environ = {"A": "alpha", "B": "beta", "EMPTY": "", "NESTED": "${A}"}
    text = f"providers: {{x: {{base_url: 'http://h', query: {{q: '{written}'}}}}}}"
    assert configured.settings(text, environ).providers["x"].query == {"q": expected}


def test_references_reach_every_type(configured: Configured) -> None:
    text = "server: {port: ${PORT}, data_dir: '${DIR}', allowed_origins: ['${ORIGIN}']}\nsandbox: ${SANDBOX}\n"
    environ = {"PORT": "1", "DIR": "/d", "ORIGIN": "https://a.b", "SANDBOX": "on"}
    settings = configured.settings(text.replace("${PORT}", "'${PORT}'"), environ)
    assert (settings.server.port, settings.server.data_dir, settings.sandbox) == (1, Path("/d"), "on")
    assert settings.server.allowed_origins == ("https://a.b",)


def test_variables_are_expanded_too(configured: Configured) -> None:
    environ = {"LLM_SERVICE_AUTH__ADMIN_KEY": "${VAULT_KEY}", "VAULT_KEY": "sk-test-admin"}
    key = configured.settings(environ=environ).auth.admin_key
    assert key is not None
    assert key.reveal() == "sk-test-admin"


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("${MISSING}", "refers to the variable MISSING, which is not set"),
        ("${EMPTY}", "refers to the variable EMPTY, which is set but empty"),
        ("${", "holds a ${ that is not ${NAME} or ${NAME:-default} (a plain one is written $${)"),
        ("${}", "holds a ${ that is not"),
        ("${1A}", "holds a ${ that is not"),
        ("${A-b}", "holds a ${ that is not"),
        ("${A${B}}", "holds a ${ that is not"),
        ("file:", "has file: without a path"),
        ("file:gone", "refers to the file {folder}/gone, which cannot be read: No such file or directory"),
        ("file:.", "refers to the file {folder}, which cannot be read: Is a directory"),
        ("file:empty", "refers to the file {folder}/empty, which is empty"),
        ("file:large", "refers to the file {folder}/large, which is larger than 65536 bytes"),
        ("file:binary", "refers to the file {folder}/binary, which is not UTF-8 (line 2)"),
        ("file:${A}/b", "refers to the file ${A}/b, which cannot be read: No such file or directory"),
        ("file:${MISSING}", "refers to the variable MISSING, which is not set"),
    ],
)
def test_a_reference_that_leads_nowhere_is_named(
    configured: Configured, write: Write, written: str, problem: str
) -> None:
    write("empty", "\n")
    write("large", "x" * 65537)
    (configured.folder / "binary").write_bytes(b"\n\xff")
    (mistake,) = configured.mistakes(f"auth: {{admin_key: '{written}'}}", {"A": "a", "B": "b", "EMPTY": ""})
    expected = problem.replace("{folder}", str(configured.folder))
    assert mistake.startswith(f"llm-service.yaml:1:19: auth.admin_key {expected}")


def test_empty_by_default_is_as_if_not_given(configured: Configured) -> None:
    settings = configured.settings("server: {port: '${PORT:-}', host: '${HOST:-}'}\nauth: {admin_key: '${KEY:-}'}")
    assert (settings.server.port, settings.server.host, settings.auth.admin_key) == (8080, "127.0.0.1", None)


def test_a_file_gives_its_text_without_the_last_line_end(configured: Configured, write: Write) -> None:
    write("secret", "sk-test-from-file\r\n")
    key = configured.settings("auth: {admin_key: 'file:secret'}").auth.admin_key
    assert key is not None
    assert key.reveal() == "sk-test-from-file"


def test_a_file_may_be_named_by_a_variable(configured: Configured, write: Write) -> None:
    write("secret", "sk-test-from-file\n")
    environ = {"DIR": str(configured.folder), "DEEPSEEK_API_KEY": f"file:{configured.folder}/secret"}
    assert configured.settings("auth: {admin_key: 'file:${DIR}/secret'}", environ).auth.admin_key is not None
    key = configured.settings(environ=environ).providers["deepseek"].api_key
    assert key is not None
    assert key.reveal() == "sk-test-from-file"


def test_what_a_variable_or_file_holds_is_not_expanded_again(configured: Configured, write: Write) -> None:
    write("other", "file:/etc/hostname")
    text = "providers: {x: {base_url: 'http://h', query: {a: '${A}', b: 'file:other'}}}"
    query = configured.settings(text, {"A": "file:/etc/hostname"}).providers["x"].query
    assert query == {"a": "file:/etc/hostname", "b": "file:/etc/hostname"}


@pytest.mark.parametrize("value", ["sk-canary x", "sk-canary\n", " sk-canary", "sk-canaryß"])
def test_a_secret_that_no_header_can_carry_is_refused_without_showing_it(configured: Configured, value: str) -> None:
    (mistake,) = configured.mistakes("auth: {admin_key: '${KEY}'}", {"KEY": value})
    assert "must be visible ASCII characters" in mistake
    assert "canary" not in mistake


def test_a_secret_in_the_wrong_place_is_not_shown(configured: Configured) -> None:
    wrong = ["server: {port: K}", "server: {host: K K}", "sandbox: K", "server: {data_dir: [K]}", "auth: K",
             "providers: {x: {base_url: K}}", "providers: {x: {base_url: 'http://u:K@h'}}", "providers: {x: {kind: K}}",
             "providers: {x: {headers: K}}", "providers: {x: {base_url: 'http://h?key=K'}}"]  # fmt: skip
    for text in wrong:
        assert "canary" not in str(configured.mistakes(text.replace("K", "sk-canary"))), text
    for text in wrong:
        assert "canary" not in str(configured.mistakes(text.replace("K", "${K}"), {"K": "sk-canary"})), text
