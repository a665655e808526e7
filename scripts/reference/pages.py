"""The pages by name, as they would be written now."""

from pathlib import Path
from typing import Final

from scripts.reference import commands, graphql_page, rest

from llm_service.api.graphql.schema import build_schema, core_of

FOLDER: Final = Path(__file__).parents[2] / "docs" / "reference"


def texts() -> dict[str, str]:
    described = rest.document()
    return {
        "commands.md": commands.text(),
        "graphql.md": graphql_page.text(core_of(build_schema())),
        "rest-objects.md": rest.text_of_objects(described),
        "rest.md": rest.text(described),
    }
