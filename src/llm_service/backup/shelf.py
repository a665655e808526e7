"""A folder of archives: how they are called, and how many are kept."""

import re
import shutil
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"llm-service-\d{8}T\d{6}Z\.zip")
_HALF: Final = re.compile(r"\.llm-service-\d{8}T\d{6}Z\.zip\..+")
"""What a backup leaves that is killed: its file (`runtime.written_whole`), and the folder that it worked in."""
_DEAD_S: Final = 86400.0


def archive_name(at: datetime) -> str:
    """Sorted by name, they are sorted by time."""
    return f"llm-service-{at:%Y%m%dT%H%M%SZ}.zip"


def archives_in(folder: Path) -> list[Path]:
    """Those of our names, the oldest first. Files of other names are somebody else's."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def keep_newest(folder: Path, count: int, *, now_s: float) -> list[Path]:
    """Remove all but the newest, and halves that nobody writes any more; the archives that were removed."""
    old = archives_in(folder)[:-count]
    for path in old:
        path.unlink(missing_ok=True)
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another backup has come to its end
            if _HALF.fullmatch(path.name) and path.lstat().st_mtime < now_s - _DEAD_S:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return old
