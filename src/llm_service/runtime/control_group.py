"""The memory that the process's control group may use, by the files of the kernel (cgroups(7), versions 1 and 2)."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

NO_LIMIT: Final = 1 << 53
"""Version 1 says a number beyond this where there is no limit; no machine has as much."""
FILES: Final = (("cgroup2", "memory.max"), ("cgroup", "memory.limit_in_bytes"))


class _Mount(NamedTuple):
    """Where a hierarchy is to be seen. ``top``: the group that its mount point shows."""

    kind: str
    point: str
    top: str
    controllers: frozenset[str]


def memory_limit(root: Path = Path("/")) -> int | None:
    """Bytes that the group of this process, and every group around it, may use; ``None``: no bound, or none is known.

    ``root``: where ``/proc`` and the mount points are, another one for tests. Blocks, for files of the kernel only.
    """
    try:
        groups = dict(_groups(root))
        mounts = list(_mounts(root))
    except OSError:  # another system than Linux, or one that hides it
        return None
    limits = [
        limit
        for mount in mounts
        for kind, name in FILES
        if mount.kind == kind and (kind == "cgroup2" or "memory" in mount.controllers)
        for limit in _limits(root, mount, groups.get("" if kind == "cgroup2" else "memory", "/"), name)
    ]
    return min(limits, default=None)


def _groups(root: Path) -> Iterator[tuple[str, str]]:
    """The group of this process by controller; that of version 2 has no name."""
    for line in _lines(root / "proc/self/cgroup"):
        _, _, named = line.partition(":")
        controllers, _, path = named.partition(":")
        for controller in controllers.split(",") if path else ():
            yield controller, path


def _mounts(root: Path) -> Iterator[_Mount]:
    """What mountinfo tells of, but for lines that make no sense; proc_pid_mountinfo(5)."""
    for line in _lines(root / "proc/self/mountinfo"):
        fields, _, rest = line.partition(" - ")
        try:
            _, _, _, top, point, *_ = fields.split(" ")
            kind, _, options = rest.split(" ", 2)  # the source, between them, may be empty
        except ValueError:
            continue
        yield _Mount(kind, point, top, frozenset(options.split(",")))


def _lines(file: Path) -> list[str]:
    """Names in it may have any bytes but a line feed."""
    return os.fsdecode(file.read_bytes()).split("\n")


def _limits(root: Path, mount: _Mount, group: str, name: str) -> Iterator[int]:
    """Those of the group and of all around it that the mount shows."""
    point = root / mount.point.lstrip("/")
    below = group.removeprefix(mount.top.rstrip("/")).strip("/")
    # a container sees its own group as the top of the mount, whatever it is called outside
    folder = point / below if (point / below).is_dir() and ".." not in below else point
    for one in (folder, *folder.parents):
        if (limit := _limit(one / name)) is not None:
            yield limit
        if one == point:
            return


def _limit(file: Path) -> int | None:
    try:
        said = file.read_text().strip()
    except OSError:
        return None
    return int(said) if said.isdigit() and int(said) < NO_LIMIT else None
