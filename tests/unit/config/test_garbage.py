"""Whatever stands in the file or the environment: settings, or a SettingsError, and nothing else."""

import json
import string
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from llm_service.config import Loaded, SettingsError, load_settings, rendered
from tests.unit.config.test_file import WHOLE

CANARY = "sk-canary-0123456789"
PIECES = [
    *"{}[]:,&*!|>'\"%@`#?-~<= \n\t\\",
    "\\x",
    "\\UFFFFFFFF",
    "\\uD800",
    "%YAML 1.1\n",
    "---\n",
    "...\n",
    "<<: ",
    "*a",
    "&a ",
]
PIECES += [
    "!!str ",
    "!<",
    "%TAG ! x",
    "|9",
    ">-2",
    "? ",
    "- ",
    "\x00",
    "\x85",
    "\u2028",
    "\ufeff",
    "é",
    "server",
    "port: 1",
]

names = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
seconds = st.floats(min_value=0.5, max_value=3600, allow_nan=False)
printable = st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=20)
timeouts = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("connect_s", "first_chunk_s", "idle_s", "total_s"), seconds)
)
providers = st.fixed_dictionaries(
    {"base_url": st.sampled_from(["http://127.0.0.1:9/v1", "https://h.example/api"])},
    optional={
        "kind": st.sampled_from(["openrouter", "deepseek", "openai_compatible"]),
        "timeouts": timeouts,
        "max_connections": st.integers(1, 100_000),
        "headers": st.dictionaries(names.map("x-{}".format), printable, max_size=3),
        "query": st.dictionaries(names, printable, max_size=3),
        "app_title": printable,
        "enabled": st.booleans(),
    },
)


@st.composite
def files(draw: st.DrawFn) -> dict[str, Any]:
    """A valid file, as data."""
    configured = draw(st.dictionaries(names, providers, min_size=1, max_size=3))
    deployment = st.fixed_dictionaries({"provider": st.sampled_from(sorted(configured)), "model": printable})
    server = {
        "host": st.sampled_from(["127.0.0.1", "::1", "localhost"]),
        "port": st.integers(0, 65535),
        "keep_alive_s": seconds,
        "allowed_origins": st.lists(st.sampled_from(["https://a.example", "http://localhost:3000"]), max_size=2),
    }
    return {
        "server": draw(st.fixed_dictionaries({}, optional=server)),
        "sandbox": draw(st.sampled_from(["auto", "on", "off"])),
        "providers": configured,
        "models": draw(
            st.dictionaries(
                names, st.fixed_dictionaries({"deployments": st.lists(deployment, min_size=1, max_size=3)}), max_size=3
            )
        ),
    }


def load(text: str | bytes, environ: dict[str, str] | None = None) -> Loaded:
    with TemporaryDirectory() as folder:
        (Path(folder) / "llm-service.yaml").write_bytes(
            text if isinstance(text, bytes) else text.encode("utf-8", "replace")
        )
        return load_settings(path=None, environ=environ or {}, cwd=Path(folder))


def without_secrets(data: dict[str, Any]) -> dict[str, Any]:
    """What of valid data must come back when the settings are rendered."""
    hidden = ("headers", "query")
    kept = {
        name: {key: value for key, value in options.items() if key not in hidden}
        for name, options in data["providers"].items()
    }
    return {**data, "providers": kept}


def assert_contains(whole: Any, part: Any) -> None:
    if isinstance(part, dict):
        for name, value in part.items():
            assert_contains(whole[name], value)
    elif isinstance(part, list):
        assert len(whole) == len(part)
        for one, item in zip(whole, part, strict=True):
            assert_contains(one, item)
    else:
        assert whole == part


@given(files())
def test_valid_settings_come_back_as_they_were_written(data: dict[str, Any]) -> None:
    settings = load(json.dumps(data)).settings
    assert_contains(rendered(settings), without_secrets(data))
    for name, options in data["providers"].items():
        assert settings.providers[name].headers == options.get("headers", {})
        assert settings.providers[name].query == options.get("query", {})


@given(files())
def test_the_environment_says_the_same_as_the_file(data: dict[str, Any]) -> None:
    environ = {f"LLM_SERVICE_{name.upper()}": json.dumps(value) for name, value in data.items() if name != "sandbox"}
    by_variables = load("", {**environ, "LLM_SERVICE_SANDBOX": data["sandbox"]})
    assert by_variables.settings == load(json.dumps(data)).settings


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=30).map("".join))
@example('a: "\\UFFFFFFFF"')
@example("%YAML 1.1\n%YAML 1.2\n---\n")
@example("[" * 300 + "]" * 300)
def test_garbage_gives_settings_or_a_settings_error(text: str) -> None:
    with suppress(SettingsError):
        load(text)


@given(st.binary(max_size=60))
def test_bytes_give_settings_or_a_settings_error(content: bytes) -> None:
    with suppress(SettingsError):
        load(content)


@given(st.integers(0, len(WHOLE)), st.integers(0, 6), st.one_of(st.sampled_from(PIECES), st.text(max_size=3)))
def test_a_damaged_file_never_shows_its_secrets(position: int, cut: int, inserted: str) -> None:
    text = WHOLE.replace("sk-test-admin", CANARY).replace("sk-test-or", CANARY).replace("sk-test-azure", CANARY)
    try:
        shown = str(load(text[:position] + inserted + text[position + cut :]))
    except SettingsError as error:
        shown = str(error)
    assert "canary-0123" not in shown


@given(
    st.dictionaries(
        st.lists(st.sampled_from(["SERVER", "PORT", "PROVIDERS", "X", "", "_", "MODELS", "TIMEOUTS", "é"]), max_size=4)
        .map("__".join)
        .map("LLM_SERVICE_{}".format),
        st.one_of(
            st.sampled_from(["{}", "[]", "null", '{"x": {}}', "[{}]", "1", "${A}", "file:x"]), st.text(max_size=8)
        ),
        max_size=4,
    )
)
def test_any_environment_gives_settings_or_a_settings_error(environ: dict[str, str]) -> None:
    with suppress(SettingsError):
        load("", environ)
