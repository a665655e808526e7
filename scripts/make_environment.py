"""Makes a virtual environment from lock files: ``make_environment.py ENVIRONMENT CHECKOUT LAYER...``.

A layer is ``requirements/LAYER.lock``; ``LAYER?`` is wanted, not needed. Needs a bare Python 3.11, nothing else.
"""

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

LAUNCHER = """#!/bin/sh
# The command of this checkout: llm-service models, llm-service chat ...
exec "{python}" -P -m llm_service "$@"
"""


class CannotMakeError(Exception):
    """Says to the user what is missing and what to do about it."""


class Environment:
    """One virtual environment and, in its ``locks`` folder, what it was made from."""

    def __init__(self, path: Path, checkout: Path) -> None:
        self.path = path
        self.checkout = checkout
        self.python = path / "bin" / "python"
        self._locks = path / "locks"
        self._unfinished = self._locks / "unfinished"

    def has(self, layer: str) -> bool:
        installed = self._locks / f"{layer}.lock"
        return installed.is_file() and installed.read_bytes() == self.lock_of(layer).read_bytes()

    def lock_of(self, layer: str) -> Path:
        return self.checkout / "requirements" / f"{layer}.lock"

    def can_be_kept(self) -> bool:
        """Whole, for this checkout, and no layer of it has a lock that changed: packages may be added to it."""
        made_for = self._locks / "checkout"
        if not os.access(self.python, os.X_OK) or self._unfinished.exists() or not made_for.is_file():
            return False
        if made_for.read_text(encoding="utf-8").strip() != str(self.checkout):
            return False
        return all(self.lock_of(lock.stem).is_file() and self.has(lock.stem) for lock in self._locks.glob("*.lock"))

    def create(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        base_python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
        uv = shutil.which("uv")
        if uv and run((uv, "venv", "--quiet", "--no-project", "--python", base_python, str(self.path))):
            pass
        elif not has_venv():
            raise CannotMakeError(without_venv())
        elif not run((base_python, "-I", "-m", "venv", "--clear", str(self.path))):
            raise CannotMakeError(f"{base_python} could not make a virtual environment in {self.path}, see above.")
        self._locks.mkdir()
        self._unfinished.touch()
        self._add_this_checkout()
        (self._locks / "checkout").write_text(f"{self.checkout}\n", encoding="utf-8")

    def install(self, layer: str) -> bool:
        """Whether the layer could be installed. A crash on the way leaves a mark, and the next run starts afresh."""
        self._unfinished.touch()
        # A lock names every package, so nothing is resolved: what it does not name is not installed.
        what = ("--quiet", "--no-deps", "--require-hashes", "-r", str(self.lock_of(layer)))
        done = self._install_by_uv(what) or self._install_by_pip(what)
        if done:
            shutil.copyfile(self.lock_of(layer), self._locks / f"{layer}.lock")
        return done

    def finish(self) -> None:
        self._unfinished.unlink(missing_ok=True)

    def _install_by_uv(self, what: Sequence[str]) -> bool:
        uv = shutil.which("uv")
        return uv is not None and run((uv, "pip", "install", "--python", str(self.python), "--compile-bytecode", *what))

    def _install_by_pip(self, what: Sequence[str]) -> bool:
        pip = (str(self.python), "-m", "pip", "--disable-pip-version-check", "--no-input", "install")
        if not Path(self.path, "bin", "pip").exists():  # uv made the environment, and leaves pip out
            if not has_venv() or not run((str(self.python), "-m", "ensurepip", "--default-pip")):
                return False
            say("Trying pip instead.")
        return run((*pip, *what))

    def _add_this_checkout(self) -> None:
        packages = sysconfig.get_path("purelib", "venv", vars={"base": str(self.path), "platbase": str(self.path)})
        Path(packages, "llm_service.pth").write_text(f"{self.checkout / 'src'}\n", encoding="utf-8")
        command = self.path / "bin" / "llm-service"
        command.write_text(LAUNCHER.format(python=self.python), encoding="utf-8")
        command.chmod(0o755)


def has_venv() -> bool:
    return all(importlib.util.find_spec(module) is not None for module in ("ensurepip", "venv"))


def without_venv() -> str:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return (
        f"{sys.executable} (Python {version}) comes without venv and ensurepip, which make the environment.\n"
        f"Debian, Ubuntu: apt install python{version}-venv. Or install uv, which needs neither."
    )


def run(command: Sequence[str]) -> bool:
    """Runs a program with no input, its output where ours goes; true when it succeeded."""
    return subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode == 0


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Holds the environment's lock; the kernel gives it back when the holder dies, whichever way."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock").open("w")
    except OSError as error:
        raise CannotMakeError(
            f"The Python environment cannot be made in {path.parent}: {error.strerror}.\n"
            "Name a folder that can be written: LLM_SERVICE_VENV_DIR=/some/folder."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Another process is making {path}; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make(environment: Environment, layers: Sequence[str]) -> None:
    if not environment.can_be_kept():
        say(f"Making the Python environment {environment.path} (once, some seconds) ...")
        environment.create()
    for layer in layers:
        name = layer.removesuffix("?")
        if environment.has(name):
            continue
        if not environment.install(name) and name == layer:
            raise CannotMakeError(
                f"requirements/{name}.lock could not be installed, see above.\n"
                "It takes a network, or a package index that pip knows of."
            )
    environment.finish()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(environment_path: str, checkout: str, *layers: str) -> int:
    environment = Environment(Path(environment_path), Path(checkout))
    try:
        with only_one(environment.path):
            make(environment, layers)
    except CannotMakeError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
