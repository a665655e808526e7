"""Where a version stands: one place decides, and the others are held to it."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Final

SOURCE: Final = "src/llm_service/__init__.py"
CHANGELOG: Final = "CHANGELOG.md"
PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    SOURCE: (r'(?<=^__version__ = ")[^"]+(?="$)',),
    "Dockerfile": (r"(?<=^ARG VERSION=)\S+$",),
    "compose.yaml": (r"(?<=:\$\{LLM_VERSION:-)[^}]+(?=\}$)",),
    "deploy/helm/llm-service/Chart.yaml": (r"(?<=^version: )\S+$", r'(?<=^appVersion: ")[^"]+(?="$)'),
}
"""Each pattern fits once in its file; a file that is not there has none."""
UNRELEASED: Final = "## Unreleased"
VERSION: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


class CannotReleaseError(Exception):
    """Says why, and what to do."""


def versions(checkout: Path) -> Iterator[tuple[str, str]]:
    """Each place with the version that stands there."""
    for name, patterns in PLACES.items():
        if (checkout / name).exists():
            text = (checkout / name).read_text(encoding="utf-8")
            yield from ((name, _only(pattern, text, name).group()) for pattern in patterns)


def with_version(name: str, text: str, version: str) -> str:
    """The text of a place with this version."""
    for pattern in PLACES[name]:
        found = _only(pattern, text, name)
        text = text[: found.start()] + version + text[found.end() :]
    return text


def changelog_with(text: str, version: str, day: date) -> str:
    """The changelog with what was unreleased under this version. Raises CannotReleaseError where nothing was."""
    notes_of(text, UNRELEASED)
    return text.replace(f"{UNRELEASED}\n", f"{UNRELEASED}\n\n## {version} - {day.isoformat()}\n", 1)


def notes_of(text: str, heading: str) -> str:
    """What stands under a heading. Raises CannotReleaseError where there is no such heading, or nothing under it."""
    _, found, below = f"\n{text}".partition(f"\n{heading}")
    notes = re.split(r"^## ", below.partition("\n")[2], maxsplit=1, flags=re.MULTILINE)[0].strip()
    if not found or "\n- " not in f"\n{notes}":
        raise CannotReleaseError(f"{CHANGELOG} has nothing under {heading}: say what users notice of this release.")
    return notes


def parts(version: str) -> tuple[int, ...]:
    """The numbers of a version. Raises CannotReleaseError for what is none."""
    if not VERSION.fullmatch(version):
        raise CannotReleaseError(f"{version} is no version of the form 1.2.3.")
    return tuple(map(int, version.split(".")))


def _only(pattern: str, text: str, name: str) -> re.Match[str]:
    found = [*re.finditer(pattern, text, re.MULTILINE)]
    if len(found) != 1:
        raise CannotReleaseError(f"{name} has the version in {len(found)} places, where one is expected.")
    return found[0]
