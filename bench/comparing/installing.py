"""Brings peers, as they are pinned, into environments of their own below a folder, and nothing anywhere else."""

import json
import shutil
import subprocess
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

PINS: Final = Path(__file__).with_name("pins.json")
INSTALLED: Final = "installed.json"
LIMIT_S: Final = 900
OF_THE_SYSTEM: Final = "not on this machine: install {} by its package manager"


def pins() -> Mapping[str, Mapping[str, Any]]:
    read: Mapping[str, Mapping[str, Any]] = json.loads(PINS.read_bytes())
    return read


def install(name: str, pin: Mapping[str, Any], folder: Path) -> str:
    """Why a peer could not be installed; empty where it is there now. What is there as pinned is left alone."""
    if pin["by"] == "system":
        return "" if shutil.which(pin["program"]) else OF_THE_SYSTEM.format(pin["program"])
    place = folder / name
    if is_installed(place, pin):
        return ""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    reason = by_pip(place, pin["packages"]) if pin["by"] == "pip" else by_npm(place, pin)
    if not reason:
        (place / INSTALLED).write_text(json.dumps(pin), encoding="utf-8")
    return reason


def missing(name: str, pin: Mapping[str, Any], folder: Path) -> str:
    """Why a peer cannot be measured; empty where it can."""
    if pin["by"] == "system":
        return "" if shutil.which(pin["program"]) else OF_THE_SYSTEM.format(pin["program"])
    return "" if is_installed(folder / name, pin) else f"not installed as pinned: bench/compare install {folder} {name}"


def is_installed(place: Path, pin: Mapping[str, Any]) -> bool:
    marker = place / INSTALLED
    return marker.is_file() and json.loads(marker.read_bytes()) == pin


def programs(name: str, pin: Mapping[str, Any], folder: Path) -> Path:
    """Where the programs of a peer are."""
    place = (folder / name).absolute()
    return place / "bin" if pin["by"] == "pip" else place


def by_pip(place: Path, packages: Sequence[str]) -> str:
    venv.create(place, with_pip=True)
    python = str(place / "bin" / "python")
    reason = ran((python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *packages), place)
    if not reason:  # so that the first start is not slower than those after it
        subprocess.run((python, "-m", "compileall", "-q", str(place / "lib")), check=False, capture_output=True)  # noqa: S603
    return reason


def by_npm(place: Path, pin: Mapping[str, Any]) -> str:
    if shutil.which("npm") is None:
        return OF_THE_SYSTEM.format("npm")
    wanted = {"private": True, "dependencies": pin["packages"], "overrides": pin.get("overrides", {})}
    (place / "package.json").write_text(json.dumps(wanted), encoding="utf-8")
    return ran(("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"), place)


def ran(command: Sequence[str], folder: Path) -> str:
    """The last thing that a command said, where it failed."""
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=LIMIT_S, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return f"not installed within {LIMIT_S} s"
    said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return "" if done.returncode == 0 else (said[-1][:300] if said else f"failed with {done.returncode}")


def version(name: str, pin: Mapping[str, Any], command: Sequence[str]) -> str:
    """Of what is installed."""
    if pin["by"] == "system":
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - from peers.py
        said = (done.stdout or done.stderr).splitlines()
        return said[0].removeprefix("nginx version: ").partition(" - ")[0] if said else "unknown"
    if pin["by"] == "npm":
        return ", ".join(f"{package} {wanted}" for package, wanted in pin["packages"].items())
    return ", ".join(package.replace("==", " ") for package in pin["packages"][:1])
