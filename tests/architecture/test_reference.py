"""docs/reference says what the code offers now, and leaves nothing out."""

import re
from collections.abc import Iterator
from functools import cache

import pytest
from scripts.reference.pages import FOLDER, texts
from scripts.reference.rest import document, names_of

from llm_service.api.graphql.schema import build_schema, core_of
from llm_service.cli.app import app
from llm_service.cli.reference import commands


@cache
def written() -> dict[str, str]:
    return texts()


def headings(page: str) -> set[str]:
    return {line.lstrip("# ") for line in written()[page].splitlines() if line.startswith("#")}


def test_the_pages_are_those_that_there_are() -> None:
    assert {path.name for path in FOLDER.glob("*.md")} == set(written())


@pytest.mark.parametrize("page", ["commands.md", "graphql.md", "rest-objects.md", "rest.md"])
def test_a_page_is_as_the_code_would_write_it(page: str) -> None:
    assert (FOLDER / page).read_text(encoding="utf-8") == written()[page], "run scripts/update-reference"


def named_in(schema: object) -> Iterator[str]:
    """The fields that a schema names, at every level; conditions name none that are not there anyway."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for word, inner in schema.items():
            if word not in {"if", "then", "else", "examples", "default"}:
                yield from named_in(inner)
    elif isinstance(schema, list):
        for one in schema:
            yield from named_in(one)


def test_every_command_is_there() -> None:
    assert {one.name for one in commands(app)} <= headings("commands.md")


def test_every_address_and_every_object_is_there() -> None:
    described = document()
    assert {*names_of(described)} <= headings("rest.md")
    assert set(described["components"]["schemas"]) <= headings("rest-objects.md")


def test_every_field_of_every_object_is_there() -> None:
    for name, schema in document()["components"]["schemas"].items():
        section = written()["rest-objects.md"].partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        told = set(re.findall(r"\w+", " ".join(re.findall(r"^\| \**`([^`]+)`", section, re.MULTILINE))))
        assert {*named_in(schema)} <= told, name


def test_every_type_of_graphql_is_there() -> None:
    named = {name for name in core_of(build_schema()).type_map if not name.startswith("__")}
    of_graphql_itself = {"Boolean", "Float", "ID", "Int", "String"}
    assert named - of_graphql_itself - {"Query", "Mutation", "Subscription"} <= headings("graphql.md")
