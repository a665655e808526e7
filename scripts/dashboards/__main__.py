"""``python -m scripts.dashboards``: writes deploy/grafana/dashboards/."""

from scripts.dashboards.boards import ALL
from scripts.dashboards.files import FOLDER, text

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, board in ALL.items():
        (FOLDER / f"{name}.json").write_text(text(board), encoding="utf-8")
