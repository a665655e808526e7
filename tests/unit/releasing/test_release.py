"""A release: what it refuses, and what it leaves behind, shown on a clone."""

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from scripts.releasing.places import CHANGELOG, CannotReleaseError, changelog_with, notes_of, parts, versions
from scripts.releasing.release import Release, told

from llm_service import __version__
from tests.architecture.test_locks import CHECKOUT

MOMENT = datetime(2026, 12, 1, 12, 0, 0, tzinfo=UTC)
LOG = "# Changelog\n\n## Unreleased\n\n### Added\n\n- A thing.\n\n## 0.1.0 - 2026-11-01\n\n- The first.\n"
NEXT = f"{parts(__version__)[0]}.{parts(__version__)[1] + 1}.0"


def git(place: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=place, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The last commit of this checkout."""
    place = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--no-tags", "--depth", "1", f"file://{CHECKOUT}", str(place))
    for name, value in (("user.name", "Test"), ("user.email", "test@example.com")):
        git(place, "config", name, value)
    return place


def test_what_was_unreleased_stands_under_the_version() -> None:
    text = changelog_with(LOG, "0.2.0", date(2026, 12, 1))
    assert "## Unreleased\n\n## 0.2.0 - 2026-12-01\n\n### Added\n\n- A thing.\n\n## 0.1.0" in text
    assert notes_of(text, "## 0.2.0 - ") == "### Added\n\n- A thing."


@pytest.mark.parametrize("text", ["# Changelog\n", "## Unreleased\n\n### Added\n\n## 0.1.0\n\n- The first.\n"])
def test_a_release_of_which_nothing_is_said_is_refused(text: str) -> None:
    with pytest.raises(CannotReleaseError, match="say what users notice"):
        changelog_with(text, "0.2.0", date(2026, 12, 1))


def test_the_version_stands_alike_in_all_its_places() -> None:
    assert {version for _, version in versions(Path(CHECKOUT))} == {__version__}


def test_it_refuses_what_cannot_be_released(clone: Path) -> None:
    refused = {"0.0.1": "does not come after", "1.0": "no version", "1.0.0rc1": "no version"}
    for version, reason in refused.items():
        with pytest.raises(CannotReleaseError, match=reason):
            Release(clone, version, MOMENT).check()
    (clone / "stray.txt").write_text("left here")
    with pytest.raises(CannotReleaseError, match="1 files are changed or unknown to git"):
        Release(clone, NEXT, MOMENT).check()
    (clone / "stray.txt").unlink()
    git(clone, "tag", f"v{NEXT}")
    with pytest.raises(CannotReleaseError, match="a version is released once"):
        Release(clone, NEXT, MOMENT).check()
    git(clone, "tag", "--delete", f"v{NEXT}")
    made = Release(clone, NEXT, MOMENT).folder
    made.mkdir(parents=True)
    with pytest.raises(CannotReleaseError, match="is there already"):
        Release(clone, NEXT, MOMENT).make()
    assert made.is_dir()


def test_it_leaves_files_a_commit_and_a_tag(clone: Path, tmp_path: Path) -> None:
    release = Release(clone, NEXT, MOMENT)
    release.make()
    assert {version for _, version in versions(clone)} == {NEXT}
    assert git(clone, "status", "--porcelain") == ""
    assert git(clone, "log", "-1", "--format=%s %ct") == f"Release {NEXT} {int(MOMENT.timestamp())}"
    assert git(clone, "cat-file", "-t", f"v{NEXT}") == "tag"
    assert release.notes in git(clone, "tag", "--list", "--format=%(contents)", f"v{NEXT}")
    assert f"## {NEXT} - 2026-12-01" in (clone / CHANGELOG).read_text(encoding="utf-8")
    sums = dict(reversed(line.split("  ")) for line in told(release).splitlines() if "  llm" in line)
    files = {one.name: sha256(one.read_bytes()).hexdigest() for one in release.folder.iterdir()}
    del files["SHA256SUMS"]
    assert sums == files
    epoch = git(clone, "log", "-1", "--format=%ct", f"v{NEXT}")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path / "again")]
    subprocess.run(build, cwd=clone, env={**os.environ, "SOURCE_DATE_EPOCH": epoch}, check=True, capture_output=True)
    again = {one.name: sha256(one.read_bytes()).hexdigest() for one in (tmp_path / "again").iterdir()}
    assert again.items() <= files.items()
    assert {f"llm_service-{NEXT}.tar.gz", f"llm_service-{NEXT}-py3-none-any.whl"} < files.keys()
    bill = json.loads((release.folder / f"llm-service-{NEXT}.cdx.json").read_text())
    assert (bill["metadata"]["component"]["version"], bill["metadata"]["timestamp"]) == (NEXT, "2026-12-01T12:00:00Z")


def test_a_release_that_fails_leaves_the_source_as_it_was(clone: Path) -> None:
    text = (clone / "pyproject.toml").read_text()
    (clone / "pyproject.toml").write_text(text.replace('readme = "README.md"', 'readme = "MISSING.md"'))
    git(clone, "commit", "--quiet", "--all", "--message", "Break the build")
    with pytest.raises(CannotReleaseError, match=r"MISSING\.md"):
        Release(clone, NEXT, MOMENT).make()
    assert git(clone, "status", "--porcelain", "--ignored") == ""
    assert git(clone, "tag") == ""


def test_a_release_that_has_no_tag_has_no_commit(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(clone, "config", "tag.gpgSign", "true")
    git(clone, "config", "gpg.program", "false")
    monkeypatch.setattr(Release, "_build", lambda self: self.folder.mkdir(parents=True))
    before = git(clone, "rev-parse", "HEAD")
    with pytest.raises(CannotReleaseError, match="git tag failed"):
        Release(clone, NEXT, MOMENT).make()
    assert git(clone, "rev-parse", "HEAD") == before
    assert git(clone, "status", "--porcelain", "--ignored") == ""
