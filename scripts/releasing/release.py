"""One release of a checkout. Nothing leaves the machine: what was made is there to be looked at, and to be pushed."""

import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.releasing.places import (
    CHANGELOG,
    PLACES,
    SOURCE,
    CannotReleaseError,
    changelog_with,
    notes_of,
    parts,
    versions,
    with_version,
)


@dataclass(frozen=True)
class Release:
    """``moment``: when it is made; the files carry it, so the commit's own time is enough to make them again."""

    checkout: Path
    version: str
    moment: datetime

    @property
    def tag(self) -> str:
        return f"v{self.version}"

    @property
    def folder(self) -> Path:
        """Of its files; git ignores it."""
        return self.checkout / "dist" / self.version

    def make(self) -> None:
        """Files, commit and tag. Raises CannotReleaseError, and leaves the source as it was where something fails."""
        self.check()
        begun_at = self._git("rev-parse", "HEAD")
        before = {name: self._read(name) for name in (*PLACES, CHANGELOG) if (self.checkout / name).exists()}
        try:
            self._write(before)
            self._build()
            self._commit([*before])
        except BaseException:
            for name, text in before.items():
                (self.checkout / name).write_text(text, encoding="utf-8")
            self._git("reset", "--quiet", begun_at)
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def check(self) -> None:
        """Raises CannotReleaseError where this cannot be released."""
        if changed := self._git("status", "--porcelain").splitlines():
            raise CannotReleaseError(f"{len(changed)} files are changed or unknown to git: commit or remove them.")
        if self._git("tag", "--list", self.tag):
            raise CannotReleaseError(f"There is a tag {self.tag}: a version is released once.")
        if self.folder.exists():
            raise CannotReleaseError(f"{self.folder} is there already: look what it is, and move it away.")
        there = dict(versions(self.checkout))
        if len(set(there.values())) != 1:
            raise CannotReleaseError(f"The places of the version differ: {there}.")
        released = bool(self._git("tag", "--list", f"v{there[SOURCE]}"))
        if parts(self.version) < parts(there[SOURCE]) or (released and self.version == there[SOURCE]):
            raise CannotReleaseError(f"{self.version} does not come after {there[SOURCE]}.")
        notes_of(self._read(CHANGELOG), "## Unreleased")

    @property
    def notes(self) -> str:
        """What the changelog says of it."""
        return notes_of(self._read(CHANGELOG), f"## {self.version} - ")

    def _write(self, before: dict[str, str]) -> None:
        for name, text in before.items():
            new = (
                changelog_with(text, self.version, self.moment.date())
                if name == CHANGELOG
                else with_version(name, text, self.version)
            )
            (self.checkout / name).write_text(new, encoding="utf-8")

    def _build(self) -> None:
        """The source distribution, the wheel that it makes, the bill of materials, and the sums of all."""
        self.folder.mkdir(parents=True)
        self._run("-m", "hatchling", "build", "-t", "sdist", "-d", str(self.folder))
        (sdist,) = self.folder.glob("*.tar.gz")
        with TemporaryDirectory() as folder:
            with tarfile.open(sdist) as archive:
                archive.extractall(folder, filter="data")
            (source,) = Path(folder).iterdir()
            self._run("-m", "hatchling", "build", "-t", "wheel", "-d", str(self.folder), source=source)
        self._run("-P", "-m", "scripts.supply.sbom", str(self.folder / f"llm-service-{self.version}.cdx.json"))
        sums = [f"{sha256(one.read_bytes()).hexdigest()}  {one.name}\n" for one in sorted(self.folder.iterdir())]
        (self.folder / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")

    def _commit(self, names: list[str]) -> None:
        if self._git("status", "--porcelain"):
            self._git("commit", "--quiet", "--message", f"Release {self.version}", "--", *names)
        self._git("tag", "--annotate", self.tag, "--message", f"{self.version}\n\n{self.notes}", "--cleanup=verbatim")

    def _read(self, name: str) -> str:
        return (self.checkout / name).read_text(encoding="utf-8")

    @property
    def _environment(self) -> dict[str, str]:
        epoch = str(int(self.moment.timestamp()))
        times = {
            "SOURCE_DATE_EPOCH": epoch,
            "GIT_AUTHOR_DATE": f"@{epoch} +0000",
            "GIT_COMMITTER_DATE": f"@{epoch} +0000",
        }
        return {**os.environ, **times, "PYTHONPATH": f"{self.checkout / 'src'}{os.pathsep}{self.checkout}"}

    def _run(self, *arguments: str, source: Path | None = None) -> None:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=source or self.checkout,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CannotReleaseError(f"{' '.join(arguments[:4])} failed:\n{done.stderr or done.stdout}")

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.checkout, env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise CannotReleaseError(f"git {arguments[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.strip()


def rehearsed(checkout: Path, version: str, moment: datetime) -> str:
    """What a release would be: made whole in a clone, which is gone afterwards."""
    Release(checkout, version, moment).check()
    with TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", "--no-tags", checkout, clone], check=True)
        for name in ("name", "email"):  # the checkout's own, which a clone has not
            subprocess.run(["git", "config", f"user.{name}", "rehearsal@example.com"], cwd=clone, check=True)
        release = Release(clone, version, moment)
        release.make()
        return told(release)


def told(release: Release) -> str:
    """The notes, and the files with their sums."""
    sums = (release.folder / "SHA256SUMS").read_text(encoding="utf-8")
    return f"{release.tag}\n\n{release.notes}\n\n{sums}"


def now() -> datetime:
    """To the second, as git keeps it."""
    return datetime.now(UTC).replace(microsecond=0)
