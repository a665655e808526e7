"""Which load and which upstream there are: compiled ones where there is a C compiler, or else those in Python."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent


def program(name: str, *, compiler: str | None = None, folder: Path | None = None) -> Sequence[str]:
    """The command of ``load`` or ``upstream``. A compiled one is kept, under a name made of its source, and made once.

    ``compiler``: the one to use; empty for none.
    """
    wanted = (os.environ.get("CC") or "cc") if compiler is None else compiler
    found = shutil.which(wanted) if wanted else None
    if found is None or not sys.platform.startswith("linux"):
        return (sys.executable, "-P", "-m", f"bench.traffic.{name}")
    source = HERE / f"{name}.c"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    made = (folder or kept()) / f"{name}-{digest}"
    if not made.exists():
        unfinished = made.with_suffix(f".{os.getpid()}")
        subprocess.run((found, "-O2", "-o", str(unfinished), str(source)), check=True)  # noqa: S603 - our own source
        unfinished.rename(made)
    return (str(made),)


def kept() -> Path:
    """The folder of this user's compiled programs."""
    folder = Path(tempfile.gettempdir()) / f"llm-service-bench-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise SystemExit(f"{folder} belongs to another user: remove it, or set TMPDIR.")
    return folder


def in_c(command: Sequence[str]) -> bool:
    return len(command) == 1
