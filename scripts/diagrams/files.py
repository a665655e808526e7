"""The diagrams by the names of their files, as they would be drawn now."""

from pathlib import Path
from typing import Final

from scripts.diagrams import generation, lease, record, request
from scripts.diagrams.drawing import Sheet, svg

FOLDER: Final = Path(__file__).parents[2] / "docs" / "images"


def sheets() -> dict[str, Sheet]:
    return {
        "request.svg": request.sheet(),
        "lease.svg": lease.sheet(),
        "generation.svg": generation.sheet(),
        "record.svg": record.sheet(),
    }


def texts() -> dict[str, str]:
    return {name: svg(sheet) for name, sheet in sheets().items()}
