"""Where the dashboards are kept, and how they are written there."""

import json
from pathlib import Path
from typing import Final

from scripts.dashboards.grafana import Board

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"


def text(board: Board) -> str:
    """The file: sorted and a line for each value, so that a change of a panel is a change of a few lines."""
    return json.dumps(board.json(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
