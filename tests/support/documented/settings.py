"""Pieces of configuration that pages show, told apart by what is in them, and put to whatever reads such files."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from scripts.doc_blocks import CHECKOUT, Block

from llm_service.config import Settings
from tests.support.documented.site import SETTINGS
from tests.support.issuers import private_key, public_jwk
from tests.support.process import place, run

PROVIDERS: Final = {
    "openrouter": {"api_key": "sk-test-1"},
    "deepseek": {"api_key": "sk-test-2"},
    "openai": {"base_url": "http://127.0.0.1:9/v1", "api_key": "sk-test-3"},
    "ollama": {},
}
"""What a piece may name without saying it, beside the model ``fast``."""
ELSEWHERE: Final = re.compile(r"(?<=[\s\":])/(?:run|etc|var)/[\w./-]+")


def read(block: Block) -> Any:
    """AssertionError where it is no YAML."""
    try:
        return YAML(typ="safe", pure=True).load(block.text)
    except YAMLError as error:
        raise AssertionError(f"{block.place}: this is no YAML: {error}") from error


def check_service(block: Block, told: Any, folder: Path) -> None:
    """``check-config`` takes it."""
    if isinstance(told, list):  # filters, which docs/filters.md shows one by one
        told = {"filters": told}
    whole = {**told, "providers": {**PROVIDERS, **told.get("providers", {})}}
    whole["models"] = {**SETTINGS["models"], **told.get("models", {})}
    whole["auth"] = {"admin_key": "sk-test-admin", **told.get("auth", {})}
    text = json.dumps(whole, default=str)
    text = ELSEWHERE.sub(lambda found: str(made(folder / found[0].lstrip("/"))), text)
    for name in re.findall(r'"words_file": "([^"]+)"', text):
        made(folder / name)
    variables = dict.fromkeys(re.findall(r"\$\{(\w+)", text), "test-value")
    (folder / "llm-service.yaml").write_text(text, encoding="utf-8")
    checked = run(place(folder, cached=True, resilient=True, **variables), "check-config")
    assert checked.code == 0, f"{block.place}: check-config refuses these settings:\n{checked.err}\n{block.text}"


def made(path: Path) -> Path:
    """A file for a setting that names one, with what such a file holds by its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        content = json.dumps({"keys": [public_jwk(private_key("EdDSA"), kid="test", alg="EdDSA", use="sig")]})
    else:
        content = "https://hooks.example.com/test" if "webhook" in path.name else f"test-value-{'0' * 32}"
    path.write_text(content, encoding="utf-8")
    return path


def check_prometheus(block: Block, _: Any, folder: Path) -> None:
    """promtool takes it, without looking for the files that it names."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    (folder / "prometheus.yml").write_text(block.text, encoding="utf-8")
    command = (promtool, "check", "config", "--syntax-only", str(folder / "prometheus.yml"))
    checked = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert checked.returncode == 0, f"{block.place}: promtool refuses it:\n{checked.stdout}{checked.stderr}"


def check_kubernetes(block: Block, told: Any, _: Path) -> None:
    """It is an object that says what it is, with a name."""
    assert {"apiVersion", "kind", "metadata"} <= told.keys(), f"{block.place}: not the whole head of an object"
    assert "name" in told["metadata"] or "generateName" in told["metadata"], f"{block.place}: it has no name"


def check_chart(block: Block, told: Any, folder: Path) -> None:
    """The chart's schema takes it, and ``check-config`` what is to become the service's settings."""
    problems = [error.message for error in Draft202012Validator(chart_schema()).iter_errors(told)]
    assert not problems, f"{block.place}: the chart refuses these values: {problems}"
    if "config" in told:
        check_service(block, told["config"], folder)


@cache
def chart_schema() -> Any:
    path = CHECKOUT / "deploy/helm/llm-service/values.schema.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"properties": {}}


def check_adapter(block: Block, told: Any, _: Path) -> None:
    """Rules of prometheus-adapter say what is asked, and how."""
    for rule in told["rules"]["custom"]:
        assert {"seriesQuery", "resources", "metricsQuery"} <= rule.keys(), f"{block.place}: {rule}"


def check_litellm(block: Block, told: Any, folder: Path) -> None:
    """``import litellm`` reads it, and what comes of it passes ``check-config``."""
    del told
    (folder / "config.yaml").write_text(block.text, encoding="utf-8")
    where = place(folder, cached=True, resilient=True)
    done = run(where, "import", "litellm", "config.yaml", "--output", "imported.yaml")
    assert (folder / "imported.yaml").exists(), f"{block.place}: it cannot be imported:\n{done.err}"
    imported = YAML(typ="safe", pure=True).load(folder / "imported.yaml")
    check_service(block, imported, folder)


Check = Callable[[Block, Any, Path], None]
OWN: Final = frozenset(Settings.__dataclass_fields__)
KINDS: Final[Mapping[str, Check]] = {
    "scrape_configs": check_prometheus,
    "kind": check_kubernetes,
    "model_list": check_litellm,
    "rules": check_adapter,
}
"""Of files that are not the service's own: a field that tells them, and who reads them."""


def check_settings(block: Block, folder: Path) -> None:
    """Put the piece to the program that reads such files. AssertionError where none is known, or it refuses."""
    told = read(block)
    names = set(told) if isinstance(told, dict) else set()
    checks = [check for name, check in KINDS.items() if name in names]
    if names <= OWN and (names or isinstance(told, list)):
        checks.append(check_service)
    elif names and names <= chart_schema()["properties"].keys():
        checks.append(check_chart)
    assert checks, (
        f"{block.place}: nobody knows what reads this YAML. Settings of the service are "
        f"{', '.join(sorted(OWN))}; another program's files get a line in tests/support/documented/settings.py: KINDS."
    )
    checks[0](block, told, folder)


def check_file(block: Block) -> None:
    """A piece of another program's file, in a form that is read without that program."""
    if block.language == "ini":
        parser = ConfigParser(strict=False, interpolation=None, allow_no_value=True)
        try:
            parser.read_string(block.text)
        except ConfigParserError as error:
            raise AssertionError(f"{block.place}: this is no INI: {error}") from error
        return
    code = re.sub(r"#.*|\"[^\"]*\"|'[^']*'", "", block.text)
    assert code.count("{") == code.count("}"), f"{block.place}: its braces do not match"
    if block.language == "nginx":
        open_ended = [line for line in code.splitlines() if line.strip() and not re.search(r"[;{}]\s*$", line)]
        assert not open_ended, f"{block.place}: no end of a directive: {open_ended}"
