"""docs/sandbox.md tells what there is, and its examples run."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_service.sandbox import Sandbox
from llm_service.sandbox.dialects.deepseek_errors import ERRORS as DEEPSEEK_ERRORS
from llm_service.sandbox.dialects.errors import Errors
from llm_service.sandbox.dialects.openrouter_errors import ERRORS as OPENROUTER_ERRORS
from llm_service.sandbox.dialects.plain_errors import ERRORS as PLAIN_ERRORS
from llm_service.sandbox.forms import GROUPS
from llm_service.sandbox.mid_errors import STYLES
from tests.unit.sandbox.raw import exchange, request

DOCUMENT = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8090"
INTERNAL = ("path", "model", "usual")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines() if line.startswith("curl ")]


def form_rows() -> Iterator[str]:
    for group, forms in GROUPS.items():
        yield f"### {group}"
        yield ""
        yield "| form | takes | without argument | does |"
        yield "|---|---|---|---|"
        for form in forms:
            takes = "" if form.kind.value == "nothing" else form.kind.value.partition(":")[0].split()[-1]
            default = "" if not takes else f"`{form.default}`" if form.default is not None else "-"
            yield f"| `{form.name}` | {takes} | {default} | {form.does} |"
        yield ""


def error_rows() -> Iterator[str]:
    tables: dict[str, Errors] = {"OpenRouter": OPENROUTER_ERRORS, "DeepSeek": DEEPSEEK_ERRORS, "plain": PLAIN_ERRORS}
    yield "| provider | ids |"
    yield "|---|---|"
    for name, table in tables.items():
        yield f"| {name} | {', '.join(f'`{case}`' for case in table if case not in INTERNAL)} |"


def section(name: str) -> str:
    return DOCUMENT.partition(f"<!-- {name}: ")[2].partition("-->\n")[2].partition(f"<!-- end of {name} -->")[0]


def test_all_forms_are_documented() -> None:
    assert section("forms").strip() == "\n".join(form_rows()).strip()


def test_all_errors_are_documented() -> None:
    assert section("errors").strip() == "\n".join(error_rows()).strip()


def test_all_styles_are_documented() -> None:
    assert all(f"`{style}`" in DOCUMENT for style in STYLES)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_examples_run(code: str) -> None:
    exec(compile(code, "docs/sandbox.md", "exec"), {"__name__": "example"})


@pytest.mark.parametrize("command", commands())
async def test_commands_run(sandbox: Sandbox, command: str) -> None:
    received = await exchange(sandbox.address, as_request(command))
    assert received.status in (200, 201, 429)
    assert received.status != 429 or "error-429" in command


def as_request(command: str) -> bytes:
    """What curl would send."""
    method, headers, url, data = "GET", {}, "", b""
    words = iter(shlex.split(command)[1:])
    for word in words:
        if word == "-X":
            method = next(words)
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name.lower()] = value
        elif word == "-d":
            method, data = "POST", next(words).encode()
        elif not word.startswith("-"):
            url = word
    assert url.startswith(ADDRESS)
    return request(method, url.removeprefix(ADDRESS), data=data, key=None, headers=headers)
