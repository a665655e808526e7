"""docs/configuration.md has the row of every setting, as the code has it."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from llm_service.config import Settings
from llm_service.config.environment import USUAL_NAMES, variable
from llm_service.config.shape import Group, Leaf, ListOf, MapOf, Setting, Shape, describe, walk
from llm_service.domain import Secret

DOCUMENT = Path(__file__).parents[3] / "docs" / "configuration.md"
TYPES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Decimal: "decimal number",
    Path: "path",
    Secret: "secret",
}


def type_of(shape: Shape) -> str:
    match shape:
        case Leaf():
            return " or ".join(f"`{word}`" for word in shape.choices) or TYPES[shape.type]
        case ListOf():
            items = "maps" if isinstance(shape.item, Group) else type_of(shape.item)
            return f"{items} or list of {items}s" if shape.or_single else f"list of {items}"
        case MapOf():
            return f"map of {'maps' if isinstance(shape.value, Group) else type_of(shape.value)}"
        case Group():
            return "map"


def default_of(setting: Setting) -> str:
    match setting.default:
        case None:
            return "required" if setting.required else "unset"
        case bool() | tuple() | dict() as default:
            return f"`{json.dumps(default)}`"
        case float() as default:
            return f"`{default:g}`"
        case default:
            return f"`{default}`"


def rows() -> Iterator[str]:
    for path, setting in walk(describe(Settings)):
        if not isinstance(setting.shape, Group):
            name = path.replace("*", "<name>")
            own = f"`{variable(path)}`" if "[]" not in path else "-"
            cells = (f"`{name}`", type_of(setting.shape), setting.unit or "-", default_of(setting), setting.doc, own)
            yield f"| {' | '.join(cells)} |"


def test_every_setting_has_its_row_and_every_row_its_setting() -> None:
    documented = re.findall(r"^\| `[a-z].*\|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert "\n".join(documented) == "\n".join(rows())


def test_usual_names_are_documented() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [name for name in USUAL_NAMES if f"`{name}`" not in text] == []


if __name__ == "__main__":  # prints the rows, for whoever adds a setting
    print("\n".join(rows()))
