"""The image's file tree in a folder, and processes inside of it: the image's user, on a read-only root.

The host's system stands in for the base image: it is mounted, read-only, where the image would have its own. All that
happens in namespaces of mounts and processes that end with the process (mount_namespaces(7), pid_namespaces(7)).
"""

import itertools
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from scripts.image.dockerfile import CHECKOUT, Stage, Step, read

HOME: Final = "/opt/llm-service"
BASE_LINKS: Final = ("bin", "sbin", "lib", "lib32", "lib64")
BASE_FOLDERS: Final = ("usr", "etc/ssl")
DEVICES: Final = ("null", "zero", "random", "urandom")
INSIDE: Final = """
set -eu
mount --bind "$TREE" "$TREE"
for folder in $BASE; do mount -o bind,ro "/$folder" "$TREE/$folder"; done
mount -t tmpfs -o mode=0755 tmpfs "$TREE/dev"
for device in $DEVICES; do : >"$TREE/dev/$device"; mount --bind "/dev/$device" "$TREE/dev/$device"; done
mount -t proc proc "$TREE/proc"
mount -t tmpfs -o mode=1777,size=64m tmpfs "$TREE/tmp"
if [ -n "$VOLUME" ]; then mount --bind "$VOLUME" "$TREE$AT"; fi
[ -z "$READ_ONLY" ] || mount -o remount,bind,ro "$TREE"
exec chroot "$TREE" "$@"
"""
"""Mounts what a container engine would, and becomes the process inside."""
WITHOUT_RIGHTS: Final = (
    "--clear-groups",
    "--no-new-privs",
    "--inh-caps=-all",
    "--ambient-caps=-all",
    "--bounding-set=-all",
)

Build = Callable[[Path, Stage], None]
"""Does what the first stage does, into this folder as the environment's."""


def python_home() -> Path:
    """Where the interpreter lies that stands in for that of the base image."""
    return Path(sys.base_prefix).resolve()


