"""docs/sandbox.md tells what there is."""

from collections.abc import Iterator
from pathlib import Path

from llm_service.sandbox.dialects.deepseek_errors import ERRORS as DEEPSEEK_ERRORS
from llm_service.sandbox.dialects.errors import Errors
from llm_service.sandbox.dialects.openrouter_errors import ERRORS as OPENROUTER_ERRORS
from llm_service.sandbox.dialects.plain_errors import ERRORS as PLAIN_ERRORS
from llm_service.sandbox.forms import GROUPS
from llm_service.sandbox.mid_errors import STYLES

DOCUMENT = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text(encoding="utf-8")
INTERNAL = ("path", "model", "usual")


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
