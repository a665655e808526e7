"""Writes docs/schema.graphql: the schema of the GraphQL interface as its code has it."""

from pathlib import Path
from typing import Final

from llm_service.api.graphql.schema import schema_text

DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "schema.graphql"

if __name__ == "__main__":
    DOCUMENT.write_text(schema_text(), encoding="utf-8")