def is_possible() -> str | None:
    """Why this machine cannot run a tree; None where it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "the image's tree is run by root on Linux alone"
    tried = subprocess.run(("unshare", "--mount", "--pid", "--fork", "true"), check=False, capture_output=True)
    return None if tried.returncode == 0 else "the image's tree takes namespaces of mounts and processes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A laid-out image. ``volume``: the folder that stands for its volume."""

    root: Path
    image: Stage

    @property
    def user(self) -> tuple[int, int]:
        """Of the Dockerfile, which names them by number."""
        user, _, group = self.image.last("USER").text.partition(":")
        return int(user), int(group)

    @property
    def at(self) -> str:
        """Where the volume is mounted."""
        return self.image.last("VOLUME").words[0]

    def command(self, *arguments: str) -> tuple[str, ...]:
        """What an engine would start: with these arguments, or the image's own."""
        return (*self.image.last("ENTRYPOINT").words, *(arguments or self.image.last("CMD").words))

    def started(
        self, command: Sequence[str], *, volume: Path, variables: Mapping[str, str], **streams: int
    ) -> "subprocess.Popen[bytes]":
        """A process as the image's user, first of its process namespace, on a read-only root with these variables."""
        user, group = self.user
        values = {**self.image.pairs("ENV"), **variables}
        within = (
            *("/usr/bin/setpriv", f"--reuid={user}", f"--regid={group}", *WITHOUT_RIGHTS),
            *("/usr/bin/env", "-i", "-C", self.image.last("WORKDIR").text),
            *(f"{name}={value}" for name, value in values.items()),
            *command,
        )
        return self._inside(within, volume=volume, read_only=True, **streams)

    def do(self, step: Step) -> None:
        """One step of the Dockerfile, as root and with a root to write on."""
        command = step.words if step.in_exec_form else ("/bin/sh", "-c", step.text)
        done = self._inside(("/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *command)).wait()
        if done:
            raise RuntimeError(f"{step.name} {step.text}: exit code {done}")

    def _inside(
        self, command: Sequence[str], *, volume: Path | None = None, read_only: bool = False, **streams: int
    ) -> "subprocess.Popen[bytes]":
        facts = {
            "PATH": os.environ["PATH"],
            "TREE": str(self.root),
            "BASE": " ".join(mounted()),
            "DEVICES": " ".join(DEVICES),
            "VOLUME": str(volume or ""),
            "AT": self.at,
            "READ_ONLY": "yes" if read_only else "",
        }
        apart = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private")
        return subprocess.Popen((*apart, "sh", "-c", INSIDE, "sh", *command), env=facts, **streams)  # type: ignore[call-overload,no-any-return]  # the streams


def mounted() -> list[str]:
    """What of the host is seen inside, relative to its root."""
    folders = [folder for folder in BASE_FOLDERS if Path("/", folder).is_dir()]
    real = [name for name in BASE_LINKS if Path("/", name).is_dir() and not Path("/", name).is_symlink()]
    home = str(python_home().relative_to("/"))
    return [*folders, *real, *([] if home.startswith("usr/") or home == "usr" else [home])]


def lay_out(root: Path, build: Build) -> Tree:
    """The tree of the Dockerfile's last stage in a new folder; ``build`` stands for the stages before."""
    first, image = read()
    tree = Tree(root=root, image=image)
    for folder in (*mounted(), "dev", "proc", "tmp"):
        Path(root, folder).mkdir(parents=True, exist_ok=True)
    for name in BASE_LINKS:
        if Path("/", name).is_symlink():
            Path(root, name).symlink_to(Path("/", name).readlink())
    for step in image.steps:
        if step.name == "COPY":
            copy(step, root, lambda place: build(place, first))
        elif step.name == "RUN":
            tree.do(step)
        elif step.name == "WORKDIR":
            Path(root, step.text.lstrip("/")).mkdir(parents=True, exist_ok=True)
    return tree


def copy(step: Step, root: Path, build: Callable[[Path], None]) -> None:
    """One file of the source, or the environment of the stage before."""
    source, target = step.words
    place = Path(root, target.lstrip("/"))
    place.parent.mkdir(parents=True, exist_ok=True)
    if "from" not in step.options:
        shutil.copyfile(CHECKOUT / source, place)
    elif source == target == HOME:
        build(place)
    else:
        raise ValueError(f"COPY {step.text}: only {HOME} comes from the first stage")


def build_anew(place: Path, stage: Stage) -> None:
    """As the image does it: every package from the index, by its hash."""
    for step in stage.all("RUN"):
        run_build(step, place)


def build_from_here(place: Path, stage: Stage) -> None:
    """The same packages as they are installed where this runs, and the wheel of the source: needs no network."""
    packages, service = stage.all("RUN")
    run_build(step_without_layers(packages), place)
    site = next(place.glob("lib/python*/site-packages"))
    found = {
        canonicalize_name(one.metadata["Name"]): one for one in distributions(path=[sysconfig.get_path("purelib")])
    }
    for wanted in itertools.chain.from_iterable(map(pinned, packages.words[2:])):
        package = found.get(canonicalize_name(wanted.name))
        if package is None or package.version not in wanted.specifier:
            raise LookupError(f"{wanted} is not installed here")
        install(package, site)
    run_build(service, place, BUILDER=sys.executable)


def step_without_layers(step: Step) -> Step:
    return Step(name=step.name, text=" ".join(step.words[:2]), options=step.options)


def run_build(step: Step, place: Path, **variables: str) -> None:
    """A step that calls deploy/container/build, which is told of the other place."""
    subprocess.run(
        step.words,
        cwd=CHECKOUT,
        check=True,
        env={**os.environ, "PREFIX": str(place), "PYTHON": str(python_home() / "bin" / "python3"), **variables},
    )


def pinned(layer: str) -> list[Requirement]:
    """What a lock has for this machine."""
    text = (CHECKOUT / "requirements" / f"{layer}.lock").read_text(encoding="utf-8")
    pins = [Requirement(line.removesuffix("\\").strip()) for line in text.splitlines() if line[:1].isalnum()]
    return [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]


def install(package: Distribution, site: Path) -> None:
    """The files of an installed package once more, but for its commands, which lie elsewhere."""
    for name in package.files or ():
        if not str(name).startswith("..") and (source := Path(str(package.locate_file(name)))).is_file():
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(source, site / name)


def link_or_copy(source: Path, place: Path) -> None:
    """With its time, by which its bytecode is known to be of it."""
    try:
        place.hardlink_to(source)
    except OSError:  # another file system
        shutil.copy2(source, place)
