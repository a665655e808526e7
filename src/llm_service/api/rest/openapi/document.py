"""The whole description: every address with what it takes and what it answers."""

from typing import Any


def openapi_document(version: str) -> dict[str, Any]:
    """The description as one JSON object, for this version of the service."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "llm-service",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {},
    }
