"""Writes what a run of ``./test --full`` measured to docs/evidence/<name>.md."""

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import pytest

CHECKOUT = Path(__file__).parents[2]
NONE: Mapping[str, str] = MappingProxyType({})

PAGE = """\
# {title}

{before}| figure | value |
| --- | --- |
{rows}

Revision {revision}, {day}. Python {python} on {machine}, {processors} processors. Written by `./test --full`.
"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where figures go; ``folder`` is None in a bounded run, whose figures prove little and are not kept."""

    folder: Path | None

    def record(
        self, name: str, *, title: str, figures: Mapping[str, object], about: str = "", plots: Mapping[str, str] = NONE
    ) -> None:
        """Keeps the figures as a page, in place of an earlier one; names carry their units (``added_p50_ms``).

        ``about``: what one has to know to read them. ``plots``: SVG by file names, shown above the table.
        """
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for plot, drawn in plots.items():
            self._keep(f"{plot}.svg", drawn)
        shown = [f"![{title}]({plot}.svg)" for plot in plots]
        self._keep(
            f"{name}.md", page(title, figures, before="".join(f"{part}\n\n" for part in (about, *shown) if part))
        )

    def _keep(self, name: str, text: str) -> None:
        assert self.folder is not None
        half_written = self.folder / f".{name}.{os.getpid()}"
        half_written.write_text(text, encoding="utf-8")
        half_written.replace(self.folder / name)


def page(title: str, figures: Mapping[str, object], *, before: str = "") -> str:
    return PAGE.format(
        title=title,
        before=before,
        rows="\n".join(f"| {name} | {value} |" for name, value in figures.items()),
        revision=revision(),
        day=datetime.now(UTC).date(),
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        processors=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    )


def revision() -> str:
    """The commit that was measured; says so when the tree held changes beyond it."""
    commit, changes = _git("rev-parse", "--short=12", "HEAD"), _git("status", "--porcelain", "--", ":!docs/evidence")
    if not commit:
        return "unknown (no git here)"
    return f"`{commit}`" + (" with local changes" if changes else "")


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(("git", *arguments), cwd=CHECKOUT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


@pytest.fixture(scope="session")
def evidence(request: pytest.FixtureRequest) -> Evidence:
    return Evidence(CHECKOUT / "docs" / "evidence" if request.config.getoption("--full") else None)
