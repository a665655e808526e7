"""Distributions of a source: built as a front end builds them, and installed where nothing else is."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.build import build_sdist, build_wheel

from tests.support.process import Place

SHADY = 0o077
"""A mask of rights that is not the usual one."""


def built(folder: Path, source: Path, kind: str) -> Path:
    """The ``sdist`` or the ``wheel`` of a source, in a new folder."""
    folder.mkdir()
    mask = os.umask(SHADY)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(source)
            patch.delenv("SOURCE_DATE_EPOCH", raising=False)
            return folder / {"sdist": build_sdist, "wheel": build_wheel}[kind](str(folder))
    finally:
        os.umask(mask)


@dataclass(frozen=True)
class Installed(Place):
    """The program of a virtual environment, without anything of the checkout."""

    environ: Path = Path()

    @property
    def environment(self) -> Mapping[str, str]:  # type: ignore[override]
        kept = {name: value for name, value in super().environment.items() if name != "PYTHONPATH"}
        return {**kept, "PATH": f"{self.environ}/bin:{os.environ['PATH']}"}

    def command(self, *arguments: str) -> tuple[str, ...]:
        return (str(self.environ / "bin" / "llm-service"), *arguments)


def installed(wheel: Path, folder: Path) -> Installed:
    """A wheel in an environment of its own; what it needs is that of these tests, in the versions of the locks.

    Laid out as installers do it (packaging.python.org, "Binary distribution format"): pip takes seconds for that.
    """
    environ, home = folder / "environment", folder / "home"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environ], check=True)
    (site,) = (environ / "lib").glob("python*/site-packages")
    with ZipFile(wheel) as opened:
        opened.extractall(site)
        (points,) = (name for name in opened.namelist() if name.endswith(".dist-info/entry_points.txt"))
        commands = ConfigParser()
        commands.read_string(opened.read(points).decode())
    for name, place in commands["console_scripts"].items():
        module, _, function = place.partition(":")
        command = environ / "bin" / name
        command.write_text(
            f"#!{environ}/bin/python\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"
        )
        command.chmod(0o755)
    # Packages alone: a .pth file of that folder, such as the one that names the checkout, is not followed.
    (site / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    home.mkdir()
    return Installed(home, {}, executed=True, environ=environ)
