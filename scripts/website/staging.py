"""What becomes a page, where it stands on the site, and its copy there, with links that lead there too.

Pages of ``docs/`` keep their places. Those of the rest of the repository stand below ``project/``, and other files that
a page links to below ``files/``: so nothing on the site leads out of it but addresses of other hosts.
"""

import posixpath
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from scripts.website.markdown import Link, links, with_other_targets

CHECKOUT: Final = Path(__file__).parents[2]
FRONT: Final = {"README.md": "index.md"}
"""The site has a front page of its own in place of the repository's."""
OF_THE_SITE: Final = "docs/site/"
SETTINGS: Final = ("site/navigation.toml", "site/zensical.toml")


class CannotBuildError(Exception):
    """What has to be mended before there can be a site, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def tracked(checkout: Path = CHECKOUT) -> list[str]:
    """The files of the repository, and those that will be once they are added."""
    command = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    listed = subprocess.run(command, cwd=checkout, check=True, capture_output=True, text=True).stdout
    return sorted(name for name in set(listed.split("\0")) if name and (checkout / name).is_file())


def pages(files: Iterable[str]) -> list[str]:
    """Those that become pages."""
    return [name for name in files if name.endswith(".md") and name not in FRONT and not name.startswith(OF_THE_SITE)]


def place(name: str) -> str:
    """Where a file of the repository stands on the site."""
    if name in FRONT:
        return FRONT[name]
    if name.startswith("docs/"):
        return name.removeprefix("docs/")
    return f"project/{name}" if name.endswith(".md") else f"files/{name}"


def aimed_at(page: str, link: Link) -> str:
    """The file or folder of the repository that a relative link of a page leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link.path)) if link.path else page


def staged(page: str, text: str) -> str:
    """The page with its links as they are on the site."""

    def other(target: str) -> str:
        link = Link(0, target)
        if link.is_external or not link.path:
            return target
        there = posixpath.relpath(place(aimed_at(page, link)), posixpath.dirname(place(page)) or ".")
        return f"{there}#{link.anchor}" if link.anchor else there

    return with_other_targets(text, other)


def stage(folder: Path, checkout: Path = CHECKOUT) -> list[str]:
    """Write all that the site is made of into an empty folder. Returns the places of its pages."""
    shutil.rmtree(folder, ignore_errors=True)
    files = tracked(checkout)
    shown = pages(files)
    beside = {name for name in files if name.startswith("docs/") and not name.endswith(SETTINGS)}
    for page in shown:
        text = (checkout / page).read_text(encoding="utf-8")
        beside |= _files_linked_to(page, text, files)
        _write(folder / place(page), staged(page, text))
    for name in beside - set(FRONT) - set(shown):
        target = folder / place(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(checkout / name, target)
    return sorted(place(page) for page in shown)


def _files_linked_to(page: str, text: str, files: Iterable[str]) -> set[str]:
    return {aimed_at(page, link) for link in links(text) if not link.is_external} & set(files)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
